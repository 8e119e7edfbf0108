"""The twelve operations from a shell: what they send, what they print, and what they refuse."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.commands import answering, run_asked, run_process
from voipstudio_cmb.cli.main import COMMAND
from voipstudio_cmb.sandbox import Fault, Sandbox


def _shown(run: Any, *argv: str) -> dict[str, Any]:
    """The body that a command with `--dry-run` shows."""
    ran = run(*argv, "--dry-run")
    assert (ran.code, ran.err) == (0, "nothing was sent\n")
    body: dict[str, Any] = json.loads(ran.out.partition("\n")[2])
    return body


def test_settings_are_created_changed_and_deleted(run: Any, api: Sandbox) -> None:
    made = json.loads(
        run("settings", "create", "--name", "Shop", "--no-floating-icon", "--ddi-e164=44201").out
    )
    assert (made["name"], made["floating_icon"]) == ("Shop", False)
    id = str(made["id"])
    ran = run("settings", "update", id, "--set", "name=null", "--floating-icon")
    assert (ran.code, ran.err) == (0, "")
    assert json.loads(run("settings", "get", id).out) == made | {
        "name": None,
        "floating_icon": True,
    }
    ran = run("settings", "delete", id, "--yes")
    assert (ran.code, ran.out, ran.err) == (0, "", f"settings {id}: done\n")
    assert run("settings", "get", id).code == 1


def test_buttons_too(run: Any, api: Sandbox) -> None:
    made = json.loads(run("buttons", "create", "--name", "Call").out)
    id = str(made["id"])
    assert json.loads(run("buttons", "update", id, "--name", "Ring").out)["name"] == "Ring"
    assert json.loads(run("get", "buttons", id).out)["name"] == "Ring"
    assert run("buttons", "delete", id, "-y").code == 0


def test_collections_are_counted_and_listed(run: Any, api: Sandbox) -> None:
    assert run("cdrs", "count").out == "300\n"
    ids = [json.loads(line)["id"] for line in run("cdrs", "list", "--limit", "2").out.splitlines()]
    assert run("cdrs", "count", "--filter", f"id>{ids[0]}").out == "299\n"
    for name in ("visitors", "websites", "settings"):
        rows = run(name, "list", "--all").out.splitlines()
        assert run(name, "count").out == f"{len(rows)}\n"


def test_values_have_the_types_of_the_attributes(run: Any, tmp_path: Path) -> None:
    assert _shown(
        run, "settings", "create", "--button-id", "7", "--position", "3", "--max-call-rate", "1.50",
        "--set", "culture=null", "--set", "show_to_allowed_countries_only=true",
    ) == {
        "button_id": 7, "position": "3", "max_call_rate": "1.50", "culture": None,
        "show_to_allowed_countries_only": True,
    }  # fmt: skip
    path = tmp_path / "shop.json"
    path.write_text('{"name": "Shop", "allowed_countries": ["GB", "PL"], "ddi_e164": 1}')
    shown = _shown(run, "settings", "update", "7", "--json", str(path), "--name", "Other")
    assert shown == {"name": "Other", "allowed_countries": ["GB", "PL"], "ddi_e164": 1}


def test_what_get_prints_is_refused_with_the_names_that_cant_be_written(
    run: Any, api: Sandbox, tmp_path: Path
) -> None:
    path, id = (
        tmp_path / "before.json",
        json.loads(run("settings", "create", "--name", "S").out)["id"],
    )
    row = {"id": id, "ddi": 44, "title": None, "created_at": "2026-01-01 00:00:00", "name": "S"}
    path.write_text(json.dumps(row | {"colour": "red", "size": 1}))
    asked = api.requests
    refused = run("settings", "update", str(id), "--json", str(path))
    assert refused.code == 2
    assert (
        "--json: id, ddi, title, created_at can't be written: leave that out; the API knows no "
        "colour, size (known: button_id, name, "
    ) in refused.err
    path.write_text(json.dumps({"0123456789abcdef" * 2: 1}))
    refused = run("settings", "update", str(id), "--json", str(path))
    assert "--json: the API knows no such attribute (known: " in refused.err
    assert "abcdef" not in refused.err
    assert api.requests == asked


def test_json_is_read_from_standard_input(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b'{"name": "Shop"}')))
    assert _shown(run, "buttons", "create", "--json", "-") == {"name": "Shop"}


def test_a_request_is_shown_without_a_token_or_a_server(run: Any) -> None:
    ran = run("settings", "delete", "7", "8", "--dry-run")
    assert ran.out == "DELETE /callmeback/settings/7\nDELETE /callmeback/settings/8\n"


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        ("settings create", "nothing to create"),
        ("settings update 7", "nothing to update"),
        ("settings update --name x", "ID is missing"),
        ("settings update x --name x", "ID: it must be an integer"),
        ("settings update 0 --name x", "ID must be an integer from 1"),
        ("settings create --nam x", "unrecognized arguments: --nam; did you mean --name?"),
        ("settings create --button-id x", "--button-id: it must be an integer"),
        ("settings create --max-call-rate x", "--max-call-rate: it must be a number"),
        ("settings create --max-call-rate nan", "--max-call-rate: it must be a number"),
        ("settings create --set nme=x", "the API knows no such attribute; did you mean name?"),
        ("settings create --set name", "--set takes NAME=VALUE"),
        ("settings create --set floating_icon=yes", "floating_icon: it must be true or false"),
        ("settings create --json {}/none", "--json can't be read: No such file"),
        ("settings create --json {}", "--json can't be read"),
        ("settings create --json {}/list", "--json is not a JSON object"),
        ("settings create --json {}/twice", "--json can't be used: a name stands in it twice"),
        ("settings create --json {}/other", "--json: the API knows no nam; did you mean name?"),
        ("settings create --json {}/type", "--json: name must be a text or null"),
        ("settings create --max-call-rate 1_0", "--max-call-rate: it must be a number"),
        ("settings create --json {}/cut", "--json is no JSON: fix it at line 2, column 1"),
        ("settings create --json {}/nan", "max_call_rate must be a text, a number or null"),
        ("settings create --json {}/long", "--json can't be used: a number has too many digits"),
        ("settings create --json {}/deep", "--json is nested too deeply"),
        ("buttons create --floating-icon", "unrecognized arguments: --floating-icon"),
        ("cdrs get 1", "no such command; one is found by list --filter 'id=ID' (known: list,"),
        ("cdrs list 10", "unrecognized arguments: '10'"),
        ("buttons list", "there is no such command"),
        ("websites create", "there is no such command"),
        ("settings delete 7", "there is nobody to ask whether to delete settings 7: say --yes"),
        ("cdrs count --filter nonsense", "not PROPERTY OPERATOR VALUE"),
    ],
)
def test_what_can_not_work_sends_nothing(
    run: Any, api: Sandbox, tmp_path: Path, argv: str, words: str
) -> None:
    for name, text in {
        "list": "[1]", "twice": '{"name": 1, "name": 2}', "other": '{"nam": 1}',
        "type": '{"name": 1}', "cut": '{"name":\n', "nan": '{"max_call_rate": NaN}',
        "long": '{"button_id": %s}' % ("9" * 5000), "deep": "[" * 100_000,
    }.items():  # fmt: skip
        (tmp_path / name).write_text(text)
    ran = run(*argv.format(tmp_path).split())
    assert (ran.code, ran.out) == (2, "")
    assert words in ran.err
    assert api.requests == 0


def test_a_doubtful_creation_says_to_look_first(run: Any, api: Sandbox) -> None:
    api.script(Fault(path="/callmeback/settings", status=502, times=None))
    ran = run("settings", "create", "--name", "Shop")
    assert (ran.code, ran.out) == (5, "")
    assert "It may have been carried out: look into `voipstudio-cmb settings list`" in ran.err


def test_one_that_fails_does_not_keep_the_others_from_being_tried(run: Any, api: Sandbox) -> None:
    first = json.loads(run("settings", "list", "--limit", "1").out)
    ran = run("settings", "get", "999999", str(first["id"]))
    assert (ran.code, json.loads(ran.out)) == (3, [first])
    assert ran.err.startswith("error: settings 999999: GET /callmeback/settings/999999: 404")


def test_a_token_that_is_refused_is_tried_once(
    run: Any, api: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VOIPSTUDIO_API_TOKEN", "wrong")
    ran = run("settings", "update", "7", "8", "--name", "x")
    assert (ran.code, ran.out) == (4, "")
    assert len(ran.err.splitlines()) == 1


@pytest.mark.parametrize(("answer", "code"), [("y\n", 0), ("n\n", 2), ("\n", 2)])
def test_a_deletion_asks_on_a_terminal(run: Any, api: Sandbox, answer: str, code: int) -> None:
    id = str(json.loads(run("settings", "create", "--name", "Shop").out)["id"])
    with answering(answer):
        ran = run("settings", "delete", id)
    assert (ran.code, ran.out) == (code, "")
    assert f"Delete settings {id}? [y/N]" in ran.err
    assert run("settings", "get", id).code == (1 if code == 0 else 0)


def test_a_question_ends_with_one_ctrl_c(api: Sandbox) -> None:
    ran = run_asked("settings", "delete", "7", answer="\x03")
    assert (ran.code, api.requests) == (130, 0)
    assert ran.out.endswith("interrupted\n")


def _operations() -> Iterator[str]:
    for name in ("cdrs", "visitors", "websites", "settings", "buttons"):
        group = COMMAND.get_command(None, name)  # type: ignore[arg-type]
        for operation in group.list_commands(None):  # type: ignore[union-attr]
            # A count is a list of one row, and a document is worked off with the others.
            if operation not in ("count", "pull", "plan", "apply", "drift"):
                yield f"{name} {operation}"


def test_all_twelve_operations_are_there() -> None:
    assert len([*_operations()]) == 12


def test_what_was_carried_out_is_said_though_it_can_not_be_printed(api: Sandbox) -> None:
    ran = run_process("settings", "create", "--name", "Shop", shell="> /dev/full")
    id = api.data.settings.ids[-1]
    assert (ran.returncode, ran.stdout) == (1, b"")
    assert ran.stderr.decode().splitlines()[0] == (
        f"settings create was carried out: settings id {id}"
    )


@pytest.mark.parametrize("command", ["create --json -", "delete 7"])
def test_a_closed_standard_input_is_one_sentence(api: Sandbox, command: str) -> None:
    ran = run_process("settings", *command.split(), shell="<&-")
    assert (ran.returncode, ran.stdout, api.requests) == (2, b"", 0)
    assert len(ran.stderr.splitlines()) == 1


def test_an_id_that_is_named_twice_is_meant_once(run: Any) -> None:
    assert run("settings", "delete", "7", "7", "--dry-run").out == "DELETE /callmeback/settings/7\n"
