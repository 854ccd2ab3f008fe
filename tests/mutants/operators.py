"""What is changed in the code: cosmic-ray's operators, and some of ours.

Ours take a mechanism out: a statement, a condition, an argument. Messages are
left as they are, and so is what is logged.
"""

import functools
import re
from collections.abc import Iterator
from typing import Any

from cosmic_ray import plugins
from cosmic_ray.operators import operator
from parso.python import tree

Position = tuple[tuple[int, int], tuple[int, int]]
CORE = (
    'AddNot',
    'NumberReplacer',
    'ReplaceBinaryOperator_Add_Sub',
    'ReplaceBinaryOperator_Mul_Div',
    'ReplaceBinaryOperator_Sub_Add',
    'ReplaceBreakWithContinue',
    'ReplaceComparisonOperator_Eq_NotEq',
    'ReplaceComparisonOperator_GtE_Gt',
    'ReplaceComparisonOperator_GtE_Lt',
    'ReplaceComparisonOperator_Gt_GtE',
    'ReplaceComparisonOperator_Gt_LtE',
    'ReplaceComparisonOperator_IsNot_Is',
    'ReplaceComparisonOperator_Is_IsNot',
    'ReplaceComparisonOperator_LtE_Gt',
    'ReplaceComparisonOperator_LtE_Lt',
    'ReplaceComparisonOperator_Lt_GtE',
    'ReplaceComparisonOperator_Lt_LtE',
    'ReplaceComparisonOperator_NotEq_Eq',
    'ReplaceContinueWithBreak',
    'ReplaceFalseWithTrue',
    'ReplaceTrueWithFalse',
    'ReplaceUnaryOperator_Delete_Not',
    'ZeroIterationForLoop',
)
# Calls whose arguments are conditions each.
CONDITIONS = ('and_', 'or_', 'where')
# Arguments that only tell something.
MESSAGES = ('progress', 'reason')
# Operators that change only what becomes of what is equal.
BOUNDS = ('GtE_Gt', 'Gt_GtE', 'LtE_Lt', 'Lt_LtE')
# A comparison with the clock: no test hits the very moment.
CLOCK = re.compile(r'\b(now|elapsed|monotonic|time)\(|\b(age|lasting)\b')
# Conditions that other operators change.
CHANGED = ('comparison', 'not_test', 'and_test', 'or_test', 'keyword')


class RemoveStatement(operator.Operator):
    """A call, a raise, a return, or what is written into an object: gone."""

    def mutation_positions(self, node: Any) -> Iterator[Position]:
        if node.type == 'simple_stmt' and _acts(node.children[0]):
            yield node.children[0].start_pos, node.children[0].end_pos

    def mutate(self, node: Any, index: int) -> Any:
        first = node.children[0]
        prefix = first.get_first_leaf().prefix
        node.children[0] = tree.Keyword('pass', first.start_pos, prefix)
        return node

    @classmethod
    def examples(cls) -> tuple[operator.Example, ...]:
        return (operator.Example('f(x)\n', 'pass\n'),)


def _acts(statement: Any) -> bool:
    kind, code = statement.type, statement.get_code(include_prefix=False)
    if code.startswith('LOG.'):
        return False
    if kind in ('raise_stmt', 'return_stmt', 'del_stmt'):
        return True
    if kind == 'keyword':
        return bool(code in ('raise', 'return'))
    if kind == 'expr_stmt':
        return _writes(statement)
    return kind == 'atom_expr' and code.endswith(')')


def _writes(statement: Any) -> bool:
    """Whether it changes an object, and not what a name stands for."""
    target, sign = statement.children[:2]
    function = statement.search_ancestor('funcdef')
    if function is None or function.name.value == '__init__':
        return False
    if target.type == 'name':
        return bool(sign.type == 'operator' and sign.value != '=')
    return bool(target.type == 'atom_expr')


class DropOperand(operator.Operator):
    """``a and b`` becomes ``b``, and ``a``."""

    def mutation_positions(self, node: Any) -> Iterator[Position]:
        if node.type in ('and_test', 'or_test'):
            for operand in node.children[::2]:
                yield operand.start_pos, operand.end_pos

    def mutate(self, node: Any, index: int) -> Any:
        _cut(node, 2 * index)
        return node

    @classmethod
    def examples(cls) -> tuple[operator.Example, ...]:
        return (operator.Example('a and b', 'b'),)


class DropArgument(operator.Operator):
    """An argument that has a name, or is one of several conditions: gone."""

    def mutation_positions(self, node: Any) -> Iterator[Position]:
        for child in _droppable(node):
            yield child.start_pos, child.end_pos

    def mutate(self, node: Any, index: int) -> Any:
        child = list(_droppable(node))[index]
        within = child.parent
        if within is node:
            node.children.remove(child)
        else:
            _cut(within, within.children.index(child))
        return node

    @classmethod
    def examples(cls) -> tuple[operator.Example, ...]:
        return (operator.Example('f(a, b=1)', 'f(a)'),)


def _droppable(node: Any) -> Iterator[Any]:
    if node.type != 'trailer' or len(node.children) != 3:
        return
    inner = node.children[1]
    callee = node.get_previous_leaf()
    if node.parent.get_first_leaf().value == 'LOG':
        return
    alone = inner.type != 'arglist'
    for child in (inner,) if alone else inner.children[::2]:
        named = child.type == 'argument' and child.children[1] == '='
        if named and child.children[0].value in MESSAGES:
            continue
        if named or (callee.value in CONDITIONS and not alone):
            yield child


class DropCondition(operator.Operator):
    """``[x for x in y if z]`` becomes ``[x for x in y]``."""

    def mutation_positions(self, node: Any) -> Iterator[Position]:
        if node.type == 'sync_comp_for' and _condition(node) is not None:
            condition = _condition(node)
            yield condition.start_pos, condition.end_pos

    def mutate(self, node: Any, index: int) -> Any:
        node.children.remove(_condition(node))
        return node

    @classmethod
    def examples(cls) -> tuple[operator.Example, ...]:
        return (operator.Example('[x for x in y if z]', '[x for x in y]'),)


def _condition(node: Any) -> Any:
    last = node.children[-1]
    return last if last.type == 'comp_if' else None


def _cut(node: Any, index: int) -> None:
    """Take one of a list out, with what separates it from the others."""
    first = node.children[index].get_first_leaf()
    rest = node.children
    del rest[index : index + 2]
    if index and index == len(rest):
        del rest[-1]
    elif rest and index < len(rest):
        rest[index].get_first_leaf().prefix = first.prefix


class CatchNothing(operator.Operator):
    """``except x`` becomes ``except ()``; cosmic-ray's takes no ``x.y``."""

    def mutation_positions(self, node: Any) -> Iterator[Position]:
        if node.type == 'except_clause':
            yield node.children[1].start_pos, node.children[1].end_pos

    def mutate(self, node: Any, index: int) -> Any:
        prefix = node.children[1].get_first_leaf().prefix
        node.children[1] = tree.Name('()', node.children[1].start_pos, prefix)
        return node

    @classmethod
    def examples(cls) -> tuple[operator.Example, ...]:
        before, after = 'try: x\nexcept a.b: y', 'try: x\nexcept (): y'
        return (operator.Example(before, after),)


class SwapMembership(operator.Operator):
    """``in`` becomes ``not in``, and the other way round."""

    def mutation_positions(self, node: Any) -> Iterator[Position]:
        for _index, child in self._found(node):
            yield child.start_pos, child.end_pos

    def mutate(self, node: Any, index: int) -> Any:
        place, child = list(self._found(node))[index]
        new = 'not in' if child.type == 'keyword' else 'in'
        prefix = child.get_first_leaf().prefix
        node.children[place] = tree.Keyword(new, child.start_pos, prefix)
        return node

    @staticmethod
    def _found(node: Any) -> Iterator[tuple[int, Any]]:
        if node.type == 'comparison':
            for index, child in enumerate(node.children):
                code = child.get_code(include_prefix=False)
                if index % 2 and code in ('in', 'not in'):
                    yield index, child

    @classmethod
    def examples(cls) -> tuple[operator.Example, ...]:
        return (operator.Example('a in b', 'a not in b'),)


OWN = (
    RemoveStatement,
    DropOperand,
    DropArgument,
    DropCondition,
    CatchNothing,
    SwapMembership,
)
OURS = tuple(own.__name__ for own in OWN)


@functools.cache
def every() -> dict[str, operator.Operator]:
    """All that are used, by name."""
    core = {name: plugins.get_operator(f'core/{name}')() for name in CORE}
    return {**core, **{own.__name__: own() for own in OWN}}


def is_left(name: str, node: Any) -> bool:
    """Whether an operator is not to change a node.

    What another one changes in the same way is left to that one; a number
    that tells how far something is, is a message.
    """
    if name.endswith(BOUNDS):
        return bool(CLOCK.search(node.get_code()))
    if name == 'AddNot':
        conditional = node.type == 'test'
        condition = node.children[2 if conditional else 1]
        return condition.type in CHANGED
    if name == 'NumberReplacer':
        argument = node.search_ancestor('argument')
        return argument is not None and (
            argument.children[0].get_code(include_prefix=False) in MESSAGES
        )
    return False
