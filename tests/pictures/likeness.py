"""Whether a picture still shows what a command tells.

Two runs never tell the same: identifiers, times and numbers differ, and what
goes on at once is told in any order. What is compared is the words.
"""

import difflib
import re

# What is another in each run, and what stands for it.
_OTHERS = (
    (re.compile('[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}'), 'UUID'),
    (re.compile(r'\d{4}-\d\d-\d\d[T ][\d:.]+'), 'TIME'),
    (re.compile(r'127\.0\.0\.1:\d+'), 'ADDRESS'),
    (re.compile(r'(?<![\w.])\d+([.:]\d+)?(?![\w.]\w)'), 'N'),
)
# Lines of tables, of trees and of bars.
_RULES = re.compile(r'[\u2500-\u257f|\u00a0]|-{2,}|\+')


def words(text: str) -> list[str]:
    """The words of a text, with what is the same in each run."""
    plain = _RULES.sub(' ', text)
    for found, stands in _OTHERS:
        plain = found.sub(stands, plain)
    return plain.split()


def holds(drawn: str, told: str, moment: str | None) -> bool:
    """Whether a picture is still true.

    :param drawn: the text of the picture.
    :param told: that of one made now.
    :param moment: all that was told meanwhile, where the picture shows a
        moment of it: then each of its words was told at some time.
    """
    return not strange(drawn, told, moment)


def strange(drawn: str, told: str, moment: str | None) -> list[str]:
    """The words by which a picture differs from what is told now."""
    if moment is not None:
        known = set(words(moment))
        return [word for word in words(drawn) if word not in known]
    old, new = words(drawn), words(told)
    compared = difflib.ndiff(old, new)
    return [word for word in compared if word[0] in '+-']
