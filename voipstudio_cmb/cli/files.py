"""`export --to DIR`: the collections of one account, or of many, into files."""

from __future__ import annotations

import asyncio
import contextlib

from voipstudio_cmb.exit_codes import DONE, FAILED, INCOMPLETE
from voipstudio_cmb.export import Export, Exports, Plan, Summary, read_accounts
from voipstudio_cmb.export.run.exit_codes import exit_code
from voipstudio_cmb.limits import RateLimit

from .arguments import Arguments
from .clients import config_of, open_client
from .displays import open_display, run_with_display, summary_event
from .ending import at_the_end
from .metrics import MetricsFile
from .progress import ProgressTracker
from .report import print_files, report


async def run(arguments: Arguments, plan: Plan, metrics: MetricsFile | None) -> int:
    """Runs the export that `plan` describes, tells `metrics`, and returns the exit code."""
    quiet = arguments.quiet
    async with contextlib.AsyncExitStack() as stack:
        exports: Export | Exports
        if arguments.accounts is not None:
            exports = account_exports(arguments, plan)
        else:
            client = await stack.enter_async_context(open_client(arguments))
            exports = Export(client, plan, slots=asyncio.Semaphore(arguments.jobs))
        tracker = ProgressTracker(pause=exports.pause)
        with open_display("none" if quiet else arguments.progress, tracker) as show:
            summary: Summary = await run_with_display(
                exports.run_marked(), lambda: show(tracker.measure(exports.jobs))
            )
        if metrics is not None:
            metrics.summary = summary
        printed = quiet or await print_files(summary.jobs)
        code = exit_code(summary.jobs) or (DONE if printed else FAILED)
        if arguments.progress == "json":
            summary_event(summary)
        else:
            report(summary, code, tracker.seconds, quiet=quiet)
        if code in (DONE, INCOMPLETE):  # who does not know yet what is complete may ask again
            at_the_end(exports.end)
        return code


def account_exports(arguments: Arguments, plan: Plan) -> Exports:
    """The exports of the accounts in the file that `--accounts` names."""
    return Exports(
        read_accounts(arguments.accounts),
        plan,
        slots=arguments.jobs,
        limiter=None if arguments.rate is None else RateLimit(arguments.rate),
        rate=arguments.rate_per_account,
        config=config_of(arguments),
    )
