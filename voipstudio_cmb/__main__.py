"""`python -m voipstudio_cmb` is the command line."""

import contextlib
import os
import sys
from typing import NoReturn

try:
    from .cli.main import main
except ModuleNotFoundError as error:
    if error.name != "click":
        raise
    print(
        "error: the command line needs another package: install voipstudio-cmb[cli]",
        file=sys.stderr,
    )
    sys.exit(2)


def run() -> NoReturn:
    """Runs the command, and ends the process at once.

    To take down all modules takes an interpreter longer than many a command, and who kills it
    meanwhile would take what is complete for interrupted. So a profiler or tracer that waits for
    that end reports nothing: call `cli.main.main` instead.
    """
    code = main()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError, AttributeError):
            stream.flush()
    os._exit(code)


if __name__ == "__main__":
    run()
