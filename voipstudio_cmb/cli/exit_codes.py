"""What the commands exit with."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from voipstudio_cmb.export import Job


DONE, FAILED, USAGE, INCOMPLETE, NOT_AUTHORISED, CAN_GO_ON = 0, 1, 2, 3, 4, 5
INTERRUPTED, TERMINATED = 130, 143


def behind(error: BaseException | None) -> Iterator[BaseException]:
    """*error*, and those that it was raised from."""
    while error is not None:
        yield error
        error = error.__cause__


def passing(job: Job) -> bool:
    """Whether *job* failed by something that may be gone when it is run again."""
    return any(getattr(error, "retryable", False) for error in behind(job.error))


def exit_code(jobs: Sequence[Job]) -> int:
    """What a command that ran *jobs* exits with: the first that fits, from top to bottom."""
    from voipstudio_cmb.errors import ClientMisuse, NoToken, Unauthorized

    failed = [job for job in jobs if job.state == "failed"]
    reasons = [error for job in failed for error in behind(job.error)]
    if any(isinstance(error, Unauthorized | NoToken) for error in reasons):
        return NOT_AUTHORISED
    if any(job.resumable or passing(job) for job in failed):
        return CAN_GO_ON
    if failed and len(failed) == len(jobs):
        return USAGE if all(isinstance(job.error, ClientMisuse) for job in jobs) else FAILED
    return INCOMPLETE if failed or any(job.rejected for job in jobs) else DONE
