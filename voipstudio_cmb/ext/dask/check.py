"""What is wrong with a cluster, before anything is sent to the API.

Workers that come later are not asked: each shard tells what it misses there.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs

from voipstudio_cmb import __version__
from voipstudio_cmb.auth.profile import Environment
from voipstudio_cmb.errors import ClientMisuse, ConfigError, ConnectFailed, NoToken
from voipstudio_cmb.export import Shard
from voipstudio_cmb.export.accounts import unset_in
from voipstudio_cmb.export.plan.place import StoreUrl
from voipstudio_cmb.limits import Limiter

from .worker import other_version

PATIENCE = 30.0
"""Seconds for which a cluster may have no worker yet."""

_NAMED = 8
"""The most variables that one message names."""


@attrs.frozen
class Facts:
    """What a process says of itself."""

    version: str
    host: str
    unset: Sequence[str]
    sees: bool


def facts(variables: Collection[str], mark: Path | None) -> Facts:
    """What a worker says of itself, where `mark` should be seen, if files go to a directory."""
    env = Environment()
    unset = [name for each in variables if (name := unset_in("…", {"token_env": each}, env))]
    return Facts(__version__, socket.gethostname(), unset, mark is None or mark.exists())


def leave(mark: Path) -> None:
    """Has a worker leave the file `mark`, which the others look for."""
    mark.parent.mkdir(parents=True, exist_ok=True)
    mark.touch()


def remove(mark: Path) -> None:
    """Has it removed."""
    mark.unlink(missing_ok=True)


def scheduler_settings(dask_scheduler: Any) -> tuple[str, float | None]:
    """The version of this package there, and after how many seconds a silent worker is given up."""
    return __version__, dask_scheduler.worker_ttl


async def check_cluster(
    client: Any, shards: Sequence[Shard], run: str, limiter: Limiter | None
) -> None:
    """Returns if the workers of `client` can export the `shards` of a `run`, paced by `limiter`.

    Raises:
        ConnectFailed: it has no workers, or does not answer.
        ClientMisuse: it can't be used as it is: the message says what to do.
    """
    try:
        await _check_scheduler(client)
        await client.wait_for_workers(1, timeout=PATIENCE)
        to = shards[0].plan.to
        variables = {shard.token_env for shard in shards} | {getattr(limiter, "url_env", "")}
        mark = to / f".dask-{run}" if isinstance(to, Path) else None
        await _check_workers(client, sorted(variables - {""}), to, mark)
    except TimeoutError:
        raise ConnectFailed(
            f"the cluster has no workers: start some, as by `dask worker {_address(client)}`"
        ) from None
    except OSError as error:
        raise ConnectFailed(f"the scheduler {_address(client)} is gone: {error}") from None


def _address(client: Any) -> str:
    return "" if client.scheduler is None else str(client.scheduler.address)


async def _check_scheduler(client: Any) -> None:
    where = f"the scheduler {_address(client)}"
    try:
        version, ttl = await _asked(client.run_on_scheduler(scheduler_settings))
    except ImportError:
        raise _not_installed(where) from None
    except ValueError:
        raise ClientMisuse(
            f"{where} runs no functions: set distributed.scheduler.pickle to true there"
        ) from None
    if version != __version__:
        raise other_version(where, version, __version__)
    if not ttl:
        raise ClientMisuse(
            f"{where} never gives up a worker that has fallen silent, and its shards would never "
            "end: set distributed.scheduler.worker-ttl to 5 minutes there"
        )


async def _check_workers(
    client: Any, variables: Sequence[str], to: Path | StoreUrl, mark: Path | None
) -> None:
    first = [*await _asked(client.nthreads())][:1]
    left = {}
    if mark is not None:
        left = await _asked(client.run(leave, mark, workers=first, on_error="return"))
    try:
        answers = await _asked(client.run(facts, variables, mark, on_error="return"))
    finally:
        if mark is not None:
            await client.run(remove, mark, workers=first, on_error="ignore")
    for worker, answer in {**answers, **_failures(left)}.items():
        _check_worker(f"the worker {worker}", answer, to)


def _failures(left: Mapping[str, Any]) -> dict[str, Any]:
    return {worker: error for worker, error in left.items() if isinstance(error, Exception)}


def _check_worker(where: str, answer: Any, to: Path | StoreUrl) -> None:
    if isinstance(answer, ImportError | AttributeError):
        raise _not_installed(where)
    if isinstance(answer, OSError):
        raise ClientMisuse(f"{where} can't write to {str(to)!r}: {answer.strerror or answer}")
    if isinstance(answer, Exception):
        raise answer
    assert isinstance(answer, Facts)
    where = f"{where} on the host {answer.host!r}"
    if answer.version != __version__:
        raise other_version(where, answer.version, __version__)
    if answer.unset:
        more = f" and {len(answer.unset) - _NAMED} more" if len(answer.unset) > _NAMED else ""
        raise NoToken(
            f"{where} lacks environment variables that hold tokens or passwords: "
            f"{', '.join(answer.unset[:_NAMED])}{more}; set them where workers are started, as "
            "what they hold is never sent there"
        )
    if not answer.sees:
        raise ClientMisuse(
            f"{where} has a directory {str(to)!r} of its own: export to one that all workers share"
        )


def _not_installed(where: str) -> ConfigError:
    return ConfigError(
        f"{where} lacks voipstudio_cmb, or has another version of it: install {__version__} with "
        "the extra dask there, and start it again"
    )


async def _asked(question: Any) -> Any:
    """The answer to a `question` that a process which has died is not waited for."""
    async with asyncio.timeout(PATIENCE):
        return await question
