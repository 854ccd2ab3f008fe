"""Looks up what an answer may be, and holds one against it."""

import json
from typing import Any

import jsonschema
from lxml import etree

from tests.openapi import document
from tests.openapi import xmlforms


class Unexpected(AssertionError):
    """An answer that the document does not have."""


class Answers:
    """The answers of the document."""

    def __init__(self) -> None:
        self._document = document.build()

    def check(
        self, path: str, method: str, status: int, kind: str, body: bytes
    ) -> None:
        """Hold an answer against the document.

        :param path: as a key of the document.
        :param kind: its content type.
        :raises Unexpected: it is not as the document says.
        """
        what = f'{method} {path} {status}'
        described = self._document['paths'][path][method.lower()]['responses']
        if str(status) not in described:
            raise Unexpected(f'{what}: {body!r}')
        content = self._found(described[str(status)]).get('content')
        if content is None:
            if body:
                raise Unexpected(f'{what} has a body: {body!r}')
            return
        bare = kind.partition(';')[0]
        if bare not in content:
            raise Unexpected(f'{what} is {kind}')
        rule = content[bare]['schema']
        whole = {**rule, 'components': self._document['components']}
        validator = jsonschema.Draft202012Validator(whole)
        for error in validator.iter_errors(self._read(what, bare, body, rule)):
            raise Unexpected(f'{what}: {error}')

    def _read(self, what: str, kind: str, body: bytes, rule: Any) -> Any:
        known = self._document['components']['schemas']
        try:
            if kind == 'application/json':
                return json.loads(body)
            return xmlforms.read(etree.fromstring(body), rule, known)
        except (ValueError, etree.XMLSyntaxError, xmlforms.Unexpected) as exc:
            raise Unexpected(f'{what}: {exc}: {body!r}') from exc

    def _found(self, response: Any) -> Any:
        """A response, itself or by reference."""
        name = response.get('$ref', '').rpartition('/')[2]
        return self._document['components']['responses'].get(name, response)
