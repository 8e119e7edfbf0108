"""What small classes of values are made of: msgspec's structs, of which a class is made 40 times as
fast as one of attrs', which everybody would wait for who imports the client.

What users make, check or derive classes from (records, the configuration, filters) is of attrs.
"""

from __future__ import annotations

from typing import Any, ClassVar, Self

import msgspec
from msgspec import field as field
from msgspec.structs import asdict
from msgspec.structs import astuple as astuple
from msgspec.structs import replace as replace


class State(msgspec.Struct, eq=False):
    """One that changes. It is equal to itself only."""

    def to_dict(self) -> dict[str, Any]:
        """The fields by their names."""
        return asdict(self)


class Frozen(msgspec.Struct, frozen=True):
    """One to copy instead of changing it."""

    _hidden: ClassVar[frozenset[str]] = frozenset()
    """Fields that are not shown: they may hold a secret, or say nothing."""

    def with_changes(self, **changes: Any) -> Self:
        """The same with these fields changed."""
        return replace(self, **changes)

    def to_dict(self) -> dict[str, Any]:
        """The fields by their names."""
        return asdict(self)

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        shown = (name for name in self.__struct_fields__ if name not in self._hidden)
        return [(name, getattr(self, name)) for name in shown]

    def __repr__(self) -> str:
        fields = ", ".join(f"{name}={value!r}" for name, value in self.__rich_repr__())
        return f"{type(self).__name__}({fields})"
