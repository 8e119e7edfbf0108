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

_LIKE = {
    "s3": "s3://bucket/prefix",
    "gs": "gs://bucket/prefix",
    "az": "az://container/prefix",
    "file": "file:///directory",
}
_STORES = f"{', '.join([*_LIKE.values()][:-1])} or {_LIKE['file']}"
_SERVER = "a server of your own goes into AWS_ENDPOINT_URL"
_ABSOLUTE = "For a directory of such a name, give its absolute path"

_ELSEWHERE = {
    "s3a": "s3", "s3n": "s3", "gcs": "gs", "azure": "az", "abfs": "az", "abfss": "az",
    "wasb": "az", "wasbs": "az",
}  # fmt: skip
"""What other tools call the schemes."""

_KNOWN = "|".join((*SCHEMES, *_ELSEWHERE))
# One slash is enough: a Path has lost the other one. One letter is no scheme of anybody's.
_URL = re.compile(
    rf"({_KNOWN})(\s*:\s*[/\\]{{0,2}}|\s*//|\\\\)|([a-z][a-z0-9+.-]+):[/\\]", re.IGNORECASE
)
_BUCKET = re.compile(r"[a-z0-9._-]+")


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
    def parse(cls, text: str, option: str = "--to (to=)") -> Self:
        """The address that `text` is, which was given as `option`.

        Raises:
            ClientMisuse: it is none that can be used.
        """
        if wrong := _begun_wrong(text) or _named_wrong(text):
            raise ClientMisuse(f"{option} {wrong}")
        scheme, _, rest = text.partition("://")
        bucket, *parts = rest.rstrip("/").split("/")
        return cls(scheme, bucket, tuple(parts))

    def __truediv__(self, name: str) -> Self:
        return attrs.evolve(self, parts=(*self.parts, name))

    def __str__(self) -> str:
        return f"{self.scheme}://{'/'.join((self.bucket, *self.parts))}"

    @property
    def prefix(self) -> str:
        """What the keys of its objects begin with, or ""."""
        return "".join(f"{part}/" for part in self.parts)

    @property
    def store(self) -> str:
        """What messages name that are about the whole store: its bucket, or else the address."""
        return f"{self.scheme}://{self.bucket}" if self.bucket else str(self)

    def below(self, workspace: Path) -> Path:
        """Its own directory in a `workspace`, which several addresses can share."""
        return workspace / PurePosixPath(self.scheme, self.bucket, *self.parts)


def _begun_wrong(text: str) -> str:
    """What is wrong with the scheme of an address, and what to write; "" if nothing is."""
    found = _URL.match(text)
    name, between = (found[1], found[2]) if found and found[1] else ("", "")
    scheme = _ELSEWHERE.get(name.lower(), name.lower())
    if not scheme:
        shown = text.partition(":")[0]
        named = f" ({shown}:)" if is_quotable(shown) else ""  # what is too long may be a token
        if shown.lower() in ("http", "https"):
            named += f", and a store is named by its bucket; {_SERVER}"
        return (
            f"is a URL{named}: exports go to a directory, or to {_STORES}; for another place, "
            f"export to a directory and copy what is complete. {_ABSOLUTE}"
        )
    if (name, between) == (scheme, "://"):
        return ""
    slashes = "three" if scheme == "file" else "two"
    reasons = {
        "in lower case": name != name.lower(),
        "as it is called here": name.lower() != scheme,
        "with a colon": ":" not in between,
        "without blanks": re.search(r"\s", between),
        "with / and not \\": "\\" in between,
        f"with {slashes} slashes": len(re.findall(r"[/\\]", between)) < 2,
    }
    how = ", ".join(reason for reason, holds in reasons.items() if holds)
    return f"has to begin with {scheme}:// ({how}), as {_LIKE[scheme]}. {_ABSOLUTE}"


def _named_wrong(text: str) -> str:
    """What is wrong with an address behind its scheme, and what to write; "" if nothing is."""
    scheme, _, rest = text.partition("://")
    like = f"write {_LIKE[scheme]}"
    if odd := re.search(r"[?#@%\\\s]", rest):
        return (
            f"has {odd[0]!r} in it, and {scheme}:// addresses have no query, no user, no escapes "
            "and no blanks: the store finds its credentials by itself, in its environment or "
            f"profile; {like}"
        )
    bucket, *parts = rest.rstrip("/").split("/")
    if scheme == "file" and (bucket or not parts):
        return f"names no directory by its absolute path, which begins with a third slash: {like}"
    if scheme != "file" and not bucket:
        return f"names no bucket: {like}"
    if not all(parts) or {".", ".."} & {bucket, *parts}:
        return f"has an empty name in it, or . or ..: {like}"
    if scheme != "file" and not _BUCKET.fullmatch(bucket):
        return (
            "names no bucket: those have lower-case letters, digits, '-', '_' and '.'; "
            f"{_SERVER}; {like}"
        )
    return ""


def place(to: str | os.PathLike[str] | StoreUrl, option: str = "--to (to=)") -> Path | StoreUrl:
    """Where `to` is, which was given as `option`.

    Raises:
        ClientMisuse: nothing can be exported there.
    """
    if isinstance(to, StoreUrl):
        return to
    text = _text(to, option)
    if not _URL.match(text.strip()):
        return _directory(text, option)
    if not isinstance(to, str) and re.match(rf"({_KNOWN}):/\w", text):
        raise ClientMisuse(f"{option} is an address: give it as a text, as a Path loses a slash")
    return StoreUrl.parse(text.strip(), option)


def local_path(path: str | os.PathLike[str] | StoreUrl, option: str, otherwise: str) -> Path:
    """The `path` on this machine, which was given as `option`; `otherwise` is what to do instead.

    Raises:
        ClientMisuse: it is the address of a store, or can't be used.
    """
    text = str(path) if isinstance(path, StoreUrl) else _text(path, option)
    if _URL.match(text.strip()):
        raise ClientMisuse(f"{option} has to be a local path, not that of a store: {otherwise}")
    return _directory(text, option)


def _text(path: object, option: str) -> str:
    text = os.fspath(path) if isinstance(path, str | os.PathLike) else None
    if not isinstance(text, str) or not text.strip():
        given = "" if isinstance(text, str) else path
        raise ClientMisuse(f"{option} has to be the path of a directory, not {described(given)}")
    return text


def _directory(text: str, option: str) -> Path:
    if text == "~" or text.startswith("~/"):
        raise ClientMisuse(
            f"{option} would be a directory named '~': write out the home directory, as $HOME/..."
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
