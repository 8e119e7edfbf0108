"""Claim: `voipstudio-cmb --help` answers in under 0.2 s, because it does not import the client."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

ROUNDS = 7

COMMANDS = {
    "python -c pass": ["-c", "pass"],
    "import voipstudio_cmb": ["-c", "import voipstudio_cmb"],
    "voipstudio-cmb --help": ["-m", "voipstudio_cmb.cli", "--help"],
    "import CallMeBackClient": ["-c", "from voipstudio_cmb import CallMeBackClient"],
    "import aiohttp": ["-c", "import aiohttp"],
}


def _seconds(arguments: list[str]) -> float:
    began = time.perf_counter()
    subprocess.run([sys.executable, *arguments], stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - began


def run() -> None:
    """Prints the median of interleaved rounds, and each as a multiple of `import aiohttp`."""
    times: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for _ in range(ROUNDS):
        for name, arguments in COMMANDS.items():
            times[name].append(_seconds(arguments))
    limit = statistics.median(times["import aiohttp"])
    for name, measured in times.items():
        middle = statistics.median(measured)
        print(
            f"{name:<26} {middle:.3f} s  ({min(measured):.3f} to {max(measured):.3f})"
            f"  {middle / limit:.2f} x import aiohttp"
        )
