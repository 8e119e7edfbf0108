"""A claim about cost, measured beside what users would otherwise use: in rounds, as ratios.

Each round measures every contender once, the one after the other, and each round begins with
another one, so that whatever else the machine does falls on all of them. A ratio is of one round.
"""

from __future__ import annotations

import importlib.util
import os
import platform
import resource
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import median
from typing import Any, Literal

import attrs

ROUNDS = 5
PACKAGES = (
    "aiohttp", "attrs", "cattrs", "msgspec", "orjson", "pydantic", "openai", "stripe", "azure-core",
    "aiohttp-retry", "httpx2", "uvloop", "aiolimiter", "dlt", "singer-sdk", "pyarrow", "duckdb",
    "polars",
)  # fmt: skip


def installed(*modules: str) -> bool:
    """Whether all modules can be imported; does not import them."""
    try:
        return all(importlib.util.find_spec(module) is not None for module in modules)
    except ModuleNotFoundError:
        return False  # a module's package is not installed


@attrs.frozen(kw_only=True)
class Sample:
    """One measurement."""

    value: float
    """What is compared."""
    wall: float | None = None
    """The seconds that it took by the clock."""
    cpu: float | None = None
    """The seconds of processor, by `getrusage`."""
    more: Mapping[str, Any] = attrs.field(factory=dict)


Measure = Callable[[], Sample]


def cpu() -> float:
    """Seconds of processor that this process has used so far, in user and in system mode."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


class Timer:
    """Measures the seconds that a block takes; `sample` makes a measurement of them."""

    def __enter__(self) -> Timer:
        self._wall, self._cpu = time.perf_counter(), cpu()
        return self

    def __exit__(self, *_: object) -> None:
        self.wall, self.cpu = time.perf_counter() - self._wall, cpu() - self._cpu

    def sample(self, value: float, **more: Any) -> Sample:
        """Returns `value` with the seconds that were measured."""
        return Sample(value=value, wall=self.wall, cpu=self.cpu, more=more)


@attrs.frozen(kw_only=True)
class Claim:
    """What is claimed, and how each contender is measured."""

    name: str
    says: str
    unit: str
    ours: str
    """The contender that the claim is about."""
    limit: str | None
    """The contender that it is compared with; without one its own value is judged."""
    target: float
    """What the median of the ratios, or of the values, may be."""
    bound: Literal["at most", "at least"] = "at most"
    contenders: Mapping[str, Measure]
    digits: int = 2
    """How many are shown after the point."""


@attrs.frozen(kw_only=True)
class Result:
    """The samples of all rounds, by contender."""

    claim: Claim
    samples: Mapping[str, Sequence[Sample]]

    def median(self, name: str) -> float:
        """The middle value of a contender."""
        return median(each.value for each in self.samples[name])

    def ratios(self, name: str) -> list[float]:
        """A contender's ratio to the limit, round by round."""
        own = [each.value for each in self.samples[name]]
        if self.claim.limit is None:
            return own
        limits = [each.value for each in self.samples[self.claim.limit]]
        return [value / limit for value, limit in zip(own, limits, strict=True)]

    @property
    def ratio(self) -> float:
        """What the claim is about."""
        return median(self.ratios(self.claim.ours))

    @property
    def holds(self) -> bool:
        """Whether the claim does."""
        if self.claim.bound == "at most":
            return self.ratio <= self.claim.target
        return self.ratio >= self.claim.target

    def cells(self) -> list[str]:
        """The line of the table."""
        claim = self.claim
        ratios = self.ratios(claim.ours)

        def shown(value: float) -> str:
            return f"{value:,.{claim.digits}f}"

        peers = [
            f"{name} {shown(self.median(name))} ({median(self.ratios(name)):.2f} x)"
            if claim.limit
            else f"{name} {shown(self.median(name))}"
            for name in self.samples
            if name not in (claim.ours, claim.limit)
        ]
        sign = "<=" if claim.bound == "at most" else ">="
        return [
            claim.says,
            f"{shown(self.median(claim.ours))} {claim.unit}",
            f"{claim.limit} {shown(self.median(claim.limit))}" if claim.limit else "",
            f"{self.ratio:.{2 if claim.limit else claim.digits}f}",
            f"{min(ratios):.2f} to {max(ratios):.2f}",
            f"{sign} {claim.target:g}",
            "yes" if self.holds else "NO",
            ", ".join(peers),
        ]

    def plain(self) -> dict[str, Any]:
        """Everything that was measured, for JSON."""
        claim = self.claim
        return {
            "claim": claim.name,
            "says": claim.says,
            "unit": claim.unit,
            "ours": claim.ours,
            "limit": claim.limit,
            "ratio": self.ratio,
            "spread": [min(self.ratios(claim.ours)), max(self.ratios(claim.ours))],
            "target": claim.target,
            "bound": claim.bound,
            "holds": self.holds,
            "samples": {
                name: [attrs.asdict(each) for each in samples]
                for name, samples in self.samples.items()
            },
        }


HEAD = ("claim", "ours", "limit", "ratio", "spread", "target", "holds", "peers")


def table(results: Iterable[Result]) -> str:
    """The table in Markdown, its columns aligned."""
    lines = [list(HEAD), *(result.cells() for result in results)]
    widths = [max(len(line[at]) for line in lines) for at in range(len(HEAD))]
    widths[-1] = len(HEAD[-1])  # the last one may run on
    lines.insert(1, ["-" * width for width in widths])
    return "\n".join(
        "| "
        + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        + " |"
        for line in lines
    )


def measured(claim: Claim, rounds: int) -> Result:
    """Measures each contender once in each of so many rounds."""
    if missing := {claim.ours, claim.limit} - {None, *claim.contenders}:
        raise SystemExit(f"{', '.join(map(str, missing))} can't be measured: install '.[bench]'")
    names = list(claim.contenders)
    samples: dict[str, list[Sample]] = {name: [] for name in names}
    for number in range(rounds):
        at = number % len(names)
        for name in names[at:] + names[:at]:
            samples[name].append(claim.contenders[name]())
    return Result(claim=claim, samples=samples)


def _processor() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return platform.processor()
    return text.partition("model name\t: ")[2].partition("\n")[0] or platform.machine()


def machine() -> dict[str, Any]:
    """What the figures are from."""
    versions = {}
    for package in PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            continue
    return {
        "python": platform.python_version(),
        "system": platform.system(),
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0))
        if hasattr(os, "sched_getaffinity")
        else os.cpu_count(),
        "packages": versions,
    }


def plain(results: Sequence[Result], rounds: int) -> dict[str, Any]:
    """All that was measured, for JSON."""
    return {
        "machine": machine(),
        "rounds": rounds,
        "claims": [result.plain() for result in results],
    }
