"""Work in a process of its own, so that what is measured or killed is that work alone."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import inspect
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import attrs

ROOT = Path(__file__).parents[2]
"""Where the package and the benchmarks can be imported."""


def call_elsewhere(function: Callable[..., Any], *arguments: Any, under: Iterable[str] = ()) -> Any:
    """Calls `function`, async or not, in a fresh process and returns what it returns.

    Its arguments and its result travel as JSON; an attrs object comes back as a dict. Arguments
    go by standard input, because everybody on the machine can read a command line. `under` is a
    command that runs the process, if there is one.
    """
    with started_elsewhere(function, *arguments, under=under) as process:
        return result_of(process)


@contextlib.contextmanager
def started_elsewhere(
    function: Callable[..., Any], *arguments: Any, under: Iterable[str] = ()
) -> Iterator[subprocess.Popen[bytes]]:
    """As `call_elsewhere`, but yields the process; it is killed at the end, if it still runs."""
    module = function.__module__
    if module == "__main__":
        module = sys.modules[module].__spec__.name
    with subprocess.Popen(
        [*under, sys.executable, "-m", __name__, module, function.__name__],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdin is not None
        try:
            process.stdin.write(json.dumps(arguments).encode())
            process.stdin.close()
            process.stdin = None
            yield process
        finally:
            process.kill()


def result_of(process: subprocess.Popen[bytes]) -> Any:
    """Waits for a process of `started_elsewhere`, and returns what its function returns."""
    output, _ = process.communicate()
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, process.args)
    return json.loads(output.splitlines()[-1])  # other libraries print too


@contextlib.contextmanager
def sandbox_elsewhere(rows: int, seed: int) -> Iterator[tuple[str, str]]:
    """Runs the sandbox with so many call records; yields its base URL and its token."""
    command = [sys.executable, "-m", "voipstudio_cmb", "sandbox", "--rows", str(rows)]
    command += ["--seed", str(seed)]
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stdout is not None
        try:
            url, token = (process.stdout.readline().strip().partition("=")[2] for _ in range(2))
            yield url, token
        finally:
            process.kill()


def fork(work: Callable[[], int | None]) -> int:
    """Forks a process that does `work` and exits with what it returns; returns its id."""
    child = os.fork()
    if child:
        return child
    code = 70
    try:
        code = work() or 0
    except BaseException as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
    finally:
        sys.stderr.flush()
        os._exit(code)


def exit_code(child: int) -> int:
    """Waits for a forked process; returns its exit code, or minus the signal that ended it."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _called(module: str, name: str) -> Any:
    result = getattr(importlib.import_module(module), name)(*json.load(sys.stdin))
    if inspect.iscoroutine(result):
        result = asyncio.run(result)
    return attrs.asdict(result) if attrs.has(type(result)) else result


if __name__ == "__main__":
    print("\n" + json.dumps(_called(*sys.argv[1:])))
