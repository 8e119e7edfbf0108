"""The help of each command: a sentence, its defaults, and two examples that work."""

from __future__ import annotations

import itertools
import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest

from voipstudio_cmb.cli import man
from voipstudio_cmb.cli.main import COMMAND
from voipstudio_cmb.cli.parser import Command, Group, refuse
from voipstudio_cmb.sandbox import Fault, Sandbox


def _commands(group: Group, path: str = "") -> Iterator[tuple[str, Command]]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if isinstance(command, Group):
            yield from _commands(command, f"{path}{name} ")
        else:
            assert isinstance(command, Command)
            yield f"{path}{name}", command


COMMANDS = dict(_commands(COMMAND))
EXAMPLES = [example for command in COMMANDS.values() for example in command.examples]


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_has_a_sentence_and_two_examples_and_says_its_defaults(
    run: Any, name: str
) -> None:
    shown = run(*name.split(), "--help")
    assert (shown.code, shown.err) == (0, "")
    text = " ".join(shown.out.split())
    assert re.match(rf"Usage: voipstudio-cmb {name} .*? [A-Z].*?\. Options: ", text)
    assert shown.out.count("    voipstudio-cmb ") >= 2
    for parameter in COMMANDS[name].params:
        shows = isinstance(parameter, click.Option) and parameter.show_default
        if shows and type(parameter.default) is int:
            assert f"[default: {parameter.default}]" in text


@pytest.mark.parametrize("example", EXAMPLES)
def test_each_example_works(
    run: Any, api: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, example: str
) -> None:
    monkeypatch.chdir(tmp_path)
    profile = tmp_path / "home" / ".config" / "voipstudio" / "config.json"
    profile.parent.mkdir(parents=True)
    mine = {"token": api.token, "apiUrl": api.base_url}
    profile.write_text(json.dumps({"version": 1, "profiles": {"work": mine}}))
    for resource, id in itertools.product(("settings", "buttons"), (7, 8)):
        body = b'{"data":{"id":%d}}' % id
        api.script(Fault(path=f"/callmeback/{resource}/{id}", body=body, times=None))
    program, *words = shlex.split(example.partition(" > ")[0])
    if "--profile" in words:
        monkeypatch.delenv("VOIPSTUDIO_API_TOKEN")
    assert program == "voipstudio-cmb"
    if words[0] == "verify":
        assert run("export", "settings", "--to", "exports").code == 0
    if words[1:2] in (["plan"], ["apply"], ["drift"]):  # of what is as it was pulled
        Path("widgets.toml").write_text(run("settings", "pull").out)
        assert run("settings", "plan", "widgets.toml", "--out", "widgets.plan").code == 0
    if words[0] == "sandbox":  # which serves until it is interrupted
        assert COMMAND.main(words, "voipstudio-cmb", standalone_mode=False).command == "sandbox"
    else:
        assert run(*words).code == 0


def test_the_manual_page_is_that_of_the_commands() -> None:
    page = Path(man.__file__).with_name("voipstudio-cmb.1")
    again = "python -m voipstudio_cmb.cli.man > voipstudio_cmb/cli/voipstudio-cmb.1"
    assert page.read_text() == man.manual(), f"make it again: {again}"


ODD = ["", " ", "-", "--", "-1", "1e999", "nan", "9" * 5000, "\u0661", "\x1b[2J", "\udcff", "a=b"]


def _parse(*words: str) -> Any:
    """What the words ask for; None if they are refused."""
    try:
        return COMMAND.main([*words], "voipstudio-cmb", standalone_mode=False)
    except click.UsageError as error:
        said = refuse(error)
        assert "error: " in said
        assert "Traceback" not in said
        return None


@pytest.mark.one_in(4)
@pytest.mark.parametrize("name", COMMANDS)
def test_odd_values_and_shortened_options_are_refused_in_words(name: str) -> None:
    command = COMMANDS[name]
    whole = {flag for option in command.params for flag in (*option.opts, *option.secondary_opts)}
    for flag in whole:
        if not flag.startswith("--"):
            continue
        for value in ODD:
            parsed = _parse(*name.split(), flag, value)
            assert parsed is None or parsed.command == name
        for end in range(3, len(flag)):
            if flag[:end] not in whole:
                assert _parse(*name.split(), flag[:end], "x") is None, flag[:end]
    for value in ODD:
        parsed = _parse(*name.split(), value)
        assert parsed is None or parsed.command == name
