"""Records which tell when they are changed, their maps and lists too."""

import collections.abc
import functools
import typing

Value = typing.Any

Tell = collections.abc.Callable[[str, Value], None]
"""Called with the field and its value before the change."""


def _telling(
    method: collections.abc.Callable[..., Value],
) -> collections.abc.Callable[..., Value]:
    """A method of a list or map, followed by the news of a change."""

    @functools.wraps(method)
    def told(self: typing.Any, *args: Value, **named: Value) -> Value:
        before = self.copy()
        try:
            return method(self, *args, **named)
        finally:
            if before != self:
                self.tell(before)

    return told


class Map(dict[str, Value]):
    """A map inside a record."""

    __slots__ = ('tell',)

    def __init__(
        self,
        values: dict[str, Value],
        tell: collections.abc.Callable[[Value], None],
    ) -> None:
        super().__init__(values)
        self.tell = tell

    def __reduce__(self) -> tuple[type, tuple[dict[str, Value]]]:
        """A copy, or what a file keeps, is a plain map."""
        return dict, (dict(self),)

    __setitem__ = _telling(dict.__setitem__)
    __delitem__ = _telling(dict.__delitem__)
    __ior__ = _telling(dict.__ior__)
    clear = _telling(dict.clear)
    pop = _telling(dict.pop)
    popitem = _telling(dict.popitem)
    setdefault = _telling(dict.setdefault)
    update = _telling(dict.update)


class Items(list[Value]):
    """A list inside a record."""

    __slots__ = ('tell',)

    def __init__(
        self,
        values: list[Value],
        tell: collections.abc.Callable[[Value], None],
    ) -> None:
        super().__init__(values)
        self.tell = tell

    def __reduce__(self) -> tuple[type, tuple[list[Value]]]:
        """A copy, or what a file keeps, is a plain list."""
        return list, (list(self),)

    __setitem__ = _telling(list.__setitem__)
    __delitem__ = _telling(list.__delitem__)
    __iadd__ = _telling(list.__iadd__)
    append = _telling(list.append)
    clear = _telling(list.clear)
    extend = _telling(list.extend)
    insert = _telling(list.insert)
    pop = _telling(list.pop)
    remove = _telling(list.remove)
    reverse = _telling(list.reverse)
    sort = _telling(list.sort)


class Row(dict[str, Value]):
    """A record; a map or list begins to tell when it is handed out."""

    __slots__ = ('tell',)

    def __init__(self, values: dict[str, Value], tell: Tell) -> None:
        super().__init__(values)
        self.tell = tell

    def __reduce__(self) -> tuple[type, tuple[dict[str, Value]]]:
        """A copy, or what a file keeps, is a plain map."""
        return dict, (dict(self),)

    def __getitem__(self, field: str) -> Value:
        value = super().__getitem__(field)
        if type(value) is dict:
            value = Map(value, functools.partial(self.tell, field))
            super().__setitem__(field, value)
        elif type(value) is list:
            value = Items(value, functools.partial(self.tell, field))
            super().__setitem__(field, value)
        return value

    def get(self, field: str, default: Value = None) -> Value:
        if field not in self:
            return default
        return self[field]

    def __setitem__(self, field: str, value: Value) -> None:
        """Set a field; the value it has already is no change."""
        old = super().get(field)
        if old == value and field in self:
            return
        super().__setitem__(field, value)
        self.tell(field, old)

    def update(self, *args: Value, **named: Value) -> None:
        for field, value in dict(*args, **named).items():
            self[field] = value
