"""How much more memory a walk over a million rows holds than one over 10,000, in MB.

Each walk is made by a process of its own, against a server in another one.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from benchmarks.harness.claim import Claim, Measure, Sample
from benchmarks.harness.tables import tables_elsewhere
from benchmarks.harness.walk_memory import (
    CONCURRENCY,
    GROWTH,
    PAGE_SIZE,
    SIZES,
    tables_of,
    walk_elsewhere,
)
from benchmarks.harness.walks import WALKS, By


@contextmanager
def claims(quick: bool) -> Iterator[list[Claim]]:
    """A claim for each way to walk."""
    sizes = (1_000, 2_000) if quick else SIZES
    with tables_elsewhere(tables_of(sizes, 1)) as base:

        def measure(by: By, collect: bool) -> Measure:
            def both() -> Sample:
                less, more = (
                    walk_elsewhere(f"{base}{size}", by, size, CONCURRENCY, PAGE_SIZE, 1, collect)
                    for size in sizes
                )
                assert less.exact, less
                assert more.exact, more
                return Sample(value=(more.memory - less.memory) / 1e6, wall=more.seconds)

            return both

        yield [
            Claim(
                name=f"memory-by-{by}",
                says=f"memory of {sizes[1]:,} rows over that of {sizes[0]:,}, a walk by {by}",
                unit="MB",
                ours="voipstudio_cmb",
                limit=None,
                target=GROWTH / 1e6,
                contenders={
                    "voipstudio_cmb": measure(by, False),
                    **({"a list": measure(by, True)} if by == "page" else {}),
                },
                digits=1,
            )
            for by in WALKS
        ]
