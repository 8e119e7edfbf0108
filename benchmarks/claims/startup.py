"""What it takes to start: to import the client, and to show the help of the command line."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from statistics import median
from tempfile import TemporaryDirectory

from benchmarks.harness.claim import Claim, Measure, Sample, Timer, installed

REPEATS = 3


def _measure(compiled: str, repeats: int, *arguments: str) -> Measure:
    # As it is installed: whoever installs a package has its modules compiled once, not each time.
    env = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    env["PYTHONPYCACHEPREFIX"] = compiled

    def once() -> float:
        with Timer() as timer:
            subprocess.run(
                [sys.executable, *arguments], stdout=subprocess.DEVNULL, check=True, env=env
            )
        return timer.wall

    once()
    return lambda: Sample(value=median(once() for _ in range(repeats)))


@contextmanager
def claims(quick: bool) -> Iterator[list[Claim]]:
    """The two claims. The package itself imports next to nothing: what counts is its client."""
    with TemporaryDirectory() as compiled:
        measure = partial(_measure, compiled, 1 if quick else REPEATS)
        yield [
            Claim(
                name="import",
                says="from voipstudio_cmb import CallMeBackClient",
                unit="s",
                ours="voipstudio_cmb",
                limit="aiohttp",
                target=1.12,
                contenders={
                    "voipstudio_cmb": measure("-c", "from voipstudio_cmb import CallMeBackClient"),
                    **{
                        name: measure("-c", f"import {name}")
                        for name in ("aiohttp", "openai", "stripe", "azure.core")
                        if installed(name)
                    },
                },
            ),
            Claim(
                name="help",
                says="voipstudio-cmb --help",
                unit="s",
                ours="voipstudio_cmb",
                limit=None,
                target=0.2,
                contenders={
                    "voipstudio_cmb": measure("-m", "voipstudio_cmb", "--help"),
                    "python -c pass": measure("-c", "pass"),
                },
            ),
        ]
