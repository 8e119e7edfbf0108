"""An export that is killed in its last moments: the same one answers that all is complete."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import attrs
import pytest

from benchmarks.harness.offline import Offline
from tests.fakes.exports import names, run
from voipstudio_cmb import where
from voipstudio_cmb.errors import ClientMisuse
from voipstudio_cmb.export import Account, Export, Exports, Plan, forecast
from voipstudio_cmb.export.store.disk import Disk
from voipstudio_cmb.sandbox import Sandbox


class KilledError(BaseException):
    """No Exception, as nothing may handle it."""


class Mortal(Disk):
    """Ends with what can't be handled before its step number `lives`, once all is complete."""

    def __init__(self, lives: int) -> None:
        self.lives = lives
        self.ended = False

    def replace(self, path: Path, to: Path) -> None:
        super().replace(path, to)
        self.ended = self.ended or to.name == ".export-ended"

    def _step(self) -> None:
        self.lives -= self.ended
        if self.lives < 0:
            raise KilledError

    def sync_directory(self, path: Path) -> None:
        self._step()
        super().sync_directory(path)

    def unlink(self, path: Path) -> None:
        self._step()
        super().unlink(path)


def plan_of(to: Path) -> Plan:
    return Plan(to=to, resources=("cdrs", "websites"), page_size=5)


@pytest.mark.parametrize("restart", [False, True])
async def test_killed_at_any_moment_of_its_clean_up_it_is_already_complete(
    tmp_path: Path, restart: bool
) -> None:
    killed = 0
    for lives in range(50):
        api = Offline(count=12)
        plan = attrs.evolve(plan_of(tmp_path / str(lives)), restart=restart)
        try:
            await run(api, plan, Mortal(lives))
            break
        except* KilledError:
            killed += 1
        asked = len(api.asked)
        assert all(each.already for each in await forecast(api.client(), plan))
        summary = await run(api, plan)
        assert [(job.state, job.already, job.kept) for job in summary.jobs] == [
            ("done", True, 12), ("done", True, 3),
        ]  # fmt: skip
        assert len(api.asked) == asked
        assert names(plan.to) == {"cdrs.jsonl", "websites.jsonl", "manifest.json"}
        with pytest.raises(ClientMisuse, match="exists: add what is new with --since last"):
            await run(api, plan)
    assert killed > 10


async def interrupted_end(plan: Plan) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Export, "end", lambda _: None)
        assert (await run(Offline(count=12), plan)).complete


async def test_only_what_was_complete_then_is_complete_now(tmp_path: Path) -> None:
    plan = plan_of(tmp_path)
    await interrupted_end(plan)
    (tmp_path / "cdrs.jsonl").write_text("edited")
    with pytest.raises(ClientMisuse, match="cdrs.jsonl' exists"):
        await run(Offline(count=12), plan)


async def test_what_begins_again_is_not_complete_by_the_mark_of_what_did_not(
    tmp_path: Path,
) -> None:
    await interrupted_end(plan_of(tmp_path))
    plan = attrs.evolve(plan_of(tmp_path), restart=True)
    api = Offline(count=13)
    with pytest.raises(ClientMisuse, match="exists: add what is new with --since last"):
        await run(api, plan)
    (tmp_path / "cdrs.jsonl").unlink()
    (tmp_path / "websites.jsonl").unlink()
    summary = await run(api, plan)
    assert [(job.already, job.kept, job.rows) for job in summary.jobs] == [
        (False, 0, 13), (False, 0, 3),
    ]  # fmt: skip


async def test_another_export_is_not_complete_with_it(tmp_path: Path) -> None:
    plan = plan_of(tmp_path)
    await interrupted_end(plan)
    with pytest.raises(ClientMisuse, match="exists"):
        await run(Offline(count=12), attrs.evolve(plan, filters=where("id") > 3))
    with pytest.raises(ClientMisuse, match="is another account's"):
        await run(Offline(count=12, user=8), plan)
    assert (await run(Offline(count=12), attrs.evolve(plan, format="csv"))).complete
    assert ".export-ended" not in names(tmp_path)


async def test_accounts_that_were_killed_between_two_clean_ups(tmp_path: Path) -> None:
    async with Sandbox(rows=30) as api:
        accounts = [Account(name, api.token, base_url=api.base_url) for name in ("a", "b")]
        plan = plan_of(tmp_path)
        cleaned: list[Any] = []
        clean_up = Export.clean_up

        def dies(export: Export, jobs: Any) -> None:
            if cleaned:
                raise KilledError
            cleaned.append(clean_up(export, jobs))

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Export, "clean_up", dies)
            with pytest.raises(KilledError):
                await Exports(accounts, plan).run()
        forecasts = await Exports(accounts, plan).forecast()
        assert all(each.already for each in forecasts)
        summary = await Exports(accounts, plan).run()
        assert all(job.already for job in summary.jobs)
        assert names(tmp_path) == {"a", "b"}
        summary = await Exports(accounts, plan).run()
        assert all("exists: add what is new" in str(job.error) for job in summary.jobs)


async def test_a_mark_that_can_not_be_made_is_no_failure(tmp_path: Path) -> None:
    class Full(Disk):
        def open(self, path: Path) -> int:
            if path.name == ".export-ended.new":
                raise OSError(28, "No space left on device")
            return super().open(path)

    assert (await run(Offline(count=12), plan_of(tmp_path), Full())).complete
    assert json.loads((tmp_path / "manifest.json").read_text())["files"]
