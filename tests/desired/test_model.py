"""Random documents against random accounts, with edits by hand, faults and kills on the way.

After at most two further runs the account is as the document says, no resource is there twice, and
nothing that is not managed was touched.
"""

from __future__ import annotations

import asyncio
import os
import random
import tomllib
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.account import FakeAccount, Killed
from voipstudio_cmb import desired
from voipstudio_cmb.desired.forms import UNKNOWN, canonical, quoted, read_row, spelt
from voipstudio_cmb.errors import CallMeBackError
from voipstudio_cmb.http import Request

FAULTS = ("lost", "504", "429", "killed before", "killed after")
VALUES: dict[str, tuple[Any, ...]] = {
    "culture": (1, "2", 3, "en"),
    "position": (0, "4"),
    "floating_icon": (True, False),
    "allowed_countries": ("GB, ie", ["US"], [], None),
    "welcome_screen_msg": ("", "Hello\nyou", 'a "quote"', None),
    "privacy_policy_url": ("https://shop.example/privacy", None),
    "ddi_e164": (442079460001, None),
    "max_call_rate": (0.15, "3.20", 100, None),
}
ODD: dict[str, tuple[Any, ...]] = {
    "culture": (1, "1", 2.0, None),
    "floating_icon": (1, "0", "true", "perhaps"),
    "allowed_countries": ("ie,GB", ["us"], "", {"0": "GB"}),
    "max_call_rate": ("0.150", 3.2, 100, None, "free"),
    "ddi": ("442079460001", None),
    "welcome_screen_msg": ("Hello\nyou", None, 5),
}


class Scenario:
    """One document, one account, and what happens to both."""

    def __init__(self, seed: int, path: Path) -> None:
        self.random = random.Random(seed)
        self.path = path
        self.account = FakeAccount()
        self.prune = self.random.random() < 0.5
        self.rate = 0.0
        """How often something goes wrong with a request."""
        self.planned: dict[tuple[str, int], dict[str, Any]] = {}
        """What the last plan has read."""
        self.comments = 0
        """How often somebody has written into the document meanwhile."""
        self.listed: set[tuple[str, int]] = set()
        """What a section has had the id of, or what it was to adopt."""
        self.met: Counter[str] = Counter()
        self.account.fault = self.fault
        self._fill()

    def _fill(self) -> None:
        choose, blocks = self.random, []
        buttons = [f"b{n}" for n in range(choose.randrange(3))]
        for kind, count in (("buttons", 2), ("settings", 3)):
            for n in range(choose.randrange(count)):
                self.account.add(kind, name=f"by hand {n}")
        for local in buttons:
            blocks.append(self._section("buttons", local, {"data_online": choose.choice("xy")}))
        for n in range(choose.randrange(4)):
            named = choose.sample(list(VALUES), choose.randrange(4))
            values = {name: choose.choice(VALUES[name]) for name in named}
            if buttons and choose.random() < 0.5:
                values["button"] = choose.choice(buttons)
            blocks.append(self._section("settings", f"s{n}", values))
        self.account.add("websites", button_id=self.random.choice((None, 201, "202")))
        self.path.write_text("# shops\n\n" + "\n\n".join(blocks) + "\n")

    def _section(self, kind: str, local: str, values: dict[str, Any]) -> str:
        name, lines = f"{kind} {local}", [f"[{kind}.{local}] # about {local}"]
        place = self.random.random()
        if place < 0.6:  # it is there, with an id in the document or to be adopted
            odd = {key: self.random.choice(ODD[key]) for key in self.random.sample(list(ODD), 2)}
            fields = odd if kind == "settings" else {}
            id = self.account.add(kind, **fields, name=name if place < 0.3 else "old")
            if place >= 0.3 or self.random.random() < 0.3:
                lines.append(f"id = {id}")
            elif kind == "buttons":  # of those without a website or a setting nobody knows
                self.account.add("websites", button_id=id)
            self.listed.add((kind, id))
        nulls = [key for key, value in values.items() if value is None]
        lines.append(f"name = {quoted(name)}")
        for key, value in values.items():
            if value is not None:
                text = str(value) if isinstance(value, float) else None
                text = text or spelt(tuple(value) if isinstance(value, list) else value)
                lines.append(f"{key} = {text} # of {local}")
        return "\n".join([*lines, *([f"null = {spelt(tuple(nulls))}"] if nulls else [])])

    def fault(self, request: Request) -> str:
        kind, _, last = request.path.removeprefix("/callmeback/").partition("/")
        if request.method == "PATCH":
            now = read_row(kind, self.account.tables[kind].get(int(last)))  # type: ignore[arg-type]
            for name, known in self.planned[kind, int(last)].items():
                assert known == now[name] or UNKNOWN in (known, now[name]), "lost update"
        rate = self.rate if request.reads else min(0.5, 4 * self.rate)  # which are few
        if self.random.random() >= rate:
            return ""
        what = self.random.choice((*FAULTS, "edit", "edit", "document"))
        self.met[f"{what} {request.method}"] += 1
        if what == "edit" and request.reads:
            self.edit_by_hand()
        elif what == "document":
            self.comments += 1
            with self.path.open("a") as file:
                file.write(f"\n# {self.comments} meanwhile\n")
        return what if what in FAULTS else ""

    def edit_by_hand(self) -> None:
        kind = self.random.choice(("settings", "buttons"))
        table = self.account.tables[kind]
        if not table.ids:
            return
        id = self.random.choice(table.ids)
        if self.random.random() < 0.2:
            table.delete(id)
        elif kind == "buttons":
            table.update(id, data_online=f"by hand {self.random.random()}")
        else:
            table.update(id, welcome_screen_msg=f"{self.random.random()}", culture="7")

    def data(self) -> dict[str, Any]:
        return tomllib.loads(self.path.read_text())

    def note_ids(self) -> None:
        for kind in ("buttons", "settings"):
            for section in self.data().get(kind, {}).values():
                if "id" in section:
                    self.listed.add((kind, section["id"]))

    async def run(self) -> None:
        """Plans and applies once, and is cut off if it comes to that."""
        client: Any = self.account
        try:
            plan = await desired.plan(client, desired.read(self.path), prune=self.prune)
            self.planned = {(item.kind, item.id or 0): dict(item.known) for item in plan.items}
            if self.random.random() < self.rate:
                self.edit_by_hand()
            outcome = await plan.apply(force=True)
            self.met.update(result.state for result in outcome.results)
        except Killed:
            self.met["killed"] += 1
        except CallMeBackError as error:
            if not self.rate:
                raise
            self.met[type(error).__name__] += 1
        self.note_ids()

    def remove_a_section(self) -> None:
        blocks = self.path.read_text().split("\n\n")
        of_settings = [block for block in blocks if block.startswith("[settings.")]
        if of_settings:
            blocks.remove(self.random.choice(of_settings))
            self.path.write_text("\n\n".join(blocks).rstrip() + "\n")

    def look_into_the_dashboard(self) -> None:
        """Does what the message says where a button may have been created."""
        data, table = self.data().get("buttons", {}), self.account.tables["buttons"]
        taken = {section.get("id") for section in data.values()}
        blocks = []
        for block in self.path.read_text().split("\n\n"):
            local = block.partition("]")[0].removeprefix("[buttons.")
            section = data.get(local, {})
            if section.get("creating"):
                found = [id for id in table.ids if table.get(id)["name"] == section["name"]]
                ids = [f"id = {id}" for id in found if id not in taken]
                own = [line for line in block.split("\n") if not line.startswith(("id =", "creat"))]
                block = "\n".join([own[0], *ids, *own[1:]])
            blocks.append(block)
        self.path.write_text("\n\n".join(blocks))

    async def play(self) -> None:
        self.rate = self.random.choice((0.0, 0.05, 0.15, 0.3))
        for _ in range(3):
            await self.run()
            if self.random.random() < 0.4:
                self.remove_a_section()
        self.rate = 0.0
        self.look_into_the_dashboard()
        await self.run()
        await self.run()
        await self.judge()

    async def judge(self) -> None:
        client: Any = self.account
        plan = await desired.plan(client, desired.read(self.path), prune=self.prune)
        assert not plan.changes, desired.render(plan)
        data, text = self.data(), self.path.read_text()
        ids = {local: section["id"] for local, section in data.get("buttons", {}).items()}
        for kind in ("buttons", "settings"):
            table = self.account.tables[kind]
            for section in data.get(kind, {}).values():
                row = read_row(kind, table.get(section["id"]))  # type: ignore[arg-type]
                for name, value in section.items():
                    if name in row and row[name] is not UNKNOWN and value != "en":
                        assert row[name] == canonical(name, value), (name, row, section)
                if "button" in section and row["button_id"] is not UNKNOWN:
                    assert row["button_id"] == ids[section["button"]]
                alike = [id for id in table.ids if table.get(id)["name"] == section["name"]]
                assert alike == [section["id"]], "twice"
            self._judge_kind(kind, data)
        for n in range(self.comments):
            assert f"# {n + 1} meanwhile" in text
        assert all(f"# about {local}" in text for local in data.get("settings", {}))

    def _judge_kind(self, kind: str, data: dict[str, Any]) -> None:
        made = {(each, id) for each, id in self.account.made if each == kind}
        for method, each, id in self.account.writes():
            if each == kind and id is not None:
                assert (kind, id) in made | self.listed, f"{method} of what is not managed"
        given = {id for each, id in self.listed if each == kind}
        managed = set(data.get("managed", {}).get(kind, ()))
        assert managed <= given | {id for _, id in made}
        present = {section["id"] for section in data.get(kind, {}).values()}
        left = managed.intersection(self.account.tables[kind].ids) - present
        assert not self.prune or kind == "buttons" or not left, "not pruned"
        deleted = {
            id for method, each, id in self.account.writes() if (method, each) == ("DELETE", kind)
        }
        assert not deleted or self.prune
        assert not deleted & (present - {id for _, id in made})


def play(seeds: range, path: Path) -> Counter[str]:
    met: Counter[str] = Counter()

    async def all_of_them() -> None:
        for seed in seeds:
            scenario = Scenario(seed, path)
            try:
                await scenario.play()
            except BaseException as error:
                error.add_note(f"seed {seed}")
                raise
            met.update(scenario.met)

    asyncio.run(all_of_them())
    return met


@pytest.fixture(autouse=True)
def without_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", lambda file: None)


def test_documents_come_true_whatever_happens(tmp_path: Path) -> None:
    met = play(range(40), tmp_path / "widgets.toml")
    assert {"done", "stopped", "failed", "unknown", "not tried", "killed"} <= met.keys()


@pytest.mark.campaign
def test_many_documents_come_true_whatever_happens(tmp_path: Path) -> None:
    play(range(1000, 1500), tmp_path / "widgets.toml")
