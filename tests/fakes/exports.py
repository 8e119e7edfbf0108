"""Exports of an account in memory, undisturbed or interrupted."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from benchmarks.harness.offline import Offline
from voipstudio_cmb.errors import ConnectionLost
from voipstudio_cmb.export import Export, Plan, Summary
from voipstudio_cmb.export.store.disk import Disk
from voipstudio_cmb.http import Request


def written(tmp_path: Path, text: str) -> Path:
    """An accounts file of this `text`."""
    path = tmp_path / "accounts.toml"
    path.write_text(text)
    return path


def hashes(directory: Path) -> dict[str, str]:
    """The SHA-256 of all files below a directory."""
    return {
        path.relative_to(directory).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(directory.rglob("*"))
        if path.is_file()
    }


async def run(api: Offline, plan: Plan, disk: Disk | None = None) -> Summary:
    return await Export(api.client(), plan, disk=disk).run()


async def interrupted(api: Offline, plan: Plan, requests: int = 6, error: Any = None) -> Summary:
    """Runs an export that loses its connection for good after so many requests."""
    left = [requests]

    async def hook(request: Request) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise error or ConnectionLost("gone", sent="maybe")

    api.hook = hook
    summary = await run(api, plan)
    api.hook = None
    assert not summary.complete
    return summary


def names(directory: Path) -> set[str]:
    return {path.name for path in directory.iterdir()}
