"""The records that the API answers, the attributes that it takes, and a page of records.

Where they come from: the attributes of the vendor's page for the module (`operations.json` in the
tests). That page prints one generated example for all five resources, so real rows carry other
fields too: those are in `extra`. Nothing but `id` is ever required.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Generic, Protocol, TypedDict, TypeVar, overload

import attrs


class Identified(Protocol):
    """What can be walked over: it has an id."""

    @property
    def id(self) -> int: ...


@attrs.frozen(kw_only=True, repr=False, slots=False)
class Record:
    """What all five kinds of record have in common: the documented fields and `extra`.

    A field is None if the API sent null, sent nothing, or sent a value that does not fit its type;
    `extra` then holds that value under the field's name, beside all fields that are not
    documented. `codec.to_dict` gives back the row as it came.

    Without slots, so that a record that was read can be made in one go (`codec`). A subclass with
    fields of its own is read as fast if it has none either (`@attrs.frozen(slots=False)`).

    *created_at* has no zone, because the API documents none. *culture* and *position* are integers
    in the documented answers and strings in the requests: they stay what they were sent as.
    """

    id: int
    allowed_countries: str | None = None
    button_id: int | None = None
    created_at: datetime | None = None
    culture: int | str | None = None
    ddi: int | None = None
    floating_icon: bool | None = None
    max_call_rate: Decimal | None = None
    name: str | None = None
    position: int | str | None = None
    privacy_policy_url: str | None = None
    show_to_allowed_countries_only: bool | None = None
    title: str | None = None
    welcome_screen_msg: str | None = None
    extra: Mapping[str, Any] = attrs.field(factory=dict, hash=False)

    def __repr__(self) -> str:
        shown = (
            f"{field.name}={value!r}"
            for field in attrs.fields(type(self))
            if (value := getattr(self, field.name)) is not None and (field.name != "extra" or value)
        )
        return f"{type(self).__name__}({', '.join(shown)})"


class _Extra:
    """The `extra` of a record that was read and has none: made when somebody asks for it."""

    def __get__(self, record: Record | None, owner: type[Record]) -> Any:
        if record is None:
            raise AttributeError("extra")
        made = record.__dict__["extra"] = dict[str, Any]()
        return made


Record.extra = _Extra()  # type: ignore[assignment]


@attrs.frozen(kw_only=True, repr=False, slots=False)
class Website(Record):
    """A website that carries a call-me-back widget."""


@attrs.frozen(kw_only=True, repr=False, slots=False)
class Setting(Record):
    """The settings of a call-me-back widget.

    *ddi_e164* is what requests call the number that answers call *ddi*.
    """

    ddi_e164: int | None = None


@attrs.frozen(kw_only=True, repr=False, slots=False)
class Cdr(Record):
    """The record of one call back."""


@attrs.frozen(kw_only=True, repr=False, slots=False)
class Visitor(Record):
    """A visitor who met a call-me-back widget."""


@attrs.frozen(kw_only=True, repr=False, slots=False)
class Button(Record):
    """A call-me-back button, with what it shows while the office is online and offline."""

    data_online: str | None = None
    data_offline: str | None = None


COLLECTIONS: Mapping[str, type[Record]] = {
    "cdrs": Cdr, "visitors": Visitor, "websites": Website, "settings": Setting
}  # fmt: skip
"""The resources that can be listed, with their records."""

RESOURCES: Mapping[str, type[Record]] = {**COLLECTIONS, "buttons": Button}
"""All resources; those that can't be listed are asked for one by one."""


class SettingFields(TypedDict, total=False):
    """The attributes that `settings.create` and `settings.update` take. None is sent as null.

    *allowed_countries* is documented as "undefined". *max_call_rate* is documented as a float, its
    example is the string "100.00": a `Decimal` is sent as such a string.
    """

    button_id: int | None
    name: str | None
    position: str | int | None
    floating_icon: bool | None
    culture: str | int | None
    allowed_countries: str | list[str] | None
    show_to_allowed_countries_only: bool | None
    welcome_screen_msg: str | None
    privacy_policy_url: str | None
    ddi_e164: int | None
    max_call_rate: float | Decimal | str | None


class ButtonFields(TypedDict, total=False):
    """The attributes that `buttons.create` and `buttons.update` take. None is sent as null.

    The API documents them for the update only and none for the creation.
    """

    name: str | None
    data_online: str | None
    data_offline: str | None


@attrs.frozen
class Row:
    """A row as the API sent it, to the digit: its *id*, and its object as *json* on one line.

    The keys are in their order and the strings spelt as they came, but for line ends that JSON
    allows in strings and other tools take for the end of a line: those are escaped. Blanks between
    them are kept, unless the answer was spread over several lines: then there are none.
    """

    id: int
    json: bytes


class Rows(Sequence[Row]):
    """Rows side by side: their *ids*, when they were *created* as they say, and their objects.

    A `Row` is only made when somebody asks for it.
    """

    __slots__ = ("_objects", "created", "ids")

    def __init__(self, ids: list[int], created: list[Any], objects: Sequence[Any]) -> None:
        self.ids = ids
        self.created = created
        self._objects = objects

    @classmethod
    def of(cls, rows: Iterable[Row], created: Callable[[bytes], Any]) -> Rows:
        """*rows* side by side; *created* tells when one was."""
        found = tuple(rows)
        objects = [row.json for row in found]
        return cls([row.id for row in found], list(map(created, objects)), objects)

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


def ids_in(records: Sequence[Identified]) -> list[int]:
    """The ids of *records*, in their order."""
    if isinstance(records, Rows):
        return records.ids.copy()
    return [record.id for record in records]


@attrs.frozen
class Reject:
    """A row that is no object or has no usable id: *why*, and where it was met.

    *index* is its place in the answer and *page* the number of that, both from 1. A walk by keyset
    knows no page numbers: there *page* is 1.
    """

    page: int
    index: int
    why: str
    json: bytes


R = TypeVar("R", bound=Identified, covariant=True)


@attrs.frozen(kw_only=True)
class Page(Generic[R]):
    """One page: its *records*, its *number* from 1, and the collection's *total*.

    *total* is what the server claims, for all matches and not for this page; None if it claimed
    nothing usable. It may be too high, too low, and may move.
    """

    records: Sequence[R]
    number: int
    total: int | None

    def __len__(self) -> int:
        return len(self.records)
