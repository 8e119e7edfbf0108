"""The pytest plugin: aioresponses works with today's aiohttp, and is left alone where it does."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from typing import Any

import aiohttp
import aioresponses.core
import pytest
from aioresponses import CallbackResult
from aioresponses import aioresponses as mocking

from voipstudio_cmb import CallMeBackClient
from voipstudio_cmb.errors import ConnectionLost, NotFound, ServerFault
from voipstudio_cmb.sandbox.pytest_plugin import complete_aioresponses

URL = "https://l7api.com/v1.2/voipstudio"


class Mine(aiohttp.ClientResponse):
    """A response class of the user's own."""


async def test_aioresponses_answers_a_client() -> None:
    def called(url: Any, **sent: Any) -> CallbackResult:
        return CallbackResult(payload={"data": {"token": sent["headers"]["X-Auth-Token"]}})

    ping, pong = f"{URL}/ping", {"data": {"response": "Pong"}}
    with mocking() as mocked:
        mocked.get(ping, payload=pong)
        mocked.get(ping, payload=pong, response_class=Mine)
        mocked.get(ping, payload={"data": {"response": "x" * 3_000_000}})
        mocked.get(ping, callback=called)
        mocked.get(ping, status=404, body="none")
        mocked.post(f"{URL}/callmeback/settings", status=503)
        mocked.post(f"{URL}/callmeback/settings", exception=aiohttp.ClientOSError("gone"))
        async with CallMeBackClient("canary", base_url=URL) as cmb:
            assert await cmb.ping() == await cmb.ping() == pong["data"]
            assert len((await cmb.ping())["response"]) == 3_000_000
            assert await cmb.ping() == {"token": "canary"}
            for kind, call in ((NotFound, cmb.ping()), (ServerFault, cmb.settings.create(name="x")),
                               (ConnectionLost, cmb.settings.create(name="x"))):  # fmt: skip
                with pytest.raises(kind):
                    await call


async def test_a_response_is_of_the_class_that_was_asked_for() -> None:
    with mocking() as mocked:
        mocked.get(URL, body="x", response_class=Mine)
        async with aiohttp.ClientSession() as session, session.get(URL) as response:
            assert isinstance(response, Mine)
            assert type(response).__name__ == "Mine"


CORES = {
    "an aiohttp that does not ask": "def __init__(self): ...",
    "an aioresponses that gives": "def __init__(self, stream_writer): ...",
}


@pytest.mark.parametrize("line", CORES.values(), ids=CORES)
def test_nothing_is_done_where_nothing_is_needed(line: str, tmp_path: Path) -> None:
    path = tmp_path / "core.py"
    path.write_text(
        f"class ClientResponse:\n    {line}\n\nclass RequestMatch:\n"
        "    def _build_response(self): ...\n\ndef stream_reader_factory(loop): ...\n"
    )
    spec = importlib.util.spec_from_file_location("core", path)
    assert spec is not None
    assert spec.loader is not None
    core = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(core)
    before = dict(vars(core)), dict(vars(core.RequestMatch))
    complete_aioresponses(core)
    assert (dict(vars(core)), dict(vars(core.RequestMatch))) == before


def test_it_is_done_once() -> None:
    complete_aioresponses(aioresponses.core)
    before = dict(vars(aioresponses.core.RequestMatch))
    complete_aioresponses(aioresponses.core)
    assert dict(vars(aioresponses.core.RequestMatch)) == before


def test_the_plugin_imports_neither_aioresponses_nor_the_server() -> None:
    code = (
        "import sys, voipstudio_cmb.sandbox.pytest_plugin as plugin\n"
        "plugin.pytest_runtest_setup()\n"
        "print(sorted({'aioresponses', 'voipstudio_cmb.sandbox.server'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
