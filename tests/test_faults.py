"""The catalogue of faults: every row and entry is proved by a test, here or elsewhere."""

from __future__ import annotations

import ast
import asyncio
import json
import os
import re
import subprocess
import sys
import time
from collections import deque
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from benchmarks.harness.clocks import virtual
from benchmarks.harness.responses import json_response
from tests.fakes.clients import ATTEMPTS, client, without_waiting
from tests.fakes.handlers import ScriptedHandler, full_chain
from tests.fakes.sockets import Peer, healthy, once, reply, serving
from voipstudio_cmb import where
from voipstudio_cmb.auth.credentials import Token
from voipstudio_cmb.auth.secret import Secret
from voipstudio_cmb.config import ClientConfig, ConfigError
from voipstudio_cmb.errors import (
    BadPayload,
    CallMeBackError,
    EmptyBody,
    NotJSON,
    RequestTimeout,
)
from voipstudio_cmb.http import Handler, Request, Response
from voipstudio_cmb.middleware.auth import Auth
from voipstudio_cmb.middleware.limit import Limit
from voipstudio_cmb.middleware.throttle import AdaptiveThrottle
from voipstudio_cmb.services import Cdrs, Settings

HERE = Path(__file__).parent
CATALOGUE = {"T": 12, "H": 12, "R": 10, "P": 9, "D": 16, "A": 7, "C": 10, "X": 8, "S": 9}
LATER = {
    "A6": "an export that can be resumed does not exist yet",
}
ELSEWHERE = {
    "row 46": "test_a_token_that_no_header_can_carry_is_refused_without_being_shown",
    "row 47": "test_a_token_that_no_header_can_carry_is_refused_without_being_shown",
    "row 48": "test_an_id_is_an_integer_from_1_and_nothing_else",
    "row 49": "test_closing_with_requests_in_flight_ends_them_at_once",
    "row 50": "test_a_second_event_loop_is_refused_and_the_first_unharmed",
    "T7": "test_an_attempt_ends_by_its_timeout_whatever_the_peer_does",
    "T10": "test_environment_proxies_and_netrc_are_ignored",
    "H5": "test_a_validation_error_names_the_fields",
    "H6": "test_a_fault_is_its_error_and_is_sent_again_only_where_that_is_safe",
    "H7": "test_a_deletion_that_was_sent_again_may_find_nothing_left",
    "H8": "test_a_deletion_that_was_sent_again_may_find_nothing_left",
    "H10": "test_garbage_has_a_name",
    "H11": "test_a_message_quotes_at_most_200_characters_on_one_line",
    "H12": "test_a_second_401_is_the_end_of_the_call",
    "R1": "test_a_retry_after_holds_everybody_who_shares_the_limit",
    "R2": "test_retry_after_is_believed_only_where_it_makes_sense",
    "R5": "test_jobs_together_use_nearly_all_of_the_allowance",
    "R6": "test_a_cancelled_waiter_costs_nobody_a_turn",
    "R7": "test_every_attempt_takes_its_own_turn",
    "R8": "test_an_outage_costs_little_more_than_the_calls",
    "R10": "test_it_is_first_come_first_served",
    "P2": "test_no_habit_of_a_server_costs_a_row",
    "P3": "test_a_row_without_a_usable_id_is_named_by_its_place",
    "P4": "test_unknown_fields_are_kept_also_those_named_like_our_own_attributes",
    "P5": "test_what_fits_is_typed_and_comes_back_as_it_was_sent",
    "P6": "test_what_does_not_fit_is_kept_in_extra",
    "P7": "test_a_body_is_read_up_to_the_cap_decoded",
    "P9": "test_seen_yields_an_id_once_in_any_order",
    "D1": "test_rows_may_come_and_go",
    "D2": "test_no_row_that_stays_is_missed_and_none_comes_twice",
    "D3": "test_no_habit_of_a_server_costs_a_row",
    "D4": "test_no_habit_of_a_server_costs_a_row",
    "D5": "test_it_ends_at_the_highest_id_of_its_beginning",
    "D6": "test_a_row_twice_on_a_page_is_yielded_once_as_it_came_last",
    "D7": "test_a_server_that_ignores_page_is_noticed_by_its_second_answer",
    "D8": "test_a_page_that_stays_empty_before_others_is_never_taken_for_the_end",
    "D9": "test_a_server_that_caps_rows_but_counts_pages_by_the_limit_asked_for",
    "D10": "test_no_habit_of_a_server_costs_a_row",
    "D11": "test_a_server_that_breaks_its_proof_is_reported",
    "D12": "test_rows_after_a_failed_page_are_never_yielded",
    "D13": "test_no_page_beyond_the_highest_id_is_asked_for",
    "D14": "test_the_output_does_not_depend_on_window_or_latency",
    "D15": "test_a_button_that_is_gone_is_noted_and_one_that_fails_fails_the_job",
    "D16": "test_any_text_in_a_filter_arrives_as_it_is",
    "A1": "test_eight_401s_together_cost_one_fresh_token",
    "A2": "test_a_second_401_is_the_end_of_the_call",
    "A3": "test_a_401_in_the_middle_is_exit_4_and_says_how_to_go_on",
    "A5": "test_a_provider_that_fails_says_so_and_nothing_is_sent",
    "A7": "test_a_job_that_fails_does_not_stop_the_others_and_leaves_nothing",
    "C1": "test_a_second_event_loop_is_refused_and_the_first_unharmed",
    "C2": "test_forgetting_to_close_is_one_warning_that_says_what_to_do",
    "C3": "test_closing_with_requests_in_flight_ends_them_at_once",
    "C4": "test_an_id_is_an_integer_from_1_and_nothing_else",
    "C5": "test_a_base_url_that_would_leak_or_fail_is_refused",
    "C6": "test_page_size_and_concurrency_are_checked_at_the_call",
    "C7": "test_a_second_task_on_one_walk_is_told_so_and_the_first_is_unharmed",
    "C9": "test_a_session_that_is_passed_in_is_used_and_left_alone",
    "C10": "test_a_forked_process_is_told_so",
    "X1": "test_cancelled_at_every_await",
    "X2": "test_the_callers_own_timeout_stays_the_callers",
    "X3": "test_a_hopeless_sleep_is_refused_at_once_with_the_real_error",
    "X4": "test_the_deadline_bounds_everything",
    "X5": "test_leaving_early_with_aclosing_leaves_no_task",
    "X6": "test_a_cancellation_passes_without_aiohttps_frames",
    "X7": "test_an_interrupted_export_says_how_to_resume_it_and_resumes",
    "X8": "test_an_error_waits_for_its_place_while_the_consumer_is_slow",
    "S1": "test_the_token_is_in_no_repr_and_no_log",
}


@cache
def _tests_in(file: Path) -> set[str]:
    tree = ast.parse(file.read_text())
    found = (n for n in tree.body if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef))
    return {node.name for node in found if node.name.startswith("test_")}


def named() -> set[str]:
    """The rows and entries that stand in the names of tests: `test_row_43_h4_and_s7_…`."""
    found: set[str] = set()
    for file in (
        "test_faults.py",
        "transport/test_connections.py",
        "transport/test_broken_answers.py",
        "test_secrets.py",
    ):
        for name in _tests_in(HERE / file):
            words = re.match(r"test_((?:rows?_|and_|\d+_|[a-z]\d+_)*)", name)
            assert words is not None
            for word in words[1].split("_"):
                found |= {f"row {word}"} if word.isdigit() else {word.upper()}
    return found


def test_every_row_of_the_table_is_there() -> None:
    table = (HERE / "transport" / "test_broken_answers.py").read_text()
    rows = {
        f"row {number}" for number in re.findall(r"^    (?:\*\()?Row\((\d+), ", table, re.MULTILINE)
    }
    there = rows | named() | set(ELSEWHERE)
    assert {f"row {number}" for number in range(1, 51)} <= there


def test_every_entry_of_the_catalogue_is_there_or_has_a_reason() -> None:
    entries = {f"{kind}{n + 1}" for kind, count in CATALOGUE.items() for n in range(count)}
    assert entries - named() - set(ELSEWHERE) == set(LATER)
    assert all(LATER.values())


@pytest.mark.parametrize("entry", ELSEWHERE)
def test_what_is_said_to_be_proved_elsewhere_is(entry: str) -> None:
    assert any(ELSEWHERE[entry] in _tests_in(file) for file in HERE.rglob("test_*.py"))


@pytest.mark.parametrize("some", ["GET", pytest.param("", marks=pytest.mark.campaign)])
def test_the_wire_is_the_same_to_aiohttps_parser_in_python(some: str) -> None:
    names = ("broken_answers",) if some else ("broken_answers", "bodies", "connections")
    files = [str(HERE / "transport" / f"test_{name}.py") for name in names]
    ran = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            "-p",
            "no:schemathesis",
            "-n",
            "0",
            "-k",
            some,
            *([] if some else ["-m", ""]),
            *files,
        ],
        env={**os.environ, "AIOHTTP_NO_EXTENSIONS": "1"},
        cwd=HERE.parent,
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 0, ran.stdout[-3000:]


# on sockets


PAGES = {
    1: b'{"data":[{"id":1},{"id":2}],"total":4}',
    2: b'{"data":[{"id":3},{"id":4}],"total":4}',
    3: b'{"data":[],"total":4}',
}
HEAD = b"HTTP/1.1 200 OK\r\n"
CUTS = {
    "with a length": HEAD + b"Content-Length: 38\r\n\r\n" + PAGES[2][:-9],
    "within a chunk": HEAD + b"Transfer-Encoding: chunked\r\n\r\n26\r\n" + PAGES[2][:-9],
    "before the last chunk": HEAD
    + b"Transfer-Encoding: chunked\r\n\r\n26\r\n"
    + PAGES[2]
    + b"\r\n",
    "without a length": HEAD + b"\r\n" + PAGES[2][:-9],
    "empty": reply(b""),
}


@pytest.mark.parametrize("cut", CUTS.values(), ids=CUTS.keys())
async def test_t4_t5_and_h2_a_page_that_is_cut_is_asked_for_again_and_yielded_once(
    cut: bytes,
) -> None:
    cuts = deque([cut])

    async def pages(peer: Peer) -> None:
        while request := await peer.request():
            found = re.search(rb"page=(\d)", request)
            number = 1 if found is None else int(found[1])
            if b"dir=DESC" in request:
                await peer.send(reply(b'{"data":[{"id":4},{"id":3}],"total":4}'))
                continue
            if number == 2 and cuts:
                await peer.send(cuts.popleft())
                return
            await peer.send(reply(PAGES[number]))

    async with serving(pages) as server, client(server.url, connections=4) as cmb:
        assert [cdr.id async for cdr in cmb.cdrs.list(page_size=2, walk="page")] == [1, 2, 3, 4]
    assert not cuts


async def test_h2_an_empty_answer_is_never_the_end_of_a_collection() -> None:
    async with serving(once(reply(b""))) as server, client(server.url) as cmb:
        with pytest.raises(EmptyBody):
            await cmb.cdrs.list(concurrency=1).collect()
        assert len(server.requests) == ATTEMPTS


@pytest.mark.parametrize("parts", [(), (b"zz\r\n",)])
async def test_t6_an_attempt_ends_also_in_a_session_without_any_timeout(
    parts: tuple[bytes, ...],
) -> None:
    import aiohttp

    begun = HEAD + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n"
    never = aiohttp.ClientTimeout(total=None)
    async with serving(once(begun, *parts, hold=True)) as server:
        async with aiohttp.ClientSession(timeout=never) as session:
            async with client(server.url, session=session, timeout=0.1) as cmb:
                began = asyncio.get_running_loop().time()
                with pytest.raises(CallMeBackError) as caught:
                    await cmb.settings.update(7, name="x")
                assert caught.value.sent == "maybe"
                assert asyncio.get_running_loop().time() - began < 0.1 * 1.1 + 0.05


@pytest.mark.parametrize("body", [b"", b"<html>welcome</html>", b'{"ok":true}', b"[]"])
async def test_h3_a_creation_whose_answer_cant_be_read_says_what_has_happened(body: bytes) -> None:
    async with serving(once(reply(body, "201 Created"), hold=True)) as server:
        async with client(server.url) as cmb:
            with pytest.raises(BadPayload, match="the resource was probably created") as caught:
                await cmb.settings.create(name="x")
            assert (caught.value.sent, len(server.requests)) == ("yes", 1)


async def test_a_creation_cut_short_after_a_refusal_may_have_been_carried_out() -> None:
    refused = reply(b"{}", "429 Too Many Requests", "Retry-After: 0.05")
    async with serving(once(refused, hold=True)) as server:
        async with client(server.url, deadline=0.5, retry=lambda e, r, n: 0.0) as cmb:
            with pytest.raises(RequestTimeout, match="look before creating again") as caught:
                await cmb.settings.create(name="x")
    assert caught.value.attempts == 2
    assert (caught.value.sent, caught.value.retryable) == ("maybe", False)


async def test_x1_a_call_that_is_cancelled_at_any_step_gives_its_connection_back() -> None:
    async with serving(healthy) as server, client(server.url) as cmb:
        for steps in range(60):
            task = asyncio.create_task(cmb.ping())
            for _ in range(steps):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.wait((task,))
            assert task.cancelled() or task.result() == {}
            async with asyncio.timeout(1):
                assert await cmb.ping() == {}


@pytest.mark.parametrize("value", ["a\r\nb", "a\0", "a\x7f", "\ud800", "\u00fc", None, 5])
def test_row_46_no_setting_can_break_the_head_of_a_request(value: Any) -> None:
    with pytest.raises(ConfigError, match="user_agent must be printable ASCII"):
        ClientConfig(user_agent=value)


# on virtual time


AGAIN = {101, 408, 425, 500, 502, 503, 504, *range(520, 528), 529}


@virtual
async def test_h9_exactly_the_documented_statuses_are_tried_again() -> None:
    # A 429 is charged to the deadline and refused, whatever the method.
    statuses = {*range(100, 104), *range(300, 600), 999} - {429}
    for status, method in product(statuses, ("GET", "DELETE", "PATCH", "POST")):
        network = ScriptedHandler([json_response({}, status)])
        request = Request(method=method, path="/x")
        with pytest.raises(CallMeBackError):
            await full_chain(network, policy=without_waiting())(request)
        again = status in AGAIN and method in ("GET", "DELETE")
        assert len(network.requests) == (ATTEMPTS if again else 1), (status, method)


@pytest.mark.parametrize("jump", [-3600.0, 3600.0])
@virtual
async def test_r3_a_jump_of_the_wall_clock_changes_no_pause(
    jump: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = ScriptedHandler([json_response({}, 429, retry_after="5"), json_response({})])
    call = asyncio.create_task(full_chain(network)(Request(method="GET", path="/x")))
    await asyncio.sleep(1)
    real = time.time
    monkeypatch.setattr("time.time", lambda: real() + jump)
    await call
    assert 5.0 <= network.times[1] - network.times[0] <= 5.6


@virtual
async def test_r4_an_unasked_429_lowers_the_rate_and_successes_bring_it_back() -> None:
    throttle = AdaptiveThrottle()
    loop = asyncio.get_running_loop()
    for _ in range(100):
        await asyncio.sleep(0.1)
        await throttle.wait()
        throttle.passed()
    throttle.refused(loop.time(), None)
    assert throttle.paused() > 0
    lowered = throttle.rate
    assert 5 < lowered < 10.5
    for _ in range(1000):
        await throttle.wait()
        throttle.passed()
    assert throttle.rate > 1.05 * lowered


@virtual
async def test_r9_two_that_know_nothing_of_each_other_keep_to_one_allowance() -> None:
    loop = asyncio.get_running_loop()
    taken: deque[float] = deque()
    answers = {200: 0, 429: 0}

    async def server(request: Request) -> Response:
        await asyncio.sleep(0.02)
        while taken and taken[0] <= loop.time() - 1.0:
            taken.popleft()
        status = 429 if len(taken) >= 20 else 200
        if status == 200:
            taken.append(loop.time())
        answers[status] += 1
        return json_response({}, status)

    end = loop.time() + 1200

    async def job(handler: Handler) -> None:
        while loop.time() < end:
            try:
                await handler(Request(method="GET", path="/x"))
            except RequestTimeout:
                pass

    processes = [full_chain(server, limit=Limit()) for _ in range(2)]
    await asyncio.gather(*(job(handler) for handler in processes for _ in range(3)))
    assert answers[429] / sum(answers.values()) < 0.02
    assert answers[200] > 0.6 * 20 * 1200


@pytest.mark.parametrize(
    "body", [b"", b"<html>" + b"x" * 999 + b"secret-t", b'{"data":[', b"\xff\xfe{", b"[" * 100_000]
)
@virtual
async def test_p1_a_page_that_is_not_json_is_named_and_quoted_in_part(body: bytes) -> None:
    auth = Auth(Token(Secret("secret-t")))
    handler = full_chain(ScriptedHandler([Response(status=200, body=body)]), auth=auth)
    with pytest.raises(NotJSON if body else EmptyBody) as caught:
        await Cdrs(handler).list(concurrency=1).collect()
    text = str(caught.value)
    assert "GET /callmeback/cdrs page 1" in text
    assert not body or f"{len(body)} bytes" in text
    assert len(text) < 500
    assert "secret-t" not in text


@pytest.mark.parametrize(
    "body",
    [
        b'{"data":{"id":1,"x":' + b"[" * 100_000 + b"]" * 100_000 + b"}}",
        b'{"data":{"id":1,"x":' + b"9" * 5000 + b"}}",
        b'{"data":{"id":1,"' + b"k" * 1_000_000 + b'":1}}',
        b'{"data":{"id":1,' + b",".join(b'"%d":1' % n for n in range(200_000)) + b"}}",
    ],
    ids=["nested", "digits", "a long key", "many keys"],
)
@virtual
async def test_p8_a_monstrous_body_is_read_or_refused_in_no_time(body: bytes) -> None:
    began = time.thread_time()
    try:
        await Settings(full_chain(ScriptedHandler([Response(status=200, body=body)]))).get(1)
    except BadPayload:
        pass
    assert time.thread_time() - began < 5.0  # a quadratic reader would take minutes


@virtual
async def test_a4_a_token_that_died_while_idle_is_renewed_by_the_next_call() -> None:
    loop = asyncio.get_running_loop()
    handed_out: list[str] = []
    last = loop.time()

    async def provider() -> str:
        nonlocal last
        last = loop.time()
        handed_out.append(f"token-{len(handed_out)}")
        return handed_out[-1]

    async def network(request: Request) -> Response:
        nonlocal last
        fresh = (
            loop.time() - last < 1800
            and request.call.credentials()["X-Auth-Token"] == handed_out[-1]
        )
        last = loop.time() if fresh else last
        return json_response({}) if fresh else Response(status=401)

    handler = full_chain(network, auth=Auth(provider))
    await handler(Request(method="POST", path="/x"))
    await asyncio.sleep(1801)
    assert (await handler(Request(method="POST", path="/x"))).status == 200
    assert handed_out == ["token-0", "token-1"]


@virtual
async def test_c8_what_the_caller_does_to_its_list_afterwards_changes_nothing() -> None:
    network = ScriptedHandler([json_response({"data": [], "total": 0})])
    filters = [where("id") > 5]
    walk = Cdrs(network).list(filters=filters, concurrency=1)
    filters.clear()
    await walk.collect()
    assert json.loads(dict(network.requests[0].query)["filter"])[0]["value"] == 5
