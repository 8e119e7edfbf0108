"""No secret leaves by any way but its header: logs, reprs, errors, tracebacks, pickles, files."""

from __future__ import annotations

import asyncio
import logging
import os
import pickle
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.clients import CALLS, without_waiting
from tests.fakes.commands import accounts_file
from tests.fakes.secrets import BASIC, CANARY, ECHO, PLAIN, encoded, leaks, reports_of, shown_by
from tests.fakes.sockets import Script, healthy, once, reply, resets, serving
from voipstudio_cmb import CallMeBackClient, ClientConfig
from voipstudio_cmb.auth.credentials import Basic, Login
from voipstudio_cmb.auth.secret import Secret
from voipstudio_cmb.errors import BadPayload, CallMeBackError, UnexpectedRedirect
from voipstudio_cmb.events import AttemptEvent, Event
from voipstudio_cmb.export import Export, Plan
from voipstudio_cmb.http import Request
from voipstudio_cmb.sandbox import Fault, Sandbox
from voipstudio_cmb.transport.session import Session

EMAIL = "me@example.com"


def echoed(status: str, *headers: str) -> Script:
    body = f'{{"message":"bad {ECHO}","errors":[{{"message":"{ECHO}","field":"x"}}]}}'
    return once(reply(body.encode(), status, *headers), hold=True)


LATE = b"x" * 190 + CANARY.encode() + b" " + ECHO.encode()
FAULTS: dict[str, Script] = {
    "reset": resets,
    "closed": once(),
    "garbage": once(ECHO.encode() + b"\r\n\r\n"),
    "a broken header": once(b"HTTP/1.1 200 OK\r\n" + ECHO.encode() + b"\r\n\r\n"),
    "a cut body": once(b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n" + ECHO.encode()),
    "silence": once(hold=True),
    "an unknown encoding": once(reply(b"x", "200 OK", f"Content-Encoding: {CANARY}"), hold=True),
    "no JSON": once(reply(b"<html>" + ECHO.encode(), "200 OK"), hold=True),
    "an unknown encoding, cut": once(
        reply(b"x", "200 OK", f"Content-Encoding: {'x' * 39}{CANARY}"), hold=True
    ),
    "a media type": once(reply(b"<html>", "200 OK", f"Content-Type: {CANARY}"), hold=True),
    "no JSON, cut": once(reply(LATE), hold=True),
    "the wrong shape": once(reply(f'{{"error":"{ECHO}"}}'.encode()), hold=True),
    "a redirect": once(reply(b"", "302 Found", f"Location: https://{CANARY}.example/"), hold=True),
    "a redirect's path": once(
        reply(b"", "302 Found", f"Location: https://a.example/{ECHO}"), hold=True
    ),
    "headers": echoed("400 Bad Request", f"X-Request-Id: {CANARY}", f"Server: {ECHO}"),
    "a status, cut": once(reply(LATE, "400 Bad Request"), hold=True),
    **{
        status: echoed(status)
        for status in ("400 Bad", "401 No", "403 No", "404 No", "408 Slow", "423 Odd", "500 Oh")
    },
    "429": echoed("429 Slow down", "Retry-After: 999"),
}

SOURCES: dict[str, Callable[[], Any]] = {
    "token": lambda: Secret(CANARY),
    "basic": lambda: Basic(7, Secret(CANARY)),
    "password": lambda: Login(EMAIL, Secret(CANARY)),
}


@pytest.mark.parametrize(
    "source",
    ["token", *(pytest.param(each, marks=pytest.mark.campaign) for each in ("basic", "password"))],
)
@pytest.mark.one_in(2)
@pytest.mark.parametrize("fault", FAULTS)
async def test_s2_s3_s4_s5_s8_and_s9_no_fault_brings_a_secret_to_light(
    fault: str, source: str, caplog: pytest.LogCaptureFixture
) -> None:
    loop = asyncio.get_running_loop()
    loop.set_debug(True)
    loop.slow_callback_duration = 9.0  # its warning about slow steps is not what is looked for
    events: list[Event] = []
    texts: list[object] = []
    async with serving(FAULTS[fault]) as server:
        config = ClientConfig(
            timeout=0.1,
            attempts=1,
            retry=lambda e, r, n: None,
            on_event=events.append,
        )
        with caplog.at_level(logging.DEBUG):
            async with CallMeBackClient(
                SOURCES[source](), base_url=server.url, config=config
            ) as cmb:
                for method in ("GET", "POST"):
                    with pytest.raises(CallMeBackError) as caught:
                        await CALLS[method](cmb)
                    texts += reports_of(caught.value)
                texts += shown_by(cmb)
                assert len(texts) > 10
        assert server.requests
    loop.set_debug(False)
    texts += [
        repr(events),
        str(events),
        *(event.to_dict() for event in events),
        repr(pickle.dumps(events)),
    ]
    texts += [caplog.text, *(repr(vars(record)) for record in caplog.records)]
    assert any(isinstance(event, AttemptEvent) for event in events)
    assert leaks(*texts, forms=BASIC if source == "basic" else PLAIN) == []


@pytest.mark.parametrize("fault", ["an unknown encoding", "too large"])
async def test_s3_a_session_alone_shows_nothing_of_aiohttps(fault: str) -> None:
    large = once(reply(b"x" * 99, "200 OK", f"Server: {CANARY}"), hold=True)
    async with serving(FAULTS.get(fault, large)) as server:
        session = Session(server.url, ClientConfig(max_body=9))
        with pytest.raises(BadPayload) as caught:
            await session(Request(method="GET", path="/x"))
        await session.aclose()
    reports = reports_of(caught.value)[5:]
    assert not any("ClientResponse" in report for report in reports)


async def test_s3_a_cancelled_call_shows_no_secret() -> None:
    async with serving(once(hold=True)) as server:
        async with CallMeBackClient(Secret(CANARY), base_url=server.url) as cmb:
            task = asyncio.create_task(cmb.ping())
            while not server.requests:
                await asyncio.sleep(0.001)
            task.cancel()
            with pytest.raises(asyncio.CancelledError) as caught:
                await task
    assert leaks(*reports_of(caught.value)) == []


@pytest.mark.parametrize("wrong", ["\r\n", " ", "\u00fc", "\0"])
def test_s3_a_token_that_is_refused_is_not_in_the_refusal(wrong: str) -> None:
    bad = Secret(CANARY + wrong)
    for make in (lambda: CallMeBackClient(bad), lambda: Basic(7, bad)):
        with pytest.raises(CallMeBackError) as caught:
            make()
        assert leaks(*reports_of(caught.value)) == []


async def test_s6_an_export_writes_no_secret(tmp_path: Path) -> None:
    async with Sandbox(rows=50, token=CANARY) as api:
        async with CallMeBackClient(CANARY, base_url=api.base_url) as cmb:
            summary = await Export(cmb, Plan(to=tmp_path, page_size=20)).run()
    assert summary.complete
    written = [path.read_text() for path in tmp_path.rglob("*") if path.is_file()]
    assert len(written) == 6
    assert leaks(repr(summary), summary.jobs, *written, *map(str, tmp_path.rglob("*"))) == []


@pytest.mark.parametrize(
    ("stop", "many", "progress"),
    [
        ("killed", False, "json"), ("killed", True, "lines"),
        ("refused", False, "lines"), ("refused", True, "json"),
    ],
)  # fmt: skip
def test_s6_an_interrupted_export_has_told_nobody(
    tmp_path: Path, stop: str, many: bool, progress: str
) -> None:
    env = {**os.environ, "HOME": str(tmp_path / "home")}
    out = tmp_path / "out"
    argv = ["export", "cdrs", "settings", "--page-size", "10", "--progress", progress]
    argv += ["--to", str(out)]
    with Sandbox(rows=300, token=CANARY) as api:
        if many:
            accounts = accounts_file(tmp_path, api, "good", "bad")
            env |= {"GOOD_TOKEN": CANARY, "BAD_TOKEN": CANARY + "-wrong"}
            argv += ["--accounts", str(accounts)]
        else:
            env |= {"VOIPSTUDIO_API_TOKEN": CANARY, "VOIPSTUDIO_API_URL": api.base_url}
        echo = {"message": f"bad {ECHO}", "errors": [{"field": "x", "message": ECHO}]}
        kind = {"delay": 60.0} if stop == "killed" else {"status": 401, "body": echo}
        fault = api.script(Fault(path="/callmeback/cdrs", after=9, times=None, **kind))
        with subprocess.Popen(
            [sys.executable, "-X", "dev", "-W", "ignore", "-m", "voipstudio_cmb", *argv],
            env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        ) as process:  # fmt: skip
            line = Path(f"/proc/{process.pid}/cmdline")
            seen = line.read_bytes() if line.exists() else b""
            while stop == "killed" and not fault.applied:
                time.sleep(0.01)
            if stop == "killed":
                process.terminate()
            printed = process.communicate(timeout=90)
    assert process.returncode == (143 if stop == "killed" else 4)
    paths = [path for path in out.rglob("*") if path.is_file()]
    assert any(path.name.startswith(".") for path in paths)  # hidden files are looked into too
    texts = [path.read_bytes() for path in paths]
    everything = b"\n".join([seen, *printed, *texts, *(str(path).encode() for path in paths)])
    assert leaks(everything.decode("utf-8", "replace")) == []


@pytest.mark.parametrize("source", SOURCES)
async def test_s7_another_origin_hears_nothing(source: str) -> None:
    async with serving(healthy) as elsewhere:
        moved = reply(b"", "307 Temporary Redirect", f"Location: {elsewhere.url}/")
        async with serving(once(moved, hold=True)) as server:
            config = ClientConfig(retry=without_waiting())
            async with CallMeBackClient(
                SOURCES[source](), base_url=server.url, config=config
            ) as cmb:
                with pytest.raises(UnexpectedRedirect):
                    await cmb.settings.create(name="x")
        assert (elsewhere.accepted, elsewhere.requests) == (0, [])


async def test_s8_the_secret_is_sent_as_it_is_meant_to_be() -> None:
    async with serving(healthy) as server:
        for source in ("token", "basic"):
            async with CallMeBackClient(SOURCES[source](), base_url=server.url) as cmb:
                await cmb.ping()
    assert f"X-Auth-Token: {CANARY}\r\n".encode() in server.requests[0]
    assert f"Authorization: Basic {encoded(f'7:{CANARY}')}\r\n".encode() in server.requests[1]
