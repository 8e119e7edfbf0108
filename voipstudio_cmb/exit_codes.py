"""What commands exit with: the one table, by which each command and each shard ends."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .errors import CallMeBackError


DONE, FAILED, USAGE, INCOMPLETE, NOT_AUTHORISED, RESUMABLE = 0, 1, 2, 3, 4, 5
CHANGES = 10
INTERRUPTED, TERMINATED = 130, 143


def causes(error: BaseException | None) -> Iterator[BaseException]:
    """Yields `error` and the errors that it was raised from."""
    while error is not None:
        yield error
        error = error.__cause__


def passes(error: BaseException | None) -> bool:
    """Whether `error` may be gone when the same is done again."""
    from .errors import RateLimited, RequestTimeout

    return any(
        getattr(each, "retryable", False) or isinstance(each, RateLimited | RequestTimeout)
        for each in causes(error)
    )


def code_of(error: CallMeBackError) -> int:
    """The exit code of a command that ended with `error`, or of a part of one."""
    from .errors import ClientMisuse, NoToken, Unauthorized

    if any(isinstance(each, Unauthorized | NoToken) for each in causes(error)):
        return NOT_AUTHORISED
    if isinstance(error, ClientMisuse):
        return USAGE
    return RESUMABLE if passes(error) or is_doubtful(error) else FAILED


def is_doubtful(error: CallMeBackError) -> bool:
    """Whether `error` ended a change that may have been carried out."""
    from .retry import doubtful

    return error.method not in (None, "GET") and doubtful(error)


def combined(codes: Sequence[int]) -> int:
    """The exit code of a command whose parts came to `codes`: 4 before 5 before 3."""
    for code in (NOT_AUTHORISED, RESUMABLE, INCOMPLETE):
        if code in codes:
            return code
    if DONE in codes:
        return DONE if {*codes} == {DONE} else INCOMPLETE
    return FAILED if FAILED in codes else USAGE if codes else DONE
