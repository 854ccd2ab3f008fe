"""Every message of the compute service, as its source has it.

A message is what is given to one of ``MAKERS`` or stands as the ``message``
or ``remedy`` of an exception. What is only known later is put as a word.
"""

import ast
import pathlib
import re
from collections.abc import Iterator
from typing import NamedTuple

ROOT = pathlib.Path(__file__).parents[3]
COMPUTE = ROOT / 'aggregates_ext/compute'
# By what makes it: where a message stands among the arguments, or its name.
MAKERS: dict[str, tuple[int | str, ...]] = {
    'Drift': (1, 'message'),
    'Failed': (1, 'message'),
    'Unresolved': (1, 'message'),
    'Postpone': ('reason',),
    'Waiting': ('reason',),
    '_stuck': (2,),
}
# Sentences of which one is said and the next is what to do.
FIELDS = ('message', 'remedy')
WORD = 'x'
# What is a message itself, by the end of its name, and its sentences.
EMBEDDED = {
    'exc': 'It is so. Do that.',
    'obstacle': 'It is so. Do that.',
    'reason': 'It is so. Do that.',
    'why': 'It is so.',
    'exc.answer.said': 'It is so.',
    'exc.said': 'It is so.',
    'obstacle.said': 'It is so.',
    "['message']": 'It is so. Do that.',
    'seen.describe()': 'Here it is so.',
    'describe(run)': 'Here it is so.',
    'RUNBOOK': 'Do that.',
    '_BOTH_WAYS': 'Do that.',
}
_END = re.compile(r'[.?!]["\')]*(?= |$)')
# What ends with a full stop and no sentence.
_SHORT = re.compile(r'\b(e\.g|i\.e|etc)\.')


class Message(NamedTuple):
    """A message where it is made."""

    place: str
    text: str


def sentences(text: str) -> int:
    """How many sentences a text has."""
    return len(_END.findall(_SHORT.sub('', text.strip())))


def every() -> Iterator[Message]:
    """All messages of the compute service."""
    for path in sorted(COMPUTE.rglob('*.py')):
        tree = ast.parse(path.read_text(encoding='utf-8'))
        place = str(path.relative_to(COMPUTE))
        for node in ast.walk(tree):
            if isinstance(node, ast.Call):
                found = list(_given(node))
            elif isinstance(node, ast.ClassDef):
                found = [' '.join(_stated(node))]
            else:
                continue
            for text in found:
                if text.strip():
                    yield Message(f'{place}:{node.lineno}', text)


def _given(call: ast.Call) -> Iterator[str]:
    """The messages among what a call is given."""
    function = call.func
    name = function.attr if isinstance(function, ast.Attribute) else ''
    name = function.id if isinstance(function, ast.Name) else name
    if name == 'Problem':
        yield from _problem(call)
        return
    for where in MAKERS.get(name, ()):
        if isinstance(where, int):
            node = call.args[where] if len(call.args) > where else None
        else:
            named = [k.value for k in call.keywords if k.arg == where]
            node = named[0] if named else None
        if node is not None and (text := render(node)):
            yield text


def _problem(call: ast.Call) -> Iterator[str]:
    """A problem as it is told: code, rule, what was found, what to do."""
    if len(call.args) >= 4:
        rule, found, remedy = map(render, call.args[1:4])
        yield f'X: {rule or WORD}; found {found or WORD}. {remedy or WORD + "."}'


def _stated(node: ast.ClassDef) -> Iterator[str]:
    """What an exception says, and what it says to do."""
    values = {
        target.id: statement.value
        for statement in node.body
        if isinstance(statement, ast.Assign)
        for target in statement.targets
        if isinstance(target, ast.Name) and target.id in FIELDS
    }
    for field in FIELDS:
        if field in values:
            yield re.sub(r'\{\w*\}', WORD, render(values[field]))


def render(node: ast.expr) -> str:
    """A text of the source, with a word for each value; empty: none."""
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else ''
    if isinstance(node, ast.JoinedStr):
        return ''.join(
            _value(ast.unparse(part.value))
            if isinstance(part, ast.FormattedValue)
            else render(part)
            for part in node.values
        )
    if isinstance(node, ast.BinOp):
        return f'{render(node.left) or WORD}{render(node.right) or WORD}'
    return ''


def _value(source: str) -> str:
    """What stands for a value, by the expression for it."""
    ends = [said for end, said in EMBEDDED.items() if source.endswith(end)]
    return ends[-1] if ends else WORD
