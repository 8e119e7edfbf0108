"""What apply writes into a document: ids, with all else as it was, whoever else writes there."""

from __future__ import annotations

import fcntl
import os
import stat
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from voipstudio_cmb.desired import read
from voipstudio_cmb.desired.document import Document
from voipstudio_cmb.desired.edits import Edit, check_editor, edited
from voipstudio_cmb.errors import ClientMisuse, DocumentError

TEXT = """\
# our shops

[settings.a] # the first
name = "A"   # its name

# about the second
[settings.b]
name = "B"
"""
BEGIN = Edit(part="", kind="settings", local="a", creating=True)
SETTLE = Edit(part="", kind="settings", local="a", id=77, creating=False)


def test_an_id_comes_below_the_other_keys_and_all_else_stays() -> None:
    begun = edited(TEXT.encode(), BEGIN)
    assert begun.decode() == TEXT.replace("its name\n", "its name\ncreating = true\n")
    wanted = TEXT.replace("its name\n", "its name\nid = 77\n") + "\n[managed]\nsettings = [77]\n"
    assert edited(begun, SETTLE).decode() == wanted
    assert edited(edited(begun, SETTLE), SETTLE).decode() == wanted
    refused = Edit(part="", kind="settings", local="a", creating=False)
    assert edited(begun, refused).decode() == TEXT


def test_lines_that_end_in_crlf_do_so_still() -> None:
    content = TEXT.replace("\n", "\r\n").encode()
    found = edited(content, SETTLE)
    assert found.count(b"\n") == found.count(b"\r\n") == content.count(b"\n") + 4


def test_lines_that_end_in_both_ways_do_so_still_and_so_do_blanks_at_the_end() -> None:
    old = b'# a\r\n\n[settings.a]\nname = "A"\n\r\n# b\nculture = 1\r\n\n  \n'
    new = edited(old, SETTLE)
    assert new.startswith(old.replace(b"culture = 1\r\n", b"culture = 1\r\nid = 77\r\n"))
    assert tomllib.loads(new.decode())["managed"] == {"settings": [77]}


def test_another_id_takes_the_place_of_one_that_is_gone() -> None:
    text = '[settings.a]\nid = 5\nname = "A"\n[managed]\nsettings = [4, 5] # ours\nbuttons = [1]\n'
    edit = Edit(part="", kind="settings", local="a", known_id=5, id=77)
    assert edited(text.encode(), edit).decode() == (
        '[settings.a]\nid = 77\nname = "A"\n[managed]\nsettings = [4, 77] # ours\nbuttons = [1]\n'
    )
    released = edited(text.encode(), Edit(part="", kind="settings", release=4))
    assert tomllib.loads(released.decode())["managed"] == {"settings": [5], "buttons": [1]}


@pytest.mark.parametrize(
    "text",
    [
        'settings.a.name = "A"',
        '[settings]\na = { name = "A" }',
        '[settings]\na.name = "A"\n\n[buttons]',
        '[settings.a]\nname = "A"\n\n[buttons.x]\nname = "x"\n\n[settings.b]\nname = "b"',
        '[settings."a"]',
        "managed.buttons = [5]\n\n[settings.a]",
        "managed = { buttons = [5] }\n\n[settings.a]",
    ],
)
def test_a_section_in_any_notation_gets_its_id(text: str) -> None:
    data: Any = tomllib.loads(text)
    data["settings"]["a"]["id"] = 77
    data.setdefault("managed", {})["settings"] = [77]
    begun = edited(text.encode(), BEGIN)
    assert tomllib.loads(edited(begun, SETTLE).decode()) == data


def test_a_section_of_an_account_gets_its_id() -> None:
    text = (
        '[accounts.a.settings.x]\nname = "x"\n\n[accounts."b c".settings.x]\nname = "x"\n\n'
        '[accounts.a.buttons.y]\nname = "y"\n'
    )
    data: Any = tomllib.loads(text)
    for part in ("a", "b c"):
        data["accounts"][part]["settings"]["x"]["id"] = 77
        data["accounts"][part]["managed"] = {"settings": [77]}
        text = edited(text.encode(), Edit(part=part, kind="settings", local="x", id=77)).decode()
    assert tomllib.loads(text) == data


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("x = 1", "it has no \\[settings.a\\] any more"),
        ("settings = 1", "it has no \\[settings.a\\] any more"),
        ("[settings.a]\nid = 5", "has got another id"),
        ("[settings.a", "no TOML any more"),
    ],
)
def test_what_does_not_fit_any_more_is_not_written(text: str, words: str) -> None:
    with pytest.raises(DocumentError, match=words):
        edited(text.encode(), SETTLE)


def test_what_tomlkit_would_spoil_is_not_written(monkeypatch: pytest.MonkeyPatch) -> None:
    import tomlkit

    monkeypatch.setattr(tomlkit, "dumps", lambda document: "x = 1")
    with pytest.raises(DocumentError, match="can't be edited"):
        edited(TEXT.encode(), SETTLE)


def test_without_tomlkit_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tomlkit", None)
    with pytest.raises(ClientMisuse, match=r"voipstudio-cmb\[desired\]"):
        check_editor()


@pytest.fixture
def document(tmp_path: Path) -> Document:
    path = tmp_path / "widgets.toml"
    path.write_text(TEXT)
    return read(path)


def test_a_file_keeps_its_mode_and_the_link_to_it(document: Document, tmp_path: Path) -> None:
    os.chmod(document.path, 0o640)
    link = tmp_path / "link.toml"
    link.symlink_to("widgets.toml")
    read(link).file.write(SETTLE)
    assert link.is_symlink()
    assert "id = 77" in document.path.read_text()
    assert stat.S_IMODE(os.stat(document.path).st_mode) == 0o640
    assert sorted(each.name for each in tmp_path.iterdir()) == ["link.toml", "widgets.toml"]


def test_what_somebody_else_has_written_stays(document: Document) -> None:
    document.path.write_text(f"# mine\n{TEXT}")
    assert not document.file.write(BEGIN)
    assert document.path.read_text() == f"# mine\n{TEXT}"
    document.file.write(SETTLE, anyway=True)
    text = document.path.read_text()
    assert text.startswith("# mine\n")
    assert "id = 77" in text
    with pytest.raises(DocumentError, match="it was edited after it was read"):
        document.file.check()


def test_one_edit_after_the_other_is_no_edit_of_somebody_else(document: Document) -> None:
    document.file.write(BEGIN)
    document.file.write(SETTLE)
    document.file.check()


def test_an_edit_at_the_last_moment_is_not_lost(
    document: Document, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "fsync", lambda file: document.path.write_text("# saved\n"))
    assert not document.file.write(BEGIN)
    assert document.path.read_text() == "# saved\n"


def test_an_edit_at_the_last_moment_does_not_cost_an_id(
    document: Document, monkeypatch: pytest.MonkeyPatch
) -> None:
    def save(_: int) -> None:
        monkeypatch.setattr(os, "fsync", lambda file: None)
        document.path.write_text(f"# saved\n{TEXT}")

    monkeypatch.setattr(os, "fsync", save)
    assert document.file.write(SETTLE, anyway=True)
    text = document.path.read_text()
    assert text.startswith("# saved\n")
    assert "id = 77" in text


def test_nobody_else_writes_meanwhile(document: Document, monkeypatch: pytest.MonkeyPatch) -> None:
    locked: list[bool] = []

    def look(_: int) -> None:
        file = os.open(document.path.parent, os.O_RDONLY)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            locked.append(True)
        finally:
            os.close(file)

    monkeypatch.setattr(os, "fsync", look)
    document.file.write(BEGIN)
    assert locked == [True, True]  # the file, and then its directory


class PowerCut(BaseException):
    pass


@pytest.mark.parametrize("step", ["open", "fchmod", "fsync", "replace"])
@pytest.mark.parametrize("after", [False, True])
def test_after_a_crash_at_any_step_the_file_is_the_old_one_or_the_new(
    step: str, after: bool, document: Document, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: Callable[..., Any] = getattr(os, step)

    def cut(*given: Any, **named: Any) -> Any:
        if step == "open" and not given[1] & os.O_CREAT:
            return done(*given, **named)
        if after:
            done(*given, **named)
        raise PowerCut

    with monkeypatch.context() as patched:
        patched.setattr(os, step, cut)
        with pytest.raises(PowerCut):
            document.file.write(BEGIN)
    text = document.path.read_text()
    assert text in (TEXT, edited(TEXT.encode(), BEGIN).decode())
    again = read(document.path)  # what was left over is in nobody's way
    again.file.write(SETTLE)
    assert "id = 77" in document.path.read_text()
    assert [each.name for each in document.path.parent.iterdir()] == ["widgets.toml"]


def test_a_disk_that_is_full_is_said_and_changes_nothing(
    document: Document, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(DocumentError, match="No space left"):
        document.file.write(BEGIN)
    assert document.path.read_text() == TEXT
    assert [each.name for each in document.path.parent.iterdir()] == ["widgets.toml"]
