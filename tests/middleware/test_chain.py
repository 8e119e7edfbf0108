"""The standard chain on virtual time: one guarantee a test, the network a function."""

from __future__ import annotations

import asyncio
import logging
import pickle
from typing import Any

import pytest

from benchmarks.harness.clocks import virtual
from benchmarks.harness.responses import json_response
from tests.fakes.handlers import ScriptedHandler, full_chain
from tests.fakes.secrets import CANARY
from voipstudio_cmb.auth.credentials import Login, Token
from voipstudio_cmb.auth.secret import Secret
from voipstudio_cmb.codec.json import decode
from voipstudio_cmb.errors import (
    BadRequest,
    CallMeBackError,
    ClientMisuse,
    ConfigError,
    ConnectFailed,
    ConnectionLost,
    EmptyBody,
    Forbidden,
    HTTPStatusError,
    NotFound,
    NotJSON,
    ProtocolFault,
    RateLimited,
    RequestTimeout,
    ServerFault,
    TooLarge,
    Unauthorized,
    UnexpectedRedirect,
    UnexpectedStatus,
    WrongShape,
)
from voipstudio_cmb.events import AttemptEvent, CallEvent, Event, Usage
from voipstudio_cmb.http import Handler, Request, Response, chain
from voipstudio_cmb.limits import RateLimit
from voipstudio_cmb.middleware.auth import Auth
from voipstudio_cmb.middleware.chain import standard
from voipstudio_cmb.middleware.deadline import Deadline
from voipstudio_cmb.middleware.limit import Limit
from voipstudio_cmb.middleware.observe import Observe
from voipstudio_cmb.middleware.retry import Retry
from voipstudio_cmb.middleware.status import check_status
from voipstudio_cmb.retry import RETRYABLE_STATUSES, Backoff, RetryBudget
from voipstudio_cmb.timeouts import Timeouts

OK = Response(status=200, body=b"{}")


def now() -> float:
    return asyncio.get_running_loop().time() - 1000.0


def request(method: str = "GET", **more: Any) -> Request:
    return Request(method=method, path="/callmeback/cdrs", operation="cdrs.list", **more)


def test_the_chain_stands_in_the_documented_order() -> None:
    async def mine(request: Request, handler: Handler) -> Response:
        return await handler(request)

    made = standard(
        observe=Observe(), auth=Auth(Token(Secret("t"))), policy=Backoff(), budget=RetryBudget(),
        deadline=Deadline(60), limit=Limit(), middlewares=[mine],
    )  # fmt: skip
    kinds = [getattr(part, "__name__", type(part).__name__) for part in made]
    assert kinds == ["Observe", "Deadline", "Retry", "check_status", "mine", "Limit", "Auth"]


# status


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (301, UnexpectedRedirect),
        (304, UnexpectedStatus),
        (400, BadRequest),
        (401, Unauthorized),
        (403, Forbidden),
        (404, NotFound),
        (408, UnexpectedStatus),
        (409, UnexpectedStatus),
        (422, BadRequest),
        (423, UnexpectedStatus),
        (429, RateLimited),
        (500, ServerFault),
        (503, ServerFault),
        (599, ServerFault),
        (101, UnexpectedStatus),
        (999, UnexpectedStatus),
    ],
)
async def test_a_status_becomes_its_error(status: int, kind: type[HTTPStatusError]) -> None:
    network = ScriptedHandler(
        [json_response({"message": "the API's words"}, status, x_request_id="r-1")]
    )
    with pytest.raises(HTTPStatusError) as caught:
        await check_status(request(page=3), network)
    error = caught.value
    assert type(error) is kind
    assert (error.status, error.sent, error.request_id) == (status, "yes", "r-1")
    assert (error.method, error.path, error.page) == ("GET", "/callmeback/cdrs", 3)
    assert error.retryable is (status in RETRYABLE_STATUSES)
    if not 300 <= status < 400:
        assert "the API's words" in str(error)


async def test_a_validation_error_names_the_fields() -> None:
    body = {"errors": [{"message": "too long", "field": "name"}, {"message": "no", "field": "ddi"}]}
    with pytest.raises(BadRequest, match="name: too long; ddi: no") as caught:
        await check_status(request("POST"), ScriptedHandler([json_response(body, 400)]))
    assert caught.value.messages == {"name": ["too long"], "ddi": ["no"]}


async def test_a_redirect_to_nowhere_is_still_a_redirect() -> None:
    for location in ("http://[bad", "http://a\u2100b/", "http://[::1%]/", ""):
        network = ScriptedHandler([Response(status=302, headers={"location": location})])
        with pytest.raises(UnexpectedRedirect, match="not followed"):
            await check_status(request(), network)


async def test_a_redirect_names_the_other_origin_only() -> None:
    network = ScriptedHandler(
        [Response(status=307, headers={"location": "https://evil.example/x?t=1"})]
    )
    with pytest.raises(UnexpectedRedirect, match="https://evil.example, not followed") as caught:
        await check_status(request(), network)
    assert "t=1" not in str(caught.value)


@pytest.mark.parametrize(
    ("path", "body", "lost"),
    [
        ("/callmeback/cdrs", b'{"message": "Not Found"}', True),
        ("/callmeback/settings/7", b"<html>", True),
        ("/callmeback/settings/7", b'{"message": "Resource not found"}', False),
    ],
)
async def test_a_404_says_where_to_look_unless_it_is_of_one_item(
    path: str, body: bytes, lost: bool
) -> None:
    asked = request().with_changes(path=path)
    asked.call.source = "the base URL is from here"
    with pytest.raises(NotFound) as caught:
        await check_status(asked, ScriptedHandler([Response(status=404, body=body)]))
    assert ("check the base URL" in str(caught.value)) is lost
    assert ("the base URL is from here" in str(caught.value)) is lost


async def test_what_a_cache_answers_is_said_to_be_cached() -> None:
    not_modified = Response(status=304, headers={"location": "https://evil.example", "age": "35"})
    network = ScriptedHandler([not_modified])
    asked = request()
    asked.call.source = "the base URL is from here"
    with pytest.raises(UnexpectedStatus, match="304 Not Modified: a cache in between") as caught:
        await check_status(asked, network)
    assert "redirect" not in str(caught.value)
    assert "evil" not in str(caught.value)
    assert "came out of a cache (Age: 35); the base URL is from here" in str(caught.value)
    bodies = [(404, b"{}"), (503, b"<p>"), (200, b""), (200, b"<html>")]
    for status, body in bodies:
        cached = Response(status=status, body=body, headers={"x-cache": f"Hit from {CANARY}"})
        with pytest.raises(CallMeBackError, match=r"came out of a cache \(X-Cache: Hit\)"):
            await check_status(request(parse=decode), ScriptedHandler([cached]))


async def test_the_token_that_a_server_echoes_is_masked() -> None:
    echo = {"message": f"bad token {CANARY}", "errors": [{"message": CANARY, "field": "token"}]}
    field = {"errors": [{"field": CANARY, "message": "bad"}]}
    garbage = Response(status=200, body=f"<html>{CANARY}".encode())
    cut = Response(status=500, body=b"x" * 190 + CANARY.encode())
    located = Response(status=302, headers={"location": f"https://{CANARY.upper()}.example/"})
    named = Response(status=500, headers={"x-request-id": CANARY, "server": CANARY})

    def parse(response: Response) -> None:
        raise WrongShape(f"odd: {response.body.decode()}", sent="yes")

    for outcome in (
        json_response(echo, 400),
        json_response(field, 400),
        garbage,
        cut,
        located,
        named,
    ):
        with pytest.raises(CallMeBackError) as caught:
            await full_chain(ScriptedHandler([outcome]))(request("POST", parse=parse))
        error = caught.value
        shown = str(error) + repr(error) + repr(vars(error)) + repr(error.args)
        assert CANARY[:12] not in shown.lower()


async def test_a_success_is_parsed_inside_the_chain() -> None:
    response = await check_status(request(parse=lambda r: r.body * 2), ScriptedHandler([OK]))
    assert response.value == b"{}{}"


# retry


@pytest.mark.parametrize("method", ["GET", "DELETE", "PATCH", "POST"])
@virtual
async def test_what_was_not_sent_is_tried_again_for_every_method(method: str) -> None:
    network = ScriptedHandler([ConnectFailed("refused"), ConnectFailed("refused"), OK])
    assert (await full_chain(network)(request(method))).status == 200
    assert [round(t - network.times[0], 3) for t in network.times] == [0.0, 0.25, 0.75]


@pytest.mark.parametrize(("method", "sent"), [("GET", 4), ("DELETE", 4), ("PATCH", 1), ("POST", 1)])
@pytest.mark.parametrize(
    "outcome",
    [*(error("x", sent="maybe") for error in (ConnectionLost, RequestTimeout, ProtocolFault)),
     *(json_response({}, status) for status in (500, 502, 503, 504))],
)  # fmt: skip
@virtual
async def test_after_a_doubtful_outcome_only_get_and_delete_are_sent_again(
    method: str, sent: int, outcome: Any
) -> None:
    network = ScriptedHandler([outcome])
    with pytest.raises(CallMeBackError) as caught:
        await full_chain(network)(request(method))
    assert len(network.requests) == sent
    assert caught.value.attempts == sent
    assert caught.value.sent in ("maybe", "yes")


GATEWAYS = (
    500,
    501,
    502,
    503,
    504,
    507,
    520,
    524,
    527,
    529,
    530,
    599,
    600,
    999,
    408,
    499,
    101,
    302,
)
LOOK = {
    "POST": "the resource may have been created: look before creating again",
    "PATCH": "the resource may have been changed: look before changing it again",
    "DELETE": "the resource may have been deleted: deleting it again does no harm",
}
DONE_NOTHING = {
    "POST": "nothing was created",
    "PATCH": "nothing was changed",
    "DELETE": "nothing was deleted",
}


@pytest.mark.parametrize("method", ["POST", "PATCH", "DELETE"])
@pytest.mark.parametrize(
    "outcome",
    [*(Response(status=status, body=b"<html>proxy") for status in GATEWAYS),
     *(error("x", sent="maybe") for error in (ConnectionLost, RequestTimeout, ProtocolFault))],
)  # fmt: skip
@virtual
async def test_a_write_that_nobody_refused_may_have_been_carried_out(
    method: str, outcome: Any
) -> None:
    """A gateway's response to a write is not the API's."""
    with pytest.raises(CallMeBackError) as caught:
        await full_chain(ScriptedHandler([outcome]))(request(method))
    for error in (caught.value, pickle.loads(pickle.dumps(caught.value))):
        assert error.sent == "maybe"
        assert LOOK[method] in error.message
        if method != "DELETE":
            assert not error.retryable


@pytest.mark.parametrize("kind", [EmptyBody, NotJSON, WrongShape, TooLarge])
@pytest.mark.parametrize("method", ["POST", "PATCH", "DELETE"])
@virtual
async def test_a_success_that_cant_be_read_was_probably_carried_out(
    method: str, kind: type[CallMeBackError]
) -> None:
    words = LOOK[method].replace("may have been", "was probably")
    for outcomes in ([kind("x", sent="yes")], [kind("x", sent="yes", retryable=True)]):
        with pytest.raises(kind, match=words) as caught:
            await full_chain(ScriptedHandler(outcomes))(request(method))
        assert caught.value.sent == "yes"
        assert not caught.value.retryable or method == "DELETE"


@virtual
async def test_a_deletion_that_can_not_connect_again_may_have_been_carried_out() -> None:
    odd = NotJSON("a page", sent="yes")
    with pytest.raises(ConnectFailed, match="may have been deleted"):
        await full_chain(ScriptedHandler([odd, ConnectFailed("refused")]))(request("DELETE"))


@pytest.mark.parametrize("method", ["POST", "PATCH", "DELETE"])
@pytest.mark.parametrize(
    ("outcome", "sent"),
    [*((json_response({}, status, retry_after="121"), "yes")
       for status in (301, 307, 308, 400, 401, 403, 404, 405, 409, 422, 425, 429)),
     (ConnectFailed("refused"), "no"),
     (RequestTimeout("no connection", phase="connect"), "no")],
)  # fmt: skip
@virtual
async def test_a_write_that_was_refused_or_not_sent_has_done_nothing(
    method: str, outcome: Any, sent: str
) -> None:
    with pytest.raises(CallMeBackError) as caught:
        await full_chain(ScriptedHandler([outcome]))(request(method))
    assert caught.value.sent == sent
    assert DONE_NOTHING[method] in caught.value.message
    assert "may have been" not in caught.value.message


@virtual
async def test_a_refusal_before_does_not_say_what_came_of_the_last_attempt() -> None:
    async def hangs(request: Request) -> Response:
        if request.call.attempts == 1:
            return json_response({}, 429, retry_after="1")
        request.book("maybe")  # as the wire does for an attempt that is cancelled
        await asyncio.Event().wait()
        raise AssertionError

    refused = json_response({}, 429, retry_after="1")
    for network in (
        ScriptedHandler([refused, ConnectionLost("x", sent="maybe")]),
        ScriptedHandler([refused, json_response({}, 504)]),
        hangs,
    ):
        with pytest.raises(CallMeBackError, match="look before creating again") as caught:
            await full_chain(network)(request("POST"))
        assert (caught.value.sent, caught.value.retryable) == ("maybe", False)
        assert caught.value.attempts == 2


@virtual
async def test_a_deadline_that_passes_before_a_turn_has_created_nothing() -> None:
    class Never:
        async def acquire(self) -> None:
            await asyncio.Event().wait()

    with pytest.raises(RequestTimeout, match="nothing was created") as caught:
        await full_chain(ScriptedHandler([OK]), limit=Limit(Never()))(request("POST"))
    assert (caught.value.sent, caught.value.retryable) == ("no", True)


@virtual
async def test_a_policy_that_asks_only_whether_to_retry_creates_nothing_twice() -> None:
    def policy(error: CallMeBackError, request: Request, attempts: int) -> float | None:
        return 0.0 if error.retryable else None

    for outcome in (
        json_response({}, 503),
        ConnectionLost("x", sent="maybe"),
        NotJSON("x", sent="yes"),
    ):
        network = ScriptedHandler([outcome, OK])
        with pytest.raises(CallMeBackError):
            await full_chain(network, policy=policy)(request("POST"))
        assert len(network.requests) == 1


@virtual
async def test_a_patch_is_still_sent_again_where_the_caller_opted_in() -> None:
    policy = Backoff(repeat_patch=True, rng=lambda: 1.0)
    network = ScriptedHandler([json_response({}, 504), OK])
    assert (await full_chain(network, policy=policy)(request("PATCH"))).status == 200
    network = ScriptedHandler([json_response({}, 504), json_response({}, 400)])
    with pytest.raises(BadRequest, match="the resource may have been changed") as caught:
        await full_chain(network, policy=policy)(request("PATCH"))
    assert caught.value.sent == "maybe"


async def test_a_read_says_nothing_of_what_was_made() -> None:
    with pytest.raises(ServerFault) as caught:
        await full_chain(ScriptedHandler([json_response({}, 501)]))(request())
    assert (caught.value.sent, str(caught.value)) == ("yes", "GET /callmeback/cdrs: 501 {}")


@virtual
async def test_the_message_names_the_servers_request_id() -> None:
    def parse(response: Response) -> None:
        raise WrongShape("odd", sent="yes")

    for status in (200, 400, 504):
        network = ScriptedHandler([json_response({}, status, x_request_id="r-" + "7" * 200)])
        with pytest.raises(CallMeBackError, match=r"; request id r-7{98}(;|$)") as caught:
            await full_chain(network)(request("POST", parse=parse))
        assert caught.value.request_id == "r-" + "7" * 98
        assert pickle.loads(pickle.dumps(caught.value)).request_id == caught.value.request_id


@virtual
async def test_a_post_that_was_refused_by_429_is_sent_again() -> None:
    network = ScriptedHandler([json_response({}, 429, retry_after="2"), OK])
    await full_chain(network)(request("POST"))
    assert len(network.requests) == 2


@pytest.mark.parametrize("method", ["GET", "DELETE", "PATCH", "POST"])
@virtual
async def test_a_refusal_does_not_stand_in_the_way_of_what_was_not_sent(method: str) -> None:
    network = ScriptedHandler([json_response({}, 429), ConnectFailed("refused"), OK])
    await full_chain(network)(request(method))
    assert len(network.requests) == 3
    network = ScriptedHandler([json_response({}, 429), ConnectFailed("refused")])
    with pytest.raises(ConnectFailed) as caught:
        await full_chain(network)(request(method))
    assert (caught.value.sent, caught.value.repeated) == ("yes", False)


@virtual
async def test_what_is_known_of_a_call_is_the_most_of_its_attempts() -> None:
    network = ScriptedHandler([ConnectionLost("x", sent="maybe"), ConnectFailed("refused")])
    with pytest.raises(ConnectFailed) as caught:
        await full_chain(network)(request("DELETE"))
    assert caught.value.sent == "maybe"
    assert caught.value.repeated
    assert caught.value.waited == pytest.approx(0.25 + 0.5 + 1.0)


@virtual
async def test_an_empty_body_is_asked_for_again() -> None:
    def parse(response: Response) -> bytes:
        if not response.body:
            raise EmptyBody("nothing", sent="yes")
        return response.body

    network = ScriptedHandler([Response(status=200), OK])
    assert (await full_chain(network)(request(parse=parse))).value == b"{}"
    assert len(network.requests) == 2


@virtual
async def test_a_hopeless_sleep_is_refused_at_once_with_the_real_error() -> None:
    network = ScriptedHandler([json_response({}, 503, retry_after="100")])
    with pytest.raises(ServerFault) as caught:
        await full_chain(network, deadline=60.0)(request())
    assert caught.value.retry_after == 100.0
    assert now() == 0.0


@virtual
async def test_a_retry_after_above_the_cap_is_raised_and_not_slept() -> None:
    network = ScriptedHandler([json_response({}, 429, retry_after="121")])
    with pytest.raises(RateLimited) as caught:
        await full_chain(network, deadline=3600.0)(request())
    assert caught.value.retry_after == 121.0
    assert now() == 0.0


@virtual
async def test_throttling_is_charged_to_the_deadline_and_not_to_the_attempts() -> None:
    network = ScriptedHandler([*[json_response({}, 429, retry_after="1")] * 20, OK])
    assert (await full_chain(network)(request())).status == 200
    assert len(network.requests) == 21


@virtual
async def test_an_outage_costs_little_more_than_the_calls() -> None:
    network = ScriptedHandler([json_response({}, 503)])
    handler = full_chain(network)
    for _ in range(1000):
        with pytest.raises(ServerFault):
            await handler(request())
    assert len(network.requests) <= 1.1 * 1000 + 50


@virtual
async def test_an_error_of_the_callers_own_code_passes_untouched() -> None:
    network = ScriptedHandler([KeyError("mine")])
    with pytest.raises(KeyError):
        await full_chain(network)(request())
    assert len(network.requests) == 1


# deadline


@virtual
async def test_the_deadline_bounds_everything() -> None:
    async def hangs(request: Request) -> Response:
        await asyncio.Event().wait()
        raise AssertionError

    with pytest.raises(RequestTimeout, match="deadline of 60 s") as caught:
        await full_chain(hangs)(request())
    assert caught.value.phase == "deadline"
    assert caught.value.attempts == 1
    assert now() == pytest.approx(60.0)


@virtual
async def test_the_deadline_bounds_the_wait_in_a_limiter() -> None:
    class Never:
        async def acquire(self) -> None:
            await asyncio.Event().wait()

    network = ScriptedHandler([OK])
    with pytest.raises(RequestTimeout) as caught:
        await full_chain(network, limit=Limit(Never()))(request())
    assert caught.value.sent == "no"
    assert network.requests == []


@virtual
async def test_the_callers_own_timeout_stays_the_callers() -> None:
    network = ScriptedHandler([json_response({}, 503)])
    with pytest.raises(TimeoutError) as caught:
        async with asyncio.timeout(0.1):
            await full_chain(network)(request())
    assert not isinstance(caught.value, CallMeBackError)


@virtual
async def test_a_timeout_of_the_callers_own_code_passes_untouched() -> None:
    with pytest.raises(TimeoutError) as caught:
        await full_chain(ScriptedHandler([TimeoutError("mine")]))(request())
    assert caught.value.args == ("mine",)


# limit


@virtual
async def test_every_attempt_takes_its_own_turn() -> None:
    network = ScriptedHandler([json_response({}, 503), json_response({}, 503), OK])
    limiter = RateLimit(1, per=10 / 1.02)
    await full_chain(network, limit=Limit(limiter))(request())
    assert [round(t - network.times[0], 6) for t in network.times] == [0.0, 10.0, 20.0]


@virtual
async def test_a_retry_after_holds_everybody_who_shares_the_limit() -> None:
    network = ScriptedHandler([json_response({}, 429, retry_after="5"), OK])
    handler = full_chain(network)
    first = asyncio.create_task(handler(request()))
    await asyncio.sleep(0.5)
    others = [asyncio.create_task(handler(request())) for _ in range(8)]
    await asyncio.gather(first, *others)
    later = [t - network.times[0] for t in network.times[1:]]
    assert len(later) == 9
    assert all(5.0 <= t <= 5.6 for t in later)


@virtual
async def test_a_pause_that_outlasts_the_deadline_ends_a_call_at_once() -> None:
    limit = Limit()
    network = ScriptedHandler([json_response({}, 429, retry_after="100"), OK])
    with pytest.raises(RateLimited, match="it asks to wait 100 s"):
        await full_chain(network, limit=limit)(request())
    with pytest.raises(RequestTimeout, match="asked for a pause of 100 s more") as caught:
        await full_chain(network, limit=limit)(request())
    assert (caught.value.phase, caught.value.sent, now()) == ("deadline", "no", 0.0)
    await full_chain(network, limit=limit, deadline=200.0)(request())
    assert now() == pytest.approx(100.0)


@pytest.mark.parametrize(
    ("outcomes", "methods", "gone"),
    [
        ([json_response({}, 503), json_response({}, 404)], ["DELETE", "DELETE"], True),
        ([ConnectionLost("x", sent="maybe"), json_response({}, 403), json_response({}, 404)],
         ["DELETE", "DELETE", "GET"], True),
        ([ConnectionLost("x", sent="maybe"), json_response({}, 403), OK],
         ["DELETE", "DELETE", "GET"], Forbidden),
        ([ConnectionLost("x", sent="maybe"), *(json_response({}, n) for n in (403, 500, 404))],
         ["DELETE", "DELETE", "GET", "GET"], True),
        ([ConnectionLost("x", sent="maybe"), json_response({}, 403), json_response({}, 500)],
         ["DELETE", "DELETE", "GET", "GET"], Forbidden),
        ([ConnectionLost("x", sent="maybe"), json_response({}, 403), json_response({}, 403)],
         ["DELETE", "DELETE", "GET"], Forbidden),
        ([json_response({}, 404)], ["DELETE"], NotFound),
        ([json_response({}, 403)], ["DELETE"], Forbidden),
        ([ConnectFailed("refused"), json_response({}, 404)], ["DELETE", "DELETE"], NotFound),
        ([json_response({}, 429, retry_after="1"), json_response({}, 404)],
         ["DELETE", "DELETE"], NotFound),
        (
            [json_response({}, 429), ConnectFailed("refused"), json_response({}, 404)],
            ["DELETE", "DELETE", "DELETE"],
            NotFound,
        ),
    ],
)  # fmt: skip
@virtual
async def test_a_deletion_that_was_sent_again_may_find_nothing_left(
    outcomes: Any, methods: list[str], gone: Any
) -> None:
    events: list[Any] = []
    network = ScriptedHandler(outcomes)
    handler = full_chain(network, on_event=events.append)
    if gone is True:
        assert (await handler(request("DELETE"))).already_gone
    else:
        with pytest.raises(gone) as caught:
            await handler(request("DELETE"))
        lost = isinstance(outcomes[0], ConnectionLost)
        assert caught.value.sent == ("maybe" if lost and outcomes[0].sent == "maybe" else "yes")
    assert [r.method for r in network.requests] == methods
    assert events[-1].already_gone is (gone is True)
    assert events[-1].attempts == len(methods)


@pytest.mark.parametrize(
    "outcome", [json_response({}, 429), ProtocolFault("garbled", sent="maybe")]
)
@virtual
async def test_throttling_without_a_header_holds_everybody_for_a_moment(outcome: Any) -> None:
    limit = Limit()
    network = ScriptedHandler([outcome, OK])
    first = asyncio.create_task(full_chain(network, limit=limit)(request()))
    await asyncio.sleep(0.1)
    await full_chain(network, limit=limit)(request())
    assert network.times[1] - network.times[0] >= 0.5
    await first


RATE = {"message": "Maximum per minute call rate exceeded for 442012345678"}


@pytest.mark.parametrize("method", ["GET", "POST"])
@virtual
async def test_a_400_that_speaks_of_the_rate_is_as_good_as_a_429(method: str) -> None:
    limit = Limit()
    network = ScriptedHandler([*[json_response(RATE, 400, retry_after="2")] * 9, OK])
    first = asyncio.create_task(full_chain(network, limit=limit)(request(method)))
    await asyncio.sleep(0.1)
    await full_chain(network, limit=limit)(request(method))
    await first
    assert len(network.requests) == 11  # charged to the deadline, and not to the attempts
    assert network.times[1] - network.times[0] >= 2.0
    assert limit.throttle.refusals
    with pytest.raises(RateLimited, match="call rate exceeded") as caught:
        await full_chain(ScriptedHandler([json_response(RATE, 400)]))(request("POST"))
    assert (caught.value.status, caught.value.sent) == (400, "yes")
    assert caught.value.retryable


@virtual
async def test_a_403_names_both_of_its_reasons() -> None:
    with pytest.raises(
        Forbidden, match="the token may not do this, or it is wrong: check .*and the token$"
    ):
        await full_chain(ScriptedHandler([json_response({}, 403)]))(request())


@virtual
async def test_a_hold_beyond_the_cap_holds_nobody() -> None:
    network = ScriptedHandler([json_response({}, 429, retry_after="9999"), OK])
    handler = full_chain(network)
    with pytest.raises(RateLimited):
        await handler(request())
    await handler(request())
    assert now() == 0.0


@virtual
async def test_a_pause_that_begins_while_a_turn_is_waited_for_is_kept() -> None:
    limit = Limit(RateLimit(1, per=1 / 1.02))
    network = ScriptedHandler([OK])
    handler = full_chain(network, limit=limit)
    await handler(request())
    second = asyncio.create_task(handler(request()))
    await asyncio.sleep(0.5)
    limit.throttle.pause(10)
    await second
    assert network.times[1] - network.times[0] >= 10.5 - 1e-6


@virtual
async def test_a_503_that_says_how_long_holds_everybody_and_lowers_no_rate() -> None:
    limit = Limit()
    network = ScriptedHandler([json_response({}, 503, retry_after="5"), OK])
    first = asyncio.create_task(full_chain(network, limit=limit)(request()))
    await asyncio.sleep(0.1)
    await full_chain(network, limit=limit)(request())
    assert network.times[1] - network.times[0] >= 5.0
    assert limit.throttle.rate == float("inf")
    await first


@pytest.mark.parametrize("asked", ["0", "Wed, 21 Oct 2015 07:28:00 GMT"])
@virtual
async def test_wait_0_seconds_is_not_taken_at_its_word(asked: str) -> None:
    network = ScriptedHandler([json_response({}, 429, retry_after=asked)])
    with pytest.raises(CallMeBackError):
        await full_chain(network)(request("POST"))
    assert len(network.requests) < 12


@virtual
async def test_waiting_for_a_turn_is_counted_also_when_it_is_cut_short() -> None:
    class Slow:
        async def acquire(self) -> None:
            await asyncio.sleep(7)

    usage = Usage()
    await full_chain(ScriptedHandler([OK]), limit=Limit(Slow()), usage=usage)(request())
    assert usage.waited == pytest.approx(7.0)
    with pytest.raises(RequestTimeout) as caught:
        await full_chain(ScriptedHandler([OK]), limit=Limit(Slow()), deadline=3.0)(request())
    assert caught.value.waited == pytest.approx(3.0)


@virtual
async def test_a_limiter_must_be_async() -> None:
    class Sync:
        def acquire(self) -> None: ...

    with pytest.raises(ClientMisuse, match=r"acquire\(\) must be async"):
        await full_chain(ScriptedHandler([OK]), limit=Limit(Sync()))(request())  # type: ignore[arg-type]


@virtual
async def test_closing_ends_a_call_that_sleeps_in_its_back_off() -> None:
    closing = Timeouts()
    parts = [Deadline(60.0, None, closing), Retry(Backoff(rng=lambda: 1.0)), check_status, Limit()]
    handler = chain(ScriptedHandler([json_response({}, 503, retry_after="30")]), parts)
    task = asyncio.create_task(handler(request()))
    await asyncio.sleep(1)
    closing.close()
    with pytest.raises(ClientMisuse, match="closed while this call was running") as caught:
        await task
    assert (caught.value.attempts, now()) == (1, 1.0)
    with pytest.raises(ClientMisuse, match="the client is closed"):
        await handler(request())


@virtual
async def test_a_call_that_succeeds_in_the_end_gets_the_cost_of_its_retries_back() -> None:
    budget = RetryBudget()
    network = ScriptedHandler([json_response({}, 503), json_response({}, 503), OK])
    await full_chain(network, budget=budget)(request())
    assert budget.used == 0


@pytest.mark.parametrize(
    ("outcomes", "used"),
    [
        ([json_response({}, 503), json_response({}, 404)], 0),
        ([json_response({}, 503), json_response({}, 403), json_response({}, 404)], 0),
        ([*(json_response({}, n) for n in (503, 403, 500, 404))], 0),
        ([json_response({}, 503), json_response({}, 403), OK], 13),
        ([*(json_response({}, n) for n in (503, 403, 500)), OK], 14),
        ([json_response({}, 503), json_response({}, 400)], 14),
        ([ConnectFailed("refused"), json_response({}, 404)], 14),
    ],
)
@virtual
async def test_a_deletion_that_was_done_already_gets_its_retries_back(
    outcomes: Any, used: int
) -> None:
    budget = RetryBudget()
    handler = full_chain(ScriptedHandler(outcomes), budget=budget)
    if used == 0:
        assert (await handler(request("DELETE"))).already_gone
    else:
        with pytest.raises(CallMeBackError):
            await handler(request("DELETE"))
    assert budget.used == used


@virtual
async def test_what_an_attempt_adds_to_a_call_does_not_nest() -> None:
    more: dict[str, Any] = {
        "policy": Backoff(attempts=5000, base=0.001, cap=0.001),
        "budget": RetryBudget(capacity=10**6),
        "deadline": 1e6,
    }
    network = ScriptedHandler([json_response({"message": f"no: {CANARY}"}, 503)])
    events: list[Event] = []
    with pytest.raises(ServerFault, match=r"503 no: \*\*\*") as caught:
        await full_chain(network, events.append, **more)(request())
    assert (caught.value.attempts, len(events)) == (5000, 5001)


# auth


async def test_every_attempt_carries_the_token_and_nobody_outside_sees_it() -> None:
    outside: list[Request] = []

    async def mine(request: Request, handler: Handler) -> Response:
        outside.append(request)
        return await handler(request.with_changes(headers={"X-Mine": "1"}))

    network = ScriptedHandler([OK])
    await full_chain(network, middlewares=[mine])(request())
    assert network.requests[0].headers == {"X-Mine": "1"}
    assert network.requests[0].call.credentials() == {"X-Auth-Token": CANARY}
    assert CANARY not in repr(network.requests[0])
    assert CANARY not in repr(outside)
    assert "X-Auth-Token" not in outside[0].headers


class Provider:
    def __init__(self, *outcomes: Any) -> None:
        self.outcomes = list(outcomes)
        self.calls = 0

    async def __call__(self) -> str:
        self.calls += 1
        await asyncio.sleep(0.2)
        outcome = self.outcomes.pop(0) if len(self.outcomes) > 1 else self.outcomes[0]
        if isinstance(outcome, Exception):
            raise outcome
        return str(outcome)


@virtual
async def test_eight_401s_together_cost_one_fresh_token() -> None:
    provider = Provider("old", "new")

    async def network(request: Request) -> Response:
        token = request.call.credentials()["X-Auth-Token"]
        await asyncio.sleep(0.1)
        return OK if token == "new" else Response(status=401)

    handler = full_chain(network, auth=Auth(provider))
    responses = await asyncio.gather(*(handler(request("POST")) for _ in range(8)))
    assert {r.status for r in responses} == {200}
    assert provider.calls == 2


@pytest.mark.parametrize("tokens", [("old", "new"), ("old", "older", "new")])
@virtual
async def test_a_refused_token_is_not_sent_by_those_who_waited_for_a_connection(
    tokens: tuple[str, ...],
) -> None:
    provider, connections, sent = Provider(*tokens), asyncio.Semaphore(2), list[str]()

    async def network(request: Request) -> Response:
        async with connections:
            token = request.call.credentials()["X-Auth-Token"]
            sent.append(token)
            await asyncio.sleep(0.1)
            return OK if token == "new" else Response(status=401)

    handler = full_chain(network, auth=Auth(provider))
    calls = [handler(request("POST")) for _ in range(8)]
    outcomes = await asyncio.gather(*calls, return_exceptions=True)
    refused = [outcome for outcome in outcomes if isinstance(outcome, Exception)]
    assert all(isinstance(outcome, Unauthorized) for outcome in refused)
    assert len(refused) <= 2 * (len(tokens) - 2)
    assert all(sent.count(token) <= 2 for token in tokens[:-1])
    assert provider.calls == len(tokens)


@pytest.mark.parametrize(
    "outcome",
    [ConnectionLost("the vault hung up", sent="maybe"), RuntimeError("closed"), "", "a\r\nb",
     Unauthorized("the password was refused", sent="yes")],
)  # fmt: skip
@virtual
async def test_a_fetch_that_fails_has_failed_for_all_who_wait(outcome: Any) -> None:
    provider, network = Provider(outcome), ScriptedHandler([OK])
    handler = full_chain(network, auth=Auth(provider), policy=lambda e, r, n: None)
    calls = [handler(request(method)) for method in ("GET", "POST", "DELETE") * 16]
    failures = await asyncio.gather(*calls, return_exceptions=True)
    assert provider.calls == 1
    assert len({type(failure) for failure in failures}) == 1
    assert len(set(map(id, failures))) == 48
    assert all(isinstance(f, CallMeBackError) and f.sent == "no" for f in failures)
    assert network.requests == []
    with pytest.raises(CallMeBackError):  # whoever comes later tries for itself
        await handler(request())
    assert provider.calls == 2


@virtual
async def test_a_fetch_that_is_cut_short_is_taken_over_by_one_who_waits() -> None:
    provider = Provider("token")
    handler = full_chain(ScriptedHandler([OK]), auth=Auth(provider))
    calls = [asyncio.create_task(handler(request())) for _ in range(3)]
    await asyncio.sleep(0.1)
    calls[0].cancel()
    assert [r.status for r in await asyncio.gather(*calls[1:])] == [200, 200]
    assert provider.calls == 2


@virtual
async def test_a_login_that_fails_does_not_make_a_creation_doubtful() -> None:
    made: list[str] = []

    async def network(request: Request) -> Response:
        made.append(request.path)
        if len(made) < 3:
            return json_response({}, 504)
        return json_response({"user_token": "token"}) if request.path == "/login" else OK

    auth = Auth(Login("me@x.example", "password"))
    assert (await full_chain(network, auth=auth)(request("POST"))).status == 200
    assert made == ["/login", "/login", "/login", "/callmeback/cdrs"]


def test_a_provider_is_taken_to_another_loop_but_not_while_it_is_busy() -> None:
    started: list[str] = []

    async def provider() -> str:
        started.append("once")
        await asyncio.sleep(0.05 if len(started) > 1 else 3600)
        return "token"

    auth, network = Auth(provider), ScriptedHandler([OK])

    async def together() -> list[Any]:
        return list(await asyncio.gather(*(auth(request(), network) for _ in range(3))))

    with asyncio.Runner() as first, asyncio.Runner() as second:
        waiting = first.get_loop().create_task(together())
        first.run(asyncio.sleep(0.01))
        with pytest.raises(ClientMisuse, match="token provider is in use on another event loop"):
            second.run(together())
        waiting.cancel()
        first.run(asyncio.wait([waiting]))
        assert [response.status for response in second.run(together())] == [200] * 3
    assert len(started) == 2


@virtual
async def test_a_deletion_that_met_a_401_has_not_been_carried_out() -> None:
    network = ScriptedHandler([Response(status=401), json_response({}, 404)])
    with pytest.raises(NotFound):
        await full_chain(network, auth=Auth(Provider("old", "new")))(request("DELETE"))


@virtual
async def test_what_a_provider_has_sent_is_not_this_call() -> None:
    network = ScriptedHandler([OK])
    lost = ConnectionLost("the vault hung up", sent="maybe")
    await full_chain(network, auth=Auth(Provider(lost, "token")))(request("POST"))
    assert len(network.requests) == 1
    assert lost.sent == "maybe"


@virtual
async def test_a_second_401_is_the_end_of_the_call() -> None:
    provider, network = Provider("bad"), ScriptedHandler([Response(status=401)])
    with pytest.raises(Unauthorized):
        await full_chain(network, auth=Auth(provider))(request())
    assert len(network.requests) == 2


@virtual
async def test_a_401_without_a_provider_is_final() -> None:
    network = ScriptedHandler([Response(status=401)])
    with pytest.raises(Unauthorized, match="make an API key"):
        await full_chain(network)(request())
    assert len(network.requests) == 1


@pytest.mark.parametrize(
    ("outcome", "kind", "words"),
    [
        (RuntimeError("vault closed"), ClientMisuse, "provider failed with RuntimeError"),
        ("", ConfigError, "token is empty"),
        ("a\r\nb", ConfigError, "white space"),
        (ConfigError("mine"), ConfigError, "mine"),
    ],
)
@virtual
async def test_a_provider_that_fails_says_so_and_nothing_is_sent(
    outcome: Any, kind: type[Exception], words: str
) -> None:
    network = ScriptedHandler([OK])
    with pytest.raises(kind, match=words):
        await full_chain(network, auth=Auth(Provider(outcome)))(request())
    assert network.requests == []


@virtual
async def test_a_provider_that_hangs_is_bounded_by_the_deadline() -> None:
    async def hangs() -> str:
        await asyncio.Event().wait()
        raise AssertionError

    network = ScriptedHandler([OK])
    with pytest.raises(RequestTimeout) as caught:
        await full_chain(network, auth=Auth(hangs))(request())
    assert (caught.value.sent, network.requests) == ("no", [])


@virtual
async def test_a_login_that_can_not_be_read_is_named_and_not_the_call_behind_it() -> None:
    network = ScriptedHandler([Response(status=200, body=b"<html>password")])
    auth = Auth(Login("me@x.example", "password"))
    with pytest.raises(NotJSON, match=r"^POST /login: .*is not JSON") as caught:
        await full_chain(network, auth=auth)(request())
    assert caught.value.path == "/login"


def test_auth_shows_no_token() -> None:
    assert repr(Auth(Token(Secret(CANARY)))) == "Auth('***')"
    assert repr(Auth(Provider("x"))) == "Auth(provider)"


# observe


@virtual
async def test_one_event_a_call_with_its_cost(caplog: pytest.LogCaptureFixture) -> None:
    events: list[Event] = []
    usage = Usage()
    handler = full_chain(
        ScriptedHandler([json_response({}, 503), OK, Response(status=404), KeyError("mine")]),
        on_event=events.append,
        usage=usage,
    )
    with caplog.at_level(logging.DEBUG):
        await handler(request())
        with pytest.raises(NotFound):
            await handler(request("DELETE"))
        with pytest.raises(KeyError):
            await handler(request())
    calls = [event for event in events if isinstance(event, CallEvent)]
    told = [(e.operation, e.method, e.status, e.error, e.attempts) for e in calls]
    assert told == [
        ("cdrs.list", "GET", 200, None, 2),
        ("cdrs.list", "DELETE", 404, "NotFound", 1),
        ("cdrs.list", "GET", None, "KeyError", 1),
    ]
    assert calls[0].waited == calls[0].elapsed == 0.25
    tries = [event for event in events if isinstance(event, AttemptEvent)]
    assert [(t.number, t.status, t.error, t.sent) for t in tries] == [
        (1, 503, "ServerFault", "yes"),
        (2, 200, None, "yes"),
        (1, 404, "NotFound", "yes"),
        (1, None, "KeyError", "no"),
    ]
    assert [tuple(call.tries) for call in calls] == [(*tries[:2],), (tries[2],), (tries[3],)]
    assert [r.event for r in caplog.records if hasattr(r, "event")] == events
    assert (usage.calls, usage.requests, usage.retries, usage.waited) == (3, 4, 1, 0.25)
    assert CANARY not in caplog.text
    assert "GET /callmeback/cdrs: 200 after 2 attempts" in caplog.text


@virtual
async def test_what_got_no_turn_is_no_request() -> None:
    class Away:
        left = 2

        async def acquire(self) -> None:
            self.left -= 1
            if self.left >= 0:
                raise ConnectFailed("the keeper is away", peer="the keeper")

    usage, network = Usage(), ScriptedHandler([json_response({}, 503), OK])
    handler = full_chain(network, usage=usage, limit=Limit(Away()))
    await handler(request())
    assert (len(network.requests), usage.requests, usage.retries) == (2, 2, 1)
    with pytest.raises(ConnectFailed) as caught:
        away = Away()
        away.left = 1000
        await full_chain(network, usage=usage, limit=Limit(away))(request())
    assert caught.value.peer == "the keeper"
    assert (caught.value.attempts, usage.requests, usage.retries) == (4, 2, 1)


@virtual
async def test_each_part_works_alone() -> None:
    network = ScriptedHandler([OK])
    for part in (
        Observe(),
        Deadline(5.0),
        Retry(),
        check_status,
        Limit(),
        Auth(Token(Secret("t"))),
    ):
        assert (await part(request(), network)).status == 200
