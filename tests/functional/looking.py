"""What the API shows of aggregates, told without anything that is kept."""

import json
from typing import Any

import sqlalchemy as sa

from aggregates_ext.api.edge import microversions
from aggregates_ext.api.edge import wire
from aggregates_ext.api.forms import shapes
from aggregates_ext.db import aggregates
from aggregates_ext.db.schema import models

# Path of the face, microversion, suffix -> how it shows things.
FACES: dict[tuple[str, str, str], shapes.Shape] = {
    ('/v2.1', '2.1', ''): shapes.Modern(microversions.MIN),
    ('/v2.1', 'latest', ''): shapes.Modern(microversions.MAX),
    ('/v1.1/abc123', '2.1', '.json'): shapes.Legacy(),
    ('/v1.1/abc123', '2.1', '.xml'): shapes.Legacy('xml'),
}


def views(connection: sa.Connection) -> dict[int, Any]:
    """Each aggregate that lives as all faces show it."""
    return {
        found.id: [face.aggregate(found) for face in FACES.values()]
        for found in aggregates.get_all(connection)
    }


def stamps(connection: sa.Connection) -> dict[int, int]:
    """The stamp of each aggregate that lives."""
    table = models.aggregates.c
    return {
        row[0]: row[1]
        for row in connection.execute(
            sa.select(table.id, table.stamp).where(table.deleted == 0)
        )
    }


def document(shape: shapes.Shape, body: Any) -> bytes:
    """An answer as it was written before anything was kept."""
    if shape.kind == 'xml':
        return wire.write(body, wire.XML)
    return json.dumps(body).encode()
