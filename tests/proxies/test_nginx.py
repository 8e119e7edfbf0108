"""Behind nginx with gzip, a rate limit and short time-outs, exports are whole and POSTs single."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import attrs
import pytest

from tests.fakes.nginx import Nginx, nginx
from voipstudio_cmb import CallMeBackClient, ClientConfig, where
from voipstudio_cmb.errors import CallMeBackError
from voipstudio_cmb.export import Export, Plan
from voipstudio_cmb.sandbox import Fault, Sandbox

pytestmark = pytest.mark.proxy

SETTINGS = "/callmeback/settings"


@pytest.fixture
def api() -> Iterator[Sandbox]:
    with Sandbox(rows=2000) as api:
        yield api


@pytest.fixture
def proxy(api: Sandbox, tmp_path: Path) -> Iterator[Nginx]:
    directory = tmp_path / "nginx"
    directory.mkdir()
    with nginx(api.base_url, directory, rate=40) as proxy:
        yield proxy


def client(api: Sandbox, base_url: str) -> CallMeBackClient:
    # A limit that refuses many requests is worth more attempts than an outage.
    config = ClientConfig(attempts=12, retry_budget=10_000)
    return CallMeBackClient(api.token, base_url=base_url, config=config)


async def exported(api: Sandbox, base_url: str, to: Path) -> dict[str, bytes]:
    async with client(api, base_url) as cmb:
        summary = await Export(cmb, Plan(to=str(to), page_size=50)).run()
    assert summary.complete
    return {path.name: path.read_bytes() for path in to.glob("*.jsonl")}


async def test_an_export_through_it_is_whole(api: Sandbox, proxy: Nginx, tmp_path: Path) -> None:
    direct = await exported(api, api.base_url, tmp_path / "direct")
    for after in (5, 20, 30):
        api.script(Fault(method="GET", delay=1.5, after=after))
        api.script(Fault(method="GET", drop="mid-body", after=after))
    through = await exported(api, proxy.base_url, tmp_path / "through")
    met = proxy.responses()
    assert through == direct
    assert len(direct) == 5
    assert met["GET 200 gzip"] > 40
    assert {"GET 503 -", "GET 504 -"} <= met.keys()


async def create_once(cmb: CallMeBackClient, name: str) -> None:
    """Creates a setting as the errors advise: looks for it if it may have been made."""
    while True:
        try:
            await cmb.settings.create(name=name)
            return
        except CallMeBackError as error:
            if error.sent == "yes":
                raise
            if error.sent == "maybe":
                found = await cmb.settings.list(filters=where("name") == name).collect()
                if found:
                    return


async def test_forty_settings_are_made_once_each(api: Sandbox, proxy: Nginx) -> None:
    before = set(api.data.settings.ids)
    for fault in (
        Fault(response_delay=1.5, times=4), Fault(drop="after", times=4),
        Fault(drop="before", times=4), Fault(drop="mid-body", times=4),
    ):  # fmt: skip
        api.script(attrs.evolve(fault, method="POST", path=SETTINGS))
    names = [f"made {number}" for number in range(40)]
    async with client(api, proxy.base_url) as cmb, asyncio.TaskGroup() as group:
        for name in names:
            group.create_task(create_once(cmb, name))
    made = [api.data.settings.get(each)["name"] for each in set(api.data.settings.ids) - before]
    assert Counter(made) == Counter(names)
    met = proxy.responses()
    assert {"POST 502 -", "POST 503 -", "POST 504 -"} <= met.keys()
