"""Exports to S3 as users run them, against moto and rclone on loopback."""

from __future__ import annotations

import itertools
import os
import random
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.commands import COMMAND, accounts_file, run_process
from tests.fakes.engine import Engine
from tests.fakes.exports import hashes
from tests.fakes.s3 import BUCKET, environment, free_port, moto, rclone
from tests.fakes.secrets import CANARY
from voipstudio_cmb.exit_codes import FAILED, RESUMABLE, USAGE
from voipstudio_cmb.export import Plan, shards, verify
from voipstudio_cmb.ext import obstore as adapter
from voipstudio_cmb.sandbox import Sandbox

pytestmark = pytest.mark.s3
TO = f"s3://{BUCKET}/calls"


@pytest.fixture(scope="module")
def server() -> Iterator[dict[str, str]]:
    with moto() as variables:
        yield variables


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Sandbox]:
    with Sandbox(rows=300, latency=0.002) as api:
        monkeypatch.setenv("VOIPSTUDIO_API_TOKEN", api.token)
        monkeypatch.setenv("VOIPSTUDIO_API_URL", api.base_url)
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
        yield api


@pytest.fixture
def s3(server: dict[str, str], api: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The store, which is empty at first."""
    for name, value in server.items():
        monkeypatch.setenv(name, value)
    adapter.bucket_at.cache_clear()
    import obstore

    store = adapter.bucket_at("s3", BUCKET, 30)
    keys = [each["path"] for each in obstore.list(store).collect()]
    if keys:
        obstore.delete(store, keys)
    return store


def downloaded(store: Any, directory: Path) -> dict[str, str]:
    """The hashes of all objects, which are brought into a directory."""
    import obstore

    for each in obstore.list(store).collect():
        path = directory / each["path"]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(bytes(obstore.get(store, each["path"]).bytes()))
    return hashes(directory)


def below(prefix: str, found: dict[str, str]) -> dict[str, str]:
    return {f"{prefix}/{name}": each for name, each in found.items()}


def test_each_night_a_fresh_disk_goes_on_from_the_store(
    tmp_path: Path, s3: Any, api: Sandbox
) -> None:
    for night in range(3):
        for to, more in ((tmp_path / "local", ()), (TO, ("--workspace", tmp_path / f"{night}"))):
            words = ("export", "cdrs", "visitors", "--format", "parquet", "--since", "last")
            done = run_process(*words, "--to", to, *more, "--quiet")
            assert (done.returncode, done.stderr) == (0, b"")
        names = [line.split(b"\t")[0].decode() for line in done.stdout.splitlines()]
        assert not names or names[0].startswith(f"{TO}/cdrs")
        for _ in range(5 + night):
            api.data.cdrs.insert()
    expected = hashes(tmp_path / "local")
    assert len(expected) == 5
    assert downloaded(s3, tmp_path / "got") == below("calls", expected)
    assert run_process("verify", TO).returncode == 0


def test_verify_notices_what_was_deleted_or_altered(s3: Any) -> None:
    import obstore

    assert run_process("export", "cdrs", "settings", "--to", TO, "--quiet").returncode == 0
    data = bytes(obstore.get(s3, "calls/cdrs.jsonl").bytes())
    obstore.put(s3, "calls/cdrs.jsonl", data[:-3] + b"x}\n")
    obstore.delete(s3, "calls/settings.jsonl")
    obstore.put(s3, "calls/more.txt", b"")
    done = run_process("verify", TO)
    assert done.returncode == FAILED
    assert done.stdout.decode().splitlines() == [
        "cdrs.jsonl: changed: its SHA-256 is another one",
        "settings.jsonl: missing",
        "more.txt: unlisted: manifest.json does not list it",
    ]


def test_a_file_too_large_for_one_put_goes_in_parts(
    tmp_path: Path, s3: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    import asyncio
    import hashlib

    monkeypatch.setattr(adapter, "ONE_PUT", 1_000_000)
    monkeypatch.setattr(adapter, "PIECE", 5 * 1024 * 1024)
    path = tmp_path / "cdrs.jsonl"
    path.write_bytes(random.Random(1).randbytes(12_000_000))
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    notes = {"sha256": digest, "rows": "1"}
    plan = Plan(to=TO)
    objects = adapter.open_store(plan.to)  # type: ignore[arg-type]

    async def run() -> None:
        assert await objects.create("cdrs.jsonl", path, notes)
        assert await objects.noted_sha256("cdrs.jsonl") == digest
        assert not await objects.create("cdrs.jsonl", path, notes)
        found, _ = objects.list()
        assert found["cdrs.jsonl"].version["e_tag"].endswith('-3"')  # type: ignore[union-attr]
        assert await objects.replace("cdrs.jsonl", path, notes, found["cdrs.jsonl"].version)
        assert not await objects.replace("cdrs.jsonl", path, notes, {"e_tag": '"other"'})
        assert await objects.put(".visitors.jsonl.claim", b"another hash", {}, "create")
        with pytest.raises(adapter.ExportError, match="another export publishes"):
            await objects.create("visitors.jsonl", path, notes)

    asyncio.run(run())
    assert objects.sha256("cdrs.jsonl") == digest
    assert sorted(objects.list()[0]) == [".visitors.jsonl.claim", "cdrs.jsonl"]


@pytest.mark.parametrize("since", [(), ("--since", "last")])
def test_an_export_that_is_killed_at_any_time_ends_with_the_same_objects(
    tmp_path: Path, s3: Any, since: tuple[str, ...]
) -> None:
    words = ["export", "cdrs", "visitors", "settings", *since, "--page-size", "20", "--quiet"]
    assert run_process(*words, "--to", tmp_path / "local").returncode == 0
    draw, ended = random.Random(1), Counter[int]()
    command = [*COMMAND, *words, "--to", TO]
    for _ in range(40):
        with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
            try:
                ended[process.wait(draw.uniform(0.3, 1.1))] += 1
            except subprocess.TimeoutExpired:
                process.kill()
        if ended[0]:
            break
    else:
        assert run_process(*words, "--to", TO).returncode == 0
    assert downloaded(s3, tmp_path / "got") == below("calls", hashes(tmp_path / "local"))


def test_the_store_s_refusals_say_what_to_do(tmp_path: Path, s3: Any) -> None:
    words = ("export", "cdrs", "--quiet", "--to")
    done = run_process(*words, "s3://no-such-bucket/x")
    assert done.returncode == USAGE
    assert b"there is no bucket 'no-such-bucket' (404 NoSuchBucket): create it" in done.stderr
    (tmp_path / "files").mkdir()
    with rclone(tmp_path / "files", "--auth-key", "right,secret-of-it") as variables:
        wrong = variables | {"AWS_ACCESS_KEY_ID": "wrong", "AWS_SECRET_ACCESS_KEY": CANARY}
        done = run_process(*words, TO, **wrong)
    assert done.returncode == USAGE
    assert b"the store of 's3://bucket' refused this (403 " in done.stderr
    assert CANARY.encode() not in done.stderr + done.stdout


def test_a_store_that_is_away_is_exit_5(s3: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    code = (
        "import sys; from voipstudio_cmb.ext import obstore;"
        "obstore.RETRIES['max_retries'] = 0;"
        "from voipstudio_cmb.cli.main import main; sys.exit(main())"
    )
    command = [sys.executable, "-c", code, "export", "cdrs", "--quiet", "--to", TO]
    env = {**os.environ, **environment(free_port())}
    done = subprocess.run(command, env=env, capture_output=True, check=False, timeout=60)
    assert done.returncode == RESUMABLE
    assert b"the store of 's3://bucket' could not be reached" in done.stderr


def test_another_server_that_ignores_conditions_is_refused(tmp_path: Path, s3: Any) -> None:
    (tmp_path / "files").mkdir()
    with rclone(tmp_path / "files") as variables:
        done = run_process("export", "cdrs", "--quiet", "--to", TO, **variables)
    assert done.returncode == FAILED
    assert b"ignores the conditions of a put" in done.stderr
    assert [*hashes(tmp_path / "files")] == [f"{BUCKET}/calls/manifest.json"]


NAMES = [f"shop{number}" for number in range(20)]


@pytest.mark.campaign
@pytest.mark.timeout(600)
@pytest.mark.parametrize("format", ["parquet"])
def test_pods_with_private_disks_that_are_killed_publish_what_one_process_writes(
    tmp_path: Path, s3: Any, api: Sandbox, monkeypatch: pytest.MonkeyPatch, format: Any
) -> None:
    for name in NAMES:
        monkeypatch.setenv(f"{name.upper()}_TOKEN", api.token)
    file = accounts_file(tmp_path, api, *NAMES)
    words = ("cdrs", "visitors", "--format", format, "--page-size", "20", "--quiet")
    done = run_process("export", *words, "--accounts", file, "--to", tmp_path / "one")
    assert done.returncode == 0
    plan = Plan(
        to=TO,
        resources=("cdrs", "visitors"),
        format=format,
        page_size=20,
        concurrency=1,
        checkpoint=0.05,
    )
    given = [each.to_dict() for each in shards(file, plan)]
    draw = random.Random(format)

    pod = itertools.count(1)

    def disk() -> dict[str, str]:
        """Mostly another machine than the last time, and now and then a new one."""
        path = tmp_path / "disks" / str(next(pod) % 4)
        if draw.random() < 0.3:
            shutil.rmtree(path, ignore_errors=True)
        return {"XDG_CACHE_HOME": str(path)}

    pods = Engine(draw, kills=15, left=given + draw.sample(given, 5), variables=disk)
    pods.run()
    assert downloaded(s3, tmp_path / "got") == below("calls", hashes(tmp_path / "one"))
    assert {each.state for each in verify(TO)} == {"ok"}
    assert pods.states["killed"] > 0
    assert pods.states["already"] > 0
