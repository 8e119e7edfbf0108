"""A shard of an export: the same files however often, wherever and by how many it is run."""

from __future__ import annotations

import asyncio
import json
import pickle
import socket
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import attrs
import pytest

from benchmarks.harness.disks import CountingDisk
from benchmarks.harness.offline import Offline, rows
from tests.fakes.exports import hashes, names, run, written
from tests.fakes.secrets import CANARY, leaks
from voipstudio_cmb import where
from voipstudio_cmb.errors import ClientMisuse, ConfigError, ConnectionLost, Unauthorized
from voipstudio_cmb.export import Export, Plan, Shard, ShardResult, export_shard, shards
from voipstudio_cmb.export.run import shards as unit
from voipstudio_cmb.export.sinks.csv import CsvSink
from voipstudio_cmb.export.store.lock import locked
from voipstudio_cmb.http import Request
from voipstudio_cmb.sandbox import Sandbox

URL = "https://api.example/v1.2/voipstudio"
TWO = ("cdrs", "visitors")
UNLINK = Path.unlink


class KilledError(BaseException):
    """No Exception, as nothing may handle it."""


class Mortal(CountingDisk):
    """Is killed before or after its step number `dies`, and waits for no disk."""

    @property
    def dead(self) -> bool:
        return 0 < self._dies <= self.steps

    def step(self) -> None:
        self.steps += 1
        if self.dead:  # what is dead takes no step any more
            raise KilledError

    def sync(self, file: int) -> None:
        self.step()

    def sync_directory(self, path: Path) -> None:
        self.step()


def plan(to: Path, **more: Any) -> Plan:
    return Plan(**{"to": to, "resources": TWO, "page_size": 5, "checkpoint": 0} | more)


def shard(to: Path, ids: Any = None, **more: Any) -> Shard:
    own = {"account": "shop", "token_env": "SHOP_TOKEN", "base_url": URL}
    return Shard(plan=plan(to, **more), ids=ids, **own)


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Offline:
    """An account in memory, which shards ask."""
    api = Offline(count=12)
    monkeypatch.setattr(unit, "CallMeBackClient", lambda *_, **options: api.client())
    monkeypatch.setenv("SHOP_TOKEN", "fake-token")
    return api


def exports_on(monkeypatch: pytest.MonkeyPatch, disk: Mortal) -> None:
    """Exports of shards take place on `disk`; what is dead removes no lock files either."""
    monkeypatch.setattr(unit, "Export", partial(Export, disk=disk))
    monkeypatch.setattr(Path, "unlink", lambda *given, **how: disk.dead or UNLINK(*given, **how))


async def undisturbed(to: Path, **more: Any) -> dict[str, str]:
    """What one process writes that is not disturbed."""
    assert (await run(Offline(count=12), plan(to, **more))).complete
    return hashes(to)


def made(result: ShardResult) -> dict[str, tuple[bool, int]]:
    return {file["resource"]: (file["already"], file["rows"]) for file in result["files"]}


async def test_what_is_done_is_answered_with_already(tmp_path: Path, api: Offline) -> None:
    expected = await undisturbed(tmp_path / "one")
    first = await export_shard(shard(tmp_path))
    assert (first["account"], first["host"]) == ("shop", socket.gethostname())
    assert (first["state"], first["exit_code"], first["rows"]) == ("done", 0, 18)
    assert made(first) == {"cdrs": (False, 12), "visitors": (False, 6)}
    assert hashes(tmp_path / "shop") == expected
    for data in (shard(tmp_path), json.loads(json.dumps(shard(tmp_path).to_dict()))):
        asked: list[Request] = []
        api.hook = asked.append  # type: ignore[assignment]
        again = await export_shard(data)
        assert (again["state"], again["exit_code"], again["rows"], asked) == ("already", 0, 18, [])
        assert made(again) == {"cdrs": (True, 12), "visitors": (True, 6)}
    assert json.loads(json.dumps(again)) == again
    assert hashes(tmp_path / "shop") == expected


@pytest.mark.parametrize(
    ("every", "more"),
    [
        (9, {}),
        pytest.param(1, {}, marks=pytest.mark.campaign),
        pytest.param(1, {"format": "csv", "compress": "gzip"}, marks=pytest.mark.campaign),
        pytest.param(1, {"since": "last"}, marks=pytest.mark.campaign),
        pytest.param(1, {"format": "sqlite"}, marks=pytest.mark.campaign),
    ],
)
async def test_killed_at_any_step_and_run_again_it_is_the_same(
    tmp_path: Path,
    api: Offline,
    monkeypatch: pytest.MonkeyPatch,
    every: int,
    more: Mapping[str, Any],
) -> None:
    expected, dies = await undisturbed(tmp_path / "one", **more), 0
    while True:
        dies += every
        to = tmp_path / str(dies)
        exports_on(monkeypatch, Mortal(dies))
        try:
            await export_shard(shard(to, **more))
            break
        except* KilledError:
            exports_on(monkeypatch, Mortal())
        result = await export_shard(shard(to, **more).to_dict())
        # Behind its very last step an incremental export finds nothing new.
        assert (result["exit_code"], result["rows"] or 18 * ("since" in more)) == (0, 18), dies
        if "sqlite" not in str(more):
            assert hashes(to / "shop") == expected, dies
        state = (await export_shard(shard(to, **more)))["state"]
        assert state == ("done" if "since" in more else "already")
    assert dies > 40


async def test_the_resources_that_are_missing_are_made(tmp_path: Path, api: Offline) -> None:
    expected = await undisturbed(tmp_path / "one")
    await export_shard(shard(tmp_path, resources="cdrs"))
    result = await export_shard(shard(tmp_path))
    assert (result["state"], made(result)) == (
        "done", {"cdrs": (True, 12), "visitors": (False, 6)},
    )  # fmt: skip
    assert hashes(tmp_path / "shop") == expected


async def test_with_since_each_run_adds_what_is_new(tmp_path: Path, api: Offline) -> None:
    assert (await export_shard(shard(tmp_path, since="last")))["rows"] == 18
    api.tables["cdrs"] = rows(15)
    for rows_added in (3, 0):
        result = await export_shard(shard(tmp_path, since="last"))
        assert (result["state"], result["rows"]) == ("done", rows_added)


async def test_another_export_to_its_file_is_met_as_by_the_command(
    tmp_path: Path, api: Offline
) -> None:
    (tmp_path / "shop").mkdir()
    with locked(tmp_path / "shop" / "cdrs.jsonl"):
        result = await export_shard(shard(tmp_path))
    assert (result["state"], result["exit_code"]) == ("failed", 5)
    [error] = result["errors"]
    assert (error["resource"], error["kind"], error["retryable"]) == ("cdrs", "ExportError", True)
    assert "another export is writing" in error["message"]
    assert (await export_shard(shard(tmp_path)))["exit_code"] == 0


async def test_what_another_run_completes_meanwhile_is_complete(
    tmp_path: Path, api: Offline, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = await undisturbed(tmp_path / "one")

    class Late(Export):
        """Is run when another one has made the first file."""

        async def run(self) -> Any:
            await run(Offline(count=12), plan(tmp_path / "shop", resources="cdrs"))
            return await super().run()

    monkeypatch.setattr(unit, "Export", Late)
    result = await export_shard(shard(tmp_path, resources="cdrs"))
    assert result["state"] == "already"
    monkeypatch.undo()
    assert hashes(tmp_path / "shop")["cdrs.jsonl"] == expected["cdrs.jsonl"]


async def test_other_files_are_not_its_own(tmp_path: Path, api: Offline) -> None:
    await export_shard(shard(tmp_path, resources="cdrs"))
    other = await export_shard(shard(tmp_path, resources="cdrs", filters=where("id") > 3))
    assert (other["exit_code"], other["errors"][0]["kind"]) == (2, "ClientMisuse")
    (tmp_path / "shop" / "cdrs.jsonl").write_bytes(b"cut\n")
    damaged = await export_shard(shard(tmp_path, resources="cdrs"))
    assert (damaged["state"], damaged["exit_code"]) == ("failed", 2)
    assert "exists" in damaged["errors"][0]["message"]


async def test_ranges_of_ids_are_the_collection(tmp_path: Path, api: Offline) -> None:
    await undisturbed(tmp_path / "one")
    parts = []
    for ids in ((1, 4), (5, 9), (10, None)):
        own = shard(tmp_path / "parts", ids=ids)
        assert Shard.from_dict(own.to_dict()) == own
        assert (await export_shard(own))["state"] == "done"
        assert (await export_shard(own))["state"] == "already"
        parts.append(own.own_plan.to)
    assert [path.name for path in parts] == ["shop.ids-1-4", "shop.ids-5-9", "shop.ids-10-"]
    for name in TWO:
        joined = b"".join((path / f"{name}.jsonl").read_bytes() for path in parts)
        assert joined == (tmp_path / "one" / f"{name}.jsonl").read_bytes()
    for wrong in ((0, 4), (5, 4), (1,), "14", (1, "4"), 5):
        with pytest.raises(ClientMisuse, match="ids"):
            shard(tmp_path, ids=wrong)
    for more in ({"resources": ("cdrs", "buttons")}, {"since": "last"}):
        with pytest.raises(ClientMisuse, match="a range of ids can't have buttons"):
            shard(tmp_path, ids=(1, 4), **more)


async def test_errors_are_data(tmp_path: Path, api: Offline) -> None:
    async def lost(request: Request) -> None:
        if "visitors" in request.path:
            raise ConnectionLost("gone", sent="maybe")

    api.hook = lost
    result = await export_shard(shard(tmp_path))
    assert (result["state"], result["exit_code"], result["rows"]) == ("failed", 5, 12)
    [error] = result["errors"]
    assert (error["resource"], error["kind"], error["retryable"]) == (
        "visitors", "ConnectionLost", True,
    )  # fmt: skip
    api.hook = None
    assert (await export_shard(shard(tmp_path)))["rows"] == 18

    async def refused(request: Request) -> None:
        raise Unauthorized("refused", status=401)

    api.hook = refused
    result = await export_shard(shard(tmp_path / "other"))
    assert (result["exit_code"], result["files"][0]["state"]) == (4, "failed")
    assert "the token of 'shop' comes from SHOP_TOKEN" in result["errors"][0]["message"]


async def test_a_missing_variable_is_named_with_the_host(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SHOP_TOKEN", raising=False)
    result = await export_shard(shard(tmp_path))
    [error] = result["errors"]
    assert (result["state"], result["exit_code"], error["kind"]) == ("failed", 4, "NoToken")
    assert f"SHOP_TOKEN, which holds the token of the account 'shop', is not set on the host "\
        f"{socket.gethostname()!r}" in error["message"]  # fmt: skip
    own = attrs.evolve(shard(tmp_path), token_env="", token_file=str(tmp_path / CANARY))
    result = await export_shard(own)
    assert (result["exit_code"], leaks(str(result), repr(own))) == (2, [])
    assert "the file that token_file names can't be read" in result["errors"][0]["message"]
    assert socket.gethostname() in result["errors"][0]["message"]


async def test_a_function_returns_the_token_where_the_shard_runs(
    api: Offline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "vault.py").write_text("async def token(account): return f'{account}-token'\n")
    own = attrs.evolve(shard(tmp_path / "out"), token_env="", token_function="vault:token")
    sent = own.to_dict()
    assert (sent["token_function"], "-token" in repr(sent)) == ("vault:token", False)
    missing = await export_shard(sent)
    assert "function that token_function names failed" in missing["errors"][0]["message"]
    monkeypatch.syspath_prepend(str(tmp_path))
    given = []
    monkeypatch.setattr(
        unit, "CallMeBackClient", lambda token, **_: given.append(token.reveal()) or api.client()
    )
    assert (await export_shard(sent))["state"] == "done"
    assert given == [f"{own.account}-token"]


def test_a_shard_is_plain_data(tmp_path: Path) -> None:
    filters = (where("created_at") >= "2026-01-01", where("id") > 7)
    own = shard(tmp_path, columns=["id", "src"], format="csv", filters=filters, compress="gzip")
    data = json.loads(json.dumps(own.to_dict()))
    assert Shard.from_dict(data) == own == pickle.loads(pickle.dumps(own))
    assert Shard.from_dict(data).own_plan == own.own_plan
    for wrong in ({}, data | {"other": 1}, data | {"plan": {"to": "x", "other": 1}}, {"plan": 5}):
        with pytest.raises(ClientMisuse):
            Shard.from_dict(wrong)
    with pytest.raises(ClientMisuse, match="no plain data"):
        shard(tmp_path, format=CsvSink()).to_dict()
    for more in ({"overwrite": True}, {"restart": True}):
        with pytest.raises(ClientMisuse, match="may be run again at any time"):
            shard(tmp_path, **more)
    for keys in ({"token_env": ""}, {"token_file": "x"}, {"account": "../x"}, {"rate": 0},
                 {"base_url": "http://x.y"}):  # fmt: skip
        with pytest.raises(ConfigError):
            attrs.evolve(own, **keys)
    with pytest.raises(ClientMisuse, match=r"export\.Plan"):
        attrs.evolve(own, plan={"to": "x"})


def test_there_is_a_shard_for_each_account(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        '[accounts.b]\ntoken_env = "B"\nrate = 10\n'
        '[accounts.a]\ntoken_file = "a.txt"\nbase_url = "https://own.example/v1"\n',
    )
    env = {"VOIPSTUDIO_API_URL": "https://elsewhere.example/v1/"}
    first, second = shards(path, plan(tmp_path), env=env)
    assert (first.account, first.token_file, first.base_url, first.rate) == (
        "a", str(tmp_path / "a.txt"), "https://own.example/v1", None,
    )  # fmt: skip
    assert (second.account, second.token_env, second.base_url, second.rate) == (
        "b", "B", "https://elsewhere.example/v1", 10,
    )  # fmt: skip
    each = shards(path, plan(tmp_path), by="resource", env={})
    assert [(one.account, *one.plan.resources, one.rate) for one in each] == [
        ("a", "cdrs", None), ("a", "visitors", None), ("b", "cdrs", 5), ("b", "visitors", 5),
    ]  # fmt: skip
    assert [one.account for one in shards(path, plan(tmp_path), only=["b"])] == ["b"]
    with pytest.raises(ConfigError, match="names no 'c'; it has b, a"):
        shards(path, plan(tmp_path), only=["b", "c"])
    with pytest.raises(ClientMisuse, match="by must be"):
        shards(path, plan(tmp_path), by="row")  # type: ignore[arg-type]
    path.write_text('[accounts.a]\ntoken = "x"')
    with pytest.raises(ConfigError, match="tokens do not belong in this file"):
        shards(path, plan(tmp_path))


async def test_shards_of_resources_of_one_account_share_its_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHOP_TOKEN", "sandbox-token")
    with Sandbox(rows=60) as api:
        path = written(
            tmp_path, f'[accounts.shop]\ntoken_env = "SHOP_TOKEN"\nbase_url = "{api.base_url}"'
        )
        whole = Plan(to=tmp_path / "one")
        assert (await export_shard(*shards(path, whole)))["state"] == "done"
        several = shards(path, attrs.evolve(whole, to=tmp_path / "several"), by="resource")
        assert len(several) == 5
        results = await asyncio.gather(*map(export_shard, several))
        assert [result["state"] for result in results] == ["done"] * 5
    assert hashes(tmp_path / "several" / "shop") == hashes(tmp_path / "one" / "shop")
    assert not [name for name in names(tmp_path / "several" / "shop") if name.startswith(".")]
