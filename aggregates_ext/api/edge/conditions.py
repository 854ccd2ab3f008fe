"""Conditional requests on one aggregate: ETag, If-Match, If-None-Match.

RFC 9110, 13. A tag is made of what is shown, so each face, microversion and
format has its own; all of them are known by a request that changes
something, since clients read and write with different ones.
"""

import hashlib
import json
from collections.abc import Iterable
from typing import Any

import webob

from aggregates_ext import exception
from aggregates_ext.api.edge import microversions
from aggregates_ext.api.forms import shapes
from aggregates_ext.db import records

_KINDS = ('json', 'xml')


def tag(shown: Any, kind: str) -> str:
    """The entity tag, without quotes, of an aggregate that is shown.

    :param kind: 'json' or 'xml'.
    """
    text = json.dumps(shown, sort_keys=True).encode()
    return f'{hashlib.sha256(text).hexdigest()[:32]}-{kind}'


def tags(aggregate: records.Aggregate) -> set[str]:
    """All the tags that an aggregate has now."""
    faces: tuple[shapes.Shape, ...] = (
        shapes.Legacy(),
        shapes.Modern(microversions.MIN),
        shapes.Modern(microversions.MAX),
    )
    views = [face.aggregate(aggregate) for face in faces]
    return {tag(shown, kind) for shown in views for kind in _KINDS}


_HEADERS = ('HTTP_IF_MATCH', 'HTTP_IF_NONE_MATCH')


def of(request: webob.Request) -> 'Condition | None':
    """The condition of a request, if it has one."""
    asked = any(name in request.environ for name in _HEADERS)
    return Condition(request) if asked else None


class Condition:
    """What a request asks to hold before it is carried out."""

    def __init__(self, request: webob.Request) -> None:
        self._wanted = None
        self._unwanted = None
        if 'If-Match' in request.headers:
            self._wanted = request.if_match
        if 'If-None-Match' in request.headers:
            self._unwanted = request.if_none_match

    def check(self, aggregate: records.Aggregate) -> None:
        """Let a change happen to the aggregate as it is, or not.

        :raises exception.PreconditionFailed: it is not as was wanted.
        """
        present = tags(aggregate)
        if not self.is_wanted(present) or self.is_known(present):
            raise exception.PreconditionFailed(aggregate_id=aggregate.id)

    def is_wanted(self, present: Iterable[str]) -> bool:
        """Whether If-Match lets one of the tags pass."""
        return self._wanted is None or any(
            name in self._wanted for name in present
        )

    def is_known(self, present: Iterable[str]) -> bool:
        """Whether If-None-Match has one of the tags."""
        return self._unwanted is not None and any(
            name in self._unwanted for name in present
        )
