"""Object stores: S3, Google, Azure and files, for exports to an address. Extra: `obstore`.

    Plan(to="s3://bucket/prefix", resources=["cdrs"], since="last")

Credentials are the store's own. None is read here, and what a store says is never repeated.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import mmap
import os
import re
from collections.abc import Iterator, Mapping
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any

from voipstudio_cmb.boundary.text import lacks_extra
from voipstudio_cmb.errors import CallMeBackError, ClientMisuse, ExportError
from voipstudio_cmb.export.plan.place import StoreUrl
from voipstudio_cmb.export.store.failures import as_export_error
from voipstudio_cmb.export.store.lock import directory_locked
from voipstudio_cmb.export.store.objects import Found, Version

try:
    import obstore
    from obstore import exceptions
    from obstore.store import LocalStore, ObjectStore, from_url
except ImportError:
    raise ClientMisuse(lacks_extra("an address such as s3://…", "obstore")) from None

ONE_PUT = 4_900_000_000
"""The largest file that goes by one put: S3 and Azure take about so much."""

RETRIES: Any = {"max_retries": 8, "retry_timeout": timedelta(seconds=60)}
_MISSING = {"NoSuchBucket", "ContainerNotFound", "ContainerBeingDeleted"}
_SECONDS = 30, 3600
"""What a request takes at most, without a file and with one."""

PIECE = 16 * 1024 * 1024


class Objects:
    """The objects of `store` at `url`: one directory, of which no other is seen."""

    def __init__(
        self, store: ObjectStore, url: StoreUrl, patient: ObjectStore | None = None
    ) -> None:
        self._store, self._url = store, url
        self._patient = patient or store
        """For files, which take long."""
        self._prefix = "" if isinstance(store, LocalStore) else url.prefix

    def list(self) -> tuple[dict[str, Found], list[str]]:
        """The objects by their names, and the names of directories."""
        with self._told():
            listed = obstore.list_with_delimiter(self._store, self._prefix or None)
        size = len(self._prefix)
        found = {
            each["path"][size:]: Found(each["size"], _version(each)) for each in listed["objects"]
        }
        return found, sorted(each[size:] for each in listed["common_prefixes"])

    def read(self, name: str) -> tuple[bytes, Version] | None:
        """What an object holds, and its version; None: there is none."""
        with self._told(), contextlib.suppress(FileNotFoundError):
            got = obstore.get(self._store, self._prefix + name)
            return bytes(got.bytes()), _version(got.meta)
        return None

    def sha256(self, name: str) -> str | None:
        """The SHA-256 of what an object holds; None: there is none."""
        digest = hashlib.sha256()
        with self._told(), contextlib.suppress(FileNotFoundError):
            for piece in obstore.get(self._store, self._prefix + name).stream(PIECE):
                digest.update(piece)
            return digest.hexdigest()
        return None

    async def noted_sha256(self, name: str) -> str | None:
        """The SHA-256 that is noted at an object, or else that of what it holds."""
        with self._told(), contextlib.suppress(FileNotFoundError):
            got = await obstore.get_async(self._store, self._prefix + name, options={"head": True})
            noted = got.attributes.get("sha256")
            return noted or await asyncio.to_thread(self.sha256, name)
        return None

    async def create(self, name: str, data: Path | bytes, notes: Mapping[str, str]) -> bool:
        """Makes an object; False: there is one already."""
        if isinstance(data, Path) and _size(data) > ONE_PUT:
            return await self._put_parts(name, data, notes, None)
        return await self.put(name, data, notes, "create")

    async def replace(
        self, name: str, data: Path | bytes, notes: Mapping[str, str], version: Version
    ) -> bool:
        """Makes an object in the place of that `version`; False: there is another one."""
        if isinstance(data, Path) and _size(data) > ONE_PUT:
            return await self._put_parts(name, data, notes, version)
        return await self.put(name, data, notes, {**version})

    async def put(self, name: str, data: Path | bytes, notes: Mapping[str, str], mode: Any) -> bool:
        """Makes an object in that `mode` of obstore; False: what it demands is not so."""
        with self._told():
            try:
                await obstore.put_async(
                    self._patient if isinstance(data, Path) else self._store,
                    self._prefix + name,
                    _content(data),
                    attributes={**notes},
                    mode=mode,
                    use_multipart=False,
                )
            except (exceptions.AlreadyExistsError, exceptions.PreconditionError):
                return False
            except FileNotFoundError as error:  # what was to be replaced, or the bucket
                if mode != "create" and error.errno is None and "NoSuchBucket" not in str(error):
                    return False
                raise
        return True

    async def _put_parts(
        self, name: str, data: Path, notes: Mapping[str, str], version: Version | None
    ) -> bool:
        """Puts a file in parts, which takes no condition: who has its claim looks, and puts it.

        The claim is an object that holds the file's SHA-256. Whoever has an equal file may go on
        where an export was killed.
        """
        claim, digest = f".{name}.claim", notes["sha256"].encode()
        if not await self.put(claim, digest, {}, "create"):
            held = await asyncio.to_thread(self.read, claim)
            if held is None or held[0] != digest:
                raise ExportError(
                    f"another export publishes '{self._url}/{name}', or was killed while it did: "
                    "run the same export again when that has ended; if none runs, delete the "
                    f"object {claim!r} first",
                    retryable=True,
                )
        found, _ = await asyncio.to_thread(self.list)
        now = found.get(name)
        free = now is None if version is None else now is not None and now.version == version
        if free:
            with self._told():
                await obstore.put_async(
                    self._patient,
                    self._prefix + name,
                    data,
                    attributes={**notes},
                    use_multipart=True,
                    # At most 10,000 parts make an object.
                    chunk_size=max(PIECE, _size(data) // 9000 + 1),
                    max_concurrency=4,
                )
        await self.delete(claim)
        return free

    async def delete(self, name: str) -> None:
        """Removes an object, if there is one."""
        with self._told(), contextlib.suppress(FileNotFoundError):
            await obstore.delete_async(self._store, self._prefix + name)

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        """Turns errors of the store into an ExportError in our words."""
        try:
            yield
        except CallMeBackError:
            raise
        except OSError as error:
            if error.errno is None:  # of the store, which may say in it what nobody is to see
                raise _error(self._url, error) from None
            with as_export_error(Path(error.filename or "."), lambda: "What was fetched is kept"):
                raise
        # The last two are obstore's, too: of what a store can't do, and of names that it refuses.
        except (exceptions.BaseError, NotImplementedError, ValueError) as error:
            raise _error(self._url, error) from None


class _Files(Objects):
    """A directory as an object store. Its puts have neither notes nor versions to compare."""

    async def put(self, name: str, data: Path | bytes, notes: Mapping[str, str], mode: Any) -> bool:
        if mode == "create":
            return await super().put(name, data, {}, mode)
        return await asyncio.to_thread(self._replace, name, data, mode)

    def _replace(self, name: str, data: Path | bytes, version: Version) -> bool:
        with self._told(), directory_locked(Path("/", *self._url.parts)):
            found, _ = self.list()
            if name not in found or found[name].version != version:
                return False
            obstore.put(self._store, name, _content(data), use_multipart=False)
        return True


def open_store(url: StoreUrl) -> Objects:
    """The objects at `url`.

    Raises:
        ClientMisuse: the store can't be used as it is set up.
    """
    try:
        if url.scheme == "file":
            return _Files(LocalStore(Path("/", *url.parts), mkdir=True), url)
        store, patient = (bucket_at(url.scheme, url.bucket, seconds) for seconds in _SECONDS)
        return Objects(store, url, patient)
    except ClientMisuse:
        raise
    except (exceptions.BaseError, ValueError, OSError):
        raise ClientMisuse(
            f"the store of '{url.store}' can't be used as it is set up: look at the variables that "
            "its own tools read (AWS_…, GOOGLE_…, AZURE_…), or at the permissions of the directory"
        ) from None


@cache
def bucket_at(scheme: str, bucket: str, seconds: int) -> ObjectStore:
    """The bucket, of which all exports of a process share the connections.

    A request may take so many `seconds`.
    """
    options: Any = {
        "retry_config": RETRIES,
        "client_options": {"timeout": timedelta(seconds=seconds)},
    }
    if scheme == "s3":
        if os.environ.get("AWS_ENDPOINT_URL", "").startswith("http://"):  # who says so means it
            options["client_options"]["allow_http"] = True
        if os.environ.get("AWS_PROFILE") and not os.environ.get("AWS_ACCESS_KEY_ID"):
            options["credential_provider"] = _profile()
    return from_url(f"{'azure' if scheme == 'az' else scheme}://{bucket}/", **options)


def _profile() -> Any:
    try:
        from obstore.auth.boto3 import Boto3CredentialProvider
    except ImportError:
        raise ClientMisuse(
            "AWS_PROFILE names a profile, which boto3 reads: install boto3, or put the credentials "
            "into AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
        ) from None
    return Boto3CredentialProvider()


def _size(path: Path) -> int:
    return path.stat().st_size


def _version(meta: Any) -> Version:
    """What a conditional put is to name; some servers leave the quotes out in lists."""
    tag = meta["e_tag"]
    quoted = f'"{tag}"' if tag is not None and not tag.endswith('"') else tag
    known = {"e_tag": quoted, "version": meta["version"]}
    return {name: value for name, value in known.items() if value is not None}


def _content(data: Path | bytes) -> bytes | mmap.mmap:
    """What a put sends: a file is not read into memory."""
    if isinstance(data, bytes) or not _size(data):
        return data if isinstance(data, bytes) else b""
    with open(data, "rb") as file:
        # Not closed: it is when the store has let go of it.
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)


def _error(url: StoreUrl, error: Exception) -> ExportError:
    """What `error` means. Of its text only what can be no credential is repeated."""
    text, at = str(error), url.store  # of many accounts, each would name its own address
    error.args = ("what the store said may hold a credential",)
    code = re.search(r"<Code>([A-Za-z]{1,40})</Code>", text)
    status = re.search(r"status code: ([0-9]{3})", text)
    known = " ".join(each[1] for each in (status, code) if each)
    said = f" ({known})" if known else ""
    if code and code[1] in _MISSING:
        return ExportError(f"there is no bucket {url.bucket!r}{said}: create it, or name another")
    refused = exceptions.PermissionDeniedError | exceptions.UnauthenticatedError
    if isinstance(error, refused) or (status and status[1] in ("401", "403")):
        return ExportError(
            f"the store of '{at}' refused this{said}: there are no credentials for it, or they are "
            "wrong, or may not do this. They come from its own environment or profile (as "
            "AWS_ACCESS_KEY_ID), not from this command: correct them, and run the same again"
        )
    if isinstance(error, exceptions.GenericError):
        return ExportError(
            f"the store of '{at}' could not be reached, or failed{said}: look at the network, its "
            "address and its credentials",
            retryable=True,
        )
    return ExportError(f"the store of '{at}' can't do this ({type(error).__name__}){said}")
