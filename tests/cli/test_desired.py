"""Settings as code from a shell: pull, plan, apply and drift."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.commands import (
    INTERRUPTIBLE,
    accounts_file,
    answering,
    run_asked,
)
from voipstudio_cmb import CallMeBackClient
from voipstudio_cmb.cli import desired
from voipstudio_cmb.sandbox import Fault, Sandbox

DOCUMENT = """\
# the widgets of the shop

[buttons.header]
name = "Header"  # at the top right

[settings.shop]
name = "Shop"
button = "header"
allowed_countries = ["IE", "GB"]
max_call_rate = "0.15"
null = ["privacy_policy_url"]

[settings.blog]
name = "Blog"
floating_icon = true
"""


@pytest.fixture(autouse=True)
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the commands run, with a document of three widgets that do not exist yet."""
    monkeypatch.chdir(tmp_path)
    Path("widgets.toml").write_text(DOCUMENT)
    return tmp_path


def _edit(old: str, new: str) -> None:
    path = Path("widgets.toml")
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def _id(local: str) -> int:
    kind, name = local.split(".")
    id: int = tomllib.loads(_text())[kind][name]["id"]
    return id


def _text() -> str:
    return Path("widgets.toml").read_text()


def _settings(api: Sandbox) -> list[dict[str, Any]]:
    return [api.data.settings.get(id) for id in api.data.settings.ids]


def _by_hand(api: Sandbox, local: str, **fields: Any) -> None:
    """Changes a setting as somebody in the dashboard would."""
    api.data.settings.update(_id(f"settings.{local}"), **fields)


def test_three_widgets_drift_and_are_put_right(api: Sandbox, run: Any) -> None:
    before = _settings(api)
    plan = run("settings", "plan", "widgets.toml")
    assert (plan.code, plan.err) == (10, "")
    assert plan.out.splitlines()[-1] == "3 to create, 0 to update, 0 to delete, 0 unchanged"
    assert run("settings", "drift", "widgets.toml").code == 10
    applied = run("settings", "apply", "widgets.toml", "--yes")
    assert (applied.code, applied.out) == (0, f"{plan.out}3 done\n")
    assert applied.err.splitlines() == [
        "buttons.header: create: done", "settings.shop: create: done", "settings.blog: create: done"
    ]  # fmt: skip
    assert "# the widgets of the shop" in _text()
    assert "# at the top right" in _text()
    shop = api.data.settings.get(_id("settings.shop"))
    assert (shop["name"], shop["button_id"]) == ("Shop", _id("buttons.header"))

    kept = _text()
    _by_hand(api, "shop", name="Sale", allowed_countries="DE")
    _by_hand(api, "blog", welcome_screen_msg="Hello")  # which the document leaves alone
    drift = run("settings", "drift", "widgets.toml")
    assert (drift.code, drift.err) == (10, "")
    assert drift.out.splitlines()[:3] == [
        f"  ~ settings.shop (id {shop['id']})",
        '      name: "Shop" -> "Sale"',
        '      allowed_countries: ["GB", "IE"] -> ["DE"]',
    ]
    assert drift.out.splitlines()[-1] == "1 differ from the document, 2 as it says"
    assert run("settings", "apply", "widgets.toml", "-y").code == 0
    assert api.data.settings.get(shop["id"]) == shop
    assert run("settings", "drift", "widgets.toml").code == 0
    assert run("settings", "plan", "widgets.toml").code == 0
    assert _text() == kept
    assert [row for row in _settings(api) if row["id"] in {each["id"] for each in before}] == before


@pytest.mark.parametrize("ids", [(), (77,)], ids=["all", "one"])
def test_what_was_pulled_is_as_it_is(api: Sandbox, run: Any, ids: tuple[int, ...]) -> None:
    pulled = run("settings", "pull", *ids)
    assert (pulled.code, pulled.err) == (0, "")
    Path("widgets.toml").write_text(pulled.out)
    assert pulled.out.count("\n[settings.") == (len(ids) or len([*api.data.settings.ids]))
    for command in ("plan", "drift", "apply --yes"):
        ran = run("settings", *command.split(), "widgets.toml")
        assert (ran.code, ran.err) == (0, "")
    assert not [each for each in api.journal if each.method != "GET"]
    assert _text() == pulled.out


def test_a_setting_that_is_not_there_is_not_pulled(api: Sandbox, run: Any) -> None:
    ran = run("settings", "pull", 77, 999999)
    assert (ran.code, ran.out) == (1, "")
    assert "404" in ran.err


@pytest.mark.parametrize(("answer", "code"), [("y\n", 0), ("n\n", 2), ("\x04", 2)])
def test_an_apply_asks_on_a_terminal(api: Sandbox, run: Any, answer: str, code: int) -> None:
    count = len([*api.data.settings.ids])
    with answering(answer):
        ran = run("settings", "apply", "widgets.toml")
    assert ran.code == code
    assert "+ create settings.shop" in ran.out
    assert "Apply this? [y/N]: " in ran.err
    assert ("nothing was changed" in ran.err) == bool(code)
    assert len([*api.data.settings.ids]) == count + (0 if code else 2)


def test_without_a_terminal_it_needs_yes(api: Sandbox, run: Any) -> None:
    ran = run("settings", "apply", "widgets.toml")
    assert (ran.code, ran.out, api.requests) == (2, "", 0)
    assert ran.err == "error: there is nobody to ask whether to apply widgets.toml: say --yes\n"


def test_a_terminal_shows_colours_and_a_question_ends_with_one_ctrl_c(
    api: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    ran = run_asked("settings", "apply", "widgets.toml", answer="\x03")
    assert ran.code == 130
    assert "\x1b[32m  + create settings.shop\x1b[0m\n      name: " in ran.out
    assert not [each for each in api.journal if each.method != "GET"]
    assert _text() == DOCUMENT


def test_a_saved_plan_is_applied_as_it_stands_or_not_at_all(api: Sandbox, run: Any) -> None:
    run("settings", "apply", "widgets.toml", "--yes")
    _edit('name = "Shop"', 'name = "Shop 2"')
    saved = run("settings", "plan", "widgets.toml", "--out", "a.plan")
    assert saved.code == 10
    assert saved.err == "written to a.plan: apply it by --plan a.plan\n"
    assert api.token not in Path("a.plan").read_text()

    _by_hand(api, "shop", position=9)
    refused = run("settings", "apply", "--plan", "a.plan", "--yes")
    assert (refused.code, refused.out) == (2, "")
    assert "the account has changed since (settings.shop): plan again" in refused.err

    run("settings", "plan", "widgets.toml", "--out", "a.plan")  # over the one that was there
    _edit("# at the top right", "# somewhere")
    refused = run("settings", "apply", "--plan", "a.plan", "--yes")
    assert (refused.code, refused.out) == (2, "")
    assert "edited after it was planned" in refused.err

    run("settings", "plan", "widgets.toml", "--out", "a.plan")
    assert run("settings", "apply", "--plan", "a.plan", "--yes").code == 0
    assert api.data.settings.get(_id("settings.shop"))["name"] == "Shop 2"


def test_json_is_for_machines(api: Sandbox, run: Any) -> None:
    plan = json.loads(run("settings", "plan", "widgets.toml", "--json").out)
    assert plan["changes"] is True
    assert [item["action"] for item in plan["items"]] == ["create"] * 3
    applied = run("settings", "apply", "widgets.toml", "--json", "--yes")
    outcome = json.loads(applied.out)
    assert outcome["complete"] is True
    assert [(each["local"], each["id"], each["state"]) for each in outcome["results"]] == [
        ("header", _id("buttons.header"), "done"),
        ("shop", _id("settings.shop"), "done"),
        ("blog", _id("settings.blog"), "done"),
    ]
    assert json.loads(run("settings", "drift", "widgets.toml", "--json").out)["changes"] is False


BAD = """\
[settings.shop]
name = "Shop"
floating_icn = true

[settings.blog]
name = "Shop"
max_call_rate = true
"""


def test_all_mistakes_of_a_document_are_said_by_line(api: Sandbox, run: Any) -> None:
    Path("widgets.toml").write_text(BAD)
    for command in ("plan", "apply --yes", "drift"):
        ran = run("settings", *command.split(), "widgets.toml")
        assert (ran.code, ran.out, api.requests) == (2, "", 0)
        lines = ran.err.splitlines()
        assert all(line.startswith("error: widgets.toml:") for line in lines)
        assert [line.split(":")[2] for line in lines] == ["2", "3", "6", "7"]
        assert "did you mean floating_icon?" in lines[1]


REFUSED = [
    ("plan", "FILE is missing"),
    ("apply --yes", "name a document, or a plan"),
    ("apply widgets.toml --plan a.plan --yes", "name a document, or a plan"),
    ("apply --plan widgets.toml --yes", "--plan is no plan"),
    ("apply --plan none --yes", "--plan can't be read: No such file"),
    ("apply --plan a.plan --prune", "--plan and --prune exclude each other"),
    ("apply widgets.toml --json", "--json leaves no room for a question: say --yes"),
    ("plan none.toml", "none.toml: it can't be read: No such file"),
    ("plan widgets.toml --out widgets.toml", "exists and is no plan"),
    ("plan widgets.toml --out none/a.plan", "no directory that exists"),
    ("plan widgets.toml --accounts accounts.toml", "leave out --accounts"),
    ("plan many.toml", "many.toml has sections for the accounts a, b: name the file"),
    ("plan others.toml --accounts accounts.toml", "names no 'c'; it has a, b"),
    ("plan many.toml --accounts accounts.toml --account c", "no section [accounts.c]: add it"),
    ("plan many.toml --account a", "--account needs --accounts"),
    ("pull 7 --accounts accounts.toml", "leave out the ids or --accounts"),
    ("plan widgets.toml --accounts x --profile y", "exclude each other"),
]


def test_what_can_not_be_is_refused_before_anything_is_sent(
    api: Sandbox, run: Any, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _two_accounts(api, directory, monkeypatch)
    Path("others.toml").write_text('[accounts.c.settings.shop]\nname = "Shop"\n')
    for argv, words in REFUSED:
        ran = run("settings", *argv.split())
        assert (ran.code, ran.out, api.requests) == (2, "", 0), argv
        assert words in ran.err, argv


def _two_accounts(api: Sandbox, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file of two accounts, which are one at the API, and a document for both."""
    accounts_file(directory, api, "a", "b")
    for name in ("A_TOKEN", "B_TOKEN"):
        monkeypatch.setenv(name, api.token)
    Path("many.toml").write_text(
        '[accounts.a.settings.shop]\nname = "Shop A"\n\n'
        '[accounts.b.settings.shop]\nname = "Shop B"\n'
    )


MANY = ("many.toml", "--accounts", "accounts.toml")


def test_a_document_may_be_about_many_accounts(
    api: Sandbox, run: Any, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _two_accounts(api, directory, monkeypatch)
    plan = run("settings", "plan", *MANY, "--out", "a.plan")
    assert (plan.code, plan.out) == (
        10,
        'a:\n  + create settings.shop\n      name: "Shop A"\n'
        "1 to create, 0 to update, 0 to delete, 0 unchanged\n\n"
        'b:\n  + create settings.shop\n      name: "Shop B"\n'
        "1 to create, 0 to update, 0 to delete, 0 unchanged\n",
    )
    applied = run("settings", "apply", "--plan", "a.plan", *MANY[1:], "--yes")
    assert applied.code == 0
    assert applied.out == f"{plan.out}a:\n1 done\n\nb:\n1 done\n"
    assert applied.err == "a: settings.shop: create: done\nb: settings.shop: create: done\n"
    assert [row["name"] for row in _settings(api)[-2:]] == ["Shop A", "Shop B"]
    assert [each["account"] for each in json.loads(run("settings", "plan", *MANY, "--json").out)]
    assert run("settings", "drift", *MANY).code == 0
    monkeypatch.delenv("B_TOKEN")
    assert run("settings", "pull", *MANY[1:], "--account", "a").out.startswith("[accounts.a]")
    assert run("settings", "drift", *MANY, "--account", "a").code == 0
    monkeypatch.setenv("B_TOKEN", api.token)

    pulled = run("settings", "pull", *MANY[1:])
    Path("many.toml").write_text(pulled.out)
    assert run("settings", "plan", *MANY, "--rate", "1000").code == 0


def test_one_allowance_is_for_all_accounts_without_a_rate_of_their_own(
    api: Sandbox, run: Any, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _two_accounts(api, directory, monkeypatch)
    limiters: list[Any] = []

    def client(*args: Any, limiter: Any, **options: Any) -> CallMeBackClient:
        limiters.append(limiter)
        return CallMeBackClient(*args, limiter=limiter, **options)

    monkeypatch.setattr(desired, "CallMeBackClient", client)
    assert run("settings", "plan", *MANY, "--rate", "500").code == 10
    assert limiters[0] is limiters[1] is not None
    accounts = Path("accounts.toml")
    accounts.write_text(f"{accounts.read_text()}\nrate = 400\n")
    assert run("settings", "plan", *MANY, "--rate", "500").code == 10
    assert limiters[2] is not limiters[3] is not None


def test_an_account_that_fails_does_not_stop_the_others(
    api: Sandbox, run: Any, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _two_accounts(api, directory, monkeypatch)
    monkeypatch.setenv("A_TOKEN", "wrong")
    ran = run("settings", "apply", *MANY, "--yes")
    assert ran.code == 4
    assert re.match("error: a: .*; the token comes from A_TOKEN\n", ran.err)
    assert ran.out.endswith("b:\n1 done\n")
    assert run("settings", "pull", *MANY[1:]).out == ""
    assert run("settings", "plan", *MANY, "--out", "a.plan").code == 4
    assert not Path("a.plan").exists()
    api.script(Fault(method="GET", path="/callmeback/settings", status=502, times=10))
    assert run("settings", "drift", *MANY).code == 4  # before the 5 of b


@pytest.mark.parametrize(
    ("fault", "code", "words"),
    [
        ({"status": 400}, 3, "2 done, 1 failed"),
        ({"status": 502}, 5, "2 done, 1 unknown"),
        ({"drop": "after"}, 5, "2 done, 1 unknown"),
        ({"status": 401}, 4, "1 done, 1 failed, 1 not tried"),
    ],
    ids=str,
)
def test_the_exit_code_says_whether_to_run_it_again(
    api: Sandbox, run: Any, fault: dict[str, Any], code: int, words: str
) -> None:
    api.script(Fault(method="POST", path="/callmeback/settings", **fault))
    ran = run("settings", "apply", "widgets.toml", "--yes")
    assert ran.code == code
    assert ran.out.splitlines()[-1] == words
    assert run("settings", "apply", "widgets.toml", "--yes").code == 0
    names = [row["name"] for row in _settings(api)]
    assert (names.count("Shop"), names.count("Blog")) == (1, 1)


def test_a_button_of_which_nothing_is_known_waits_for_somebody(api: Sandbox, run: Any) -> None:
    api.script(Fault(method="POST", path="/callmeback/buttons", status=502))
    ran = run("settings", "apply", "widgets.toml", "--yes")
    assert (ran.code, ran.out.splitlines()[-1]) == (5, "1 done, 1 unknown, 1 not tried")
    ran = run("settings", "apply", "widgets.toml", "--yes")
    assert (ran.code, ran.out.splitlines()[-1]) == (1, "0 done, 1 unknown, 1 not tried")
    assert "look into the dashboard" in ran.out
    _edit("creating = true\n", "")  # it was not there
    assert run("settings", "apply", "widgets.toml", "--yes").code == 0


@pytest.mark.parametrize(
    ("method", "after", "words"),
    [("POST", 0, "2 done, 1 not tried"), ("GET", 2, "1 done, 2 not tried")],
    ids=["while one is created", "right before"],
)
def test_an_edit_while_apply_runs_is_kept_and_stops_it(
    api: Sandbox, run: Any, method: str, after: int, words: str
) -> None:
    def edit(_data: object) -> None:
        _edit('name = "Blog"', 'name = "News"')

    api.script(Fault(method=method, path="/callmeback/settings", after=after, change=edit))
    ran = run("settings", "apply", "widgets.toml", "--yes")
    assert (ran.code, ran.out.splitlines()[-1]) == (5, words)
    assert ("id" in tomllib.loads(_text())["settings"]["shop"], _text().count('"News"')) == (
        method == "POST", 1
    )  # fmt: skip
    assert run("settings", "apply", "widgets.toml", "--yes").code == 0
    assert [row["name"] for row in _settings(api)[-2:]] == ["Shop", "News"]


def test_a_setting_that_changes_meanwhile_is_left_to_the_next_run(api: Sandbox, run: Any) -> None:
    run("settings", "apply", "widgets.toml", "--yes")
    id = _id("settings.shop")
    _edit('name = "Shop"', 'name = "Shop 2"')
    path = f"/callmeback/settings/{id}"
    api.script(
        Fault(method="GET", path=path, change=lambda data: data.settings.update(id, position=9))
    )
    ran = run("settings", "apply", "widgets.toml", "--yes")
    assert (ran.code, ran.out.splitlines()[-1]) == (5, "0 done, 1 stopped")
    assert api.data.settings.get(id)["name"] == "Shop"
    assert run("settings", "apply", "widgets.toml", "--yes").code == 0


def test_errors_are_no_differences(api: Sandbox, run: Any) -> None:
    commands = ("plan widgets.toml", "drift widgets.toml", "pull")
    api.script(Fault(path="/callmeback/settings", status=400, times=None))
    for command in commands:
        ran = run("settings", *command.split())
        assert (ran.code, ran.out, len(ran.err.splitlines())) == (1, "", 1), command
    api.token = "another"
    for command in commands:
        ran = run("settings", *command.split())
        assert (ran.code, ran.out, len(ran.err.splitlines())) == (4, "", 1), command


def test_only_what_an_apply_made_is_deleted_and_not_much_of_it(api: Sandbox, run: Any) -> None:
    before = [*api.data.settings.ids]
    run("settings", "apply", "widgets.toml", "--yes")
    text = _text()
    managed = text[text.index("[managed]") :]
    kept = text[text.index("[buttons.header]") : text.index("[settings.blog]")]
    Path("widgets.toml").write_text(kept + managed)
    assert run("settings", "plan", "widgets.toml").code == 0
    ran = run("settings", "apply", "widgets.toml", "--prune", "--yes")
    assert (ran.code, ran.err) == (
        2, "error: this deletes 1 of 3: if that is meant, say --force\n"
    )  # fmt: skip
    ran = run("settings", "apply", "widgets.toml", "--prune", "--yes", "--force")
    assert ran.code == 0
    assert [*api.data.settings.ids] == [*before, _id("settings.shop")]


def test_an_apply_that_is_interrupted_is_finished_by_the_next(api: Sandbox, run: Any) -> None:
    command = [*INTERRUPTIBLE, "settings", "apply", "widgets.toml", "--yes"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:

        def interrupt(_data: object) -> None:
            os.kill(process.pid, signal.SIGINT)

        fault = Fault(
            method="POST", path="/callmeback/settings", change=interrupt, response_delay=9.0
        )
        api.script(fault)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert err.decode().splitlines()[-1] == (
        "interrupted: what was done stays done; run the same command again for the rest"
    )
    assert "creating = true" in _text()
    ran = run("settings", "apply", "widgets.toml", "--yes")
    assert ran.code == 0
    assert "= adopt settings.shop" in ran.out
    assert "creating" not in _text()
    assert [row["name"] for row in _settings(api)].count("Shop") == 1
