"""Looks up what an answer may be, and holds one against it."""

from typing import Any

import jsonschema

from tests.openapi import document


class Unexpected(AssertionError):
    """An answer that the document does not have."""


class Answers:
    """The answers of the document."""

    def __init__(self) -> None:
        self._document = document.build()

    def check(
        self, path: str, method: str, status: int, kind: str, body: Any
    ) -> None:
        """Hold an answer against the document.

        :param path: as a key of the document.
        :param kind: its content type.
        :param body: as parsed; None: there is none.
        :raises Unexpected: it is not as the document says.
        """
        described = self._document['paths'][path][method.lower()]['responses']
        if str(status) not in described:
            raise Unexpected(f'{method} {path} answered {status}: {body}')
        content = described[str(status)].get('content')
        if content is None:
            if body is not None:
                raise Unexpected(f'{method} {path} has a body: {body}')
            return
        if kind.partition(';')[0] not in content:
            raise Unexpected(f'{method} {path} answered {kind}')
        rule = content['application/json']['schema']
        whole = {**rule, 'components': self._document['components']}
        validator = jsonschema.Draft202012Validator(whole)
        for error in validator.iter_errors(body):
            raise Unexpected(f'{method} {path} {status}: {error}')
