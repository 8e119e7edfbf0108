"""Proof that a server's text is harmless wherever it enters a message, a log or a terminal."""

from __future__ import annotations

import json
import logging
from typing import Any

import pytest

from benchmarks.harness.clocks import virtual
from tests.fakes.handlers import ScriptedHandler, full_chain
from tests.fakes.hostile import HOSTILE, harmful
from voipstudio_cmb.boundary.text import on_one_line
from voipstudio_cmb.codec.envelopes import read_data, read_rows
from voipstudio_cmb.errors import CallMeBackError, HTTPStatusError
from voipstudio_cmb.events import Event
from voipstudio_cmb.http import Request, Response
from voipstudio_cmb.models import Reject
from voipstudio_cmb.retry import Backoff
from voipstudio_cmb.sandbox import Fault, Sandbox

WORDS = {"message": HOSTILE, "errors": [{"field": HOSTILE, "message": f"[red]{HOSTILE}"}]}
RAW = HOSTILE.encode("utf-8", "surrogatepass")
HEADERS = dict.fromkeys(
    ("x-request-id", "content-type", "server", "retry-after", "date"), HOSTILE
) | {"location": f"https://{HOSTILE}/"}
ANSWERS = {
    "words": Response(status=400, headers=HEADERS, body=json.dumps(WORDS).encode()),
    "a page": Response(status=503, headers=HEADERS, body=b"<html>" + RAW),
    "a redirect": Response(status=302, headers=HEADERS),
    "no JSON": Response(status=200, headers=HEADERS, body=b"<html>" + RAW),
    "another shape": Response(status=200, body=json.dumps({HOSTILE: HOSTILE}).encode()),
}


def test_a_text_on_one_line_keeps_what_can_be_read() -> None:
    assert on_one_line(" two\r\n\tlines, naïve 日本 🙂\u2028") == "two lines, naïve 日本 🙂"
    assert harmful(on_one_line(HOSTILE)) == []
    assert on_one_line("a\x1b[0m\u202eb") == "a\ufffd[0m\ufffdb"


@pytest.mark.parametrize("case", ANSWERS)
@virtual
async def test_no_error_event_or_record_of_a_log_holds_what_could_harm(
    case: str, caplog: pytest.LogCaptureFixture
) -> None:
    events: list[Event] = []
    handler = full_chain(
        ScriptedHandler([ANSWERS[case]]), on_event=events.append, policy=Backoff(attempts=2)
    )
    request = Request(method="GET", path="/callmeback/cdrs", parse=read_data)
    with caplog.at_level(logging.DEBUG), pytest.raises(CallMeBackError) as caught:
        await handler(request)
    error = caught.value
    texts = [str(error), error.message, *(record.getMessage() for record in caplog.records)]
    texts += [text for event in events for text in getattr(event, "headers", {}).values()]
    if isinstance(error, HTTPStatusError):
        texts += [error.body, error.request_id or "", *error.headers.values(), *error.messages]
        texts += [words for said in error.messages.values() for words in said]
    assert events
    assert len(texts) > 3
    assert [harm for text in texts for harm in harmful(text)] == []


@virtual
async def test_a_message_without_end_is_cut() -> None:
    said = {"errors": [{"field": "f" * 9999, "message": "m" * 9_999}] * 99}
    network = ScriptedHandler([Response(status=400, body=json.dumps(said).encode())])
    with pytest.raises(CallMeBackError) as caught:
        await full_chain(network)(Request(method="GET", path="/callmeback/cdrs"))
    assert len(str(caught.value)) < 3000


def test_the_reason_of_a_reject_is_harmless() -> None:
    rejected: list[Reject] = []
    row = b'{"id":"\xc2\x9b31m\xe2\x80\xae"}'
    read_rows(Response(status=200, body=b'{"data":[%s],"total":1}' % row), 1, rejected.extend)
    assert "no integer" in rejected[0].why
    assert harmful(rejected[0].why) == []


@pytest.mark.parametrize("progress", ["lines", "json"])
def test_no_command_forges_a_line(api: Sandbox, run: Any, progress: str, tmp_path: Any) -> None:
    rows = [{"id": HOSTILE}, {"id": 2, HOSTILE: HOSTILE}]
    for path, status, body in (
        ("/callmeback/cdrs", 400, WORDS),
        ("/callmeback/settings", 200, {"data": rows, "total": 2}),
        ("/ping", 200, {"data": {HOSTILE: HOSTILE}}),
    ):
        # Escaped, because half a surrogate pair is no UTF-8.
        api.script(Fault(path=path, status=status, body=json.dumps(body).encode(), times=None))
    argv = ["export", "cdrs", "settings", "--to", tmp_path / "out", "--progress", progress]
    for result in (run(*argv), run("list", "cdrs"), run("ping"), run("list", "settings")):
        for line in (result.out + result.err).split("\n"):
            assert harmful(line.replace("\t", "")) == []
            assert line.strip() != "FORGED"
