"""What workers run: shards, and what is asked of a worker meanwhile.

Dask pickles a function of `__main__` with all that it names, so that each task would have a limiter
of its own. What a process has once is here, in a module that each process imports.
"""

from __future__ import annotations

import asyncio
import copyreg
import pickle
from collections.abc import Sequence
from itertools import pairwise

import attrs
from distributed import get_worker

from voipstudio_cmb import __version__
from voipstudio_cmb.config import ClientConfig
from voipstudio_cmb.errors import CallMeBackError, ConfigError
from voipstudio_cmb.exit_codes import causes
from voipstudio_cmb.export import Export, Job, Shard
from voipstudio_cmb.export.run.shards import Ran, run_shard
from voipstudio_cmb.limits import Limiter


def _pickle_alone(kind: type[CallMeBackError]) -> None:
    """Has errors pickled as they are without Dask, which adds all that was being handled.

    That may quote a token in the wrong place.
    """
    copyreg.dispatch_table.pop(kind, None)
    for each in kind.__subclasses__():
        _pickle_alone(each)


_pickle_alone(CallMeBackError)


class Own:
    """What a process has once for all shards that came with the same settings."""

    def __init__(self, settings: bytes) -> None:
        limiter, config = pickle.loads(settings)
        self.limiter: Limiter | None = limiter
        self._config: ClientConfig = config or ClientConfig()
        self._configs: dict[str, ClientConfig] = {}

    def config(self, base_url: str) -> ClientConfig:
        """How the clients of an API behave, of which only one tries whether it is back."""
        if base_url not in self._configs:
            self._configs[base_url] = self._config.elsewhere()
        return self._configs[base_url]


@attrs.define(eq=False)
class Running:
    """A shard that runs here."""

    run: str
    task: asyncio.Task[Ran] | None = None
    export: Export | None = None
    stopped: bool = False


OWN: dict[bytes, Own] = {}
"""What this process has once, by the settings that it was made from."""

RUNNING: set[Running] = set()
"""The shards that run here."""


@attrs.frozen
class Outcome:
    """What became of a shard. An error comes with those that it was raised from.

    The exit code depends on them, and an error that is pickled leaves them behind.
    """

    ran: Ran
    chains: list[list[BaseException]]

    @classmethod
    def of(cls, ran: Ran) -> Outcome:
        """The outcome of a shard that ran here."""
        return cls(ran, [_chain(error) for error in _errors(ran)])

    def joined(self) -> Ran:
        """What became of it, with errors as they were raised."""
        for error, chain in zip(_errors(self.ran), self.chains, strict=True):
            for one, cause in pairwise([error, *chain]):
                one.__cause__ = cause
        return self.ran


def _errors(ran: Ran) -> list[CallMeBackError]:
    return [error for error in (ran.error, *(job.error for job in ran.jobs)) if error is not None]


def _chain(error: CallMeBackError) -> list[BaseException]:
    # Those of other packages may not be there, or can't be pickled.
    return [
        each if isinstance(each, CallMeBackError) else type(each)(*each.args)
        for each in causes(error.__cause__)
        if isinstance(each, CallMeBackError) or type(each).__module__ == "builtins"
    ]


async def run(shard: Shard, settings: bytes, run: str, version: str) -> Outcome:
    """Exports a `shard` of the `run`; what goes wrong is in the outcome."""
    here = get_worker().address
    if version != __version__:
        return Outcome.of(Ran([], error=other_version(f"the worker {here}", __version__, version)))
    try:
        if settings not in OWN:
            OWN[settings] = Own(settings)
    except ImportError as error:
        missing = ConfigError(
            f"the worker {here} lacks the package {error.name!r}: install it there"
        )
        return Outcome.of(Ran([], error=missing))
    except CallMeBackError as error:  # as of a variable that is not set here
        return Outcome.of(Ran([], error=error.with_detail(f"the worker is {here}")))
    own, running = OWN[settings], Running(run)

    def watch(export: Export) -> None:
        running.export = export

    work = run_shard(shard, own.limiter, own.config(shard.base_url), watch)
    # A task of its own, because `stop` cancels it, and a worker does not outlive those of Dask.
    running.task = asyncio.ensure_future(work)
    RUNNING.add(running)
    try:
        ran = await running.task
    except asyncio.CancelledError:
        running.task.cancel()
        if not running.stopped:
            raise
        return Outcome.of(Ran([]))  # which nobody waits for
    finally:
        RUNNING.discard(running)
    if isinstance(ran.error, ConfigError):
        ran = attrs.evolve(ran, error=ran.error.with_detail(f"the worker is {here}"))
    return Outcome.of(ran)


def progress(run: str) -> list[tuple[Sequence[Job], float]]:
    """The jobs of each shard of the `run` here, and the seconds that the API asks it to wait."""
    exports = [running.export for running in RUNNING if running.run == run]
    return [(export.jobs, export.pause(export.jobs[0])) for export in exports if export is not None]


async def stop(run: str) -> None:
    """Ends the shards of the `run` here, so that they can be resumed."""
    tasks = []
    for running in RUNNING:
        if running.run == run and running.task is not None:
            running.stopped = True
            running.task.cancel()
            tasks.append(running.task)
    if tasks:
        await asyncio.wait(tasks)


def other_version(who: str, theirs: str, ours: str) -> ConfigError:
    """What to say of a process that has another version of this package."""
    return ConfigError(
        f"{who} has voipstudio_cmb {theirs}, and this process {ours}: install the same version "
        "everywhere, and start it again"
    )
