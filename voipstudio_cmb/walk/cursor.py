"""A place in a walk, as text."""

from __future__ import annotations

import attrs

from voipstudio_cmb.errors import ClientMisuse


@attrs.frozen
class Position:
    """A place in a walk, as text: how it walks, a checksum of what it walks over, and numbers."""

    kind: str
    of: str
    numbers: tuple[int, ...]

    def __str__(self) -> str:
        return ":".join([self.kind, self.of, *map(str, self.numbers)])

    @classmethod
    def parse(cls, text: object, of: str) -> Position:
        """The position that *text* stands for, of a walk over what *of* is the checksum of.

        Raises:
            ClientMisuse: it is no position, or one in another collection, or none to go on from.
        """
        if not isinstance(text, str):
            raise ClientMisuse(f"cursor must be the cursor of a walk, a string, not {text!r}")
        kind, _, rest = text.partition(":")
        found, *numbers = rest.split(":")
        known = kind in ("keyset", "page", "none")
        if not known or not all(n.isascii() and n.isdigit() and len(n) < 20 for n in numbers):
            raise ClientMisuse("this is not the cursor of a walk: pass what walk.cursor gave")
        if found != of:
            raise ClientMisuse(
                "this is the cursor of another collection, or of a walk with other filters"
            )
        if kind == "none":
            raise ClientMisuse(
                "that walk can't be gone on with, because rows came in another order than that of "
                "their ids: walk from the beginning"
            )
        short = len(numbers) < 9 or len(numbers) % 3 if kind == "page" else len(numbers) != 2
        if short:
            raise ClientMisuse("this is only a part of the cursor of a walk")
        return cls(kind, of, tuple(map(int, numbers)))
