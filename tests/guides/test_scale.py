"""What `scale.md` gives to engines and to Kubernetes: all run on stand-ins of their interfaces."""

from __future__ import annotations

import asyncio
import inspect
import re
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, get_type_hints
from unittest.mock import MagicMock

import pytest
import yaml

from benchmarks.harness.redis_server import redis_server
from tests.fakes.commands import CommandResult, accounts_file
from tests.guides.documents import HOPELESS, Block, guide
from voipstudio_cmb import export
from voipstudio_cmb.export import Shard, ShardError, ShardFile, ShardResult
from voipstudio_cmb.sandbox import Sandbox

Run = Callable[..., CommandResult]

SCALE = guide("scale")
ENGINE = r"^(?:import|from) (airflow|dagster|prefect|temporalio|celery)"
ENGINES = {
    found[0]: block
    for block in SCALE.blocks
    if block.language == "py" and (found := re.findall(ENGINE, block.text, re.M))
}
[SHARED] = [block for block in SCALE.blocks if "RedisRateLimit(" in block.text]
[SHARING] = [block for block in SCALE.blocks if "--rate-limit-key" in block.text]
[JOB] = [yaml.safe_load(block.text) for block in SCALE.blocks if block.language == "yaml"]
[CONTAINER] = JOB["spec"]["template"]["spec"]["containers"]


class AgainError(Exception):
    """With which an engine is told to try again."""


class NeverError(Exception):
    """With which an engine is told that trying again is in vain."""


def failure(message: str, **options: bool) -> Exception:
    """The error of Dagster or Temporal, which says itself whether to try again."""
    [(name, value)] = options.items()
    again = value if name == "allow_retries" else not value
    return AgainError(message) if again else NeverError(message)


def decorator(*args: Any, **options: Any) -> Any:
    """Leaves what it decorates as it is, but for what engines hang on it."""
    if args and callable(args[0]) and not options:
        return args[0]
    return lambda decorated: decorated


def airflow(made: dict[str, Any]) -> dict[str, dict[str, Any]]:
    def task(*args: Any, **options: Any) -> Any:
        def wrap(function: Any) -> Any:
            made[function.__name__] = function
            expand = lambda shard: made.__setitem__("expanded", shard)  # noqa: E731
            return SimpleNamespace(expand=expand) if options else function

        return wrap(*args) if args else wrap

    return {
        "pendulum": {"datetime": lambda *args, tz: (*args, tz)},
        "airflow": {},
        "airflow.sdk": {"dag": lambda **_: decorator, "task": task},
        "airflow.sdk.exceptions": {"AirflowFailException": NeverError},
    }


def others(made: dict[str, Any]) -> dict[str, dict[str, Any]]:
    dagster = dict.fromkeys(("op", "job"), decorator)
    output = lambda value, mapping_key: value  # noqa: E731
    return {
        "dagster": {
            **dagster, "DynamicOut": MagicMock(), "DynamicOutput": output, "RetryPolicy": dict,
            "Failure": failure,
        },
        "prefect": {"flow": decorator, "task": decorator},
        "temporalio": {
            "activity": SimpleNamespace(defn=decorator),
            "workflow": SimpleNamespace(defn=decorator, run=decorator, unsafe=MagicMock()),
        },
        "temporalio.common": {"RetryPolicy": dict},
        "temporalio.exceptions": {"ApplicationError": failure},
        "celery": {
            "Celery": lambda *_, **__: SimpleNamespace(task=decorator), "group": made.__setitem__,
        },
    }  # fmt: skip


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, api: Sandbox) -> Any:
    """Executes the block of an engine with the least of it; returns what was made."""
    path = accounts_file(tmp_path, api, "a", "b")

    def load(block: Block) -> dict[str, Any]:
        made: dict[str, Any] = {}
        for name, members in {**airflow(made), **others(made)}.items():
            module = ModuleType(name)
            vars(module).update(members)
            monkeypatch.setitem(sys.modules, name, module)
        text = block.text.replace("/etc/voipstudio/accounts.toml", str(path))
        exec(compile(text, block.place, "exec", dont_inherit=True), made)
        return made

    return load


def called(function: Any, *args: Any) -> Any:
    found = function(*args)
    if inspect.iscoroutine(found):
        return asyncio.run(found)
    return [*found] if inspect.isgenerator(found) else found


def test_each_engine_has_its_block() -> None:
    assert [*ENGINES] == ["airflow", "dagster", "prefect", "temporalio", "celery"]
    for block in ENGINES.values():
        compile(block.text, block.place, "exec", dont_inherit=True)


@pytest.mark.parametrize("name", ["airflow", "dagster", "temporalio"])
def test_an_engine_is_given_the_shards(name: str, load: Any) -> None:
    data = called(load(ENGINES[name])["split"])
    assert [Shard.from_dict(each).account for each in data] == ["a", "b"]


@pytest.mark.parametrize("name", ENGINES)
@pytest.mark.parametrize("code", [0, 5, *HOPELESS])
def test_an_engine_tries_again_where_that_helps(
    name: str, code: int, load: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def exported(shard: Any) -> dict[str, Any]:
        return {"exit_code": code, "errors": [{"message": "gone"}], "account": shard["account"]}

    monkeypatch.setattr(export, "export_shard", exported)
    made = load(ENGINES[name])
    retry = SimpleNamespace(retry=lambda exc: AgainError(str(exc)))
    arguments = [{"account": "a"}] if name != "celery" else [retry, {"account": "a"}]
    outcome: Exception | None = None
    try:
        assert called(made["export"], *arguments)["account"] == "a"
    except Exception as error:
        outcome = error
    if name == "prefect":
        state = MagicMock()
        state.result.side_effect = outcome
        again = made["passes"](None, None, state)
    else:
        # Airflow tries again after all but its own error, Celery only after `retry`.
        again = isinstance(outcome, AgainError if name != "airflow" else RuntimeError)
    assert ((outcome is None), again) == (code == 0, code == 5)


def test_the_job_is_indexed_and_tells_its_pods_how_many_they_are() -> None:
    spec = JOB["spec"]
    assert (JOB["apiVersion"], JOB["kind"], spec["completionMode"]) == (
        "batch/v1",
        "Job",
        "Indexed",
    )
    [variable] = CONTAINER["env"]
    assert variable == {"name": "JOB_COMPLETIONS", "value": str(spec["completions"])}
    assert 1 <= spec["parallelism"] <= spec["completions"]
    first, _ = spec["podFailurePolicy"]["rules"]
    codes = first["onExitCodes"]
    assert (first["action"], codes["operator"], codes["values"]) == ("FailIndex", "In", HOPELESS)
    assert codes["containerName"] == CONTAINER["name"]
    assert spec["backoffLimitPerIndex"] > 0, "the action needs it"
    pod = spec["template"]["spec"]
    assert pod["restartPolicy"] == "Never", "a policy for failures needs it"
    mounts = {mount["name"]: mount["mountPath"] for mount in CONTAINER["volumeMounts"]}
    assert {volume["name"] for volume in pod["volumes"]} == {*mounts}
    assert CONTAINER["args"][CONTAINER["args"].index("--to") + 1] == mounts["data"]


def test_the_command_of_the_job_is_ours(
    run: Run, api: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("A_TOKEN", api.token)
    monkeypatch.setenv("JOB_COMPLETION_INDEX", "0")
    monkeypatch.setenv("JOB_COMPLETIONS", "1")
    command = shlex.join(CONTAINER["args"]).replace("/data", str(tmp_path / "data"))
    command = command.replace(
        "/etc/voipstudio/accounts.toml", str(accounts_file(tmp_path, api, "a"))
    )
    ran = run(*shlex.split(command), "--dry-run")
    assert ran.code == 0, ran.err


def test_the_keys_of_a_result_are_told() -> None:
    rows = SCALE.text.partition("| key of the result")[2].partition("\n\n")[0].splitlines()[2:]
    cells = [[*map(str.strip, row.split("|")[1:3])] for row in rows]
    quoted = {name: re.findall(r"`(\w+)`", what) for name, what in cells}
    told = {key for name in quoted for key in re.findall(r"`(\w+)`", name)}
    assert told == {*get_type_hints(ShardResult)}
    assert {*quoted["`files`"]} == {*get_type_hints(ShardFile)}
    assert {*quoted["`errors`"]} == {*get_type_hints(ShardError)}


@pytest.mark.redis
def test_processes_share_an_allowance(
    load: Any, run: Run, api: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = accounts_file(tmp_path, api, "a", "b")
    plan = export.Plan(to=tmp_path / "python", resources="settings")
    made = [each.to_dict() for each in export.shards(path, plan)]
    for name, value in {"A_TOKEN": api.token, "B_TOKEN": api.token}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("JOB_COMPLETIONS", "1")
    monkeypatch.setenv("JOB_COMPLETION_INDEX", "0")
    with redis_server() as server:
        monkeypatch.setenv("VOIPSTUDIO_RATE_LIMIT", server.url)
        results = asyncio.run(load(SHARED)["export"](made))
        assert [result["state"] for result in results] == ["done", "done"]
        command = SHARING.text.replace("\\\n", " ").splitlines()[-1]
        given = command.replace("accounts.toml", str(path)).replace("shops", str(tmp_path / "sh"))
        assert run(*shlex.split(given)[1:], "settings").code == 0
        with server.client() as client:
            assert client.exists("{reseller}:state")
