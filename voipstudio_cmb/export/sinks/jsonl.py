"""JSON Lines: a row a line, as the API sent it to the byte."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from voipstudio_cmb.models import Record

from .compression import created, suffix


class JsonlSink:
    """Rows as they came, in UTF-8, a line feed after each; perhaps compressed."""

    upserts = False

    def __init__(self, compress: str | None = None) -> None:
        self.suffix: str = suffix("jsonl", compress)
        self._compress = compress

    def write(self, rows: Iterable[bytes], resource: str, record: type[Record], path: Path) -> int:
        """Writes *rows* to the new file *path*. Alters nothing, so the answer is 0.

        Raises:
            OSError: the file can't be written.
        """
        with created(path, self._compress) as out:
            for row in rows:
                out.write(row + b"\n")
        return 0
