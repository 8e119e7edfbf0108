"""The way of a document on the stand-in: pull, plan, apply, drift, and put right."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from voipstudio_cmb import CallMeBackClient, desired
from voipstudio_cmb.desired.forms import FIELDS, Kind, attributes
from voipstudio_cmb.errors import NotFound
from voipstudio_cmb.sandbox import Sandbox

CHANGED: dict[Kind, dict[str, str]] = {
    "settings": {
        "name": '"Another shop"',
        "position": "9",
        "floating_icon": "true",
        "culture": '"9"',
        "allowed_countries": '["pl", "ES"]',
        "show_to_allowed_countries_only": "true",
        "welcome_screen_msg": '"""\nDzień dobry,\n"you" \\\\o/"""',
        "privacy_policy_url": '"https://shop.example/other"',
        "ddi_e164": "442079469999",
        "max_call_rate": "7.25",
        "button_id": "206",
    },
    "buttons": {"name": '"Another"', "data_online": '"data:,a"', "data_offline": '"data:,b"'},
}
RENAMED = {"ddi_e164": "ddi"}
CASES = [(kind, name) for kind in FIELDS for name in attributes(kind)]


@pytest.mark.one_in(7)
@pytest.mark.parametrize(("kind", "name"), CASES, ids=lambda value: str(value))
async def test_every_attribute_makes_the_whole_way(kind: Kind, name: str, tmp_path: Path) -> None:
    path, id = tmp_path / "widgets.toml", 201 if kind == "buttons" else 77
    async with Sandbox(rows=4) as api, CallMeBackClient(api.token, base_url=api.base_url) as cmb:
        table = getattr(api.data, kind)
        table.update(id, floating_icon=False, show_to_allowed_countries_only=False)
        table.update(id, **{RENAMED.get(name, name): None})
        pulled = await desired.pull(cmb)
        path.write_text(f"# kept\n{pulled}")
        assert not (await desired.plan(cmb, desired.read(path))).changes
        null = f'null = ["{name}"]' if name != "allowed_countries" else f"{name} = []"
        section = f"id = {id}\n"
        before, _, after = pulled.partition(section)
        assert null in after.split("\n\n")[0]
        wanted = f"{name} = {CHANGED[kind][name]} # wanted"
        path.write_text(before + section + after.replace(null, wanted, 1))
        plan = await desired.plan(cmb, desired.read(path))
        assert [(item.id, item.action) for item in plan.items if item.action != "none"] == [
            (id, "update")
        ]
        [change] = [item for item in plan.items if item.action == "update"]
        assert list(change.changes) == [name]
        assert (await plan.apply()).complete
        assert "# wanted" in path.read_text()
        assert not (await desired.plan(cmb, desired.read(path))).changes
        table.update(id, **{RENAMED.get(name, name): None})  # somebody in the dashboard
        drift = await desired.plan(cmb, desired.read(path))
        assert f"      {name}: " in desired.render_drift(drift)
        assert "1 differ" in desired.render_drift(drift)
        assert (await drift.apply()).complete
        assert not (await desired.plan(cmb, desired.read(path))).changes


async def test_three_widgets_of_a_new_user(tmp_path: Path) -> None:
    path = tmp_path / "widgets.toml"
    async with Sandbox(rows=4) as api, CallMeBackClient(api.token, base_url=api.base_url) as cmb:
        text = await desired.pull(cmb, [77, 42])
        assert text.startswith('account = "id 1001"\n\n[buttons.')
        assert text.count("[settings.") == 2
        path.write_text(text + '\n# a third\n[settings.new]\nname = "New"\nfloating_icon = true\n')
        plan = await desired.plan(cmb, desired.read(path))
        shown = desired.render(plan).split("\n")
        assert shown[-5:] == [
            "  + create settings.new",
            '      name: "New"',
            "      floating_icon: true",
            f"1 to create, 0 to update, 0 to delete, {len(plan.items) - 1} unchanged",
            "",
        ]
        assert api.token not in desired.render(plan) + plan.to_json() + repr(plan) + text
        json.loads(plan.to_json())
        outcome = await plan.apply()
        assert desired.render_outcome(outcome) == "1 done\n"
        new = outcome.results[0].id
        api.data.settings.update(new, floating_icon=False)  # by hand
        api.data.settings.delete(42)
        drift = desired.render_drift(await desired.plan(cmb, desired.read(path)))
        assert f"  ~ settings.new (id {new})\n      floating_icon: true -> false\n" in drift
        assert " is gone\n" in drift
        assert "2 differ from the document" in drift
        assert (await (await desired.plan(cmb, desired.read(path))).apply()).complete
        assert not (await desired.plan(cmb, desired.read(path))).changes
        assert "# a third\n[settings.new]" in path.read_text()
        with pytest.raises(NotFound):
            await desired.pull(cmb, [999_999])


async def test_pulls_of_accounts_make_one_document(tmp_path: Path) -> None:
    path = tmp_path / "widgets.toml"
    async with Sandbox(rows=4) as api, CallMeBackClient(api.token, base_url=api.base_url) as cmb:
        parts = [
            await desired.pull(cmb, [77], account=name)
            for name in ("one", "zwei & drei", "3")
            if name != "zwei & drei"
        ]
        path.write_text("\n".join(parts))
        document = desired.read(path)
        assert document.accounts == ("one", "3")
        for name in document.accounts:
            assert not (await desired.plan(cmb, document, account=name)).changes
        with pytest.raises(ValueError, match="an account's name"):
            await desired.pull(cmb, account="zwei & drei")
