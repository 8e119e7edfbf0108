"""JSON Lines: a row a line, as the API sent it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from voipstudio_cmb.models import Record


class JsonlSink:
    suffix = "jsonl"
    upserts = False

    def write(self, rows: Iterable[bytes], resource: str, record: type[Record], path: Path) -> int:
        with path.open("wb") as file:
            for row in rows:
                file.write(row + b"\n")
        return 0
