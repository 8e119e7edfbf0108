"""The command line: arguments in, calls, exit codes. Results on stdout, all else on stderr."""

from __future__ import annotations

import asyncio
import importlib
import os
import signal
import sys
from collections.abc import Callable, Sequence
from typing import Any

import click

from voipstudio_cmb import __version__
from voipstudio_cmb.exit_codes import (
    DONE,
    FAILED,
    INTERRUPTED,
    RESUMABLE,
    TERMINATED,
    USAGE,
    code_of,
)

from .arguments import Arguments
from .ending import ending, exited
from .options import EXIT_CODES, TOKEN, account_options, check_certificates, check_numbers
from .parser import Group, refuse
from .stdio import OutputError, guarded_stdio
from .terminal import notify

_ROWS, _ITEMS = ("list", "count"), ("get", "create", "update", "delete")
_DOCUMENTS = ("pull", "plan", "apply", "drift")
_OPERATIONS = {
    "cdrs": _ROWS,
    "visitors": _ROWS,
    "websites": _ROWS,
    "settings": (*_ROWS, *_ITEMS, *_DOCUMENTS),
    "buttons": _ITEMS,
}


def _module(name: str) -> Any:
    return importlib.import_module(f"voipstudio_cmb.cli.commands.{name}")


def _make(name: str) -> click.Command:
    """The command `name`, or the group of what can be done with such a resource."""
    name = "status" if name == "ping" else name
    if name not in _OPERATIONS:
        command: click.Command = _module(name).COMMAND
        return command
    operations = _OPERATIONS[name]
    return Group(
        name,
        operations,
        lambda operation: _module(operation).command_of(name),
        params=account_options(),
        help=f"{', '.join(operations).capitalize()} {name}.",
    )


COMMAND = Group(
    "voipstudio-cmb",
    (
        "export",
        "verify",
        "list",
        "get",
        "chart",
        *_OPERATIONS,
        "status",
        "ping",
        "completion",
        "guide",
        "sandbox",
    ),
    _make,
    params=account_options(),
    help="VoIPstudio's Call Me Back module: all of its operations, exports and charts.",
    epilog=f"{EXIT_CODES}\n\n{TOKEN}",
)
click.version_option(__version__, prog_name="voipstudio-cmb", message="%(prog)s %(version)s")(
    COMMAND
)


@ending
def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command in `argv` and returns its exit code."""
    with guarded_stdio():
        return exited(_exit_code(argv))


def _exit_code(argv: Sequence[str] | None) -> int:
    arguments = Arguments()
    try:
        parsed = _parse(argv)
        if isinstance(parsed, int):
            return parsed
        arguments = parsed
        return _run(arguments)
    except (KeyboardInterrupt, asyncio.CancelledError, click.Abort) as stop:
        if not getattr(arguments, "follow", False):  # which ends in no other way
            notify(arguments, "interrupted" + _interruption(arguments))
        return TERMINATED if isinstance(stop, asyncio.CancelledError) else INTERRUPTED
    except OutputError as error:
        if error.reader_gone:
            return DONE
        notify(arguments, f"error: the output can't be written: {error}")
    except OSError as error:
        keys = os.environ.get("SSLKEYLOGFILE")
        if keys and error.filename == keys:  # opened by whoever makes a TLS context
            reason = f"which can't be opened ({error.strerror}): unset it, or name another file"
            notify(arguments, f"error: SSLKEYLOGFILE names a file {reason}")
            return USAGE
        notify(arguments, f"error: {_words_of(error)}")
    except (MemoryError, ImportError, RuntimeError, ExceptionGroup) as error:
        if not _is_short_of_memory(error):
            raise
        notify(arguments, "error: not enough memory" + _interruption(arguments))
        return RESUMABLE if _leaves_files(arguments) else FAILED
    return FAILED


def _words_of(error: OSError) -> str:
    """What `error` says, without a path that may be a token in the wrong place."""
    from voipstudio_cmb.boundary.checks import quoted_path

    if not isinstance(error.filename, str):
        return error.strerror or str(error)
    return f"{quoted_path(error.filename)}: {error.strerror}"


def _is_short_of_memory(error: Exception) -> bool:
    """Whether all that `error` says is that memory is short, as threads and libraries say too."""
    if isinstance(error, ExceptionGroup):
        return all(map(_is_short_of_memory, error.exceptions))
    words = ("new thread", "failed to map segment", "Cannot allocate memory")
    return isinstance(error, MemoryError) or any(each in str(error) for each in words)


def _show_unless_memory(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Shows what the loop says of an error, but that memory is short: the command says so."""
    error = context.get("exception")
    if not isinstance(error, Exception) or not _is_short_of_memory(error):
        loop.default_exception_handler(context)


def _parse(argv: Sequence[str] | None) -> Arguments | int:
    """What to run, or the exit code if there is nothing to run."""
    try:
        parsed: Arguments | int = COMMAND.main(argv, "voipstudio-cmb", standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:
        print(error.format_message(), file=sys.stderr)
        return USAGE
    except click.UsageError as error:
        print(refuse(error), file=sys.stderr)
        return USAGE
    return parsed


def _run(arguments: Arguments) -> int:
    from voipstudio_cmb.errors import CallMeBackError

    from .logs import VARIABLE, level_of, shown_logs

    try:
        check_numbers(arguments)
        check_certificates()
        level = level_of(getattr(arguments, "verbose", 0), os.environ.get(VARIABLE))
        as_events = getattr(arguments, "progress", None) == "json"
        codes = set[int]()
        try:
            with shown_logs(level, as_events=as_events):
                asyncio.run(_until_terminated(arguments, codes.add))
        except RuntimeError as error:
            if not codes or not _is_short_of_memory(error):
                raise  # else the loop had no thread to wait for those that it had
        return codes.pop()
    except CallMeBackError as error:
        for line in str(error).split("\n"):  # a document's each name another mistake
            notify(arguments, f"error: {line}")
        return code_of(error)


def _interruption(arguments: Arguments) -> str:
    """What to know about the output of a command that was interrupted."""
    if pending := getattr(arguments, "pending", ""):
        return f": {pending}"
    command = getattr(arguments, "command", None)
    if str(command).endswith(("list", "get")) or getattr(arguments, "to", None) == "-":
        return ": the output is incomplete"
    if str(command).endswith("apply"):
        return ": what was done stays done; run the same command again for the rest"
    if not _leaves_files(arguments):
        return ""
    return ": no file is left half written; run the same command again to resume"


def _leaves_files(arguments: Arguments) -> bool:
    """Whether the command leaves files that the same command resumes."""
    writes = getattr(arguments, "command", None) == "export" and arguments.to != "-"
    return writes and not arguments.dry_run


async def _until_terminated(arguments: Arguments, ended: Callable[[int], None]) -> None:
    """Runs the command so that SIGTERM ends it as Ctrl-C does: with its files cleaned up.

    `ended` is given the exit code.
    """
    task = asyncio.current_task()
    assert task is not None
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(_show_unless_memory)
    loop.add_signal_handler(signal.SIGTERM, task.cancel)
    ended(await arguments.run(arguments))
