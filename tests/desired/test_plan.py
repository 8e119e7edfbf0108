"""Plans and what comes of them, against an account without a network."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.account import FakeAccount
from voipstudio_cmb import desired
from voipstudio_cmb.errors import (
    BadRequest,
    CallMeBackError,
    ClientMisuse,
    DocumentError,
    Forbidden,
    ServerFault,
    Unauthorized,
    WrongShape,
)
from voipstudio_cmb.http import Request, Response


class Desk:
    """A document, an account, and the way from one to the other."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.account = FakeAccount()
        self.client: Any = self.account

    def write(self, text: str) -> None:
        self.path.write_text(text)

    @property
    def data(self) -> dict[str, Any]:
        return tomllib.loads(self.path.read_text())

    async def plan(self, **options: Any) -> desired.Plan:
        return await desired.plan(self.client, desired.read(self.path), **options)

    async def apply(self, **options: Any) -> desired.Outcome:
        return await (await self.plan(**options)).apply(force=True)

    def fail(self, method: str, error: CallMeBackError, *, done: bool = False) -> None:
        """Lets requests with this `method` fail with `error`, after they are `done` or before."""
        respond = self.account.respond

        def failing(request: Request) -> Response:
            if request.method != method:
                return respond(request)
            if done:
                respond(request)
            raise error

        self.account.respond = failing  # type: ignore[method-assign]


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path / "widgets.toml")


def actions(plan: desired.Plan) -> list[tuple[str, str, int | None]]:
    return [(item.local or item.kind, item.action, item.id) for item in plan.items]


SHOP = '[settings.shop]\nname = "Shop"\n'
HEADER = '[buttons.header]\nname = "Header"\n'


async def test_what_is_not_there_is_created_buttons_first(desk: Desk) -> None:
    desk.write(SHOP + 'button = "header"\nculture = 3\n' + HEADER)
    plan = await desk.plan()
    assert actions(plan) == [("header", "create", None), ("shop", "create", None)]
    told: list[desired.Result] = []
    outcome = await plan.apply(on_item=told.append)
    assert outcome.complete
    assert outcome.results == tuple(told)
    assert desk.account.bodies == [
        {"name": "Header"}, {"name": "Shop", "button_id": 201, "culture": "3"}
    ]  # fmt: skip
    assert desk.data["managed"] == {"buttons": [201], "settings": [1]}
    assert desk.data["settings"]["shop"]["id"] == 1
    again = await desk.plan()
    assert not again.changes
    assert (await again.apply()).results == ()


async def test_only_what_differs_is_sent_and_null_is_a_value(desk: Desk) -> None:
    id = desk.account.add("settings", name="Shop", culture="3", privacy_policy_url="x", position=1)
    desk.write(SHOP + f'id = {id}\nculture = 3\nposition = 2\nnull = ["privacy_policy_url"]\n')
    [item] = (await desk.plan()).items
    assert item.changes == {"position": (1, 2), "privacy_policy_url": ("x", None)}
    assert (await desk.apply()).complete
    assert desk.account.bodies == [{"position": "2", "privacy_policy_url": None}]
    assert "managed" not in desk.data  # it was neither made nor adopted


async def test_what_can_not_be_compared_is_left_alone(desk: Desk) -> None:
    id = desk.account.add("settings", name="Shop", max_call_rate="free", culture=0)
    desk.write(SHOP + f'id = {id}\nculture = "en"\nmax_call_rate = 1\n')
    plan = await desk.plan()
    assert plan.items[0].incomparable == ("culture", "max_call_rate")
    assert not plan.changes


async def test_the_only_one_of_that_name_is_adopted(desk: Desk) -> None:
    id = desk.account.add("settings", name="Shop", culture=1)
    desk.account.add("settings", name="Shop 2")
    button = desk.account.add("buttons", name="Header")
    desk.account.add("websites", button_id=button)
    desk.write(SHOP + "culture = 2\n" + HEADER)
    plan = await desk.plan()
    assert actions(plan) == [("header", "adopt", button), ("shop", "adopt", id)]
    assert (await plan.apply()).complete
    assert desk.account.made == []
    assert desk.data["managed"] == {"settings": [id], "buttons": [button]}
    assert desk.account.tables["settings"].get(id)["culture"] == 2


async def test_several_of_that_name_are_named(desk: Desk) -> None:
    ids = [desk.account.add("settings", name="Shop") for _ in range(2)]
    desk.write("\n" + SHOP)
    with pytest.raises(DocumentError, match=rf"toml:2: settings.shop: .* ids {ids[0]}, {ids[1]}"):
        await desk.plan()
    desk.write(SHOP + f'id = {ids[0]}\n[settings.other]\nname = "Other"\nid = {ids[1]}')
    assert [item.action for item in (await desk.plan()).items] == ["none", "update"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[settings.a]\nid = 9\nculture = 1", "id 9 is gone, and without a name"),
        (
            SHOP + "id = 9\ncreating = true\n"
            '[settings.b]\nid = 8\nname = "Shop"\ncreating = true\n',
            "has the same name",
        ),
    ],
)
async def test_what_is_gone_is_not_created_if_it_could_not_be_found_again(
    text: str, words: str, desk: Desk
) -> None:
    desk.write(text)
    with pytest.raises(DocumentError, match=words):
        await desk.plan()


async def test_what_is_gone_is_created_again_and_gets_its_new_id(desk: Desk) -> None:
    desk.account.add("settings", name="Shop")  # which is another one
    desk.write(SHOP + "id = 9\n[managed]\nsettings = [9]\n")
    [item] = (await desk.plan()).items
    assert (item.action, item.reason) == ("create", "id 9 is gone")
    assert (await desk.apply()).complete
    assert desk.data["settings"]["shop"]["id"] == 2
    assert desk.data["managed"] == {"settings": [2]}


async def test_a_setting_that_the_list_lacks_is_there_all_the_same(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    id = desk.account.add("settings", name="Shop")
    desk.write(SHOP + f"id = {id}")
    empty = FakeAccount()
    monkeypatch.setattr(desk.account.settings, "list", empty.settings.list)
    assert actions(await desk.plan()) == [("shop", "none", id)]


@pytest.mark.parametrize(
    ("error", "done"),
    [
        (ServerFault("504", sent="maybe"), True),
        (ServerFault("504", sent="maybe"), False),
        (WrongShape("no id", sent="yes"), True),
    ],
)
async def test_after_a_doubtful_creation_the_next_run_looks_first(
    error: CallMeBackError, done: bool, desk: Desk
) -> None:
    desk.write(SHOP)
    respond = desk.account.respond
    desk.fail("POST", error, done=done)
    [result] = (await desk.apply()).results
    assert (result.state, result.error) == ("unknown", error)
    assert "apply again, which finds it" in result.message
    assert desk.data["settings"]["shop"]["creating"] is True
    desk.account.respond = respond  # type: ignore[method-assign]
    assert [item.action for item in (await desk.plan()).items] == ["adopt" if done else "create"]
    assert (await desk.apply()).complete
    assert desk.data["settings"]["shop"] == {"name": "Shop", "id": 1}
    assert len(desk.account.tables["settings"]) == 1


async def test_a_button_that_may_be_there_is_not_created_again(desk: Desk) -> None:
    desk.write(HEADER + SHOP + 'button = "header"\n')
    respond = desk.account.respond
    desk.fail("POST", ServerFault("504", sent="maybe"), done=True)
    header, shop = (await desk.apply()).results
    assert (header.state, shop.state) == ("unknown", "not tried")
    assert "its button header is not there" in shop.message
    desk.account.respond = respond  # type: ignore[method-assign]
    plan = await desk.plan()
    assert plan.items[0].blocked
    assert plan.changes
    header, shop = (await plan.apply()).results
    assert (header.state, shop.state) == ("unknown", "not tried")
    assert "look into the dashboard" in header.message
    assert len(desk.account.made) == 1
    desk.write(desk.path.read_text().replace('name = "Header"', 'name = "Header"\nid = 201'))
    assert (await desk.apply()).complete
    assert desk.data["buttons"]["header"] == {"name": "Header", "id": 201}
    assert desk.data["managed"]["buttons"] == [201]


async def test_a_refused_creation_leaves_no_trace(desk: Desk) -> None:
    desk.write(SHOP)
    desk.fail("POST", BadRequest("name is taken", sent="yes"))
    [result] = (await desk.apply()).results
    assert (result.state, result.message) == ("failed", "name is taken")
    assert desk.path.read_text() == SHOP


async def test_what_has_changed_since_it_was_planned_is_stopped(desk: Desk) -> None:
    ids = [desk.account.add("settings", name=name) for name in ("a", "b", "c")]
    desk.write(
        "".join(f"[settings.s{id}]\nid = {id}\nculture = 5\n" for id in ids)
        + "[settings.c2]\nname = 'New'\n"
    )
    plan = await desk.plan()
    desk.account.tables["settings"].update(ids[0], welcome_screen_msg="by hand")
    desk.account.tables["settings"].delete(ids[1])
    desk.account.add("settings", name="New")
    outcome = await plan.apply()
    assert [each.state for each in outcome.results] == ["stopped", "stopped", "done", "stopped"]
    assert [each.id for each in outcome.of("stopped")] == [ids[0], ids[1], None]
    assert "welcome_screen_msg: the account has changed" in outcome.results[0].message
    assert "it is gone" in outcome.results[1].message
    assert "there is one now" in outcome.results[3].message
    assert desk.account.writes() == [("PATCH", "settings", ids[2])]


async def test_what_somebody_else_creates_while_apply_runs_is_not_created_twice(desk: Desk) -> None:
    desk.write(SHOP + '[settings.blog]\nname = "Blog"\n')
    plan = await desk.plan()
    outcome = await plan.apply(on_item=lambda _: desk.account.add("settings", name="Blog"))
    assert [each.state for each in outcome.results] == ["done", "stopped"]
    assert desk.account.made == [("settings", 1)]


async def test_a_doubtful_update_is_unknown_and_done_again(desk: Desk) -> None:
    id = desk.account.add("settings", name="Shop")
    desk.write(SHOP + f"id = {id}\nculture = 5\n")
    respond = desk.account.respond
    desk.fail("PATCH", ServerFault("504", sent="maybe"))
    assert [each.state for each in (await desk.apply()).results] == ["unknown"]
    desk.fail("PATCH", BadRequest("no", sent="yes"))
    assert [each.state for each in (await desk.apply()).results] == ["failed"]
    desk.account.respond = respond  # type: ignore[method-assign]
    assert (await desk.apply()).complete


async def test_a_refused_token_ends_it(desk: Desk) -> None:
    desk.write('[settings.a]\nname = "a"\n[settings.b]\nname = "b"\n')
    desk.fail("POST", Unauthorized("no", sent="yes"))
    outcome = await desk.apply()
    assert [each.state for each in outcome.results] == ["failed", "not tried"]
    assert outcome.results[1].message == "the token was refused"


async def test_one_that_fails_does_not_keep_the_others(desk: Desk) -> None:
    desk.write('[settings.a]\nname = "a"\nbutton_id = 5\n[settings.b]\nname = "b"\n')
    respond = desk.account.respond

    def refusing(request: Request) -> Response:
        if b"button_id" in (request.body or b""):
            raise BadRequest("there is no such button", sent="yes")
        return respond(request)

    desk.account.respond = refusing  # type: ignore[method-assign]
    assert [each.state for each in (await desk.apply()).results] == ["failed", "done"]


MANAGED = "\n[managed]\nsettings = [1, 7]\nbuttons = [201, 202]\n"


def _with_managed(desk: Desk) -> None:
    for name, button in (("a", 201), ("b", None), ("c", 202)):
        desk.account.add("settings", name=name, button_id=button)
    for name in ("x", "y"):
        desk.account.add("buttons", name=name)


async def test_nothing_is_deleted_without_prune(desk: Desk) -> None:
    _with_managed(desk)
    desk.write(MANAGED)
    plan = await desk.plan()
    assert plan.items == ()
    assert plan.unlisted == (
        ("settings", 1, "a"), ("settings", 2, "b"), ("settings", 3, "c"),
        ("buttons", 201, "x"), ("buttons", 202, "y"),
    )  # fmt: skip


async def test_only_what_is_managed_is_deleted_settings_first(desk: Desk) -> None:
    _with_managed(desk)
    desk.write(MANAGED)
    plan = await desk.plan(prune=True)
    assert actions(plan) == [
        ("settings", "delete", 1), ("buttons", "delete", 201), ("buttons", "none", 202)
    ]  # fmt: skip
    assert plan.items[2].reason == "kept: used by settings 3"
    assert plan.risk
    with pytest.raises(ClientMisuse, match="deletes 2 of 3"):
        await plan.apply()
    assert desk.account.writes() == []
    assert (await plan.apply(force=True)).complete
    assert desk.account.writes() == [("DELETE", "settings", 1), ("DELETE", "buttons", 201)]
    assert desk.data["managed"] == {"settings": [7], "buttons": [202]}


async def test_a_button_that_a_website_shows_is_kept(desk: Desk) -> None:
    _with_managed(desk)
    site = desk.account.add("websites", button_id="201")
    desk.write(MANAGED)
    kept = next(item for item in (await desk.plan(prune=True)).items if item.id == 201)
    assert (kept.action, kept.reason) == ("none", f"kept: used by websites {site}")


async def test_a_button_that_a_setting_moves_away_from_may_go(desk: Desk) -> None:
    _with_managed(desk)
    desk.write('[settings.c]\nid = 3\nname = "c"\nnull = ["button_id"]\n' + MANAGED)
    plan = await desk.plan(prune=True)
    assert ("buttons", "delete", 202) in actions(plan)
    desk.fail("PATCH", BadRequest("no", sent="yes"))
    outcome = await plan.apply(force=True)
    assert [each.state for each in outcome.results] == ["failed", "done", "not tried", "not tried"]


async def test_a_deletion_of_what_has_changed_is_stopped_and_of_what_is_gone_done(
    desk: Desk,
) -> None:
    _with_managed(desk)
    desk.write("[managed]\nsettings = [1, 2]\n")
    plan = await desk.plan(prune=True)
    desk.account.tables["settings"].update(1, name="mine")
    desk.account.tables["settings"].delete(2)
    assert [each.state for each in (await plan.apply(force=True)).results] == ["stopped", "done"]
    assert desk.account.writes() == []
    desk.fail("DELETE", ServerFault("504", sent="maybe"))
    assert [each.state for each in (await desk.apply(prune=True)).results] == ["unknown"]
    assert desk.data["managed"] == {"settings": [1]}


@pytest.mark.parametrize("kind", ["settings", "websites"])
async def test_a_button_that_is_used_since_it_was_planned_is_not_deleted(
    desk: Desk, kind: str
) -> None:
    id = desk.account.add("buttons", name="x")
    desk.write(f"[managed]\nbuttons = [{id}]\n")
    plan = await desk.plan(prune=True)
    desk.account.add(kind, name="new", button_id=id)
    [result] = (await plan.apply(force=True)).results
    assert (result.state, desk.account.writes()) == ("stopped", [])
    assert result.message.startswith("it is used now")


async def test_few_deletions_among_many_need_no_force(desk: Desk) -> None:
    for n in range(22):
        desk.account.add("settings", name=f"s{n}")
    listed = "".join(f"[settings.s{n}]\nid = {n}\n" for n in range(7, 23))
    for ids, force in (([1, 2, 3, 4, 5], False), ([1, 2, 3, 4, 5, 6], True)):
        desk.write(f"{listed}[managed]\nsettings = {ids}\n")
        assert bool((await desk.plan(prune=True)).risk) is force


async def test_an_edit_before_apply_is_refused_before_anything_is_sent(desk: Desk) -> None:
    desk.write(SHOP)
    plan = await desk.plan()
    desk.write(SHOP + "culture = 1\n")
    with pytest.raises(DocumentError, match="it was edited after it was read"):
        await plan.apply()
    assert desk.account.writes() == []


def _on_post(desk: Desk, edit: Callable[[], object]) -> None:
    respond = desk.account.respond

    def editing(request: Request) -> Response:
        if request.method == "POST":
            edit()
        return respond(request)

    desk.account.respond = editing  # type: ignore[method-assign]


async def test_an_edit_while_apply_runs_keeps_both_and_ends_it(desk: Desk) -> None:
    desk.write(SHOP + '\n[settings.b]\nname = "b"\n')
    _on_post(desk, lambda: desk.write("# mine\n" + desk.path.read_text()))
    outcome = await desk.apply()
    assert [each.state for each in outcome.results] == ["done", "not tried"]
    assert "it was edited" in outcome.results[1].message
    assert desk.path.read_text().startswith("# mine\n")
    assert desk.data["settings"]["shop"]["id"] == 1


async def test_an_id_that_can_not_be_written_is_said(desk: Desk) -> None:
    desk.write(SHOP)
    _on_post(desk, lambda: desk.write("# all new\n"))
    [result] = (await desk.apply()).results
    assert (result.state, result.id) == ("failed", 1)
    assert "write id = 1 into [settings.shop] yourself" in result.message
    assert desk.path.read_text() == "# all new\n"


async def test_what_could_not_get_its_id_is_not_created(desk: Desk) -> None:
    text = 'accounts = { a = { settings = { shop = { name = "Shop" } } } }\n'
    desk.write(text)
    [result] = (await desk.apply(account="a")).results
    assert (result.state, desk.account.writes()) == ("failed", [])
    assert "can't be edited: use [headers]" in result.message
    assert desk.path.read_text() == text


async def test_a_document_for_another_account_is_refused(desk: Desk) -> None:
    desk.write('\naccount = "id 7"\n' + SHOP)
    with pytest.raises(DocumentError, match="toml:2: it is for another account .*: id 1001"):
        await desk.plan()
    assert desk.account.requests == []
    desk.write('account = "id 1001"\n' + SHOP)
    assert (await desk.plan()).identity == "id 1001"


async def test_a_document_of_which_all_is_gone_may_be_for_another_account(desk: Desk) -> None:
    text = SHOP + 'id = 9\n[settings.blog]\nname = "Blog"\n'
    desk.write(text)
    plan = await desk.plan()
    with pytest.raises(ClientMisuse, match='lacks account = "id 1001": .* with force'):
        await plan.apply()
    assert desk.account.writes() == []
    desk.write('account = "id 1001"\n' + text)
    assert not (await desk.plan()).risk
    id = desk.account.add("settings", name="Other")
    desk.write(text + f"[settings.other]\nid = {id}\n")
    assert not (await desk.plan()).risk


async def test_whose_account_it_is_must_be_known_if_the_document_says(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def unknown() -> Any:
        return ["any"], ServerFault("504", sent="yes")

    monkeypatch.setattr(desk.account, "identities", unknown)
    desk.write(SHOP)
    assert (await desk.plan()).identity == ""
    desk.write('account = "id 1001"\n' + SHOP)
    with pytest.raises(ServerFault, match="whether the document is for this account"):
        await desk.plan()


async def test_each_account_has_its_part(desk: Desk) -> None:
    desk.write('[accounts.a.settings.x]\nname = "x"\n\n[accounts.b.settings.x]\nname = "x"\n')
    document = desired.read(desk.path)
    other: Any = FakeAccount()
    plans = [
        await desired.plan(desk.client, document, account="a"),
        await desired.plan(other, document, account="b"),
    ]
    for plan in plans:  # the second is none that somebody else has edited
        assert (await plan.apply()).complete
    accounts = desk.data["accounts"]
    for part in accounts.values():
        assert part == {"settings": {"x": {"name": "x", "id": 1}}, "managed": {"settings": [1]}}
    for name in ("", "c"):
        with pytest.raises(DocumentError, match="accounts"):
            await desk.plan(account=name)


async def test_a_button_of_another_account_is_no_button_that_is_gone(desk: Desk) -> None:
    desk.account.add("settings", name="Shop", button_id=5)
    respond = desk.account.respond

    def forbidding(request: Request) -> Response:
        if "/buttons/" in request.path:
            raise Forbidden("no", sent="yes")
        return respond(request)

    desk.account.respond = forbidding  # type: ignore[method-assign]
    desk.write(SHOP)
    assert (await desk.plan()).changes
    desk.write(HEADER + "id = 5\n")
    with pytest.raises(Forbidden):
        await desk.plan()


async def test_a_saved_plan_is_applied_if_nothing_has_moved(desk: Desk) -> None:
    desk.account.add("settings", name="Shop", max_call_rate=1.5)
    desk.write(SHOP + 'max_call_rate = 2\nbutton = "header"\n' + HEADER)
    text = (await desk.plan()).to_json()
    saved = desired.SavedPlan.parse(text)
    assert (saved.path, saved.account, saved.prune) == (str(desk.path), "", False)
    plan = await saved.reopen(desk.client, desired.read(saved.path))
    desk.account.add("settings", name="another")
    with pytest.raises(DocumentError, match=r"has changed since \(unlisted\): plan again"):
        await saved.reopen(desk.client, desired.read(saved.path))
    desk.account.tables["settings"].update(1, welcome_screen_msg="by hand")
    with pytest.raises(DocumentError, match=r"has changed since \(settings.shop\): plan again"):
        await saved.reopen(desk.client, desired.read(saved.path))
    assert [each.state for each in (await plan.apply()).results] == ["done", "stopped"]
    with pytest.raises(DocumentError, match="it was edited after it was planned"):
        await saved.reopen(desk.client, desired.read(saved.path))
    items = json.loads(text)["items"]
    assert items[1]["changes"] == {
        "max_call_rate": {"before": "1.5", "after": "2"},
        "button_id": {"before": None, "after": {"button": "header"}},
    }


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": 2}', "[" * 100_000])
def test_what_is_no_saved_plan_is_refused(text: str) -> None:
    with pytest.raises(ClientMisuse, match="no saved plan"):
        desired.SavedPlan.parse(text)
