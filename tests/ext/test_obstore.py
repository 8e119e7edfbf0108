"""Object stores behind an export: files without a server, errors in our words, the set-up."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from obstore import exceptions
from obstore.store import MemoryStore

from benchmarks.harness.offline import Offline, rows
from tests.fakes.commands import accounts_file, run_command
from tests.fakes.exports import hashes
from tests.fakes.secrets import CANARY, leaks, reports_of
from voipstudio_cmb.errors import ClientMisuse, ExportError
from voipstudio_cmb.exit_codes import DONE, FAILED, INCOMPLETE, RESUMABLE, USAGE
from voipstudio_cmb.export import Export, Job, Plan, export_shard, shards
from voipstudio_cmb.export.plan.place import StoreUrl
from voipstudio_cmb.ext import obstore as adapter
from voipstudio_cmb.sandbox import Sandbox


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Iterator[Sandbox]:
    with Sandbox(rows=300) as api:
        monkeypatch.setenv("VOIPSTUDIO_API_TOKEN", api.token)
        monkeypatch.setenv("VOIPSTUDIO_API_URL", api.base_url)
        yield api


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Any:
    return lambda *argv: run_command(capsys, *argv)


async def test_files_hold_what_a_directory_would_hold(tmp_path: Path) -> None:
    api = Offline(40)
    for to in (str(tmp_path / "local"), f"file://{tmp_path}/store/calls"):
        plan = Plan(to=to, resources=("cdrs", "visitors"), since="last")
        assert (await Export(api.client(), plan).run()).complete
        api.tables["cdrs"] += rows(5, 100)
        assert (await Export(api.client(), plan).run()).complete
        del api.tables["cdrs"][-5:]
    assert hashes(tmp_path / "store" / "calls") == hashes(tmp_path / "local")


async def test_a_file_changes_only_in_the_version_that_is_named(tmp_path: Path) -> None:
    files = adapter.open_store(StoreUrl.parse(f"file://{tmp_path}/x"))
    assert await files.create("a", b"1", {"rows": "1"})
    assert not await files.create("a", b"2", {})
    found = files.read("a")
    assert found is not None
    assert await files.replace("a", b"3", {}, found[1])
    assert not await files.replace("a", b"4", {}, found[1])
    assert not await files.replace("b", b"4", {}, found[1])
    assert (tmp_path / "x" / "a").read_bytes() == b"3"
    await files.delete("a")
    await files.delete("a")
    assert (files.list(), files.read("a"), files.sha256("a")) == (({}, []), None, None)


@pytest.mark.parametrize("step", ["remove_sidecars", "sync_directory"])
async def test_a_shard_killed_as_it_cleans_up_leaves_no_rows_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    def dies(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setenv("SHOP_TOKEN", "sandbox-token")
    file, workspace = tmp_path / "accounts.toml", tmp_path / "workspace"
    async with Sandbox(rows=40) as api:
        file.write_text(f'[accounts.shop]\ntoken_env = "SHOP_TOKEN"\nbase_url = "{api.base_url}"')
        plan = Plan(to=f"file://{tmp_path}/store", resources="cdrs", workspace=workspace)
        (shard,) = shards(file, plan)
        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(f"voipstudio_cmb.export.run.export.{step}", dies)
            await export_shard(shard)
        assert list(workspace.rglob("cdrs.jsonl"))
        assert (await export_shard(shard))["state"] == "already"
    assert [path.name for path in workspace.rglob("*cdrs*")] == [".cdrs.jsonl.store"]


async def test_a_shard_publishes_wherever_it_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHOP_TOKEN", "sandbox-token")
    file = tmp_path / "accounts.toml"
    to = f"file://{tmp_path}/store"
    async with Sandbox(rows=40) as api:
        file.write_text(f'[accounts.shop]\ntoken_env = "SHOP_TOKEN"\nbase_url = "{api.base_url}"')
        (shard,) = shards(file, Plan(to=to, resources="cdrs", workspace=tmp_path / "never"))
        given = shard.to_dict()
        assert given["plan"]["to"] == to
        states = []
        for pod in ("a", "b"):
            given["plan"]["workspace"] = str(tmp_path / pod)
            result = await export_shard(given)
            states.append((result["state"], result["rows"], result["exit_code"]))
            assert [each["path"] for each in result["files"]] == [f"{to}/shop/cdrs.jsonl"]
    assert states == [("done", 40, DONE), ("already", 40, DONE)]


def test_the_command_publishes_and_verifies(run: Any, api: Sandbox, tmp_path: Path) -> None:
    to = f"file://{tmp_path}/store"
    done = run("export", "cdrs", "--to", to, "--progress", "json", "--workspace", tmp_path / "w")
    assert done.code == DONE
    assert done.out == f"{to}/cdrs.jsonl\t300\n"
    assert f'"path":"{to}/cdrs.jsonl"' in done.err.replace('": "', '":"')
    again = run("export", "cdrs", "--to", to, "--quiet")
    assert (again.code, f"'{to}/cdrs.jsonl' exists: add what is new" in again.err) == (USAGE, True)
    done = run("export", "cdrs", "--to", to, "--since", "last", "--dry-run")
    assert done.code == DONE
    assert run("verify", to).out == "cdrs.jsonl: ok\n"
    (tmp_path / "store" / "cdrs.jsonl").unlink()
    done = run("verify", to)
    assert (done.code, done.out) == (FAILED, "cdrs.jsonl: missing\n")


def test_a_job_is_not_done_before_its_file_is_published(
    run: Any, api: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    states, set_field = list[str](), Job.__setattr__

    def noted(job: Job, name: str, value: Any) -> None:
        if name == "state":
            states.append(value)
        set_field(job, name, value)

    monkeypatch.setattr(Job, "__setattr__", noted)
    assert run("export", "cdrs", "--to", f"file://{tmp_path}/store").code == DONE
    assert (states[-2:], states.count("done")) == (["publishing", "done"], 1)


def test_accounts_have_directories_of_their_own(
    run: Any, api: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("A", "B"):
        monkeypatch.setenv(f"{name}_TOKEN", api.token)
    file = accounts_file(tmp_path, api, "a", "b")
    words = ("export", "cdrs", "settings", "--accounts", file, "--since", "last", "--to")
    for night in ("cdrs.jsonl\t300", "cdrs.0002.jsonl\t1"):
        for to in (str(tmp_path / "local"), f"file://{tmp_path}/store"):
            done = run(*words, to)
            assert done.code == DONE
            for name in ("a", "b"):
                assert f"{to}/{name}/{night}\n" in done.out
        api.data.cdrs.insert()
    assert hashes(tmp_path / "store") == hashes(tmp_path / "local")
    assert run("verify", f"file://{tmp_path}/store").out.count(": ok") == 6


@pytest.fixture
def shops(api: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The accounts file of three shops."""
    names = ("a", "b", "c")
    for name in names:
        monkeypatch.setenv(f"{name.upper()}_TOKEN", api.token)
    return accounts_file(tmp_path, api, *names)


@pytest.mark.parametrize("store", [True, False], ids=["store", "directory"])
def test_a_damaged_file_is_2_alone_and_3_beside_what_was_exported(
    run: Any, api: Sandbox, tmp_path: Path, shops: Path, store: bool
) -> None:
    directory = tmp_path / "out"
    to = f"file://{directory}" if store else str(directory)
    words = ("export", "cdrs", "--since", "last", "--accounts", shops, "--to", to)
    assert run(*words).code == DONE
    for damaged, options, code in (
        ("b", (), INCOMPLETE),
        ("b", ("--account", "b"), USAGE),
        ("b", ("--account", "a"), DONE),
        ("ac", (), USAGE),  # nothing was exported
    ):
        for name in damaged:
            (directory / name / "cdrs.jsonl").write_text("{}\n")
        done = run(*words, *options)
        assert (done.code, "is not as manifest.json says" in done.err) == (code, code != DONE)
    alone = run("export", "cdrs", "--since", "last", "--to", f"{to}/a")
    assert alone.code == USAGE
    assert run("verify", to).code == FAILED


def test_of_many_accounts_one_line_says_that_the_store_is_away(
    run: Any, shops: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: Any, **__: Any) -> None:
        raise exceptions.GenericError("error sending request")

    monkeypatch.setattr(adapter.obstore, "list_with_delimiter", away)
    done = run("export", "cdrs", "settings", "--accounts", shops, "--to", "s3://bucket/calls")
    assert done.code == RESUMABLE
    assert done.err.count("could not be reached") == 1
    assert "a, b, c: failed: the store of 's3://bucket' could not be reached" in done.err


def test_without_the_extra_an_address_says_what_to_install(
    run: Any, api: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "obstore", None)
    monkeypatch.delitem(sys.modules, "voipstudio_cmb.ext.obstore")
    done = run("export", "cdrs", "--to", "s3://bucket/x", "--quiet")
    assert done.code == USAGE
    assert "takes the extra obstore: pip install '.[obstore]' in a clone" in done.err
    assert run("verify", "s3://bucket/x").code == USAGE
    assert not api.requests


SAID = f"at https://x/?sig={CANARY} - Server returned non-2xx status code: %s: <Code>%s</Code>"


@pytest.mark.parametrize(
    ("kind", "status", "code", "says", "passes"),
    [
        (exceptions.GenericError, "404 Not Found", "NoSuchBucket", "no bucket 'b'.*create", False),
        (FileNotFoundError, "404 Not Found", "NoSuchBucket", "no bucket 'b'.*create it", False),
        (exceptions.PermissionDeniedError, "403 Forbidden", "AccessDenied", "refused", False),
        (
            exceptions.UnauthenticatedError,
            "401 No",
            "InvalidToken",
            "no credentials for it, or they are wrong",
            False,
        ),
        (exceptions.GenericError, "403 Forbidden", "ExpiredToken", "correct them", False),
        (exceptions.GenericError, "503 Slow", "SlowDown", r"failed \(503 SlowDown\)", True),
        (exceptions.NotSupportedError, "501 No", "NotImplemented", "can't do this", False),
    ],
)
async def test_an_error_of_a_store_is_told_without_what_it_may_hold(
    monkeypatch: pytest.MonkeyPatch, kind: Any, status: str, code: str, says: str, passes: bool
) -> None:
    async def put(*_: Any, **__: Any) -> None:
        raise kind(SAID % (status, code))

    monkeypatch.setattr(adapter.obstore, "put_async", put)
    objects = adapter.Objects(MemoryStore(), StoreUrl.parse("s3://b/x"))
    with pytest.raises(ExportError, match=says) as caught:
        await objects.create("a", b"", {})
    assert caught.value.retryable == passes
    assert not leaks(*reports_of(caught.value))


async def test_a_store_that_refuses_is_exit_2_before_and_resumable_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Refusing(adapter.Objects):
        async def create(self, *_: Any) -> bool:
            raise ExportError("the store refused", sent="no")

    memory = MemoryStore()
    monkeypatch.setattr(adapter, "open_store", lambda url: Refusing(memory, url))
    plan = Plan(to="s3://b/x", resources="cdrs", workspace=tmp_path)
    (job,) = (await Export(Offline(9).client(), plan).run()).jobs
    assert (job.state, job.resumable, str(job.error)) == ("failed", True, "the store refused")
    monkeypatch.setattr(Refusing, "list", lambda self: asyncio.run(self.create()))
    with pytest.raises(ClientMisuse, match="the store refused"):
        await Export(Offline(9).client(), plan).run()


def test_a_profile_needs_boto3(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "work")
    monkeypatch.delenv("AWS_ACCESS_KEY_ID", raising=False)
    monkeypatch.setitem(sys.modules, "boto3", None)
    monkeypatch.delitem(sys.modules, "obstore.auth.boto3", raising=False)
    adapter.bucket_at.cache_clear()
    with pytest.raises(ClientMisuse, match="install boto3"):
        adapter.open_store(StoreUrl.parse("s3://bucket/x"))


def test_a_store_that_is_set_up_wrong_says_where_to_look(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AZURE_STORAGE_ACCOUNT_NAME", "AZURE_STORAGE_CONNECTION_STRING"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(ClientMisuse, match="the variables that its own tools read"):
        adapter.open_store(StoreUrl.parse("az://container/x"))
