"""The exit code of an export: what its jobs have come to."""

from __future__ import annotations

from collections.abc import Sequence

from voipstudio_cmb import errors
from voipstudio_cmb.exit_codes import (
    DONE,
    INCOMPLETE,
    NOT_AUTHORISED,
    RESUMABLE,
    causes,
    code_of,
    combined,
    passes,
)

from .job import Job


def retryable(job: Job) -> bool:
    """Whether the error of `job` may be gone when the job is run again."""
    return passes(job.error)


def may_pass(job: Job) -> bool:
    """Whether the same command may end what `job` has begun: not if it meets the same error."""
    lasting = errors.WalkError | errors.HTTPStatusError | errors.BadPayload | errors.TransportError
    lasts = any(isinstance(error, lasting | FileExistsError) for error in causes(job.error))
    return retryable(job) or (job.resumable and not lasts)


def exit_code(jobs: Sequence[Job]) -> int:
    """The exit code of a command that ran `jobs`."""
    return combined([*map(code_of_job, jobs)])


def code_of_job(job: Job) -> int:
    """The exit code of a command that ran nothing but `job`."""
    if job.state != "failed" or job.error is None:
        return INCOMPLETE if job.rejected else DONE
    code = code_of(job.error)
    return code if code == NOT_AUTHORISED or not may_pass(job) else RESUMABLE
