"""What `nightly.md` gives to schedulers is read as they read it, and its commands are ours."""

from __future__ import annotations

import configparser
import re
import shlex
import subprocess
import sys
import tomllib
import types
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.fakes.commands import CommandResult
from tests.guides.documents import HOPELESS, ROOT, guide
from voipstudio_cmb.auth.profile import FILE_VARIABLE
from voipstudio_cmb.sandbox import Sandbox

Run = Callable[..., CommandResult]

NIGHTLY = guide("nightly")


def blocks(language: str) -> list[str]:
    return [block.text for block in NIGHTLY.blocks if block.language == language]


CRONTAB, DOCKERFILE = *blocks("crontab"), *blocks("dockerfile")
CRONJOB, RULES = map(yaml.safe_load, blocks("yaml"))
SERVICE, TIMER = blocks("ini")
[AIRFLOW] = blocks("py")


def instructions() -> list[tuple[str, str]]:
    """Those of the Dockerfile, with what each is given."""
    lines = [line.partition(" ") for line in DOCKERFILE.splitlines()]
    return [(name, given) for name, _, given in lines]


def unit(text: str) -> configparser.ConfigParser:
    parser = configparser.ConfigParser(interpolation=None, strict=True, delimiters="=")
    parser.optionxform = str  # type: ignore[assignment]
    parser.read_string(text)
    return parser


def container() -> Any:
    [found] = CRONJOB["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"]
    return found


COMMANDS = {
    "cron": CRONTAB.splitlines()[-1].partition("voipstudio-cmb ")[2],
    "systemd": unit(SERVICE)["Service"]["ExecStart"].partition(" ")[2],
    "docker": shlex.join(yaml.safe_load(dict(instructions())["CMD"])),
    "kubernetes": shlex.join(container()["args"]),
    "airflow": AIRFLOW.partition('COMMAND = "')[2].partition('"')[0].partition(" ")[2],
}


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
def test_each_command_is_one_of_ours(command: str, run: Run, api: Sandbox, tmp_path: Path) -> None:
    arguments = shlex.split(command)
    arguments[arguments.index("--to") + 1] = str(tmp_path / "export")
    ran = run(*arguments, "--dry-run")
    assert ran.code == 0, ran.err


def test_the_crontab_has_variables_and_one_line_with_five_fields() -> None:
    *variables, line = CRONTAB.splitlines()
    assert dict(each.split("=") for each in variables)[FILE_VARIABLE].startswith("/")
    assert all(re.fullmatch(r"[\d,*/-]+", field) for field in line.split(None, 5)[:5])
    assert "%" not in line, "which cron takes for a line end"


def test_the_service_is_started_again_where_that_helps() -> None:
    service = unit(SERVICE)["Service"]
    assert service["Restart"] == "on-failure"
    assert [*map(int, service["RestartPreventExitStatus"].split())] == HOPELESS
    name, _, _ = service["LoadCredential"].partition(":")
    assert service["Environment"] == f"{FILE_VARIABLE}=%d/{name}"
    assert unit(TIMER)["Install"]["WantedBy"] == "timers.target"


@pytest.mark.systemd
def test_systemd_takes_the_units(tmp_path: Path) -> None:
    program = unit(SERVICE)["Service"]["ExecStart"].partition(" ")[0]
    names = []
    for text in (SERVICE, TIMER):
        path = tmp_path / text.partition("\n")[0].rpartition("/")[2]
        path.write_text(text.replace(program, sys.executable))  # which exists, as it has to
        names.append(str(path))
    ran = subprocess.run(
        ["systemd-analyze", "verify", *names],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (ran.returncode, ran.stderr) == (0, "")  # an unknown key is only a warning


def test_the_image_is_made_of_what_the_repository_has() -> None:
    known = {"FROM", "COPY", "RUN", "USER", "VOLUME", "ENV", "ENTRYPOINT", "CMD"}
    assert instructions()[0][0] == "FROM"
    assert {name for name, _ in instructions()} <= known
    copied = [given.split()[:-1] for name, given in instructions() if name == "COPY"]
    assert all((ROOT / source).exists() for sources in copied for source in sources)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    [extras] = re.findall(r"\[(.*?)\]", dict(instructions())["RUN"])
    assert {*extras.split(",")} <= {*project["project"]["optional-dependencies"]}
    given = dict(instructions())
    assert given["ENV"].startswith(f"{FILE_VARIABLE}=")
    assert yaml.safe_load(given["ENTRYPOINT"]) == ["voipstudio-cmb"]
    assert f"-o {given['USER']} {given['VOLUME']}" in given["RUN"]


def test_the_cron_job_tries_again_where_that_helps() -> None:
    assert (CRONJOB["apiVersion"], CRONJOB["kind"]) == ("batch/v1", "CronJob")
    assert CRONJOB["spec"]["concurrencyPolicy"] == "Forbid"
    job = CRONJOB["spec"]["jobTemplate"]["spec"]
    pod = job["template"]["spec"]
    first, _ = job["podFailurePolicy"]["rules"]
    codes = first["onExitCodes"]
    assert (first["action"], codes["operator"], codes["values"]) == ("FailJob", "In", HOPELESS)
    assert codes["containerName"] == container()["name"]
    assert pod["restartPolicy"] == "Never", "a policy for failures needs it"
    mounts = {mount["name"]: mount["mountPath"] for mount in container()["volumeMounts"]}
    assert {volume["name"] for volume in pod["volumes"]} == {*mounts}
    assert mounts["data"] in container()["args"]
    [variable] = container()["env"]
    assert variable == {"name": FILE_VARIABLE, "value": f"{mounts['token']}/token"}
    assert pod["volumes"][1]["secret"]["defaultMode"] == 0o440


class Stopped(Exception):
    """Airflow's error of a task that is not tried again."""


def _airflow(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Executes the file with the least of Airflow; returns what was made of it."""
    made: dict[str, Any] = {}

    def dag(**options: Any) -> Any:
        made["dag"] = options
        return lambda function: function

    def task(**options: Any) -> Any:
        made["task"] = options
        return lambda function: lambda: made.__setitem__("run", function)

    modules: dict[str, dict[str, Any]] = {
        "airflow": {},
        "airflow.sdk": {"dag": dag, "task": task},
        "airflow.sdk.exceptions": {"AirflowFailException": Stopped},
        "pendulum": {"datetime": lambda *args, tz: (*args, tz)},
    }
    for name, members in modules.items():
        module = types.ModuleType(name)
        vars(module).update(members)
        monkeypatch.setitem(sys.modules, name, module)
    exec(compile(AIRFLOW, "nightly.md", "exec"), {"__name__": "dag"})
    return made


def test_the_airflow_task_is_tried_again_where_that_helps(monkeypatch: pytest.MonkeyPatch) -> None:
    made = _airflow(monkeypatch)
    assert made["dag"]["max_active_runs"] == 1
    assert made["task"] == {"retries": 6, "retry_delay": timedelta(minutes=10)}
    for code in (0, *HOPELESS, 5, 130, 143, -9):
        ended = subprocess.CompletedProcess("", code)
        monkeypatch.setattr(subprocess, "run", lambda *_, ended=ended, **options: ended)
        outcome: type | None = None
        try:
            made["run"]()
        except (Stopped, RuntimeError) as error:
            outcome = type(error)
        expected = None if code == 0 else Stopped if code in HOPELESS else RuntimeError
        assert outcome is expected, code


def test_the_metrics_are_those_of_an_export(run: Run, api: Sandbox, tmp_path: Path) -> None:
    file = tmp_path / "voipstudio.prom"
    assert run("export", "settings", "--to", str(tmp_path / "a"), "--metrics", str(file)).code == 0
    found = {
        name: {*re.findall(r"(\w+)=", labels)}
        for name, labels in re.findall(r"^(\w+)\{(.*)\}", file.read_text(), re.MULTILINE)
    }
    prefix = "voipstudio_cmb_export_"
    told = {}
    table = NIGHTLY.text.partition(f"`{prefix}`")[2].partition("\n\n")[0]
    for row in table.splitlines()[2:]:
        _, names, labels, *_ = row.split("|")
        told |= {prefix + name: {*re.findall(r"\w+", labels)} for name in re.findall(r"\w+", names)}
    assert told == found
    for rule in RULES["groups"][0]["rules"]:
        [name] = re.findall(r"voipstudio_\w+", rule["expr"])
        used = re.findall(r"\$labels\.(\w+)", str(rule.get("annotations")))
        assert {*used} <= found[name], rule["alert"]
    assert f'export="{file.stem}"' in RULES["groups"][0]["rules"][-1]["expr"]
