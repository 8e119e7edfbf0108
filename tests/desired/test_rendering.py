"""Plans and outcomes as text: signs, values, counts, and nothing that steers a terminal."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.fakes.account import FakeAccount
from voipstudio_cmb import desired
from voipstudio_cmb.errors import ServerFault
from voipstudio_cmb.http import Request


def _account() -> FakeAccount:
    account = FakeAccount()
    account.add("settings", name="Shop", culture=1, max_call_rate="free")
    account.add("settings", name="Old", privacy_policy_url="a\x1b[31m")
    account.add("settings", name="by\u202e hand", button_id=201)
    account.add("buttons", name="b")
    account.add("settings", name="Gone")
    return account


TEXT = """\
[settings.shop]
name = "Shop"
culture = 2
max_call_rate = 1
button = "header"
[settings.old]
id = 2
name = "Old"
null = ["privacy_policy_url"]
[settings.lost]
id = 77
name = "Lost"
allowed_countries = ["GB"]
[buttons.header]
name = "Header"
[managed]
settings = [4]
buttons = [201]
"""


async def _plan(path: Path, account: Any) -> desired.Plan:
    path.write_text(TEXT)
    return await desired.plan(account, desired.read(path), prune=True)


async def test_a_plan(tmp_path: Path) -> None:
    assert desired.render(await _plan(tmp_path / "w.toml", _account())) == (
        "  + create buttons.header\n"
        '      name: "Header"\n'
        "  = adopt settings.shop (id 1)\n"
        "      culture: 1 -> 2\n"
        "      button_id: null -> (the id of buttons.header)\n"
        "      max_call_rate: can't be compared, and is left alone\n"
        "  ~ update settings.old (id 2)\n"
        '      privacy_policy_url: "a\\u001b[31m" -> null\n'
        "  + create settings.lost (id 77 is gone)\n"
        '      name: "Lost"\n'
        '      allowed_countries: ["GB"]\n'
        '  - delete settings 4 "Gone"\n'
        '    buttons 201 "b" (kept: used by settings 3)\n'
        "2 to create, 1 to adopt, 1 to update, 1 to delete, 1 unchanged\n"
    )


async def test_a_drift(tmp_path: Path) -> None:
    assert desired.render_drift(await _plan(tmp_path / "w.toml", _account())) == (
        "  - buttons.header is not there\n"
        "  ~ settings.shop (id 1)\n"
        "      culture: 2 -> 1\n"
        "      button_id: (the id of buttons.header) -> null\n"
        "  ~ settings.old (id 2)\n"
        '      privacy_policy_url: null -> "a\\u001b[31m"\n'
        "  - settings.lost (id 77) is gone\n"
        '    settings 3 "by\\u202e hand" is not in the document\n'
        "4 differ from the document, 2 as it says\n"
    )


async def test_an_outcome(tmp_path: Path) -> None:
    account = _account()
    respond = account.respond

    def failing(request: Request) -> Any:
        if request.method == "POST" and request.path.endswith("buttons"):
            raise ServerFault("504", sent="maybe")
        return respond(request)

    account.respond = failing  # type: ignore[method-assign]
    outcome = await (await _plan(tmp_path / "w.toml", account)).apply(force=True)
    assert desired.render_outcome(outcome) == (
        "unknown: buttons.header: 504; it may have been carried out: look for it in the dashboard, "
        "and apply again, which says what to do\n"
        "not tried: settings.shop (id 1): its button header is not there\n"
        "3 done, 1 unknown, 1 not tried\n"
    )


async def test_what_has_the_same_reason_is_one_line(tmp_path: Path) -> None:
    account: Any = FakeAccount()
    path = tmp_path / "w.toml"
    path.write_text("\n".join(f'[settings.s{n}]\nname = "s{n}"' for n in range(12)))
    plan = await desired.plan(account, desired.read(path))
    respond = account.respond

    def edited(request: Request) -> Any:
        if request.method == "POST":
            path.write_text(path.read_text() + "\n# more")
        return respond(request)

    account.respond = edited
    names = ", ".join(f"settings.s{n}" for n in range(1, 9))
    assert desired.render_outcome(await plan.apply()) == (
        f"not tried: {names} and 3 more: {path}: it was edited after it was read: look at a new "
        "plan\n1 done, 11 not tried\n"
    )


async def test_of_a_long_text_is_shown_where_it_differs(tmp_path: Path) -> None:
    account: Any = FakeAccount()
    id = account.add("settings", name="Shop", welcome_screen_msg="a" * 9_000 + "b" * 1_000)
    path = tmp_path / "widgets.toml"
    path.write_text(f'[settings.shop]\nid = {id}\nwelcome_screen_msg = "{"a" * 9_000}c"\n')
    plan = await desired.plan(account, desired.read(path))
    before, after = "a" * 40 + "b" * 160, "a" * 40 + "c"
    was, wanted = (
        f'"{before}" (from character 8961 of 10000)',
        f'"{after}" (from character 8961 of 9001)',
    )
    assert f"      welcome_screen_msg: {was} -> {wanted}\n" in desired.render(plan)
    assert f"      welcome_screen_msg: {wanted} -> {was}\n" in desired.render_drift(plan)
    assert len(plan.to_json()) > 19_000
