"""Proof that a token is in no frame's locals, whatever passes, wherever it comes from."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from rich.console import Console
from rich.traceback import Traceback

import voipstudio_cmb
from tests.fakes.secrets import CANARY, encoded
from voipstudio_cmb import CallMeBackClient, ClientConfig
from voipstudio_cmb.auth.credentials import Basic, Token, login
from voipstudio_cmb.auth.secret import Secret
from voipstudio_cmb.boundary.tracebacks import forget_locals
from voipstudio_cmb.errors import CallMeBackError
from voipstudio_cmb.http import Request, Response, chain
from voipstudio_cmb.middleware.auth import Auth
from voipstudio_cmb.middleware.status import check_status

ROOT = str(Path(voipstudio_cmb.__file__).parent)
LONG = CANARY * 9
"""Longer than what tools print of a string without cutting it."""
FORMS = (CANARY, encoded(CANARY)[:20], encoded(f"7:{CANARY}")[:20])


class BrokenSession:
    """An aiohttp session in which something goes wrong that nobody expects."""

    closed = False

    def __init__(self, error: BaseException) -> None:
        self.error = error
        self.seen: list[dict[str, str]] = []

    async def request(self, *_: object, headers: dict[str, str], **__: object) -> None:
        """Its frame holds the headers."""
        self.seen.append(headers)
        written = " ".join(f"{name}: {value}" for name, value in headers.items()).encode()
        assert written
        raise self.error


def shown(error: BaseException) -> str:
    """A traceback with the locals of all frames, as Python shows them and as rich does."""
    report = traceback.TracebackException.from_exception(error, capture_locals=True)
    console = Console(width=400, record=True, file=open(os.devnull, "w"))  # noqa: SIM115
    rich = Traceback.from_exception(
        type(error), error, error.__traceback__, show_locals=True, extra_lines=0
    )
    console.print(rich)
    console.file.close()
    return "".join(report.format()) + console.export_text()


SOURCES: dict[str, Callable[[], Any]] = {
    "token": lambda: LONG,
    "basic": lambda: Basic(7, LONG),
    "login": lambda: login("me@example.com", LONG),
}


@pytest.mark.one_in(2)
@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize(
    "kind", [TypeError, MemoryError, RecursionError, AssertionError, KeyError, EOFError]
)
async def test_what_nobody_expects_shows_its_lines_and_no_token(
    kind: type[Exception], source: str
) -> None:
    session: Any = BrokenSession(kind("unexpected"))
    options: Any = {"session": session, "config": ClientConfig(attempts=1)}
    client = CallMeBackClient(SOURCES[source](), base_url="http://127.0.0.1:1", **options)
    async with client as cmb:
        with pytest.raises((kind, CallMeBackError)) as caught:
            await cmb.ping()
    text = shown(caught.value)
    assert session.seen
    assert not [form for form in FORMS if form in text]
    if not isinstance(caught.value, CallMeBackError):
        assert "raise self.error" in text
    for headers in session.seen:  # as recorders of requests need them
        assert {type(value) for value in headers.values()} == {str}


def test_ctrl_c_within_a_request_shows_no_token() -> None:
    session: Any = BrokenSession(KeyboardInterrupt())

    async def call() -> None:
        async with CallMeBackClient(LONG, base_url="http://127.0.0.1:1", session=session) as cmb:
            await cmb.ping()

    with pytest.raises(KeyboardInterrupt) as caught:
        asyncio.run(call())
    text = shown(caught.value)
    assert session.seen
    assert not [form for form in FORMS if form in text]


def interrupted_at(line: int, call: Callable[[], Any]) -> BaseException | None:
    """What `call` raises if it is interrupted at the package's `line`th line."""
    left = [line]

    def local(frame: FrameType, event: str, _: Any) -> Any:
        if event == "line":
            left[0] -= 1
            if not left[0]:
                raise KeyboardInterrupt
        return local

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        code = frame.f_code
        # A secret is made of an argument, which is plain text until then.
        if code.co_filename.startswith(ROOT) and code.co_name != "__init__":
            return local
        return None

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        call()
    except BaseException as error:
        return error
    finally:
        sys.settrace(before)
    return None


@pytest.mark.parametrize("source", SOURCES)
def test_no_line_of_the_package_keeps_a_token_in_a_variable(source: str) -> None:
    made = SOURCES[source]()

    async def network(request: Request) -> Response:
        request.call.credentials()
        if request.path == "/login":
            return Response(status=200, body=b'{"user_token":"%s"}' % LONG.encode())
        return Response(status=400, body=b'{"message":"%s refused"}' % LONG.encode())

    def send() -> None:
        auth = Auth(Token(Secret(made)) if isinstance(made, str) else made)
        handler = chain(network, [check_status, auth])
        with contextlib.suppress(CallMeBackError):
            asyncio.run(handler(Request(method="GET", path="/ping")))  # type: ignore[arg-type]

    for lines in itertools.count(1, 3):
        error = interrupted_at(lines, send)
        if error is None:
            break
        frames = traceback.walk_tb(error.__traceback__)
        held = [
            (frame.f_code.co_name, line)
            for frame, line in frames
            if frame.f_code.co_filename.startswith(ROOT)
            and any(form in repr(frame.f_locals) for form in FORMS)
        ]
        assert held == [], (lines, held)
    assert lines > 100


def test_causes_contexts_and_groups_forget_theirs_too() -> None:
    def fail(text: str) -> None:
        raise ValueError(len(text))

    def wrap(text: str) -> None:
        try:
            fail(text)
        except ValueError as error:
            raise ExceptionGroup("two", [error, KeyError()]) from error

    with pytest.raises(ExceptionGroup) as caught:
        wrap(CANARY)
    forget_locals(caught.value)
    assert CANARY not in shown(caught.value)
    assert "fail(text)" in shown(caught.value)
