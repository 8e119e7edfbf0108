"""Each call to the system may fail with each error: no file in part, the right exit code, a message
that names the path and says what to do, and the same export ends when the fault has passed.
"""

from __future__ import annotations

import errno
import json
import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import attrs
import pytest

from benchmarks.harness.offline import Offline
from tests.fakes.exports import interrupted, names, run
from tests.fakes.system_calls import WHERE, SystemCalls
from voipstudio_cmb.boundary.files import read_regular
from voipstudio_cmb.errors import CallMeBackError, ClientMisuse
from voipstudio_cmb.export import FORMATS, Plan
from voipstudio_cmb.export.run.exit_codes import exit_code
from voipstudio_cmb.export.store import disk
from voipstudio_cmb.export.store.disk import Disk

PASSING = [
    "EACCES", "EAGAIN", "EBUSY", "EDQUOT", "EIO", "EMFILE", "ENFILE", "ENODEV", "ENOMEM", "ENOSPC",
    "ENOTCONN", "ESTALE", "ETIMEDOUT", "ETXTBSY", "EREMOTEIO", "EHOSTDOWN",
]  # fmt: skip
NEVER = [
    "EPERM", "EROFS", "EFBIG", "ELOOP", "ENAMETOOLONG", "EOVERFLOW", "EILSEQ", "EISDIR", "EXDEV",
    "ENOSYS",
]  # fmt: skip
NOT_HERE = {
    "link": ["ENOSYS", "EOPNOTSUPP", "EPERM", "EMLINK", "EINVAL", "EXDEV"],
    "fsync": ["ENOSYS", "EOPNOTSUPP", "EINVAL"],
    "flock": ["ENOSYS", "EOPNOTSUPP", "ENOLCK", "EINVAL"],
    "chmod": ["ENOSYS", "EOPNOTSUPP", "EPERM", "EINVAL"],
}
"""What a file system says that does not have it, by call: then there is another way."""

ADVICE = re.compile(
    r": (fix|free|raise|close|export to|choose|move it|run the same)|same export again|begin again"
)
Files = dict[str, bytes]


def number(name: str) -> int:
    return int(getattr(errno, name))


def account() -> Offline:
    made = Offline(count=12)
    made.broken = {2}  # which goes to a file of its own
    return made


def plan_of(to: Path, format: str) -> Plan:
    resources = ("cdrs", "websites")
    return Plan(to=to, resources=resources, format=format, page_size=5, checkpoint=0)


def visible(directory: Path) -> Files:
    paths = directory.iterdir() if directory.exists() else ()
    return {path.name: path.read_bytes() for path in paths if not path.name.startswith(".")}


async def code_and_errors(plan: Plan) -> tuple[int, list[CallMeBackError]]:
    """What the command would exit with, and what went wrong."""
    try:
        summary = await run(account(), plan)
    except ClientMisuse as error:
        return 2, [error]
    return exit_code(summary.jobs), [job.error for job in summary.jobs if job.error is not None]


COMPLETE = 3  # a row was rejected


async def with_fault(to: Path, format: str, call: str, nth: int, error: str) -> tuple[int, Any]:
    with pytest.MonkeyPatch.context() as patch:
        fault = lambda name, n: number(error) if (name, n) == (call, nth) else 0  # noqa: E731
        SystemCalls(patch, to, fault)
        return await code_and_errors(plan_of(to, format))


async def check(tmp_path: Path, complete: Files, format: str, call: str, nth: int, error: str
) -> None:  # fmt: skip
    to = tmp_path / f"{call} {nth} {error}"
    code, errors = await with_fault(to, format, call, nth, error)
    found = visible(to)
    for name, data in found.items():
        if name == "manifest.json":
            entries = json.loads(data)["files"]
            assert entries.items() <= json.loads(complete[name])["files"].items()
        else:
            assert data == complete[name], name
    what = f"{call} {nth} of {format} failed with {error}: {code}, {errors}"
    if errors:
        assert error not in NOT_HERE.get(call, []), what
        assert code in ((5, 2) if error == "EACCES" else (5,) if error in PASSING else (2, 1, 3))
        assert all(str(to) in str(each) and ADVICE.search(str(each)) for each in errors), what
        code, errors = await code_and_errors(plan_of(to, format))
    assert (code, errors) == (COMPLETE, []), what
    assert visible(to) == complete, what


async def counted(tmp_path: Path, format: str) -> tuple[Files, dict[str, int]]:
    """The files of an export that nothing disturbs, and how often it makes each call."""
    with pytest.MonkeyPatch.context() as patch:
        calls = SystemCalls(patch, tmp_path / "calm", lambda *_: 0)
        assert (await code_and_errors(plan_of(tmp_path / "calm", format)))[0] == COMPLETE
    return visible(tmp_path / "calm"), calls.made


def cases(made: dict[str, int], times: int) -> Iterable[tuple[str, int, str]]:
    """Each error of each call, at `times` of its calls: they take turns."""
    turn = 0
    for call, count in made.items():
        for error in dict.fromkeys((*PASSING, *NEVER, *NOT_HERE.get(call, []))):
            for _ in range(min(times, count)):
                turn += 1
                yield call, turn % count + 1, error


@pytest.mark.campaign
@pytest.mark.parametrize("format", FORMATS)
async def test_each_call_fails_with_each_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, format: str
) -> None:
    monkeypatch.setattr(os, "fsync", lambda _: None)  # what a crash would lose is not asked here
    complete, made = await counted(tmp_path, format)
    seldom = ("chmod", "pread", "ftruncate")  # a first run has no need of them
    assert all(count for call, count in made.items() if call not in seldom), made
    for case in cases(made, times=2):
        await check(tmp_path, complete, format, *case)


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("error", ["ENOSYS", "EOPNOTSUPP", "EINVAL"])
async def test_a_file_system_without_links_syncs_locks_and_modes_gets_its_files_all_the_same(
    tmp_path: Path, format: str, error: str
) -> None:
    to = tmp_path / "odd"
    plan = plan_of(to, format)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TMPDIR", str(tmp_path))
        patch.setattr("tempfile.tempdir", None)
        SystemCalls(patch, to, lambda name, _: number(error) if name in NOT_HERE else 0)
        summary = await run(account(), plan)
        assert exit_code(summary.jobs) == COMPLETE
        assert all("no locks" in job.note for job in summary.jobs)
        again = await run(account(), attrs.evolve(plan, overwrite=True))  # takes the old mode
        assert exit_code(again.jobs) == COMPLETE
    assert (await code_and_errors(plan_of(tmp_path / "calm", format)))[0] == COMPLETE
    assert visible(to) == visible(tmp_path / "calm")
    assert not [name for name in names(to) if name.startswith(".")]


async def test_two_exports_to_a_file_system_without_locks_do_not_meet(tmp_path: Path) -> None:
    plan = plan_of(tmp_path / "odd", "jsonl")

    async def hook(_: Any) -> None:
        api.hook = None
        code, errors = await code_and_errors(plan)
        assert code == 5
        assert "another export is writing" in str(errors[0])
        met.append(code)

    met: list[int] = []
    api = account()
    api.hook = hook
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tempfile.tempdir", str(tmp_path))
        odd = SystemCalls(patch, tmp_path / "odd", lambda name, _: name == "flock" and errno.ENOLCK)
        assert exit_code((await run(api, attrs.evolve(plan, resources="cdrs"))).jobs) == 0
    assert odd.made["flock"] > 2
    assert met == [5]
    assert names(tmp_path) == {"odd"}


async def test_an_export_that_can_not_be_locked_anywhere_is_refused_with_the_reason(
    tmp_path: Path,
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tempfile.tempdir", str(tmp_path))
        SystemCalls(patch, tmp_path, lambda name, _: name == "flock" and errno.ENOSYS)
        code, errors = await code_and_errors(plan_of(tmp_path / "odd", "jsonl"))
    assert code == 1
    assert "can't be locked: Function not implemented, neither there nor in" in str(errors[0])
    assert visible(tmp_path / "odd") == {}


@pytest.mark.parametrize("name", ["manifest.json", ".cdrs.jsonl.checkpoint"])
async def test_a_fifo_in_the_place_of_a_file_of_ours_is_no_reason_to_wait(
    tmp_path: Path, name: str
) -> None:
    os.mkfifo(tmp_path / name)
    with pytest.raises(ClientMisuse, match="it is no regular file") as refused:
        await run(Offline(count=12), plan_of(tmp_path, "jsonl"))
    assert name in str(refused.value)


@pytest.mark.parametrize("error", ["EMFILE", "EIO", "ESTALE", "EACCES", "ENOMEM"])
@pytest.mark.parametrize("name", ["manifest.json", ".cdrs.jsonl.checkpoint"])
async def test_what_can_not_be_read_now_is_not_taken_for_damaged(
    tmp_path: Path, name: str, error: str
) -> None:
    """Or `--since last` would forget what it knows, and a resumed export what it has."""
    plan = attrs.evolve(plan_of(tmp_path, "jsonl"), resources="cdrs", since="last")
    assert (await run(Offline(count=12), plan)).complete
    longer = Offline(count=30)
    if name != "manifest.json":
        await interrupted(Offline(count=60), attrs.evolve(plan, since=None, to=tmp_path / "x"), 6)
        plan, longer = attrs.evolve(plan, since=None, to=tmp_path / "x"), Offline(count=60)
    path = plan.to / name
    before = path.read_bytes()

    def failing(file: Path, limit: int) -> bytes:
        if file == path:
            raise OSError(number(error), os.strerror(number(error)), str(file))
        return read_regular(file, limit)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(disk, "read_regular", failing)
        summary = await run(longer, plan)
    [error] = [job.error for job in summary.jobs]
    assert "Nothing was sent" in str(error)
    assert "run the same export again" in str(error)
    assert repr(str(path)) in str(error)
    assert exit_code(summary.jobs) == 5
    assert path.read_bytes() == before
    assert longer.asked == []
    [job] = (await run(longer, plan)).jobs
    assert (job.rows, job.kept > 0) == ((18, False) if name == "manifest.json" else (60, True))


async def test_a_directory_whose_name_is_no_utf_8_holds_every_format(tmp_path: Path) -> None:
    to = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff"))
    for format in FORMATS:
        assert (await code_and_errors(plan_of(to, format))) == (COMPLETE, [])
        if format != "sqlite":
            _, [error] = await code_and_errors(plan_of(to, format))
            str(error).encode()
    plan = attrs.evolve(plan_of(to, "sqlite"), since="last", restart=True)
    assert await code_and_errors(plan) == (0, [])


async def test_what_is_kept_is_said_and_nothing_more(tmp_path: Path) -> None:
    class Full(Disk):
        room = 0

        def write(self, file: int, data: bytes) -> None:
            self.room -= len(data)
            if self.room < 0:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            super().write(file, data)

    plan = attrs.evolve(plan_of(tmp_path, "jsonl"), resources="cdrs")
    for room, kept in ((0, "Nothing of it is kept"), (3000, "5 rows are kept")):
        disk = Full()
        disk.room = room
        [job] = (await run(account(), plan, disk)).jobs
        assert f"No space left on device. {kept}: free some space, and run the same" in str(
            job.error
        )
        assert job.resumable == (room > 0)
        assert exit_code([job]) == 5
    [job] = (await run(account(), plan)).jobs
    assert (job.state, job.kept) == ("done", 5)


async def test_the_rows_of_an_export_that_begins_again_are_not_kept(tmp_path: Path) -> None:
    plan = attrs.evolve(plan_of(tmp_path, "jsonl"), resources="cdrs")
    await interrupted(account(), plan, 4)
    (tmp_path / ".cdrs.jsonl.part").write_text("damaged")

    class Full(Disk):
        def write(self, file: int, data: bytes) -> None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    [job] = (await run(account(), plan, Full())).jobs
    assert "Nothing of it is kept" in str(job.error)
    assert not job.resumable
    assert names(tmp_path) == set()


def test_the_calls_that_fail_are_those_that_exist() -> None:
    assert all(hasattr(module, name) for name, modules in WHERE.items() for module in modules)
