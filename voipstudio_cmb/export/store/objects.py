"""A directory in an object store, as an export sees it: a few steps, each of which can fail.

`voipstudio_cmb.ext.obstore` has them for S3, Google, Azure and files.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol, TypeAlias

import attrs

Version: TypeAlias = Mapping[str, str | None]
"""Which version of an object there is, in the store's own words."""


@attrs.frozen
class Found:
    """An object that exists."""

    size: int
    """Its bytes."""
    version: Version


class Objects(Protocol):
    """The steps. They raise ExportError, which is `retryable` if it may pass."""

    def list(self) -> tuple[dict[str, Found], list[str]]:
        """The objects of the directory by their names, and the names of directories in it."""
        ...

    def read(self, name: str) -> tuple[bytes, Version] | None:
        """What an object holds, and its version; None: there is no such object."""
        ...

    def sha256(self, name: str) -> str | None:
        """The SHA-256 of what an object holds, all of which is read; None: there is none."""
        ...

    async def noted_sha256(self, name: str) -> str | None:
        """The SHA-256 that is noted at an object, or else that of what it holds."""
        ...

    async def create(self, name: str, data: Path | bytes, notes: Mapping[str, str]) -> bool:
        """Makes an object of a file or of `data`, with `notes`; False: there is one already."""
        ...

    async def replace(
        self, name: str, data: Path | bytes, notes: Mapping[str, str], version: Version
    ) -> bool:
        """Makes an object in the place of that `version`; False: there is another one."""
        ...

    async def delete(self, name: str) -> None:
        """Removes an object, if there is one."""
        ...
