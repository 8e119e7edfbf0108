"""`python -m voipstudio_cmb` is the command line."""

from __future__ import annotations

import os
import signal
import sys

TYPE_CHECKING = False  # as type checkers know it: until Ctrl-C is handled, little is to be imported
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import NoReturn

INTERRUPTED = 130
POOL = "ARROW_DEFAULT_MEMORY_POOL"
"""Names what pyarrow gets its memory from: its own pool takes 15 MB more, and is no faster."""


def _command() -> Callable[[], int]:
    """The command, or the end of the process if it can't be imported.

    Ctrl-C meanwhile ends it too, without a word: nothing is begun yet.
    """
    os.environ.setdefault(POOL, "system")  # here, where the process is ours
    interruptible = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if interruptible:
        signal.signal(signal.SIGINT, lambda *_: os._exit(INTERRUPTED))
    try:
        from .cli.main import main
    except ModuleNotFoundError as error:
        if error.name != "click":
            raise
        from .boundary.text import lacks_extra

        print(f"error: {lacks_extra('the command line', 'cli')}", file=sys.stderr)
        sys.exit(2)
    if interruptible:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    return main


def run() -> NoReturn:
    """Runs the command, and ends the process at once.

    To take down all modules takes an interpreter longer than many a command, and who kills it
    meanwhile would take what is complete for interrupted. So a profiler or tracer that waits for
    that end reports nothing: call `cli.main.main` instead.
    """
    try:
        code = _command()()
    except KeyboardInterrupt:  # before the command is imported, which would say so
        code = INTERRUPTED
    import contextlib

    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError, AttributeError):
            stream.flush()
    os._exit(code)


if __name__ == "__main__":
    run()
