"""Whether a directory holds the files that its manifest lists, as they were written."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Literal

import attrs

from voipstudio_cmb.boundary.checks import quoted_path
from voipstudio_cmb.errors import ClientMisuse, ExportError
from voipstudio_cmb.export.sinks.base import Sink
from voipstudio_cmb.export.sinks.sqlite import SqliteSink
from voipstudio_cmb.export.store.disk import rejects_path, status
from voipstudio_cmb.export.store.failures import passing
from voipstudio_cmb.export.store.manifest import MANIFEST, Entry, parse_manifest
from voipstudio_cmb.export.store.objects import Objects
from voipstudio_cmb.export.store.published import published
from voipstudio_cmb.export.store.rejects import digests_in

from .place import StoreUrl, open_store, place
from .unchanged import change

_BESIDE_DATABASES = ("-journal", "-wal", "-shm")


@attrs.frozen(kw_only=True)
class Verified:
    """What `verify` knows of a file of an export."""

    path: Path | StoreUrl
    """The file, or its address in an object store."""
    state: Literal["ok", "missing", "changed", "unlisted", "unreadable", "empty"]
    """Whether it is as the manifest says; one that is "unlisted" is not named there.

    The directory of an account is "empty" if nothing was exported there yet.
    """
    reason: str = ""
    """In what it differs, or why it can't be read."""


def verify(directory: str | Path | StoreUrl) -> Iterator[Verified]:
    """Compares the files in `directory` with its manifest, by size and SHA-256, one by one.

    Of an export of accounts, it is the directory above theirs. A database that was changed since is
    checked for its rows. A manifest that is damaged is a changed file. Of an address of an object
    store, as s3://bucket/prefix, all objects are read.

    Raises:
        ClientMisuse: nothing was exported there, or it is no directory.
        ExportError: an object store can't be read now.
    """
    at = place(directory, "DIR (directory=)")
    yield from verify_directory(at) if isinstance(at, Path) else verify_store(at)


def verify_directory(directory: Path) -> Iterator[Verified]:
    """As `verify`, of a local directory."""
    try:
        names = _names(directory)
    except OSError as error:
        named = quoted_path(directory, "the directory")
        raise ClientMisuse(f"{named} can't be read: {error.strerror}") from None
    below = [name for name in names if _is_begun(directory / name)]
    if not below and MANIFEST not in names and not _interrupted(directory):
        raise ClientMisuse(f"{str(directory)!r} holds no export: there is no {MANIFEST} in it")
    names = [name for name in names if name not in below]
    empty = [name for name in names if below and _is_empty(directory / name)]
    yield from _verified(directory, [name for name in names if name not in empty])
    for name in empty:
        yield Verified(path=directory / name, state="empty", reason="nothing exported yet")
    for account in below:
        yield from _verified(directory / account, _names(directory / account))


def verify_store(url: StoreUrl) -> Iterator[Verified]:
    """As `verify`, of an address of an object store."""
    try:
        found, names = open_store(url).list()
        below = [name for name in names if MANIFEST in open_store(url / name).list()[0]]
    except ExportError as error:
        raise error if error.retryable else ClientMisuse(error.message) from None
    if MANIFEST not in found and not below:
        raise ClientMisuse(f"'{url}' holds no export: there is no {MANIFEST} in it")
    for each in [url] * bool(found) + [url / name for name in below]:
        try:
            yield from _stored(each, open_store(each))
        except ClientMisuse as error:
            yield Verified(path=each / MANIFEST, state="changed", reason=str(error))
        except ExportError as error:
            yield _not_read(each / MANIFEST, error)


def _stored(url: StoreUrl, store: Objects) -> Iterator[Verified]:
    found, _ = store.list()
    manifest = store.read(MANIFEST)
    entries = parse_manifest(manifest[0], f"{url}/{MANIFEST}") if manifest else {}
    for name, entry in sorted(entries.items()):
        at = found.get(name)
        if at is None:
            yield Verified(path=url / name, state="missing")
        elif at.size != entry.bytes:
            reason = f"it has {at.size:,} bytes, not {entry.bytes:,}"
            yield Verified(path=url / name, state="changed", reason=reason)
        else:
            same = store.sha256(name) == entry.sha256
            reason = "" if same else "its SHA-256 is another one"
            yield Verified(path=url / name, state="ok" if same else "changed", reason=reason)
        rejects = rejects_path(Path(name)).name
        with tempfile.TemporaryDirectory() as directory:
            read = store.read(rejects) if entry.rejects else None
            if read is not None:
                Path(directory, rejects).write_bytes(read[0])
            for each in _rejects(Path(directory, rejects), entry):
                yield attrs.evolve(each, path=url / rejects)
    for name in sorted(found):
        if not name.startswith(".") and not _belongs(name, entries):
            reason = f"{MANIFEST} does not list it"
            yield Verified(path=url / name, state="unlisted", reason=reason)


def _names(directory: Path) -> list[str]:
    return sorted(name for name in os.listdir(directory) if not name.startswith("."))


def _is_begun(directory: Path) -> bool:
    return status(directory / MANIFEST) is not None or bool(_interrupted(directory))


def _is_empty(directory: Path) -> bool:
    """Whether it is a directory without files, such as an account leaves that failed at once."""
    try:
        return not _names(directory)
    except OSError:  # it is another kind of file, or nobody knows
        return False


def _interrupted(directory: Path) -> list[str]:
    """The names of the files that exports to `directory` have begun and not ended."""
    found = sorted(path.name for path in directory.glob(".*.checkpoint"))
    return [name[1:].removesuffix(".checkpoint") for name in found]


def _verified(directory: Path, names: list[str]) -> Iterator[Verified]:
    """What is known of the files called `names`, and of those that are to be beside them."""
    try:
        entries = published(directory)
    except ClientMisuse as error:  # of the files nothing can be said
        yield Verified(path=directory / MANIFEST, state="changed", reason=str(error))
        return
    except OSError as error:
        yield _not_read(directory / MANIFEST, error)
        return
    for name, entry in sorted(entries.items()):
        path = directory / name
        for checked, check in ((path, _file), (rejects_path(path), _rejects)):
            try:
                yield from check(checked, entry)
            except (ExportError, OSError) as error:
                yield _not_read(checked, error)
    for name in _interrupted(directory):
        if name not in entries:
            reason = "its export was interrupted: run the same export again"
            yield Verified(path=directory / name, state="missing", reason=reason)
    for name in names:
        if not _belongs(name, entries):
            reason = f"{MANIFEST} does not list it"
            yield Verified(path=directory / name, state="unlisted", reason=reason)


def _not_read(path: Path | StoreUrl, error: ExportError | OSError) -> Verified:
    now = isinstance(error, ExportError) or passing(error)
    reason = getattr(error, "strerror", None) or str(error)
    return Verified(path=path, state="unreadable" if now else "changed", reason=reason)


def _file(path: Path, entry: Entry) -> Iterator[Verified]:
    if not path.exists():
        yield Verified(path=path, state="missing")
        return
    sink: Sink | None = SqliteSink() if entry.identity["format"] == SqliteSink.suffix else None
    try:
        how = change(path, entry, sink, content=True)
    except ClientMisuse as error:
        how = str(error)
    yield Verified(path=path, state="changed" if how else "ok", reason=how or "")


def _rejects(path: Path, entry: Entry) -> Iterator[Verified]:
    """What is wrong with `path`, the file of the rows that could not go into the one of `entry`."""
    if not entry.rejects:
        return
    if not path.exists():
        yield Verified(path=path, state="missing")
    elif lacking := set(entry.rejects) - digests_in(path):
        reason = f"{len(lacking):,} of the rows that could not be used are not in it"
        yield Verified(path=path, state="changed", reason=reason)


def _belongs(name: str, entries: Mapping[str, Entry]) -> bool:
    """Whether an export has made the file, or a program that uses one of its databases."""
    rejects = {rejects_path(Path(each)).name for each in entries}
    beside = {f"{each}{end}" for each in entries for end in _BESIDE_DATABASES}
    return name == MANIFEST or name in entries or name in rejects or name in beside
