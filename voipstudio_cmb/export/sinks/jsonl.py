"""JSON Lines: a row a line, as the API sent it."""

from __future__ import annotations

from collections.abc import Iterable

from voipstudio_cmb.codec import to_dict, to_json
from voipstudio_cmb.models import Record


class JsonlSink:
    """Rows as the API sent them: every key, in its order, in UTF-8."""

    def header(self, record: type[Record]) -> bytes:
        """Nothing: every line stands for itself."""
        return b""

    def rows(self, records: Iterable[Record]) -> bytes:
        """One line a record, each with its line end."""
        return b"".join(to_json(to_dict(record)) + b"\n" for record in records)
