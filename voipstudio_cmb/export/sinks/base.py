"""What a format of files is to an export: the base class of them all."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from pathlib import Path

from voipstudio_cmb.models import Record


class Sink(ABC):
    """One format of file. A format of your own needs a `suffix` and a `write`."""

    suffix: str
    """How the names of its files end: "jsonl", "csv.gz", "sqlite"."""

    appends: bool = False
    """Whether `write` adds rows, by their id, to a file that was written before."""

    spool_is_output: bool = False
    """Whether a file is the rows with a line end after each, so that `write` is not called."""

    def check(self, path: Path) -> None:
        """Returns when the file `path`, which may not exist, can be replaced. Runs in a thread.

        Raises:
            ClientMisuse: it can't be.
            ExportError: another program uses it, and does not end.
            OSError: it can't be read or written now.
        """
        return None

    def highest_id(self, path: Path, resource: str, record: type[Record]) -> int | None:
        """The highest id in the file `path`, which rows are to be added to; None: not known.

        Raises:
            ClientMisuse: rows of `resource` can't be added to it.
        """
        return None

    def count(self, path: Path, resource: str, record: type[Record]) -> int | None:
        """How many rows the file `path` has, some of which were replaced; None: not known.

        Called for a format that appends, where rows came whose ids it may have had before.
        """
        return None

    def verify(self, path: Path, resource: str, record: type[Record], rows: int) -> None:
        """Checks that the file `path`, which has other bytes now, still has the `rows` written.

        Called for a format that appends: others may change its files too.

        Raises:
            ClientMisuse: it is damaged, or rows are missing.
        """
        return None

    @abstractmethod
    def write(
        self,
        rows: Iterable[bytes],
        resource: str,
        record: type[Record],
        path: Path,
        about: Mapping[str, str],
    ) -> int:
        """Writes `rows` (each one JSON object on one line, without its line end) to `path`.

        They can be iterated over more than once. `about` says what they are, for formats that have
        room for it: "API", "resource", "account" (a hash), "filters" (JSON), "after" and "through",
        the ids between which they are.
        `path` does not exist or, if this format appends, may be a private copy of a file that was
        written before, to be changed in place. Returns how many values had to be altered (half
        surrogate pairs replaced by U+FFFD). The same rows give the same bytes. Runs in a thread.

        Raises:
            ClientMisuse: rows can't be added to the existing file.
            WrongShape: the format has typed columns, and a row has no usable id.
            OSError: the file can't be written (disk full, ...), also if that only shows when it is
                closed. The caller throws away what exists by then.
        """
