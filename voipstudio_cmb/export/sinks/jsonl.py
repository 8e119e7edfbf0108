"""JSON Lines: a row a line, as the API sent it to the byte."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from voipstudio_cmb.models import Record

from .base import Sink
from .compression import Compression, created, suffix


class JsonlSink(Sink):
    """Rows as they came, in UTF-8, a line feed after each; perhaps compressed."""

    def __init__(self, compress: Compression | None = None) -> None:
        self.suffix: str = suffix("jsonl", compress)
        self.spool_is_output = compress is None
        self._compress: Compression | None = compress

    def write(
        self,
        rows: Iterable[bytes],
        resource: str,
        record: type[Record],
        path: Path,
        about: Mapping[str, str],
    ) -> int:
        with created(path, self._compress) as out:
            for row in rows:
                out.write(row + b"\n")
        return 0
