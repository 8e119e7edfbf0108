"""Where a walk can be resumed, and the text that stands for it: written and read only here."""

from __future__ import annotations

from array import array
from collections.abc import Awaitable, Callable
from typing import ClassVar, Literal, TypeAlias

from voipstudio_cmb.boundary.checks import described
from voipstudio_cmb.boundary.value import Frozen, astuple
from voipstudio_cmb.errors import ClientMisuse

_WIDTH = 9
"""The numbers of a `PageCursor` without its suspect pages."""


class KeysetCursor(Frozen, frozen=True):
    """A place in a keyset walk."""

    kind: ClassVar[Literal["keyset"]] = "keyset"
    checksum: str
    """Which collection and filters the walk is over."""
    last: int
    """The id that was handed out last."""
    through: int
    """The highest id of the walk's beginning, where it ends; 0 if it was not asked for."""

    def encode(self) -> str:
        """The text for a caller to keep."""
        return f"{self.kind}:{self.checksum}:{self.last}:{self.through}"


class SuspectPage(Frozen, frozen=True):
    """A page that may have been read before the mark was taken, and has to be read again."""

    number: int
    rows: int
    """How many rows it held."""
    checksum: int
    """The checksum of their ids."""


class PageCursor(Frozen, frozen=True, kw_only=True):
    """A place in a page walk, with what `Ledger` has counted up to there."""

    kind: ClassVar[Literal["page"]] = "page"
    checksum: str
    """Which collection and filters the walk is over."""
    last: int
    """The id that was handed out last."""
    number: int
    """The page that it came on."""
    page_size: int
    top: int
    """The highest id of the walk's beginning, 0 if it is not known."""
    highest_total: int
    """The highest total that the server has claimed."""
    mark_id: int
    """The id of the high-water mark, 0 if there is none."""
    mark_rows: int
    """How many rows there were up to that id, 0 if there is no mark."""
    rows_to_mark: int
    """How many of these were handed out."""
    rows: int
    """How many rows were handed out in all."""
    suspects: tuple[SuspectPage, ...] = ()

    def encode(self) -> str:
        """The text for a caller to keep."""
        *numbers, suspects = astuple(self)[1:]
        pages = (number for page in suspects for number in astuple(page))
        return ":".join([self.kind, self.checksum, *map(str, (*numbers, *pages))])


Cursor: TypeAlias = KeysetCursor | PageCursor

Kept: TypeAlias = Callable[[int], Awaitable["array[int]"]]
"""Gives the ids, up to this one, of the rows that were kept, in ascending order."""


def no_cursor(checksum: str) -> str:
    """The text for a walk that can't be resumed: rows came in another order than that of ids."""
    return f"none:{checksum}"


def is_resumable(text: str | None) -> bool:
    """Whether a walk can be resumed from `text`; None stands for its beginning."""
    return text is None or not text.startswith("none:")


def parse_cursor(text: object, checksum: str) -> Cursor:
    """The cursor that `text` stands for, of a walk over what `checksum` identifies.

    Raises:
        ClientMisuse: it is no cursor, or of another collection, or of a walk that can't be resumed.
    """
    if not isinstance(text, str):
        raise ClientMisuse(f"cursor must be the cursor of a walk, a string, not {described(text)}")
    kind, _, rest = text.partition(":")
    identified, *digits = rest.split(":")
    known = kind in ("keyset", "page", "none")
    if not known or not all(n.isascii() and n.isdigit() and len(n) < 20 for n in digits):
        raise ClientMisuse("this is not the cursor of a walk: pass what walk.cursor gave")
    if identified != checksum:
        raise ClientMisuse(
            "this is the cursor of another collection, or of a walk with other filters or another "
            "on_ignored_filter: pass what that walk was given"
        )
    if kind == "none":
        raise ClientMisuse(
            "that walk can't be resumed, because rows came in another order than that of their "
            "ids: walk from the beginning"
        )
    numbers = list(map(int, digits))
    if kind == "keyset" and len(numbers) == 2:
        return KeysetCursor(checksum, *numbers)
    if kind == "page" and len(numbers) >= _WIDTH and len(numbers) % 3 == 0:
        names = PageCursor.__struct_fields__[1 : _WIDTH + 1]
        more = iter(numbers[_WIDTH:])
        suspects = tuple(map(SuspectPage, more, more, more))
        return PageCursor(
            checksum=checksum, suspects=suspects, **dict(zip(names, numbers, strict=False))
        )
    raise ClientMisuse("this is only a part of the cursor of a walk")
