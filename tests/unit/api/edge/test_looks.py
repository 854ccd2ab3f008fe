"""What is kept has a bound, and what was asked for last stays."""

from aggregates_ext.api.edge import looks

ROOM = 3 * (looks.OVERHEAD + 100)


def look(stamp: int) -> looks.Look:
    return looks.Look(stamp, b'x' * 100)


def test_what_was_asked_for_last_stays() -> None:
    kept = looks.Kept(ROOM)
    for key in (1, 2, 3):
        kept.put(key, look(key))
    assert kept.get(1) == look(1)
    kept.put(4, look(4))
    assert [kept.get(key) for key in (1, 2, 3, 4)] == [
        look(1),
        None,
        look(3),
        look(4),
    ]
    assert kept.size == ROOM


def test_another_look_takes_the_place_of_the_first() -> None:
    kept = looks.Kept(ROOM)
    for stamp in range(100):
        kept.put(1, look(stamp))
    assert kept.get(1) == look(99)
    assert kept.size == ROOM // 3


def test_what_is_too_large_is_not_kept() -> None:
    kept = looks.Kept(ROOM)
    kept.put(1, looks.Look(1, b'x' * ROOM))
    assert kept.get(1) is None
    assert kept.size == 0


def test_list_counts_with_its_members() -> None:
    """Their bytes are in it twice: joined, and each by itself."""
    members = {key: look(key) for key in range(2)}
    stamps = frozenset(map(str, members))
    listing = looks.Listing((2, 1), b'x' * 200, stamps, members, {})
    assert listing.size == 2 * 200 + 3 * looks.OVERHEAD
    kept = looks.Kept(ROOM)
    kept.put(looks.ALL, listing)
    assert kept.get(looks.ALL) is None
