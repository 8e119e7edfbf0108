"""HTTP responses through a session over loopback."""

from __future__ import annotations

import asyncio
import random

from benchmarks.campaigns.fuzz.findings import Findings
from benchmarks.campaigns.fuzz.generate import segments
from benchmarks.harness.peer import RawRequest, Reply, serving
from benchmarks.harness.workers import run_jobs
from voipstudio_cmb.config import ClientConfig
from voipstudio_cmb.errors import CallMeBackError
from voipstudio_cmb.http import Call, Request
from voipstudio_cmb.transport.session import Session


async def fuzz_responses(
    count: int, seed: int, timeout: float = 0.4, at_once: int = 32
) -> Findings:
    """Sends so many damaged responses to a session, `at_once` of them at a time."""
    findings, rng = Findings(), random.Random(seed)
    clock = asyncio.get_running_loop().time
    replies: dict[str, Reply] = {}

    def respond(request: RawRequest) -> Reply:
        return replies.get(request.path, Reply(end="close"))

    async def job(number: int) -> None:
        path, end = f"/{number}", rng.choice(("keep", "close", "reset"))
        replies[path] = Reply(parts=segments(rng), pause=0.001, end=end)
        method = rng.choice(("GET", "GET", "POST", "PATCH", "DELETE"))
        body = b"{}" if method in ("POST", "PATCH") else None
        request = Request(method=method, path=path, body=body, call=Call(timeout=timeout))
        began = clock()
        try:
            response = await session(request)
            findings.met[f"{response.status // 100}xx"] += 1
        except CallMeBackError as error:
            findings.met[type(error).__name__] += 1
        except Exception as error:
            findings.add(f"{error!r} for {replies[path]}")
        findings.check_time(clock() - began, 1.1 * timeout + 0.05, replies.pop(path))

    async with serving(respond) as (_, port):
        session = Session(f"http://127.0.0.1:{port}", ClientConfig(connections=at_once))
        try:
            await run_jobs(job, count, at_once)
        finally:
            await session.aclose()
    return findings
