"""Runs a shard: any number of times, in any process, on any machine that sees its directory.

What is complete is not made again, and what was interrupted resumes.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Literal, TypedDict

import attrs

from voipstudio_cmb.auth.profile import Environment
from voipstudio_cmb.client import CallMeBackClient
from voipstudio_cmb.config import ClientConfig
from voipstudio_cmb.errors import CallMeBackError, ClientMisuse, ConfigError, NoToken
from voipstudio_cmb.exit_codes import code_of, passes
from voipstudio_cmb.export.accounts import Account, account_of, unset_in
from voipstudio_cmb.export.plan.place import StoreUrl
from voipstudio_cmb.export.plan.plan import Plan
from voipstudio_cmb.export.plan.unchanged import change
from voipstudio_cmb.export.shard import Shard
from voipstudio_cmb.export.store.disk import in_thread, sidecar, status
from voipstudio_cmb.export.store.ended import end_mark
from voipstudio_cmb.export.store.failures import before_sending
from voipstudio_cmb.export.store.lock import remove_left_lock
from voipstudio_cmb.export.store.published import published
from voipstudio_cmb.export.store.seen import kept
from voipstudio_cmb.limits import Limiter, RateLimit

from .exit_codes import exit_code
from .export import Export
from .job import Job
from .store_workspace import StoreWorkspace


class ShardError(TypedDict):
    """An error of a shard, as plain data."""

    resource: str
    """Of which resource; "": of all."""
    kind: str
    """Its class in `voipstudio_cmb.errors`."""
    message: str
    """What was wrong, and what to do."""
    retryable: bool
    """Whether it may be gone when the shard is run again."""
    resumable: bool
    """Whether the shard, run again, resumes where it failed."""


class ShardFile(TypedDict):
    """A file of a shard, as plain data; see `Job`."""

    resource: str
    path: str
    state: str
    rows: int
    rejected: int
    already: bool
    made: bool
    note: str


class ShardResult(TypedDict):
    """What became of a shard, as plain data."""

    account: str
    """The name of the account."""
    host: str
    """The machine that it ran on."""
    state: Literal["done", "already", "failed"]
    """Whether it is complete; "already": an earlier run had done all of it."""
    exit_code: int
    """What the command `export` would have ended with; 5: run it again."""
    rows: int
    """The rows in complete files."""
    requests: int
    """The attempts that were made."""
    files: list[ShardFile]
    """What became of each file."""
    errors: list[ShardError]
    """What went wrong; none if it is complete."""


@attrs.frozen
class Ran:
    """What became of a shard, as objects."""

    jobs: list[Job]
    """The jobs of all files; none if there is an `error`."""
    requests: int = 0
    """The attempts that were made."""
    retries: int = 0
    """Those beyond the first of their call."""
    error: CallMeBackError | None = None
    """Why nothing of it could be done."""


async def export_shard(
    shard: Shard | Mapping[str, Any],
    limiter: Limiter | None = None,
    *,
    config: ClientConfig | None = None,
) -> ShardResult:
    """Exports a `shard`, or what `Shard.to_dict` has made of it, and says what became of it.

    It may be run as often as one likes, one after the other or at once, wherever `plan.to` is the
    same directory: what is complete is left as it is. With `since`, each run adds what is new.
    `limiter` paces the requests, unless the account has a rate of its own.

    Raises:
        ClientMisuse: it is no shard. All other errors are in the result.
    """
    whole = shard if isinstance(shard, Shard) else Shard.from_dict(shard)
    return _result(whole, await run_shard(whole, limiter, config))


async def run_shard(
    shard: Shard,
    limiter: Limiter | None = None,
    config: ClientConfig | None = None,
    watch: Callable[[Export], None] = lambda _: None,
) -> Ran:
    """Exports a `shard` as `export_shard` does; `watch` is given each export before it runs."""
    account = await in_thread(partial(_account, shard))
    if isinstance(account, ConfigError):
        return Ran([], error=account)
    client = CallMeBackClient(
        account.token,
        base_url=account.base_url,
        config=config,
        limiter=limiter if account.rate is None else RateLimit(account.rate),
    )
    jobs: list[Job] = []
    failure: CallMeBackError | None = None
    try:
        async with client:
            jobs = await _run(client, shard.own_plan, account, watch)
    except CallMeBackError as error:
        failure = error
    return Ran(jobs, client.usage.requests, client.usage.retries, failure)


async def _run(
    client: CallMeBackClient, plan: Plan, account: Account, watch: Callable[[Export], None]
) -> list[Job]:
    """Exports what is not complete; returns the jobs of all files."""
    while True:
        complete = await in_thread(partial(_complete, plan, account))
        done = {job.resource for job in complete}
        left: Any = [name for name in plan.resources if name not in done]
        if not left:
            return complete
        export = Export(
            client,
            attrs.evolve(plan, resources=left),
            account=account.name,
            token_env=account.token_env,
            mark=_mark(plan),
        )
        watch(export)
        refusal: ClientMisuse | None = None
        try:
            await export.run()
        except ClientMisuse as error:
            refusal = error.with_context()
        failed = {job.resource for job in export.jobs if job.state != "done"}
        # Another run of the shard may have completed it meanwhile.
        made = await in_thread(partial(_complete, plan, account)) if failed else []
        if failed.isdisjoint(job.resource for job in made):
            if refusal is not None:
                raise refusal
            return [*complete, *export.jobs]


def _account(shard: Shard) -> Account | ConfigError:
    """The account with its token, or why there is none here."""
    env, host = Environment(), socket.gethostname()
    if variable := unset_in(shard.account, shard.table, env):
        return NoToken(
            f"the environment variable {variable}, which holds the token of the account "
            f"{shard.account!r}, is not set on the host {host!r}: set it wherever shards are run"
        )
    account = account_of(shard.account, shard.table, env, f"accounts.{shard.account}")
    if isinstance(account, ConfigError):
        return account.with_detail(f"the host is {host!r}")
    return account


def _complete(plan: Plan, account: Account) -> list[Job]:
    """The files of `plan` that earlier runs have completed, as the manifest says.

    Not those with a checkpoint: the export finds them complete, and removes it. What else a run
    has left that was killed as it cleaned up is removed here.
    """
    if plan.since:
        return []
    jobs = []
    in_store = isinstance(plan.to, StoreUrl)
    if in_store:
        with StoreWorkspace(plan) as workspace:
            workspace.fetch()
    with before_sending(plan.directory):
        entries = published(plan.directory)
        for file in plan.files():
            path, entry = file.path, entries.get(file.path.name)
            there = path.name in kept(path) if in_store else status(path)
            if entry is None or status(sidecar(path, "checkpoint")) or not there:
                continue
            same = entry.identity == plan.begin(file, account.base_url).identity
            if same and (in_store or change(path, entry, plan.sink, content=False) is None):
                job = Job(resource=file.resource, path=path, account=account.name, state="done")
                job.rows, job.kept, job.rejected = entry.rows, entry.rows, entry.rejected
                job.already, job.made = True, True
                job.url = plan.shown(path) if in_store else ""
                jobs.append(job)
                remove_left_lock(path)
        if in_store:
            StoreWorkspace(plan).clean_up(jobs)
        if len(jobs) == len(plan.resources):  # a run may have been killed before it removed that
            _mark(plan).unlink(missing_ok=True)
    return jobs


def _mark(plan: Plan) -> Path:
    # Another shard may export other resources of the account to the same directory.
    return end_mark(plan.directory, *plan.resources)


def _result(shard: Shard, ran: Ran) -> ShardResult:
    jobs, error = ran.jobs, ran.error
    errors = [_error(job.resource, job.error, job.resumable) for job in jobs if job.error]
    if error is not None:
        errors.append(_error("", error, resumable=False))
    already = all(job.already for job in jobs)
    return {
        "account": shard.account,
        "host": socket.gethostname(),
        "state": "failed" if errors else "already" if already else "done",
        "exit_code": exit_code(jobs) if error is None else code_of(error),
        "rows": sum(job.rows for job in jobs if job.state == "done"),
        "requests": ran.requests,
        "files": [
            {
                "resource": job.resource,
                "path": job.url or str(job.path),
                "state": job.state,
                "rows": job.rows,
                "rejected": job.rejected,
                "already": job.already,
                "made": job.made,
                "note": job.note,
            }
            for job in jobs
        ],
        "errors": errors,
    }


def _error(resource: str, error: CallMeBackError, resumable: bool) -> ShardError:
    return {
        "resource": resource,
        "kind": type(error).__name__,
        "message": str(error),
        "retryable": passes(error),
        "resumable": resumable,
    }
