"""`export --to -`: the rows of one resource to standard output, as JSON Lines."""

from __future__ import annotations

import sys

from voipstudio_cmb.errors import CallMeBackError, ClientMisuse
from voipstudio_cmb.exit_codes import DONE, INCOMPLETE, code_of
from voipstudio_cmb.export import Plan
from voipstudio_cmb.export.run.stream import Stream

from .arguments import Arguments
from .clients import open_client
from .displays import open_display, run_with_display
from .progress import ProgressTracker
from .stdio import print_data
from .terminal import escape_controls, note, notify, print_event, print_message


async def run(arguments: Arguments, plan: Plan) -> int:
    """Streams the rows and returns the exit code."""
    _check(arguments, plan)
    terminal = sys.stdout.isatty()
    async with open_client(arguments) as client:
        stream = Stream(client, plan, print_data, _escape if terminal else bytes)
        tracker, printed = ProgressTracker(pause=lambda _: client.pause), 0
        # On a terminal the rows are progress enough.
        silent = arguments.quiet or (terminal and arguments.progress == "auto")
        mode = "none" if silent else arguments.progress
        with open_display(mode, tracker) as show:

            def update() -> None:
                nonlocal printed
                show(tracker.measure([stream.job]))
                _print_rejects(arguments, stream, printed)
                printed = len(stream.rejects)

            try:
                await run_with_display(stream.run(), update)
            except CallMeBackError as error:
                update()
                if not stream.job.rows:
                    raise
                notify(arguments, f"error: {error}: the output is incomplete")
                return code_of(error)
    if stream.job.missing:
        note(arguments, f"buttons: {len(stream.job.missing)} are named and do not exist")
    return INCOMPLETE if stream.rejects else DONE


def _check(arguments: Arguments, plan: Plan) -> None:
    unusable = {
        f"--format {arguments.format}": arguments.format != "jsonl",
        "--compress": arguments.compress is not None,
        "--overwrite": arguments.overwrite,
        "--restart": arguments.restart,
        "--since": arguments.since is not None,
        "--accounts": arguments.accounts is not None,
        "--dry-run": arguments.dry_run,
        "--metrics": arguments.metrics is not None,
        "--jobs": "jobs" in arguments.given,
    }
    for option, given in unusable.items():
        if given:
            raise ClientMisuse(
                f"--to - streams JSON Lines and remembers nothing: leave out {option}"
            )
    if len(plan.resources) != 1:
        raise ClientMisuse("--to - streams exactly one resource: name it")


def _escape(row: bytes) -> bytes:
    return escape_controls(row.decode()).encode()


def _print_rejects(arguments: Arguments, stream: Stream, first: int) -> None:
    """Prints the rejected rows from the index `first` on."""
    name = stream.job.resource
    for each in stream.rejects[first:]:
        if arguments.progress == "json":
            where = {"page": each.page, "index": each.index, "reason": each.why}
            print_event("rejected", account="", resource=name, **where)
        else:
            print_message(f"{name}: page {each.page}, row {each.index}: rejected, {each.why}")
