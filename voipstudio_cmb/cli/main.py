"""The command line: arguments in, calls, exit codes. Results on stdout, all else on stderr."""

from __future__ import annotations

import argparse
import asyncio
import io
import os
import signal
import sys
from collections.abc import Sequence

from voipstudio_cmb import __version__

from . import export, get, list, ping, sandbox
from .ending import ending
from .exit_codes import DONE, FAILED, INTERRUPTED, NOT_AUTHORISED, TERMINATED, USAGE
from .options import EPILOG, check_numbers
from .terminal import discard_stdout, notify

_RENAMED = {"--limit": "--page-size", "--window": "--concurrency"}


@ending()
def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command in `argv` and returns its exit code."""
    parser = _parser()
    arguments, unknown = parser.parse_known_args(argv)
    if unknown:
        renamed = (f"; {old} is called {_RENAMED[old]}" for old in unknown if old in _RENAMED)
        parser.error(f"unrecognized arguments: {' '.join(unknown)}{''.join(renamed)}")
    if sys.stdout is None:  # closed by who started this
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115 - as long as the process
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # an ASCII terminal is no reason to fail
    from voipstudio_cmb.errors import CallMeBackError, ClientMisuse, NoToken, Unauthorized

    try:
        check_numbers(arguments)
        return _flush(asyncio.run(_run(arguments)))
    except (KeyboardInterrupt, asyncio.CancelledError) as stop:
        notify(arguments, "interrupted" + _interruption(arguments))
        return INTERRUPTED if isinstance(stop, KeyboardInterrupt) else TERMINATED
    except BrokenPipeError:
        discard_stdout()  # the reader has what it wanted
        return DONE
    except CallMeBackError as error:
        notify(arguments, f"error: {error}")
        if isinstance(error, Unauthorized | NoToken):
            return NOT_AUTHORISED
        return USAGE if isinstance(error, ClientMisuse) else FAILED
    except OSError as error:
        discard_stdout()
        notify(arguments, f"error: the output can't be written: {error.strerror or error}")
        return FAILED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="voipstudio-cmb",
        description="VoIPstudio's Call Me Back module: export, list, get.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"voipstudio-cmb {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for command in (export, list, get, ping, sandbox):
        name = command.__name__.rpartition(".")[2]
        options = commands.add_parser(name, help=command.HELP)
        command.add_options(options)
        options.set_defaults(run=command.run)
    return parser


def _interruption(arguments: argparse.Namespace) -> str:
    """What to know about the output of a command that was interrupted."""
    if arguments.command == "list" or getattr(arguments, "to", None) == "-":
        return ": the output is incomplete"
    if arguments.command != "export" or arguments.dry_run:
        return ""
    return ": no file is left half written; run the same command again to resume"


def _flush(code: int) -> int:
    """Returns `code` after flushing stdout; a reader that has gone does not change it."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        discard_stdout()
    return code


async def _run(arguments: argparse.Namespace) -> int:
    """Runs the command so that SIGTERM ends it as Ctrl-C does: with its files cleaned up."""
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    code: int = await arguments.run(arguments)
    return code
