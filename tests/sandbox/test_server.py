"""The sandbox starts and stops in both forms, and pytest finds its fixture."""

from __future__ import annotations

import asyncio
import gc
import subprocess
import sys
import threading
import time
import tomllib
import weakref
from pathlib import Path
from typing import Any

import aiohttp
import pytest

import voipstudio_cmb.sandbox
from tests.fakes.plain_client import get_page, send
from voipstudio_cmb.sandbox import Fault, Sandbox

pytest_plugins = ["pytester"]

ROOT = Path(__file__).parent.parent.parent
PLUGIN = "voipstudio_cmb.sandbox.pytest_plugin"


def test_the_public_names_are_sorted_and_exist() -> None:
    names = voipstudio_cmb.sandbox.__all__
    assert names == sorted(names)
    assert all(getattr(voipstudio_cmb.sandbox, name).__name__ == name for name in names)
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        voipstudio_cmb.sandbox.nonsense  # noqa: B018  (the access is the test)


def test_it_listens_on_loopback_only() -> None:
    for host in ("0.0.0.0", "192.0.2.1", "example.com"):
        with pytest.raises(ValueError, match="loopback only"):
            Sandbox(rows=0, host=host)


@pytest.mark.parametrize(
    "wrong",
    [
        {"rows": -1},
        {"limit_cap": 0},
        {"rate": (0, 1.0)},
        {"latency": (2.0, 1.0)},
        {"zero_dates": 1.5},
    ],
)
def test_it_refuses_invalid_parameters(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"must|needs"):
        Sandbox(**{"rows": 0, **wrong})


async def test_it_has_an_address_only_while_it_runs_and_runs_only_once() -> None:
    sandbox = Sandbox(rows=5)
    with pytest.raises(RuntimeError, match="not running"):
        _ = sandbox.base_url
    for _ in range(2):
        async with sandbox as api:
            assert (await send(api, "GET", "/ping")).status == 200
            with pytest.raises(RuntimeError, match="already"):
                await sandbox.__aenter__()
    with sandbox, pytest.raises(RuntimeError, match="already"):
        sandbox.__enter__()


async def test_it_serves_on_ipv6_loopback_too() -> None:
    async with Sandbox(rows=0, host="::1") as api:
        assert (await send(api, "GET", "/ping")).status == 200


async def test_a_port_in_use_is_an_error_in_both_forms() -> None:
    async with Sandbox(rows=0) as api:
        port = int(api.base_url.split(":")[2].split("/")[0])
        with pytest.raises(OSError, match="in use"):
            await Sandbox(rows=0, port=port).__aenter__()
        with pytest.raises(OSError, match="in use"):
            Sandbox(rows=0, port=port).__enter__()


async def test_it_stops_at_once_with_open_connections_and_requests_in_flight() -> None:
    async with aiohttp.ClientSession() as session:
        async with Sandbox(rows=0) as api:
            api.script(Fault(path="/me", delay=60))
            headers = {"X-Auth-Token": api.token}
            async with session.get(f"{api.base_url}/ping", headers=headers) as idle:
                await idle.read()
            waiting = asyncio.create_task(session.post(f"{api.base_url}/me", headers=headers))
            while api.requests < 2:
                await asyncio.sleep(0.001)
            began = time.perf_counter()
        assert time.perf_counter() - began < 5  # the request would take 60 seconds
        with pytest.raises(aiohttp.ClientError):
            await waiting


async def test_in_a_thread_it_serves_and_leaves_no_thread_behind() -> None:
    before = {*threading.enumerate()}
    with Sandbox(rows=5) as api:
        assert (await get_page(api)).json["total"] == 5
        began = time.perf_counter()
    assert time.perf_counter() - began < 5
    assert not {*threading.enumerate()} - before


async def test_what_it_held_is_freed_after_it_has_served() -> None:
    async with Sandbox(rows=5) as api:
        for method, path in (("GET", "/callmeback/cdrs"), ("PUT", "/ping"), ("GET", "/nowhere")):
            await send(api, method, path)
    data = weakref.ref(api.data)
    del api
    gc.collect()
    assert data() is None


USER_TEST = """
import urllib.request
import pytest

{override}

def test_it(call_me_back_sandbox):
    api = call_me_back_sandbox
    request = urllib.request.Request(api.base_url + "/ping", headers={{"X-Auth-Token": api.token}})
    with urllib.request.urlopen(request) as answer:
        assert answer.status == 200
    assert len(api.data.cdrs) == {rows}
"""
OVERRIDE = """
@pytest.fixture
def call_me_back_sandbox_options():
    return {"rows": 7, "token": "mine"}
"""


@pytest.mark.parametrize(("override", "rows"), [("", 200), (OVERRIDE, 7)], ids=["plain", "own"])
def test_the_fixture_runs_a_sandbox_with_the_options_of_the_user(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, override: str, rows: int
) -> None:
    # The plugin is named here, so that the test is the same with the package installed or not.
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    pytester.makepyfile(USER_TEST.format(override=override, rows=rows))
    pytester.runpytest_inprocess("-p", PLUGIN, "-W", "error").assert_outcomes(passed=1)


def test_the_package_offers_the_fixture_to_pytest() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["entry-points"]["pytest11"] == {"voipstudio_cmb": PLUGIN}


def test_the_plugin_does_not_import_the_server() -> None:
    code = f"import sys, {PLUGIN}; sys.exit('voipstudio_cmb.sandbox.server' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)
