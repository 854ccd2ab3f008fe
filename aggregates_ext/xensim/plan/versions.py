"""What a product has and has not (xapi#simulated-behaviour-14)."""

import functools

from aggregates_ext.xensim.plan import presets

_PREFIXES = ('get_', 'set_', 'add_to_', 'add_', 'remove_from_', 'remove_')


def _later(version: str) -> list[str]:
    """The products after one."""
    names = list(presets.PRESETS)
    return names[names.index(version) + 1 :]


@functools.cache
def hidden(version: str, kind: str) -> frozenset[str]:
    """The fields of a class which a product does not know."""
    return frozenset(
        field
        for later in _later(version)
        for field in presets.FIELDS_SINCE.get(later, {}).get(kind, '').split()
    )


@functools.cache
def _named(version: str, classes: bool) -> frozenset[str]:
    """The classes or methods which a product does not know."""
    table = presets.CLASSES_SINCE if classes else presets.METHODS_SINCE
    return frozenset(
        name
        for later in _later(version)
        for name in table.get(later, '').split()
    )


def knows(version: str, name: str) -> bool:
    """Whether a product has a method, given as class.method."""
    kind, _, method = name.partition('.')
    if kind in _named(version, True) or name in _named(version, False):
        return False
    fields = {
        method.removeprefix(prefix)
        for prefix in _PREFIXES
        if method.startswith(prefix)
    }
    return not fields & hidden(version, kind)


def parameters(version: str, name: str) -> int | None:
    """How many parameters of a method a product takes.

    See xapi#maintenance-calls.
    """
    steps = presets.PARAMETERS.get(name)
    if steps is None:
        return None
    release = presets.PRESETS[version].release
    return max([1, *(count for since, count in steps if release >= since)])
