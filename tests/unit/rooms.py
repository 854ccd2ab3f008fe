"""The picture of the rooms, drawn from the table that a test keeps.

``python -m tests.unit.rooms`` writes it anew; a test keeps the two in step.
"""

import pathlib
from collections.abc import Iterator

from tests.unit import test_layers

ROOT = pathlib.Path(__file__).parents[2]
PICTURE = ROOT / 'doc/source/rooms.dot'
HEAD = """\
digraph rooms {
    node [shape=box, style=filled, fillcolor="#f4f6fa", color="#6b7a99",
          fontname="Helvetica", fontsize=10, height=0.3]
    edge [color="#6b7a99", arrowsize=0.6]
    graph [fontname="Helvetica", fontsize=11, color="#c9d1e0", ranksep=0.35]
"""


def render() -> str:
    """The picture as text for graphviz."""
    rooms = [room for room in test_layers.ROOMS if room.endswith('/')]
    rooms = [room for room in rooms if 'alembic' not in room]
    lines = [HEAD]
    for number, wing in enumerate(dict.fromkeys(map(_wing, rooms))):
        lines.append(f'    subgraph cluster_{number} {{ label="{wing}/"')
        lines += [
            f'        "{room}" [label="{room.removeprefix(wing + "/") or wing}"]'
            for room in rooms
            if _wing(room) == wing
        ]
        lines.append('    }')
    lines += [f'    "{room}" -> "{other}"' for room, other in _arrows(rooms)]
    return '\n'.join([*lines, '}', ''])


def _wing(room: str) -> str:
    return room.partition('/')[0]


def _arrows(rooms: list[str]) -> Iterator[tuple[str, str]]:
    """Those that no longer way implies."""
    below = {
        room: {other for other in test_layers.ROOMS[room] if other in rooms}
        for room in rooms
    }
    reached: dict[str, set[str]] = {}
    for room in rooms:
        reached[room] = below[room].union(
            *(reached[other] for other in below[room])
        )
    for room in rooms:
        for other in sorted(below[room]):
            longer = below[room] - {other}
            if not any(other in reached[third] for third in longer):
                yield room, other


if __name__ == '__main__':
    PICTURE.write_text(render(), encoding='utf-8')
