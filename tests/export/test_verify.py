"""`verify`: whatever happens to files of an export, or to its manifest, is noticed and named."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from benchmarks.harness.offline import Offline, rows
from tests.fakes.exports import interrupted, run
from voipstudio_cmb.cli.verify import print_verified
from voipstudio_cmb.errors import ClientMisuse
from voipstudio_cmb.export import Plan, Verified, verify

Make = Callable[[Path], Any]


async def two_nights(to: Path, **more: Any) -> Path:
    """Two files, each with one that holds a row without a usable id."""
    given = {"to": to, "resources": "websites", "page_size": 20, "checkpoint": 0, "since": "last"}
    api = Offline(deaf=True)
    for count, api.broken in ((9, {5}), (15, {5, 12})):
        api.tables["websites"] = rows(count)
        assert (await run(api, Plan(**given | more))).complete
    return to


def found(directory: Path) -> dict[str, str]:
    """What is wrong in *directory*, by its file."""
    wrong = [each for each in verify(directory) if each.state != "ok"]
    assert all(each.reason for each in wrong if each.state != "missing")
    return {str(each.path.relative_to(directory)): each.state for each in wrong}


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def _cut_half(path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])


def _edit(path: Path) -> None:
    data = path.read_bytes()
    middle = len(data) // 2
    path.write_bytes(data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :])


def _link_to_nothing(path: Path) -> None:
    path.unlink()
    path.symlink_to("absent")


def _directory(path: Path) -> None:
    path.unlink()
    path.mkdir()


FILES = (
    "websites.jsonl",
    "websites.0002.jsonl",
    "websites.rejects.jsonl",
    "websites.0002.rejects.jsonl",
)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize(
    ("damage", "state"),
    [(Path.unlink, "missing"), (_cut, "changed"), (lambda path: path.write_bytes(b""), "changed"),
     (_edit, "changed"), (_link_to_nothing, "missing"), (_directory, "changed")],
)  # fmt: skip
async def test_each_file_is_compared(tmp_path: Path, damage: Make, state: str, name: str) -> None:
    await two_nights(tmp_path)
    assert [(each.path.name, each.state) for each in verify(tmp_path)] == [
        ("websites.0002.jsonl", "ok"), ("websites.jsonl", "ok")
    ]  # fmt: skip
    damage(tmp_path / name)
    assert found(tmp_path) == {name: state}


async def test_a_moved_file_with_a_link_in_its_place_is_the_same(tmp_path: Path) -> None:
    await two_nights(tmp_path / "out")
    (tmp_path / "out" / "websites.jsonl").rename(tmp_path / "elsewhere")
    (tmp_path / "out" / "websites.jsonl").symlink_to(tmp_path / "elsewhere")
    assert found(tmp_path / "out") == {}


@pytest.mark.parametrize(
    "damage",
    [_cut_half, _edit, _directory, lambda path: path.write_bytes(b""),
     lambda path: path.write_text(path.read_text().replace('"rows": 8', '"rows": 7'))],
)  # fmt: skip
async def test_a_manifest_that_says_something_else_is_changed(tmp_path: Path, damage: Make) -> None:
    await two_nights(tmp_path)
    damage(tmp_path / "manifest.json")
    assert found(tmp_path) == {"manifest.json": "changed"}


async def test_what_no_manifest_lists_is_named(tmp_path: Path) -> None:
    await two_nights(tmp_path)
    shutil.copy(tmp_path / "websites.jsonl", tmp_path / "websites.0003.jsonl")
    (tmp_path / "empty").mkdir()
    (tmp_path / ".hidden").touch()
    assert found(tmp_path) == {"websites.0003.jsonl": "unlisted", "empty": "unlisted"}


async def test_a_file_whose_export_was_interrupted_is_missing(tmp_path: Path) -> None:
    plan = Plan(to=tmp_path, resources="cdrs", page_size=5, checkpoint=0)
    await interrupted(Offline(count=60), plan)
    (only,) = verify(tmp_path)
    assert (only.path.name, only.state) == ("cdrs.jsonl", "missing")
    assert "run the same export again" in only.reason


async def test_a_database_may_have_more_and_not_less(tmp_path: Path) -> None:
    await two_nights(tmp_path, format="sqlite")
    path = tmp_path / "websites.sqlite"
    index, removal = "CREATE INDEX more ON websites (name)", "DELETE FROM websites WHERE id = 7"
    for statement, wrong in ((index, {}), (removal, {path.name: "changed"})):
        with sqlite3.connect(path) as database:
            database.execute(statement)
        database.close()
        assert found(tmp_path) == wrong
    path.write_bytes(b"no database")
    assert found(tmp_path) == {path.name: "changed"}


async def test_accounts_are_compared_below(tmp_path: Path) -> None:
    for account in ("one", "two"):
        await two_nights(tmp_path / account)
    _cut(tmp_path / "two" / "websites.jsonl")
    (tmp_path / "two" / "manifest.json").rename(tmp_path / "two" / "other")
    shutil.copy(tmp_path / "one" / "manifest.json", tmp_path / "two" / "manifest.json")
    assert found(tmp_path) == {"two/websites.jsonl": "changed", "two/other": "unlisted"}


async def test_an_account_that_has_exported_nothing_yet_is_no_damage(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    await two_nights(tmp_path / "one")
    (tmp_path / "refused").mkdir()
    (tmp_path / "refused" / ".lock").touch()
    assert await print_verified(tmp_path) == 0
    out, err = capsys.readouterr()
    assert "refused: nothing exported yet\n" in out
    assert err == "2 files: 2 ok\n"
    assert await print_verified(tmp_path, quiet=True) == 0
    assert capsys.readouterr() == ("", "")
    plan = Plan(to=tmp_path / "broken", resources="cdrs", page_size=5, checkpoint=0)
    await interrupted(Offline(count=60), plan)
    assert found(tmp_path) == {"broken/cdrs.jsonl": "missing", "refused": "empty"}


def test_no_export_is_no_damage(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for path, words in ((tmp_path, "holds no export"), (tmp_path / "file", "Not a directory"),
                        (tmp_path / "absent", "No such file")):  # fmt: skip
        with pytest.raises(ClientMisuse, match=words):
            next(verify(path))


async def test_what_cant_be_read_now_is_said_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await two_nights(tmp_path)

    def failing(*_: Any) -> str:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("hashlib.file_digest", failing)
    assert found(tmp_path) == {"websites.jsonl": "unreadable", "websites.0002.jsonl": "unreadable"}


@pytest.mark.parametrize(
    ("states", "code"),
    [(["ok"], 0), ([], 0), (["ok", "unlisted"], 3), (["unlisted", "unreadable"], 5),
     (["unreadable", "missing"], 1), (["changed", "ok"], 1)],
)  # fmt: skip
async def test_a_line_for_each_file_and_an_exit_code(
    states: list[Any], code: int, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    there = Path("/out")
    results = [Verified(path=there / f"{state}\x1b[2J\n", state=state, reason="x\ny")
               for state in states]  # fmt: skip
    monkeypatch.setattr("voipstudio_cmb.cli.verify.verify", lambda _: iter(results))
    assert await print_verified(there) == code
    out, err = capsys.readouterr()
    assert out.splitlines() == [f"{state}\ufffd[2J : {state}: x y" for state in states]
    assert err.startswith(f"{len(states)} files: " if states else "no files")
    assert await print_verified(there, quiet=True) == code
    out, err = capsys.readouterr()
    assert err == ""
    assert len(out.splitlines()) == sum(state != "ok" for state in states)
