"""The records that the API sends, the attributes that it takes, and a page of records.

Where they come from: the attributes of the vendor's page for the module (`operations.json` in the
tests). That page prints one generated example for all five resources, so real rows carry other
fields too: those are in `extra`. Nothing but `id` is ever required.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Generic, Protocol, TypedDict, TypeVar, overload

import attrs

from .sent import AsSent, read_json, with_lazy_extra
from .text import html_table


class Identified(Protocol):
    """What can be walked over: it has an id."""

    @property
    def id(self) -> int: ...


@with_lazy_extra
@attrs.frozen(kw_only=True, repr=False)
class Record(AsSent):
    """What all five kinds of record have in common: the documented fields and `extra`.

    A field is None if the API sent null, sent nothing, or sent a value that does not fit its type.
    All that it sent, as it came, are the items: `record["src"]`, `record.keys()`; `to_dict` gives
    the whole row.
    """

    id: int
    allowed_countries: str | None = None
    button_id: int | None = None
    created_at: datetime | None = None
    """Without a zone, because the API documents none."""
    culture: int | str | None = None
    """An integer in the documented responses and a string in the requests: stays as it was sent."""
    ddi: int | None = None
    floating_icon: bool | None = None
    max_call_rate: Decimal | None = None
    name: str | None = None
    position: int | str | None = None
    """Sent as `culture` is."""
    privacy_policy_url: str | None = None
    show_to_allowed_countries_only: bool | None = None
    title: str | None = None
    welcome_screen_msg: str | None = None
    extra: Mapping[str, Any] = attrs.field(factory=dict, hash=False)
    """The fields that are not documented, and the values that do not fit their field's type."""


@attrs.frozen(kw_only=True, repr=False)
class Website(Record):
    """A website that carries a call-me-back widget."""


@attrs.frozen(kw_only=True, repr=False)
class Setting(Record):
    """The settings of a call-me-back widget."""

    ddi_e164: int | None = None
    """What requests call the number that responses call `ddi`."""


@attrs.frozen(kw_only=True, repr=False)
class Cdr(Record):
    """The record of one call back."""


@attrs.frozen(kw_only=True, repr=False)
class Visitor(Record):
    """A visitor who met a call-me-back widget."""


@attrs.frozen(kw_only=True, repr=False)
class Button(Record):
    """A call-me-back button."""

    data_online: str | None = None
    """What it shows while the office is online."""
    data_offline: str | None = None
    """What it shows while the office is offline."""


RECORDS: Mapping[str, type[Record]] = {
    "cdrs": Cdr, "visitors": Visitor, "websites": Website, "settings": Setting, "buttons": Button
}  # fmt: skip
"""The records of each resource."""


class SettingFields(TypedDict, total=False):
    """The attributes that `settings.create` and `settings.update` take. None is sent as null."""

    button_id: int | None
    name: str | None
    position: str | int | None
    floating_icon: bool | None
    culture: str | int | None
    allowed_countries: str | list[str] | None
    """Documented as of an undefined type."""
    show_to_allowed_countries_only: bool | None
    welcome_screen_msg: str | None
    privacy_policy_url: str | None
    ddi_e164: int | None
    max_call_rate: float | Decimal | str | None
    """Documented as a float, with the string "100.00" for an example. A `Decimal` is sent as such a
    string."""


class ButtonFields(TypedDict, total=False):
    """The attributes that `buttons.create` and `buttons.update` take. None is sent as null.

    The API documents them for the update only and none for the creation.
    """

    name: str | None
    data_online: str | None
    data_offline: str | None


@attrs.frozen
class Row:
    """A row as the API sent it, to the digit."""

    id: int
    json: bytes
    """Its object on one line, with the keys in their order and the strings spelt as they came.

    Line ends that JSON allows in strings and other tools take for the end of a line are escaped.
    Blanks are kept, unless the response was spread over several lines: then there are none."""


@attrs.frozen(eq=False, repr=False)
class Rows(Sequence[Row]):
    """Rows side by side. A `Row` is only made when somebody asks for it."""

    ids: list[int]
    created: list[Any]
    """What each row gives for `created_at`, unchecked; None where it gives nothing."""
    _objects: Sequence[Any]
    columns: Mapping[str, Sequence[Any]] = attrs.field(factory=dict)
    """What each row gives for other fields, where somebody has asked for them."""

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


@attrs.frozen
class Reject:
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


@attrs.frozen(kw_only=True)
class Page(Generic[R]):
    """One page of a collection."""

    records: Sequence[R]
    number: int
    """From 1."""
    total: int | None
    """How many matches the collection has, as the server claims; None if it claims nothing usable.

    It may be too high, too low, and may move."""
    cached: str = ""
    """What in its headers says that it came out of a cache: "Age: 35"; "" if nothing does."""

    def __len__(self) -> int:
        return len(self.records)

    def _repr_html_(self) -> str:
        each: Sequence[Any] = self.records
        rows = [read_json(one.json) if isinstance(one, Row) else dict(one) for one in each]
        names = dict.fromkeys(name for row in rows for name in row)
        return html_table(names, ([row.get(name, "") for name in names] for row in rows))
