"""What an error of the operating system means for an export: each number is sorted here, once.

unsupported   the file system does not have the step: it is done another way, or left out
passing       not now: `ExportError.retryable`, exit code 5
all others    never: the same export would fail again, exit code 1, or 2 if nothing was sent yet
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal, TypeAlias

from voipstudio_cmb.boundary.checks import quoted_path
from voipstudio_cmb.errors import CallMeBackError, ClientMisuse, ExportError

Step: TypeAlias = Literal["link", "sync", "sync directory", "lock", "chmod"]
"""A step that an export can do without."""

_UNSUPPORTED = {errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EINVAL}
_UNSUPPORTED_TOO: dict[Step, set[int]] = {
    "link": {errno.EPERM, errno.EMLINK, errno.EXDEV},
    "sync": set(),
    # Some directories can't be opened by who may write to them.
    "sync directory": {errno.EBADF, errno.EISDIR, errno.EACCES},
    "lock": {errno.ENOLCK, errno.EBADF},
    "chmod": {errno.EPERM},  # the file is ours, so it has no mode of its own here
}

# What a disk, a server behind a mount, a quota, another program or an administrator can end without
# a change of the command. ENOENT: a directory that has gone is made again.
_PASSING = {
    errno.EACCES, errno.EAGAIN, errno.EBUSY, errno.EDQUOT, errno.EINTR, errno.EIO, errno.EMFILE,
    errno.ENFILE, errno.ENOBUFS, errno.ENODEV, errno.ENOENT, errno.ENOLCK, errno.ENOMEM,
    errno.ENOSPC, errno.ENXIO, errno.ESTALE, errno.ETXTBSY, errno.EDEADLK, errno.ECANCELED,
    errno.ETIMEDOUT, errno.ENOTCONN, errno.ESHUTDOWN, errno.ENOLINK, errno.EPROTO, errno.EBADMSG,
    errno.ECONNABORTED, errno.ECONNREFUSED, errno.ECONNRESET, errno.EHOSTDOWN, errno.EHOSTUNREACH,
    errno.ENETDOWN, errno.ENETRESET, errno.ENETUNREACH,
    *(getattr(errno, name) for name in (
        "EREMOTEIO", "ECOMM", "EKEYEXPIRED", "EKEYREVOKED", "ENOMEDIUM", "EUCLEAN", "ENOKEY",
    ) if hasattr(errno, name)),
}  # fmt: skip

_ADVICE = {
    errno.EACCES: "fix its permissions",
    errno.EPERM: "fix its permissions or attributes",
    errno.EAGAIN: "free some memory or end some processes",
    errno.ENOSPC: "free some space",
    errno.EDQUOT: "free some space or raise the quota",
    errno.EMFILE: "raise the limit of open files (ulimit -n)",
    errno.ENFILE: "close other programs' files",
    errno.EFBIG: "raise the limit of the size of files (ulimit -f), or export to another directory",
    errno.ENAMETOOLONG: "export to a directory with a shorter path",
    **dict.fromkeys((errno.EISDIR, errno.ELOOP, errno.ENOTDIR), "move it away"),
}


def unsupported(step: Step, error: OSError) -> bool:
    """Whether `error` says that the file system does not have the `step`."""
    return error.errno in _UNSUPPORTED or error.errno in _UNSUPPORTED_TOO[step]


def passing(error: OSError) -> bool:
    """Whether the same step may succeed later, without a change of the command."""
    return error.errno in _PASSING


@contextlib.contextmanager
def left_out(step: Step) -> Iterator[None]:
    """Leaves out a `step` that the file system does not have."""
    try:
        yield
    except OSError as error:
        if not unsupported(step, error):
            raise


@contextlib.contextmanager
def as_export_error(path: Path, kept: Callable[[], str]) -> Iterator[None]:
    """Turns an OSError into an `ExportError` about `path` that says what is `kept`."""
    try:
        yield
    except CallMeBackError:
        raise  # a request that timed out is an OSError too
    except OSError as error:
        raise _export_error(path, error, kept()) from None


@contextlib.contextmanager
def before_sending(path: Path) -> Iterator[None]:
    """Turns an OSError of a check into an `ExportError` if it may pass, else a `ClientMisuse`."""
    try:
        yield
    except CallMeBackError:
        raise
    except OSError as error:
        if passing(error):
            raise _export_error(path, error, "Nothing was sent") from None
        what, advice = _what(path, error), _advice(error)
        raise ClientMisuse(f"{what}. Nothing was sent: {advice}") from None


def no_memory(kept: str) -> ExportError:
    """The error that says that memory was too short, and what is `kept`."""
    return ExportError(
        f"not enough memory. {kept}: free some or raise its limit, or take smaller or fewer pages "
        "at a time (page_size and concurrency, --page-size and --concurrency), and run the same "
        "export again",
        retryable=True,
    )


def _export_error(path: Path, error: OSError, kept: str) -> ExportError:
    what, advice = _what(path, error), _advice(error)
    if passing(error):
        return ExportError(
            f"{what}. {kept}: {advice}, and run the same export again", retryable=True
        )
    return ExportError(f"{what}. {kept}, and it does not pass by itself: {advice}", resumable=False)


def _what(path: Path, error: OSError) -> str:
    reason = error.strerror or str(error)
    name = error.filename
    if isinstance(name, str | os.PathLike) and os.fspath(name) != str(path):
        reason += f": {quoted_path(name)}"
    return f"{quoted_path(path)} can't be written: {reason}"


def _advice(error: OSError) -> str:
    default = "fix this" if passing(error) else "export to another directory"
    return _ADVICE.get(error.errno or 0, default)
