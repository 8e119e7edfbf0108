"""Where an export goes: a directory, or the address of one in an object store."""

from __future__ import annotations

import importlib
import os
import re
from pathlib import Path, PurePosixPath
from typing import Self, cast

import attrs

from voipstudio_cmb.boundary.checks import described, is_quotable
from voipstudio_cmb.errors import ClientMisuse
from voipstudio_cmb.export.store.objects import Objects

SCHEMES = ("s3", "gs", "az", "file")

# With one slash too: a Path has lost the other one. One letter is no scheme of anybody's.
_URL = re.compile(r"\s*([A-Za-z][A-Za-z0-9+.-]+):/")
_STORES = "s3://bucket/prefix, gs://bucket/prefix, az://container/prefix or file:///directory"


@attrs.frozen
class StoreUrl:
    """The address of a directory in an object store. It holds no credentials."""

    scheme: str
    """Of which kind the store is: one of `SCHEMES`."""
    bucket: str
    """The bucket or container; "" with files."""
    parts: tuple[str, ...]
    """The names of the directories below it, each in the one before."""

    @classmethod
    def parse(cls, text: str) -> Self:
        """The address that `text` is.

        Raises:
            ClientMisuse: it is none that can be used.
        """
        scheme, colon, rest = text.partition("://")
        bucket, *parts = rest.rstrip("/").split("/")
        if not colon or scheme not in SCHEMES:
            shown = scheme.partition(":")[0]
            named = f" ({shown}:)" if is_quotable(shown) else ""  # what is too long may be a token
            raise ClientMisuse(
                f"--to (to=) is a URL{named}, and exports go to a directory, or to {_STORES}; for "
                "another place, export to a directory and copy what is complete. For a directory "
                "of such a name, give its absolute path"
            )
        if re.search(r"[?#@%\\\s]", rest):
            raise ClientMisuse(
                f"--to (to=): {scheme}:// addresses have no query, no user and no escapes: the "
                "store finds its credentials by itself, in its environment or profile"
            )
        named_right = all(parts) and not {".", ".."} & {bucket, *parts}
        if not named_right or bool(bucket) == (scheme == "file") or not (bucket or parts):
            raise ClientMisuse(f"--to (to=): a {scheme}:// address has to look like {_STORES}")
        return cls(scheme, bucket, tuple(parts))

    def __truediv__(self, name: str) -> Self:
        return attrs.evolve(self, parts=(*self.parts, name))

    def __str__(self) -> str:
        return f"{self.scheme}://{'/'.join((self.bucket, *self.parts))}"

    @property
    def prefix(self) -> str:
        """What the keys of its objects begin with, or ""."""
        return "".join(f"{part}/" for part in self.parts)

    def below(self, workspace: Path) -> Path:
        """Its own directory in a `workspace`, which several addresses can share."""
        return workspace / PurePosixPath(self.scheme, self.bucket, *self.parts)


def place(to: str | os.PathLike[str] | StoreUrl) -> Path | StoreUrl:
    """Where `to` is.

    Raises:
        ClientMisuse: nothing can be exported there.
    """
    if isinstance(to, StoreUrl):
        return to
    text = os.fspath(to) if isinstance(to, str | os.PathLike) else None
    if not isinstance(text, str) or not text:
        raise ClientMisuse(
            f"an export needs the path of a directory to write to, not {described(to)}"
        )
    if _URL.match(text):
        return StoreUrl.parse(text.strip())
    if text == "~" or text.startswith("~/"):
        raise ClientMisuse(
            "--to (to=) would be a directory named '~': write out the home directory, as "
            "--to $HOME/..."
        )
    return Path(text)


def default_workspace() -> Path:
    """Where exports to object stores are made, unless a plan says so: the same in every run."""
    cache = os.environ.get("XDG_CACHE_HOME") or ""
    return (Path(cache) if os.path.isabs(cache) else Path.home() / ".cache") / "voipstudio-cmb"


def open_store(url: StoreUrl) -> Objects:
    """The objects at `url`.

    Raises:
        ClientMisuse: the extra `obstore` is not installed, or the store can't be used.
    """
    # By its name: what is in `ext` needs packages that the core does without.
    extension = importlib.import_module("voipstudio_cmb.ext.obstore")
    return cast(Objects, extension.open_store(url))
