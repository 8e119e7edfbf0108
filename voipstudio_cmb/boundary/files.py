"""Files that a user names to read: regular ones of a size that such a file has, in any encoding.

A FIFO or a device may keep `open` waiting where no signal ends it, and 3 GB fill the memory.
"""

from __future__ import annotations

import errno
import json
import os
import stat

MAX_SIZE = 1024 * 1024
"""The size in bytes of a profile or a list of accounts that nobody has written by hand."""

_PIECE = 64 * 1024


def check_regular(path: str | os.PathLike[str], limit: int = MAX_SIZE) -> None:
    """Checks that `path` is a regular file of at most `limit` bytes, without opening it.

    Raises:
        OSError: it is none, or there is none.
    """
    _check(os.stat(path), path, limit)


def read_regular(path: str | os.PathLike[str], limit: int = MAX_SIZE) -> bytes:
    """What the regular file `path` holds.

    Raises:
        OSError: it is none, is larger than `limit` bytes, or can't be read.
    """
    check_regular(path, limit)  # first, as opening a device may do something
    # Not waiting: it may have been replaced by a FIFO meanwhile.
    with open(os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK), "rb") as file:
        _check(os.fstat(file.fileno()), path, limit)
        content = bytearray()
        # By pieces: room for all that it may hold would be made before anything is read.
        while (piece := file.read(_PIECE)) and len(content) <= limit:
            content += piece
    if piece is None:
        raise OSError(errno.EAGAIN, "it has nothing to read for now")
    if len(content) > limit:  # of some, as in /proc, the system does not say how large they are
        raise _too_large(path, limit)
    return bytes(content)


def _check(found: os.stat_result, path: str | os.PathLike[str], limit: int) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise OSError(errno.EINVAL, "it is no regular file", path)
    if found.st_size > limit:
        raise _too_large(path, limit)


def _too_large(path: str | os.PathLike[str], limit: int) -> OSError:
    return OSError(errno.EFBIG, f"it is larger than {limit // 1024} KiB", path)


def decode_handwritten(content: bytes) -> str:
    """The text of a file: UTF-8, UTF-16 or UTF-32, without byte order marks, lines ending in LF.

    The file begins with an ASCII character, as TOML and JSON do: that tells the encodings apart.

    Raises:
        UnicodeDecodeError: it is none of these. It holds `content`, which may hold a secret.
    """
    text = content.decode(json.detect_encoding(content)).lstrip("\ufeff")
    return text.replace("\r\n", "\n").replace("\r", "\n")
