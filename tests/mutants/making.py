"""Mutants of a module: what is changed, in which function, on which lines.

A mutant is a change of the body of one function. What a module does when it
is imported is not changed: nobody could undo that for the next mutant.
"""

import ast
import collections
import dataclasses
import hashlib
import pathlib
import types
from collections.abc import Iterator
from typing import Any

from cosmic_ray import ast as trees
from parso import tree as parso_tree

from tests.mutants import operators

# Characters of a line that are enough to know it again.
SHORT = 90


@dataclasses.dataclass(frozen=True)
class Function:
    """A function or method: a name, where it is, and what it says.

    :ivar number: of those with this name.
    """

    name: str
    number: int
    first: int
    body: int
    last: int
    digest: str


@dataclasses.dataclass(frozen=True)
class Mutant:
    """:ivar lines: a test that reaches one of them may see the change.
    :ivar takes_out: whether something is gone, and not only changed.
    """

    module: str
    function: Function
    text: str
    number: int
    lines: tuple[int, int]
    takes_out: bool
    source: str = dataclasses.field(repr=False)

    @property
    def name(self) -> str:
        """The same as long as the function has this line."""
        number = f' #{self.number}' if self.number else ''
        return f'{self.module} {self.function.name}: {self.text}{number}'


def functions(source: str) -> list[Function]:
    """The functions of a module and the methods of its classes."""
    lines = source.splitlines()
    found: list[Function] = []
    seen: collections.Counter[str] = collections.Counter()

    def walk(node: ast.AST, path: str) -> None:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.ClassDef):
                walk(child, f'{path}{child.name}.')
            elif isinstance(child, ast.FunctionDef):
                name = path + child.name
                first = min(
                    [child.lineno, *(d.lineno for d in child.decorator_list)]
                )
                last = child.end_lineno or first
                text = '\n'.join(lines[first - 1 : last])
                digest = hashlib.sha256(text.encode()).hexdigest()[:12]
                body = child.body[0].lineno
                found.append(
                    Function(name, seen[name], first, body, last, digest)
                )
                seen[name] += 1
            elif isinstance(child, ast.If | ast.Try):
                walk(child, path)

    walk(ast.parse(source), '')
    return found


def codes(source: str, filename: str) -> dict[tuple[str, int], Any]:
    """The compiled functions of a module, by name and number."""
    found: dict[tuple[str, int], types.CodeType] = {}
    seen: collections.Counter[str] = collections.Counter()

    def walk(code: types.CodeType, path: str) -> None:
        for child in code.co_consts:
            if not isinstance(child, types.CodeType):
                continue
            name = path + child.co_name
            if child.co_name.startswith('<'):
                continue
            if child.co_flags & 1:
                found[name, seen[name]] = child
                seen[name] += 1
            else:
                walk(child, f'{name}.')

    walk(compile(source, filename, 'exec', dont_inherit=True), '')
    return found


def mutants(root: pathlib.Path, module: str) -> list[Mutant]:
    """All mutants of a module.

    :param module: its path below ``root``.
    """
    source = (root / module).read_text()
    known = functions(source)
    statements = _statements(source)
    found = []
    seen: collections.Counter[tuple[str, str]] = collections.Counter()
    for name, line, changed, text in _changes(source):
        function = next((f for f in known if f.body <= line <= f.last), None)
        if function is None:
            continue
        key = (function.name, text)
        found.append(
            Mutant(
                module,
                function,
                text,
                seen[key],
                _around(line, statements),
                name in operators.OURS,
                changed,
            )
        )
        seen[key] += 1
    return found


def changed(source: str) -> dict[str, list[str]]:
    """What each operator makes of a module, by its name."""
    found = collections.defaultdict(list)
    for name, _line, after, _text in _changes(source):
        found[name].append(after)
    return found


def _changes(source: str) -> Iterator[tuple[str, int, str, str]]:
    """Each change: by what, its line, the module with it, and in words."""
    starts = [0]
    for line in source.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))

    def offset(position: tuple[int, int]) -> int:
        return starts[position[0] - 1] + position[1]

    for node in list(trees.ast_nodes(trees.get_ast(source))):
        begin, end = offset(node.start_pos), offset(node.end_pos)
        before = begin - offset(node.get_start_pos_of_prefix())
        for name, line, new in _changes_of(node, before):
            after = source[:begin] + new + source[end:]
            # From the begin of the first line to the end of the last.
            first = source.rfind('\n', 0, begin + 1) + 1
            rest = len(source) - (source + '\n').index('\n', end - 1)
            said = _text(
                source[first : len(source) - rest],
                after[first : len(after) - rest],
            )
            yield name, line, after, said


def _changes_of(node: Any, prefix: int) -> Iterator[tuple[str, int, str]]:
    """Each change of a node: by what, its line, and what it becomes.

    :param prefix: characters before it that belong to it.
    """
    for name, operator in operators.every().items():
        places = list(operator.mutation_positions(node))
        if not places or operators.is_left(name, node):
            continue
        if name == 'NumberReplacer':
            # One more; it would take one away as well.
            places = places[:1]
        for index, (position, _end) in enumerate(places):
            undo = _snapshot(node)
            new = operator.mutate(node, index)
            text = new.get_code()
            if new is node:
                text = text[prefix:]
            for restore in undo:
                restore()
            yield name, position[0], text.lstrip(' ')


def _snapshot(node: Any) -> list[Any]:
    """What makes a tree as it is again."""
    undo: list[Any] = []
    for each in trees.ast_nodes(node):
        if isinstance(each, parso_tree.BaseNode):
            undo.append(_restore(each, 'children', list(each.children)))
        else:
            undo.append(_restore(each, 'value', each.value))
            undo.append(_restore(each, 'prefix', each.prefix))
    return undo


def _restore(node: Any, name: str, value: Any) -> Any:
    return lambda: setattr(node, name, value)


def _text(before: str, after: str) -> str:
    """What is changed, as lines without their indent."""
    old, new = before.splitlines(), after.splitlines()
    first = 0
    while first < min(len(old), len(new)) and old[first] == new[first]:
        first += 1
    last = 0
    while (
        last < min(len(old), len(new)) - first
        and old[-1 - last] == new[-1 - last]
    ):
        last += 1
    gone = [line.strip() for line in old[first : len(old) - last]]
    come = [line.strip() for line in new[first : len(new) - last]]
    return f'{_short(gone)} -> {_short(come) or "nothing"}'


def _short(lines: list[str]) -> str:
    text = ' '.join(lines)
    return text if len(text) <= SHORT else f'{text[:SHORT]}…'


def _statements(source: str) -> list[tuple[int, int]]:
    """The lines of all statements, without the bodies that they have."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.stmt | ast.excepthandler):
            body = getattr(node, 'body', None)
            last = body[0].lineno - 1 if body else node.end_lineno
            last = max(last or node.lineno, node.lineno)
            found.append((node.lineno, last))
    return found


def _around(line: int, statements: list[tuple[int, int]]) -> tuple[int, int]:
    inside = [s for s in statements if s[0] <= line <= s[1]]
    return min(inside, key=lambda s: s[1] - s[0], default=(line, line))
