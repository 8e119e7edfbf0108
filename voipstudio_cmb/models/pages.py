"""A page of a collection: of records, or of rows as they were sent."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Generic, Protocol, TypeVar, overload

from voipstudio_cmb.boundary.text import html_table
from voipstudio_cmb.boundary.value import Frozen

from .sent import read_json


class Identified(Protocol):
    """What can be walked over: it has an id."""

    @property
    def id(self) -> int: ...


class Row(Frozen, frozen=True):
    """A row as the API sent it, to the digit."""

    id: int
    json: bytes
    """Its object on one line, with the keys in their order and the strings spelt as they came.

    Line ends that JSON allows in strings and other tools take for the end of a line are escaped.
    Blanks are kept, unless the response was spread over several lines: then there are none."""


class Rows(Sequence[Row]):
    """Rows side by side. A `Row` is only made when somebody asks for it."""

    __slots__ = ("_objects", "columns", "created", "ids")

    def __init__(
        self,
        ids: list[int],
        created: list[Any],
        objects: Sequence[Any],
        columns: Mapping[str, Sequence[Any]] | None = None,
    ) -> None:
        """Of each row, what it gives for `created_at`, unchecked (None where it gives nothing),
        its JSON, and what it gives for the fields of `columns`."""
        self.ids = ids
        self.created = created
        self._objects = objects
        self.columns: Mapping[str, Sequence[Any]] = columns or {}

    def __len__(self) -> int:
        return len(self.ids)

    @overload
    def __getitem__(self, at: int) -> Row: ...
    @overload
    def __getitem__(self, at: slice) -> Rows: ...
    def __getitem__(self, at: int | slice) -> Row | Rows:
        if isinstance(at, slice):
            return Rows(self.ids[at], self.created[at], self._objects[at])
        return Row(self.ids[at], bytes(self._objects[at]))

    def __iter__(self) -> Iterator[Row]:
        return map(Row, self.ids, map(bytes, self._objects))

    def __repr__(self) -> str:
        return f"<{len(self)} rows>"

    def lines(self) -> bytes:
        """The objects, with a line end after each."""
        return b"\n".join((*self._objects, b""))


class Reject(Frozen, frozen=True):
    """A row that is no object, has no usable id or can't be read."""

    page: int
    """The number of its page, from 1. A walk by keyset knows no page numbers: there it is 1."""
    index: int
    """Its place in the response, from 1."""
    why: str
    """What is wrong with it."""
    json: bytes
    """The row as the API sent it; its text as a JSON string if it can't be read as JSON."""


R = TypeVar("R", bound=Identified, covariant=True)


class Page(Frozen, Generic[R], frozen=True, kw_only=True):
    """One page of a collection."""

    records: Sequence[R]
    number: int
    """From 1."""
    total: int | None
    """How many matches the collection has, as the server claims; None if it claims nothing usable.

    It may be too high, too low, and may move."""
    unusable: int = 0
    """How many rows came besides and are not in `records`, as `raw_pages` leaves them out."""
    cached: str = ""
    """What in its headers says that it came out of a cache: "Age: 35"; "" if nothing does."""

    def __len__(self) -> int:
        return len(self.records)

    def _repr_html_(self) -> str:
        each: Sequence[Any] = self.records
        rows = [read_json(one.json) if isinstance(one, Row) else dict(one) for one in each]
        names = dict.fromkeys(name for row in rows for name in row)
        return html_table(names, ([row.get(name, "") for name in names] for row in rows))
