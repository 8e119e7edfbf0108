"""What every test gets: it fails when asyncio complains, or when a task outlives it."""

from __future__ import annotations

import asyncio
import gc
import importlib
import logging
import os
import re
import sys
import zlib
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from pytest_asyncio import is_async_test

import voipstudio_cmb
from benchmarks.harness.clocks import SteadyLoop

# Dozens of processes import the package: its bytecode is kept, whatever the environment says.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False
# Nor does a test need the certificates of the world, which are an eighth of what a start takes.
os.environ["SSL_CERT_FILE"] = str(Path(__file__).parent / "data" / "no_certificates.pem")

# By default the examples are the same each time, so that no run fails by chance; `.ci/run` draws
# new ones (`--hypothesis-profile campaign`), and what they find becomes a test. A busy machine is
# no failure, and nothing is kept from one run to the next.
CALM = {"deadline": None, "database": None, "suppress_health_check": [HealthCheck.too_slow]}
settings.register_profile("fixed", **CALM, max_examples=30, derandomize=True)
settings.register_profile("campaign", **CALM, max_examples=500, print_blob=True)
settings.load_profile("fixed")

# How Tornado ends a wait that is over: Dask's batches leave one behind where they are closed then.
OF_DASK = "exception=TimeoutError('Timeout')>"


def pytest_asyncio_loop_factories(config: pytest.Config, item: pytest.Item) -> dict[str, Any]:
    """Gives every async test a loop on which no busy machine lets a time-out come early."""
    return {"steady": SteadyLoop}


@pytest.fixture(autouse=True)
def quiet(request: pytest.FixtureRequest) -> None:
    """Fails the test on what `quiet_log` and `quiet_loop` say; a sync test needs no loop for it."""
    request.getfixturevalue("quiet_loop" if is_async_test(request.node) else "quiet_log")


@pytest.fixture
def quiet_log(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Fails the test on any asyncio log record from WARNING up.

    `-W error` does not see "Task exception was never retrieved": it only goes to this logger. Nor
    is it of the test that runs when Python comes to collect it, so that one of Dask's is left out.
    """
    yield
    complaints = [
        record.getMessage()
        for when in ("setup", "call", "teardown")
        for record in caplog.get_records(when)
        if record.name == "asyncio" and record.levelno >= logging.WARNING
        if OF_DASK not in record.getMessage()
    ]
    assert not complaints, f"asyncio complained: {complaints}"


@pytest.fixture
async def quiet_loop(quiet_log: None) -> AsyncIterator[None]:
    """Fails the test on any task left over."""
    before = asyncio.all_tasks()
    yield
    for _ in range(3):
        await asyncio.sleep(0)
    ended = {*before, asyncio.current_task()}
    left = {task for task in asyncio.all_tasks() - ended if not task.done()}
    assert not left, f"tasks left over: {left}"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--third", choices=("0", "1", "2"), help="Of what takes long only this third.")


def _of_another_third(config: pytest.Config, item: pytest.Item) -> bool:
    """Whether `item` takes long, and is of a third that `--third` leaves to other runs."""
    third = config.getoption("--third")
    takes_long = item.get_closest_marker("campaign") is not None
    return third is not None and takes_long and zlib.crc32(item.nodeid.encode()) % 3 != int(third)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leaves to `.ci/run` all cases of a test but `one_in(n)` of them.

    Of a test with one list of cases, every nth stays. Of one with several, those on the diagonals
    of their table: each value is in one of them where the other lists have n or more values, and
    each pair of values where a third list has.
    """
    places: dict[tuple[str, str], dict[tuple[int, ...], int]] = {}
    for item in items:
        mark, case = item.get_closest_marker("one_in"), getattr(item, "callspec", None)
        if mark is None or case is None:
            continue
        place = 0
        for parameters in item.iter_markers("parametrize"):
            given = parameters.args[0]
            names = [name.strip() for name in given.split(",")] if isinstance(given, str) else given
            known = places.setdefault((item.nodeid.partition("[")[0], names[0]), {})
            place += known.setdefault(tuple(id(case.params[name]) for name in names), len(known))
        if place % mark.args[0]:
            item.add_marker("campaign")
    others = [item for item in items if _of_another_third(config, item)]
    config.hook.pytest_deselected(items=others)
    items[:] = [item for item in items if not _of_another_third(config, item)]


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """Spares the collector what is imported and collected, now and while the tests run.

    All of the package is imported: hypothesis draws constants from what is imported, and there are
    no other examples for another order of tests.
    """
    gc.disable()
    try:
        yield
        root = Path(voipstudio_cmb.__file__).parents[1]
        for path in sorted((root / "voipstudio_cmb").rglob("*.py")):
            name = ".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__")
            # dlt and Dask are not of the extra test, and Dask changes how all errors are pickled.
            if not re.search(r"\.ext\.(dlt|dask)\b|__main__$", name):
                importlib.import_module(name)
    finally:
        gc.freeze()
        gc.enable()
