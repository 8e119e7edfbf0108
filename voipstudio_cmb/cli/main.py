"""The command line: arguments in, calls, exit codes. Results on stdout, all else on stderr.

Everything but the parser is imported inside the commands, so that `--help` answers at once.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import os
import signal
import sys
from collections.abc import Callable, Sequence

from .exit_codes import DONE, FAILED, INTERRUPTED, NOT_AUTHORISED, TERMINATED, USAGE
from .parser import _parser
from .terminal import drop_stdout, say


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command in *argv* and returns its exit code."""
    arguments = _parser().parse_args(argv)
    if sys.stdout is None:  # closed by who started this
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115 - as long as the process
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # an ASCII terminal is no reason to fail
    from voipstudio_cmb.errors import CallMeBackError, ClientMisuse, NoToken, Unauthorized

    tell = _teller(arguments)
    try:
        return _flushed(asyncio.run(_run(arguments)))
    except (KeyboardInterrupt, asyncio.CancelledError) as stop:
        tell("interrupted" + _left(arguments))
        return INTERRUPTED if isinstance(stop, KeyboardInterrupt) else TERMINATED
    except BrokenPipeError:
        # The reader has what it wanted. Python's own flush at exit must not complain again.
        drop_stdout()
        return DONE
    except CallMeBackError as error:
        tell(f"error: {error}")
        if isinstance(error, Unauthorized | NoToken):
            return NOT_AUTHORISED
        return USAGE if isinstance(error, ClientMisuse) else FAILED
    except OSError as error:
        drop_stdout()
        tell(f"error: the output can't be written: {error.strerror or error}")
        return FAILED


def _teller(arguments: argparse.Namespace) -> Callable[[str], None]:
    """What prints a message on standard error: where events are wanted, as one of them."""
    if getattr(arguments, "progress", None) != "json":
        return say
    from .displays import note

    return note


def _left(arguments: argparse.Namespace) -> str:
    """What an interruption has left behind."""
    if arguments.command == "list" or getattr(arguments, "to", None) == "-":
        return ": the output is incomplete"
    if arguments.command != "export" or arguments.dry_run:
        return ""
    return ": no file is left half written, and the same command goes on where it stopped"


def _flushed(code: int) -> int:
    """*code*, once what was printed is out; a reader that has gone does not change it."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        drop_stdout()
    return code


async def _run(arguments: argparse.Namespace) -> int:
    """Runs the command so that SIGTERM ends it as Ctrl-C does: with its files cleaned up."""
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    code: int = await arguments.run(arguments)
    return code


if __name__ == "__main__":
    sys.exit(main())
