"""What is behind standard output and standard error: pipes that break, disks that fill, nothing."""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import select
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from io import FileIO
from pathlib import Path

import pytest

from tests.fakes.commands import COMMAND, run_process, script_bad_row
from voipstudio_cmb.cli.stdio import Log, Output, OutputError
from voipstudio_cmb.sandbox import Sandbox

CAMPAIGN = pytest.mark.campaign
UNBUFFERED = [{"PYTHONUNBUFFERED": ""}, {"PYTHONUNBUFFERED": "1"}]
LOST = {"reader": "2> >(exec 0<&-)", "full": "2> /dev/full", "closed": "2>&-"}
"""Ways to lose standard error."""


# Standard error


@pytest.mark.one_in(3)
@pytest.mark.parametrize(
    "env",
    [pytest.param(UNBUFFERED[0], marks=CAMPAIGN), UNBUFFERED[1]],
    ids=["buffered", "unbuffered"],
)
@pytest.mark.parametrize("lost", LOST)
def test_nothing_depends_on_the_log(
    api: Sandbox, tmp_path: Path, lost: str, env: dict[str, str]
) -> None:
    script_bad_row(api)
    progress = "json" if env["PYTHONUNBUFFERED"] else "lines"
    argv = ["export", "cdrs", "settings", "--to", tmp_path, "--progress", progress]
    done = run_process(*argv, shell=LOST[lost], **env)
    assert done.returncode == 3  # as with a log: a row was rejected
    assert done.stdout.decode() == f"{tmp_path}/cdrs.jsonl\t300\n{tmp_path}/settings.jsonl\t2\n"
    assert len((tmp_path / "cdrs.jsonl").read_bytes().splitlines()) == 300
    argv = ["export", "cdrs", "--to", "-", "--page-size", "10", "--progress", progress]
    done = run_process(*argv, shell=LOST[lost], **env)
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout == (tmp_path / "cdrs.jsonl").read_bytes()


@pytest.mark.one_in(3)
@pytest.mark.parametrize("lost", LOST)
def test_errors_have_their_exit_codes_without_a_log(api: Sandbox, lost: str) -> None:
    assert run_process("list", shell=LOST[lost]).returncode == 2
    assert run_process("ping", shell=LOST[lost], VOIPSTUDIO_API_TOKEN="no").returncode == 4


def test_both_in_one_pipe_that_breaks_leave_the_files_whole(api: Sandbox, tmp_path: Path) -> None:
    for number, env in enumerate(UNBUFFERED):
        to = tmp_path / str(number)
        done = run_process("export", "cdrs", "--to", to, shell="2>&1 | head -1", **env)
        assert done.returncode == 0
        assert len((to / "cdrs.jsonl").read_bytes().splitlines()) == 300


@pytest.mark.one_in(3)
@pytest.mark.parametrize("closed", ["0<&- 1>&-", "0<&- 1>&- 2>&-", "1>&- 2>&-"])
def test_closed_files_are_never_taken_for_connections(
    api: Sandbox, tmp_path: Path, closed: str
) -> None:
    done = run_process("export", "cdrs", "--to", tmp_path / "a", shell=closed)
    assert done.returncode == 0
    assert len((tmp_path / "a" / "cdrs.jsonl").read_bytes().splitlines()) == 300
    done = run_process("export", "cdrs", "--to", "-", "--progress", "none", shell=closed)
    assert done.returncode == 1
    if "2>&-" not in closed:
        assert done.stderr == b"error: the output can't be written: it is closed\n"


def test_a_log_that_nobody_reads_does_not_stop_an_export(api: Sandbox, tmp_path: Path) -> None:
    end, log = os.pipe()
    fcntl.fcntl(log, fcntl.F_SETPIPE_SZ, 4096)
    script_bad_row(api)
    argv = ["export", "--to", str(tmp_path), "--page-size", "5", "--progress", "json"]
    with subprocess.Popen([*COMMAND, *argv], stdout=subprocess.DEVNULL, stderr=log) as process:
        os.write(log, b"\n" * 4096)  # nothing more fits in
        os.close(log)
        until = time.monotonic() + 90
        while not (tmp_path / "manifest.json").exists() and time.monotonic() < until:
            time.sleep(0.05)
        assert (tmp_path / "manifest.json").exists()
        time.sleep(0.1)
        with open(end, "rb") as reader:
            said = reader.read()
        assert process.wait(90) == 3
    events = said.strip().splitlines()
    assert json.loads(events[-1])["event"] == "end"


@pytest.fixture
def pipe() -> Iterator[tuple[FileIO, FileIO]]:
    """The two ends of a pipe of 4,096 bytes; a test may close them."""
    ends = os.pipe()
    fcntl.fcntl(ends[1], fcntl.F_SETPIPE_SZ, 4096)
    # As files: a number may be that of something else once it has been closed.
    with FileIO(ends[0], "r") as reader, FileIO(ends[1], "w") as writer:
        yield reader, writer


def test_what_a_log_can_not_be_given_now_it_is_given_later(pipe: tuple[FileIO, FileIO]) -> None:
    end, file = (each.fileno() for each in pipe)
    log, full = Log(file), b"x" * 4095 + b"\n"
    assert log.write(full) == 4096
    assert not log.behind
    log.write(b"later\n")
    assert log.behind
    assert os.read(end, 4096) == full
    log.write(b"last\n")
    assert not log.behind
    assert os.read(end, 4096) == b"later\nlast\n"
    log.write(full + full)
    reading = threading.Timer(0.05, lambda: [os.read(end, 4096) for _ in range(2)])
    reading.start()
    log.drain()
    assert not log.behind
    reading.join()
    log.write(full + full)
    log.drain(patience=0.05)  # nobody reads any more, and who waits for this process has to go on
    assert log.behind


def test_a_log_goes_on_when_somebody_reads_it_again(tmp_path: Path) -> None:
    fifo = tmp_path / "log"
    os.mkfifo(fifo)
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    file = os.open(fifo, os.O_WRONLY)
    fcntl.fcntl(file, fcntl.F_SETPIPE_SZ, 4096)
    log = Log(file)
    log.write(b"y" * 5000 + b"\n")
    assert len(os.read(reader, 5000)) == 4096
    os.close(reader)
    log.write(b"lost\n")
    log.drain()
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    log.write(b"read\n")
    assert os.read(reader, 100) == b"\nread\n"  # what was torn is no part of this line
    os.close(reader)
    os.close(file)


# Standard output


def test_output_is_written_whole_in_the_time_its_reader_takes(pipe: tuple[FileIO, FileIO]) -> None:
    end, file = (each.fileno() for each in pipe)
    os.set_blocking(file, False)
    data, found = bytes(range(256)) * 200, bytearray()

    def read() -> None:
        while len(found) < 2 * len(data):
            found.extend(os.read(end, 3000))

    reading = threading.Thread(target=read)
    reading.start()
    output = Output(file)
    assert output.write(data) == len(data)
    asyncio.run(output.send(data))
    reading.join()
    assert found == data + data


async def test_output_that_nobody_reads_stops_no_event_loop(pipe: tuple[FileIO, FileIO]) -> None:
    sending = asyncio.ensure_future(Output(pipe[1].fileno()).send(bytes(10_000)))
    await asyncio.sleep(0.05)
    sending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sending
    pipe[0].close()
    with pytest.raises(OutputError, match="Broken pipe") as caught:
        await Output(pipe[1].fileno()).send(b"x")
    assert caught.value.reader_gone


def test_a_pipe_that_takes_nothing_for_now_gets_every_row(
    api: Sandbox, pipe: tuple[FileIO, FileIO]
) -> None:
    end, file = pipe
    os.set_blocking(file.fileno(), False)
    argv = ["list", "cdrs", "--all", "--format", "json"]
    with subprocess.Popen([*COMMAND, *argv], stdout=file, stderr=subprocess.PIPE) as process:
        file.close()
        time.sleep(0.5)
        assert len(json.load(end)) == 300
        assert process.communicate(timeout=90) == (None, b"")
    assert process.returncode == 0


def test_sigterm_ends_a_list_that_nobody_reads(api: Sandbox, pipe: tuple[FileIO, FileIO]) -> None:
    with subprocess.Popen([*COMMAND, "list", "cdrs", "--all"], stdout=pipe[1]) as process:
        assert select.select([pipe[0]], [], [], 90)[0]
        process.send_signal(signal.SIGTERM)
        assert process.wait(90) == 143


FULL = b"error: the output can't be written: No space left on device\n"


@pytest.mark.one_in(3)
@pytest.mark.parametrize(
    "argv",
    [
        ["list", "cdrs", "--all"],
        ["get", "settings", "{}"],
        ["export", "--to", "nowhere", "--dry-run"],
        ["--version"],
        ["export", "--help"],
    ],
)
def test_output_on_a_full_disk_is_exit_1(api: Sandbox, argv: list[str]) -> None:
    argv = [word.format(api.data.settings.id_at(0)) for word in argv]
    done = run_process(*argv, shell="> /dev/full")
    assert done.returncode == 1
    assert done.stderr.endswith(FULL)


@pytest.mark.one_in(2)
@pytest.mark.parametrize("format", ["jsonl", "table"])
def test_a_file_at_its_limit_is_exit_1(api: Sandbox, tmp_path: Path, format: str) -> None:
    out = tmp_path / "out"
    argv = ["list", "cdrs", "--all", "--format", format]
    done = run_process(*argv, before="ulimit -f 5;", shell=f"> {out}")
    assert done.returncode == 1
    assert done.stderr == b"error: the output can't be written: File too large\n"
    assert out.stat().st_size == 5 * 1024


@pytest.mark.one_in(2)
@pytest.mark.parametrize("progress", ["json", "none"])
def test_files_whose_list_is_lost_are_made_and_exit_1(
    api: Sandbox, tmp_path: Path, progress: str
) -> None:
    argv = ["export", "cdrs", "--to", tmp_path, "--progress", progress]
    done = run_process(*argv, shell="> /dev/full")
    assert done.returncode == 1
    assert b"the list of files can't be written: No space left on device" in done.stderr
    assert (tmp_path / "cdrs.jsonl").exists()
    if progress == "json":
        assert json.loads(done.stderr.splitlines()[-1])["exit_code"] == 1


# What is not UTF-8


NAME = "Zo\N{LATIN SMALL LETTER E WITH DIAERESIS} \N{SNOWMAN}"


@pytest.mark.parametrize(
    "encoding",
    [
        "latin-1",
        *(pytest.param(name, marks=CAMPAIGN) for name in ("ascii", "utf-16", "cp1252:strict")),
    ],
)
def test_data_is_utf8_whatever_the_locale_is(api: Sandbox, encoding: str) -> None:
    id = api.data.settings.insert(name=NAME)["id"]
    env = {"PYTHONIOENCODING": encoding}
    done = run_process("get", "settings", id, **env)
    assert json.loads(done.stdout.decode("utf-8", "strict"))["name"] == NAME
    done = run_process("list", "settings", "--all", "--format", "csv", **env)
    assert done.returncode == 0
    assert NAME in done.stdout.decode("utf-8", "strict")


def test_words_are_what_the_locale_can_show(api: Sandbox) -> None:
    api.data.settings.insert(name=NAME)
    argv = ["list", "settings", "--all", "--format", "table"]
    env = {"PYTHONIOENCODING": "latin-1"}
    assert b"Zo\xeb \\u2603 " in run_process(*argv, **env).stdout
    wrong = run_process("export", "--to", "/proc/" + NAME.replace(" ", ""), **env)
    assert b"the export directory '/proc/Zo\xeb\\u2603' can't be written" in wrong.stderr


def test_the_list_of_files_has_their_names_to_the_byte(api: Sandbox, tmp_path: Path) -> None:
    to = os.fsencode(tmp_path) + b"/\xff\xc3\xab"
    argv = ["export", "settings", "--to", f"$'{tmp_path}/\\xff\\xc3\\xab'"]
    done = run_process(*argv, PYTHONIOENCODING="ascii")
    assert done.returncode == 0
    path, _, _ = done.stdout.partition(b"\t")
    assert path == to + b"/settings.jsonl"
    assert os.path.exists(path)
