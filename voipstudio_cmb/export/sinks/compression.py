"""Files that are compressed while they are written: the same bytes in, the same bytes out."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from gzip import GzipFile
from pathlib import Path
from typing import IO, Literal

Compression = Literal["gzip", "zstd"]
"""The compressions that files can have."""

COMPRESSIONS: dict[Compression, str] = {"gzip": ".gz", "zstd": ".zst"}
"""How the names of their files end."""

_LEVELS = {"gzip": 6, "zstd": 3}  # fixed, because a library's default may change between versions
# Compressors get blocks of one size, so that their output does not depend on how rows are cut.
_BLOCK = 1 << 18


def suffix(format: str, compress: Compression | None) -> str:
    """How the names of `format`'s files end if they are compressed with `compress`."""
    return format + (COMPRESSIONS[compress] if compress else "")


@contextmanager
def created(path: Path, compress: Compression | None) -> Iterator[IO[bytes]]:
    """The new file `path`, whatever is written to it compressed with `compress`.

    Raises:
        OSError: it exists or can't be written, also if that only shows when it is closed.
    """
    with open(path, "xb", buffering=_BLOCK) as file:
        if compress is None:
            yield file
        else:
            with io.BufferedWriter(_compressor(file, compress), _BLOCK) as out:
                yield out


def _compressor(file: IO[bytes], compress: Compression) -> io.RawIOBase:
    level = _LEVELS[compress]
    made: object
    if compress == "gzip":
        # Without the name and the time that its header could hold.
        made = GzipFile(filename="", mode="wb", compresslevel=level, fileobj=file, mtime=0)
    else:
        import zstandard

        compressor = zstandard.ZstdCompressor(level=level, write_checksum=True)
        made = compressor.stream_writer(file, closefd=False)
    return made  # type: ignore[return-value]
