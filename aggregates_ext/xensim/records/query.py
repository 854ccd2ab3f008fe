"""The small language of get_all_records_where: true, field, and/or/not."""

import re

from aggregates_ext.xensim.records import database
from aggregates_ext.xensim.records import failure

TOKEN = re.compile(
    r'\s*(?:(?P<mark>[()=])|"(?P<double>(?:[^"\\]|\\.)*)"'
    r"|'(?P<single>(?:[^'\\]|\\.)*)'|(?P<word>[A-Za-z_]+))"
)
MAX_DEPTH = 50


def parse(text: str) -> database.Match:
    """Turn an expression into a function of records."""
    return _Parser(text).parse()


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = self._split()
        self._depth = 0

    def parse(self) -> database.Match:
        match = self._or()
        if self._tokens:
            raise self._error()
        return match

    def _split(self) -> list[tuple[str, str]]:
        tokens = []
        at, text = 0, self._text.rstrip()
        while at < len(text):
            found = TOKEN.match(text, at)
            if found is None:
                raise self._error()
            kind = str(found.lastgroup)
            value = str(found[kind])
            if kind in ('double', 'single'):
                kind, value = 'text', re.sub(r'\\(.)', r'\1', value)
            tokens.append((kind, value))
            at = found.end()
        return tokens

    def _error(self) -> failure.Failure:
        return failure.Failure(
            'INTERNAL_ERROR', f'Failed to parse expression: {self._text}'
        )

    def _take(self, kind: str, value: str | None = None) -> str:
        if self._tokens and self._tokens[0][0] == kind:
            found = self._tokens[0][1]
            if value in (None, found):
                self._tokens.pop(0)
                return found
        raise self._error()

    def _next_is(self, kind: str, value: str) -> bool:
        if self._tokens and self._tokens[0] == (kind, value):
            self._tokens.pop(0)
            return True
        return False

    def _or(self) -> database.Match:
        sides = [self._and()]
        while self._next_is('word', 'or'):
            sides.append(self._and())
        return lambda record: any(side(record) for side in sides)

    def _and(self) -> database.Match:
        sides = [self._term()]
        while self._next_is('word', 'and'):
            sides.append(self._term())
        return lambda record: all(side(record) for side in sides)

    def _term(self) -> database.Match:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise self._error()
        try:
            return self._plain_term()
        finally:
            self._depth -= 1

    def _plain_term(self) -> database.Match:
        if self._next_is('word', 'not'):
            inner = self._term()
            return lambda record: not inner(record)
        if self._next_is('mark', '('):
            inside = self._or()
            self._take('mark', ')')
            return inside
        if self._next_is('word', 'true'):
            return lambda record: True
        if self._next_is('word', 'false'):
            return lambda record: False
        self._take('word', 'field')
        field = self._take('text')
        self._take('mark', '=')
        wanted = self._take('text')
        return lambda record: _plain(record.get(field)) == wanted


def _plain(value: database.Value) -> str:
    """A field as the database stores it: text."""
    if isinstance(value, bool):
        return 'true' if value else 'false'
    return str(value)
