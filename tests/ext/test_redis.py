"""`RedisRateLimit`: what it says of a server that is not there, and what a real one keeps."""

from __future__ import annotations

import asyncio
import logging
import pickle
import random
from collections.abc import Iterator
from itertools import chain
from typing import Any

import pytest

from benchmarks.harness.peer import closed_port
from benchmarks.harness.redis_server import RedisServer, redis_server
from voipstudio_cmb.errors import ClientMisuse, ConnectFailed
from voipstudio_cmb.exit_codes import RESUMABLE, code_of
from voipstudio_cmb.ext import redis as module
from voipstudio_cmb.ext.redis import RedisRateLimit
from voipstudio_cmb.ext.shared import Allowance, Ask, allowance
from voipstudio_cmb.limits import RateLimit

PASSWORD = "Sesame/0pen"
ENCODED = "Sesame%2F0pen"


@pytest.fixture
def server() -> Iterator[RedisServer]:
    with redis_server() as server:
        yield server


def limit(server: RedisServer, n: float = 100, **options: Any) -> RedisRateLimit:
    return RedisRateLimit(n, url=server.url, **({"spent_if_missing": False} | options))


def question(process: str = "one", number: int = 1, **given: Any) -> Ask:
    return Ask(process=process, number=number, **({"count": 1} | given))


@pytest.mark.parametrize(
    "url",
    [
        "", "localhost", "http://localhost", "redis://", f"redis://:{PASSWORD}@localhost:6379",
        "redis://:Sesame#0pen@localhost", "redis://localhost:port", "redis://localhost/zero", 6379,
        "redis://localhost:99999", "redis://[::1", "redis://a b/0", "unix://",
    ],
)  # fmt: skip
def test_a_url_that_names_no_server_is_refused_without_being_quoted(url: Any) -> None:
    with pytest.raises(ClientMisuse, match="url must be like redis://") as caught:
        RedisRateLimit(100, url=url)
    assert "Sesame" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        (f"redis://:{ENCODED}@localhost:6379/2?socket_timeout=3", "redis://localhost:6379/2"),
        (f"rediss://me:{ENCODED}@redis.example", "rediss://redis.example"),
        ("redis://[::1]:6379", "redis://[::1]:6379"),
        ("unix:///run/redis.sock", "unix:///run/redis.sock"),
    ],
)
def test_it_shows_where_it_is_kept_and_no_password(url: str, shown: str) -> None:
    limit = RedisRateLimit(100, per=2.0, key="shop", url=url)
    assert repr(limit) == f"RedisRateLimit(100, per=2.0, key='shop', url='{shown}')"
    assert "Sesame" not in repr(vars(limit))
    if "Sesame" in url:
        with pytest.raises(ClientMisuse, match="with a password can't be pickled"):
            pickle.dumps(limit)


def test_where_it_is_unpickled_it_reads_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHARED", f"redis://:{ENCODED}@localhost:6379/2")
    named = RedisRateLimit(9, 2, key="shop", url_env="SHARED", lease=2, spent_if_missing=False)
    pickled = pickle.dumps(named)
    assert b"Sesame" not in pickled
    monkeypatch.setenv("SHARED", "redis://there")
    copy = pickle.loads(pickled)
    assert repr(copy) == "RedisRateLimit(9, per=2, key='shop', url='redis://there')"
    assert (copy.lease, copy.spent_if_missing) == (2, False)
    monkeypatch.delenv("SHARED")
    with pytest.raises(ClientMisuse, match=r"variable SHARED, .* is not set on the host"):
        pickle.loads(pickled)
    open_to_all = RedisRateLimit(9, url="redis://localhost:6379/1", fallback=RateLimit(2))
    copy = pickle.loads(pickle.dumps(open_to_all))
    assert (repr(copy), repr(copy.fallback)) == (repr(open_to_all), "RateLimit(2, per=1.0)")


def test_a_key_is_a_name() -> None:
    for key in ("", None, 7):
        with pytest.raises(ClientMisuse, match="key must be a name"):
            RedisRateLimit(100, key=key)  # type: ignore[arg-type]


async def test_a_server_that_is_not_there_is_an_error_that_passes(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    with closed_port() as bound:
        port = bound.getsockname()[1]
        async with RedisRateLimit(100, url=f"redis://:{ENCODED}@127.0.0.1:{port}") as limit:
            with pytest.raises(
                ConnectFailed, match=r"the Redis server .* is away: nothing was sent"
            ) as caught:
                await limit.acquire()
    assert code_of(caught.value) == RESUMABLE
    assert caught.value.sent == "no"
    assert caught.value.peer == f"the Redis server redis://127.0.0.1:{port}"
    for text in (str(caught.value), repr(caught.value), caplog.text):
        assert "Sesame" not in text


@pytest.mark.redis
def test_the_server_computes_what_the_allowance_computes(
    server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(allowance, "GRACE", 1e6)  # all in microseconds
    script = module.SCRIPT.replace("redis.call('TIME')", "redis.call('LRANGE', 'now', 0, 1)")
    client = server.client()
    for seed in range(20):
        client.flushall()
        rng = random.Random(seed)
        n = rng.choice([1, 3, 10, 30])
        model, grants, now = Allowance(n, 1_020_000.0), [], 10**15
        for number in range(100):
            now += rng.choice([0, 1_000, 50_000, 400_000])
            asked = question(
                f"process-{rng.randrange(3)}", number, count=rng.randrange(4),
                lease=rng.choice([1, 1, 2, 5]),
                late=dict.fromkeys(rng.sample(grants, min(len(grants), 2)), 7_000.0),
                unused=tuple(rng.sample(grants, min(len(grants), rng.randrange(3)))),
                hold=rng.choice([0.0] * 9 + [500_000.0]),
            )  # fmt: skip
            client.delete("now")
            client.rpush("now", now // 10**6, now % 10**6)
            late = chain.from_iterable((name, int(by)) for name, by in asked.late.items())
            granted, wait = client.eval(  # type: ignore[misc]
                script, 3, "state", "log", "line", n, 1_020_000, 0, 10**6, 0, asked.process,
                number,
                asked.count, asked.lease, int(asked.hold), len(asked.unused), *asked.unused,
                *late,
            )  # fmt: skip
            expected = model.ask(float(now), asked)
            assert expected.grants == tuple(asked.grants()[:granted]), (seed, number)
            assert wait == pytest.approx(expected.wait, abs=2), (seed, number)
            grants = [*grants, *expected.grants][-8:]
    client.close()


@pytest.mark.redis
async def test_a_missing_key_counts_as_one_period_spent(server: RedisServer) -> None:
    client = server.client()
    async with limit(server, spent_if_missing=True) as shared:
        for lose in (client.flushall, lambda: client.delete("{voipstudio-cmb}:log")):
            assert (await shared.ask(question())).wait == pytest.approx(1.02, abs=0.1)
            client.hset("{voipstudio-cmb}:state", "held", 0)
            assert (await shared.ask(question(number=2))).grants != ()
            lose()
        assert (await shared.ask(question())).grants == ()
        # So does one that was written by a clock that has been set back since.
        client.hset("{voipstudio-cmb}:state", mapping={"held": 0, "at": 2**52})
        assert (await shared.ask(question())).wait == pytest.approx(1.02, abs=0.1)
    async with limit(server, key="other") as shared:
        assert (await shared.ask(question())).grants != ()
    client.close()


@pytest.mark.redis
async def test_processes_share_a_key_and_not_another(server: RedisServer) -> None:
    async with limit(server, 1, per=60) as one, limit(server, 1, per=60) as same:
        await one.acquire()
        assert (await same.ask(question())).wait == pytest.approx(61.2, abs=0.5)
        async with limit(server, 1, per=60, key="other") as other:
            await other.acquire()


@pytest.mark.redis
async def test_another_rate_under_one_key_is_refused_and_counts_when_the_first_is_over(
    server: RedisServer,
) -> None:
    async with limit(server, 100) as one, limit(server, 2.5) as other:
        await one.acquire()
        words = r"'voipstudio-cmb' by 100 requests in 1 s, and here it is 2 in 0.8 s: say the same"
        with pytest.raises(ClientMisuse, match=words):
            await other.acquire()
        await one.acquire()
        with server.client() as client:  # as if a minute had passed
            client.hincrby("{voipstudio-cmb}:state", "at", -60_000_001)
        await other.acquire()
        with pytest.raises(ClientMisuse, match="by 2 requests in 0.8 s"):
            await one.acquire()
    async with limit(server, 50, spent_if_missing=True) as third:
        with server.client() as client:
            client.hincrby("{voipstudio-cmb}:state", "at", -60_000_001)
        # What was granted at another rate is not known to fit into this one.
        assert (await third.ask(question())).wait == pytest.approx(1.02, abs=0.1)


@pytest.mark.redis
async def test_a_hold_is_for_all_who_share_it(server: RedisServer) -> None:
    async with limit(server) as one, limit(server) as other:
        await other.acquire()
        one.hold(30.0)
        while not (answer := await other.ask(question())).wait > 20:
            await asyncio.sleep(0.01)
        assert answer.wait == pytest.approx(30.0, abs=1.0)


@pytest.mark.redis
async def test_nothing_is_kept_for_ever(server: RedisServer) -> None:
    async with limit(server, per=60) as shared:
        await shared.ask(question(count=2))
        await shared.ask(question("two", count=500))
    client = server.client()
    kept = {key: client.pttl(key) for key in client.scan_iter()}
    client.close()
    assert len(kept) == 3
    assert all(86_400_000 < left < 4 * 86_400_000 for left in kept.values())


@pytest.mark.redis
async def test_it_goes_on_when_the_server_is_back(server: RedisServer) -> None:
    async with limit(server) as shared:
        await shared.acquire()
        server.stop()
        with pytest.raises(ConnectFailed, match="is away"):
            await shared.acquire()
        server.start()
        await shared.acquire()


@pytest.mark.redis
async def test_a_fallback_is_used_while_the_server_is_away(
    server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    async with limit(server, 100, per=0.5, fallback=RateLimit(25, per=0.5)) as shared:
        await shared.acquire()
        server.stop()
        await shared.acquire()
        assert "a fallback paces the requests" in caplog.text
        server.start()
        while "the shared allowance is back" not in caplog.text:
            await shared.acquire()
        await shared.acquire()


@pytest.mark.redis
@pytest.mark.parametrize(
    ("password", "says"), [("wrong", "refuses this user"), (None, "refuses this user")]
)
async def test_a_server_that_refuses_is_no_server_that_is_away(
    password: str | None, says: str
) -> None:
    with redis_server("redis-server", "--requirepass", PASSWORD) as server:
        given = "" if password is None else f":{password}@"
        url = server.url.replace("127.0.0.1", f"{given}127.0.0.1")
        async with RedisRateLimit(100, url=url, fallback=RateLimit(25)) as refused:
            with pytest.raises(ClientMisuse, match=says) as caught:
                await refused.acquire()
        assert "wrong" not in str(caught.value).replace("WRONGPASS", "")
        url = server.url.replace("127.0.0.1", f":{ENCODED}@127.0.0.1")
        async with RedisRateLimit(100, url=url, spent_if_missing=False) as known:
            await known.acquire()


@pytest.mark.redis
async def test_a_key_of_something_else_is_an_error(server: RedisServer) -> None:
    with server.client() as client:
        client.set("{voipstudio-cmb}:state", "mine")
    async with limit(server) as shared:
        with pytest.raises(
            ClientMisuse, match="can't keep the rate limit 'voipstudio-cmb': WRONGTYPE"
        ):
            await shared.acquire()
