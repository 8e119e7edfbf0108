"""Object stores for exports: in memory, with steps at which an export can be killed."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable
from typing import Any

import obstore
from obstore.store import MemoryStore

from voipstudio_cmb.export.plan.place import StoreUrl
from voipstudio_cmb.ext.obstore import Objects


class KilledError(BaseException):
    """No Exception, as nothing may handle it."""


class Bucket:
    """A store in memory, which stands in for all stores where `open` is `ext.obstore.open_store`.

    An export is killed at step number `dies`: odd ones are before a step of the store, even ones
    after it. `hook` is awaited before each step that writes.
    """

    def __init__(self, dies: int = 0) -> None:
        self.memory = MemoryStore()
        self.dies = dies
        self.steps: list[tuple[str, str]] = []
        self.hook: Callable[[str, str], Awaitable[None]] | None = None

    def open(self, url: StoreUrl) -> Any:
        return _Mortal(Objects(self.memory, url), self)

    def step(self, kind: str, name: str) -> None:
        self.steps.append((kind, name))
        if len(self.steps) == self.dies:
            raise KilledError

    def hashes(self) -> dict[str, str]:
        """The SHA-256 of each object."""
        keys = [each["path"] for each in obstore.list(self.memory).collect()]
        return {key: hashlib.sha256(self.read(key)).hexdigest() for key in keys}

    def read(self, key: str) -> bytes:
        return bytes(obstore.get(self.memory, key).bytes())

    def write(self, key: str, data: bytes) -> None:
        obstore.put(self.memory, key, data)

    def delete(self, key: str) -> None:
        obstore.delete(self.memory, key)

    @property
    def writes(self) -> list[tuple[str, str]]:
        """The steps that write, each once."""
        return [step for step in self.steps[::2] if step[0] in ("create", "replace", "delete")]


class _Mortal:
    """The steps of `objects`, each counted by the bucket before and after it."""

    def __init__(self, objects: Objects, bucket: Bucket) -> None:
        self._objects, self._bucket = objects, bucket

    def __getattr__(self, kind: str) -> Any:
        step, bucket = getattr(self._objects, kind), self._bucket

        def read(name: str = "") -> Any:
            bucket.step(kind, name)
            result = step(name) if name else step()
            bucket.step(kind, name)
            return result

        async def write(name: str, *arguments: Any) -> Any:
            if bucket.hook is not None:
                await bucket.hook(kind, name)
            bucket.step(kind, name)
            result = await step(name, *arguments)
            bucket.step(kind, name)
            return result

        return read if kind in ("list", "read", "sha256") else write
