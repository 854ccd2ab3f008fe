"""The picture of the rooms shows what the table says."""

from tests.unit import rooms


def test_the_picture_is_in_step() -> None:
    drawn = rooms.PICTURE.read_text(encoding='utf-8')
    assert drawn == rooms.render(), 'run: python -m tests.unit.rooms'
