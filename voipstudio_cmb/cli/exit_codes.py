"""What the commands exit with."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from voipstudio_cmb.errors import CallMeBackError
    from voipstudio_cmb.export import Job


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
    from voipstudio_cmb.errors import RateLimited, RequestTimeout

    return any(
        getattr(each, "retryable", False) or isinstance(each, RateLimited | RequestTimeout)
        for each in causes(error)
    )


def code_of(error: CallMeBackError) -> int:
    """The exit code of a command that `error` ends."""
    from voipstudio_cmb.errors import ClientMisuse, NoToken, Unauthorized

    if isinstance(error, Unauthorized | NoToken):
        return NOT_AUTHORISED
    return USAGE if isinstance(error, ClientMisuse) else FAILED


def retryable(job: Job) -> bool:
    """Whether the error of `job` may be gone when the job is run again."""
    return passes(job.error)


def may_pass(job: Job) -> bool:
    """Whether the same command may end what `job` has begun: not if it meets the same error."""
    from voipstudio_cmb import errors

    lasting = errors.WalkError | errors.HTTPStatusError | errors.BadPayload | errors.TransportError
    lasts = any(isinstance(error, lasting | FileExistsError) for error in causes(job.error))
    return retryable(job) or (job.resumable and not lasts)


def exit_code(jobs: Sequence[Job]) -> int:
    """The exit code of a command that ran `jobs`: the first that fits, from top to bottom."""
    from voipstudio_cmb.errors import ClientMisuse, NoToken, Unauthorized

    failed = [job for job in jobs if job.state == "failed"]
    errors = [error for job in failed for error in causes(job.error)]
    if any(isinstance(error, Unauthorized | NoToken) for error in errors):
        return NOT_AUTHORISED
    if any(map(may_pass, failed)):
        return RESUMABLE
    if failed and len(failed) == len(jobs):
        return USAGE if all(isinstance(job.error, ClientMisuse) for job in jobs) else FAILED
    return INCOMPLETE if failed or any(job.rejected for job in jobs) else DONE
