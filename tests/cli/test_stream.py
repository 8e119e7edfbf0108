"""`export --to -`: rows to a pipe, and what becomes of them if it breaks."""

from __future__ import annotations

import json
import select
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.commands import INTERRUPTIBLE, run_process, script_bad_row
from voipstudio_cmb.sandbox import Fault, Sandbox


def test_the_rows_of_one_resource_go_to_standard_output(
    api: Sandbox, run: Any, tmp_path: Path
) -> None:
    run("export", "cdrs", "buttons", "--to", tmp_path)
    for resource in ("cdrs", "buttons"):
        done = run_process("export", resource, "--to", "-", "--page-size", 50, "--progress", "none")
        assert done.returncode == 0
        assert done.stderr == b""
        assert done.stdout == (tmp_path / f"{resource}.jsonl").read_bytes()
    some = run_process("export", "cdrs", "--to", "-", "--filter", "'id<=100010'")
    assert 0 < len(some.stdout.splitlines()) < 20


def test_a_stream_is_sent_a_page_at_a_time_and_waits_for_its_reader(api: Sandbox) -> None:
    with subprocess.Popen(
        [*INTERRUPTIBLE, "export", "cdrs", "--to", "-", "--page-size", "10", "--progress", "none"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        assert select.select([process.stdout], [], [], 90)[0]
        until = time.monotonic() + 90
        while time.monotonic() < until:  # the pipe fills, and nothing more is asked for
            asked = api.requests
            time.sleep(0.3)
            if asked == api.requests:
                break
        # All rows fit into the buffers of few systems: 300 rows are more than 64 KiB.
        assert api.requests < 40
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=90) == 130  # though nobody reads on
        _, err = process.communicate()
    assert err == b"interrupted: the output is incomplete\n"


def test_rejected_rows_of_a_stream_are_named_and_exit_3(api: Sandbox) -> None:
    script_bad_row(api)
    done = run_process("export", "settings", "--to", "-")
    assert done.returncode == 3
    assert done.stdout == b'{"id":1}\n{"id":2}\n'
    said = b"settings: page 1, row 2: rejected, it is no object but a string\n"
    assert done.stderr.count(b"rejected") == done.stderr.count(said) == 1
    done = run_process("export", "settings", "--to", "-", "--progress", "json")
    events = [json.loads(line) for line in done.stderr.splitlines()]
    for each in events:
        del each["time"]
    assert {"event": "rejected", "account": "", "resource": "settings", "page": 1, "index": 2,
            "reason": "it is no object but a string"} in events  # fmt: skip


def test_an_error_after_some_rows_is_exit_1_and_one_before_is_its_own(api: Sandbox) -> None:
    fault = api.script(Fault(path="/callmeback/cdrs", after=7, status=403, times=None))
    done = run_process("export", "cdrs", "--to", "-", "--page-size", 50)
    assert done.returncode == 1
    assert 0 < len(done.stdout.splitlines()) < 300
    assert b"page 1: 403 Scripted 403; " in done.stderr
    assert done.stderr.endswith(b": the output is incomplete\n")
    assert fault.applied
    api.clear_faults()
    done = run_process("export", "cdrs", "--to", "-", VOIPSTUDIO_API_TOKEN="wrong")
    assert (done.returncode, done.stdout) == (4, b"")


def test_a_reader_of_a_stream_that_has_seen_enough_is_no_error(api: Sandbox) -> None:
    done = run_process("export", "cdrs", "--to", "-", "--progress", "none", shell="| head -n 1")
    assert (done.returncode, len(done.stdout.splitlines()), done.stderr) == (0, 1, b"")


def test_a_full_disk_behind_a_stream_is_exit_1(api: Sandbox) -> None:
    done = run_process("export", "cdrs", "--to", "-", "--progress", "none", shell="> /dev/full")
    assert done.returncode == 1
    assert done.stderr == b"error: the output can't be written: No space left on device\n"


@pytest.mark.parametrize("option", [["--compress", "gzip"], ["--since", "last"]])
def test_what_a_stream_does_not_have_is_refused(api: Sandbox, run: Any, option: list[str]) -> None:
    done = run("export", "--to", "-", "cdrs", *option)
    assert done.code == 2
    assert f"leave out {option[0]}" in done.err
    assert api.requests == 0
