"""Which claims about xapi the simulator keeps.

``python -m tests.functional.xensim.conformance`` writes the part of the
simulator's document which counts them; a test keeps the two in step.
"""

import pathlib
import textwrap
from collections.abc import Iterator
from typing import Any

import yaml

HERE = pathlib.Path(__file__).parent
ROOT = HERE.parents[2]
CLAIMS = HERE / 'conformance.yaml'
DOCUMENT = ROOT / 'doc/source/simulator-conformance.inc'

Sections = dict[str, list[dict[str, Any]]]


def load() -> Sections:
    """All claims, by the label of their section."""
    sections: Sections = yaml.safe_load(CLAIMS.read_text(encoding='utf-8'))
    return sections


def counts(claims: list[dict[str, Any]]) -> tuple[int, int]:
    """How many claims are proved by a test, and how many are not modelled."""
    proved = sum('test' in claim for claim in claims)
    return proved, len(claims) - proved


def render(sections: Sections) -> str:
    """The part of the document."""
    return '\n'.join([*_table(sections), '', *_missing(sections), ''])


def _table(sections: Sections) -> Iterator[str]:
    rows = [(name, *counts(claims)) for name, claims in sections.items()]
    every = [claim for claims in sections.values() for claim in claims]
    rows.append(('all', *counts(every)))
    rule = f'{"=" * 34} ======== ============'
    yield rule
    yield f'{"section":34} {"modelled":8} {"not modelled":12}'.rstrip()
    yield rule
    for name, proved, missing in rows:
        yield f'{name:34} {proved:8} {missing:12}'
    yield rule


def _missing(sections: Sections) -> Iterator[str]:
    yield 'Not modelled:'
    yield ''
    for name, claims in sections.items():
        for claim in claims:
            if 'no' in claim:
                yield textwrap.fill(
                    f'{name} {claim["row"]}, {claim["claim"]}: {claim["no"]}.',
                    79,
                    initial_indent='- ',
                    subsequent_indent='  ',
                    break_long_words=False,
                    break_on_hyphens=False,
                )


if __name__ == '__main__':
    DOCUMENT.write_text(render(load()), encoding='utf-8')
