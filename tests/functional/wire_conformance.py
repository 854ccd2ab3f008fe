"""What this API, Nova 2012.1 and Nova 34 answer to the same request.

``python -m tests.functional.wire_conformance`` writes the part of the
deviations' document which shows them; a test keeps the two in step, and
another sends every request.
"""

import dataclasses
import json
import pathlib
import re
from collections.abc import Iterator
from typing import Any

import yaml

HERE = pathlib.Path(__file__).parent
ROOT = HERE.parents[1]
CASES = HERE / 'wire_conformance.yaml'
DOCUMENT = ROOT / 'doc/source/wire-conformance.inc'

# Face -> the other API that it is measured against, as cases name it.
OTHERS = {'legacy': 'essex', 'modern': 'nova'}

_LONG = re.compile(r'\((\d+) x\)')


@dataclasses.dataclass(frozen=True)
class Request:
    """A request as cases write it.

    :ivar path: below the root of a face.
    :ivar body: as sent: ``(256 x)`` has become as many letters.
    """

    method: str
    path: str
    body: str


def parse(text: str) -> Request:
    """The request of a line ``METHOD path body``, the last optional."""
    method, path, body = [*text.split(' ', 2), ''][:3]
    return Request(
        method, path, _LONG.sub(lambda found: 'x' * int(found[1]), body)
    )


def load() -> dict[str, list[dict[str, Any]]]:
    """All cases, by subject."""
    cases: dict[str, list[dict[str, Any]]] = yaml.safe_load(
        CASES.read_text(encoding='utf-8')
    )
    return cases


def faces(case: dict[str, Any]) -> list[str]:
    """The faces on which it is known what the other API answers."""
    return [face for face, other in OTHERS.items() if other in case]


def ours(case: dict[str, Any], face: str) -> int:
    """The status that a face is to answer."""
    answer = case['ours']
    status: int = answer[face] if isinstance(answer, dict) else answer
    return status


def theirs(case: dict[str, Any], other: str) -> int:
    """The status that another API answers, without the fact behind it."""
    return int(str(case[other]).partition(',')[0])


def differs(case: dict[str, Any]) -> bool:
    """Whether a client can tell us from one of the others.

    A bare status of theirs stands for our answer; with a fact behind the
    status it is another one.
    """
    return any(case[OTHERS[face]] != ours(case, face) for face in faces(case))


def render(subjects: dict[str, list[dict[str, Any]]]) -> str:
    """The part of the document."""
    return '\n'.join(
        line
        for name, cases in subjects.items()
        for line in _table(name, cases)
    )


def _table(name: str, cases: list[dict[str, Any]]) -> Iterator[str]:
    yield from (name, '-' * len(name), '')
    yield from ('.. list-table::', '   :header-rows: 1')
    yield from ('   :widths: 36 16 13 13 22', '')
    yield from _row('request', 'why', 'here', 'Nova 2012.1', 'Nova 34')
    for case in cases:
        yield from _row(
            _request(case),
            case.get('why', ''),
            _ours(case),
            str(case.get('essex', '')),
            str(case.get('nova', '')),
        )
    yield ''


def _row(request: str, why: str, *answers: str) -> Iterator[str]:
    yield f'   * - {request}'
    for cell in (*answers, why):
        yield f'     - {cell}'.rstrip()


def _request(case: dict[str, Any]) -> str:
    told = f'{case["what"]}: ``{case["request"]}``'
    if 'type' in case:
        told += f' as ``{case["type"] or "no type"}``'
    if 'microversion' in case:
        told += f' at {case["microversion"]}'
    return told


def _ours(case: dict[str, Any]) -> str:
    seen = dict.fromkeys(ours(case, face) for face in faces(case))
    told = ' / '.join(str(status) for status in seen)
    if 'says' in case:
        told += f', ``{case["says"]}``'
    if 'shows' in case:
        told += f', ``{json.dumps(case["shows"])}``'
    return told


if __name__ == '__main__':
    DOCUMENT.write_text(render(load()), encoding='utf-8')
