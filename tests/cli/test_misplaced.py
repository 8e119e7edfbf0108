"""Proof that a token in the wrong place is refused and not quoted back."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.secrets import CANARY
from voipstudio_cmb import CallMeBackClient, ClientConfig, where
from voipstudio_cmb.auth import Basic, login
from voipstudio_cmb.cli.parser import unrecognized
from voipstudio_cmb.errors import ClientMisuse
from voipstudio_cmb.export import Account, Plan, read_accounts
from voipstudio_cmb.filters import Filter, parse
from voipstudio_cmb.limits import RateLimit
from voipstudio_cmb.query import RawWalkOptions, WalkQuery

LINES = [
    "{}",
    "list {}",
    "list cdrs {}",
    "list cdrs --token {}",
    "list cdrs --token={}",
    "list cdrs --all={}",
    "list cdrs --p={}",
    "list cdrs --rate {}",
    "list cdrs --limit {}",
    "list cdrs --page-size {}",
    "list cdrs --concurrency={}",
    "list cdrs --profile {}",
    "list cdrs --format {}",
    "list cdrs --filter {}",
    "list cdrs --filter id={}",
    "export --to out --filter created_at>={}",
    "export --to {}://bucket/x",
    "list cdrs --from {}",
    "cdrs count --until {}",
    "list cdrs --from today --until {}",
    "list cdrs --from today --zone {}",
    "chart cdrs --by {}",
    "chart cdrs --zone {} --from today",
    "settings create --button-id {}",
    "settings create --max-call-rate {}",
    "settings create --set {}",
    "settings create --set {}=1",
    "settings create --set floating_icon={}",
    "settings update {} --name x",
    "settings delete {} --yes",
    "settings {}",
    "export --to out --since last --overlap {}",
    "export --to out --patience {}",
    "completion {}",
    "get {} 7",
    "get settings {}",
    "ping --profile {}",
    "ping --rate {}",
    "export {} --to out",
    "export --to out --format {}",
    "export --to out --compress {}",
    "export --to out --format csv --columns {}=",
    "export --to out --format csv --csv-null {},",
    "export --to out --since {}",
    "export --to out --progress {}",
    "export --to out --accounts {}",
    "export --to out --jobs {}",
    "export --to out --rate-per-account {}",
    "export --to ~/{}",
    "export --to {0}{0}{0}{0}{0}{0}{0}{0}{0}{0}{0}{0}{0}{0}{0}{0}{0}{0}{0}{0}",
    "export --to out --metrics {}/x.prom",
    "chart cdrs --html {}/x.html",
    "chart cdrs --files {}",
    "chart cdrs --files {}/cdrs.csv",
    "verify {}",
    "settings create --json {}",
    "sandbox --port {}",
    "sandbox --rate {}",
    "sandbox {}",
]


@pytest.mark.parametrize("line", LINES)
def test_a_command_refuses_it_and_does_not_repeat_it(
    run: Any, line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("VOIPSTUDIO_API_URL", "http://127.0.0.1:1/x")
    monkeypatch.delenv("VOIPSTUDIO_API_TOKEN", raising=False)
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    config = tmp_path / ".config" / "voipstudio" / "config.json"
    config.parent.mkdir(parents=True)
    config.write_text('{"current":"one","profiles":{"one":{"token":"fake"}}}')
    code, out, err = run(*line.format(CANARY).split())
    assert code == 2, err
    assert "error: " in err
    assert CANARY not in out + err


def test_a_path_that_exists_is_named(run: Any, tmp_path: Path) -> None:
    wanted = tmp_path / "a file of which nobody knows yet.csv"
    assert repr(str(wanted)) in run("chart", "cdrs", "--files", wanted).err
    assert repr(str(tmp_path)) in run("verify", tmp_path).err
    assert "'exprots' can't be read: No such file" in run("verify", "exprots").err


@pytest.mark.parametrize("variable", ["VOIPSTUDIO_API_URL", "VOIPSTUDIO_API_TOKEN"])
@pytest.mark.parametrize(
    "value",
    ["{}", "{}:443", "https://{}:x", "{}://x", "https://u:{}@x.example", "https://x.example/?{}",
     "https://[{}]", "https:{}", "{}\r\n"],
)  # fmt: skip
def test_a_variable_that_holds_it_is_not_quoted(
    run: Any, value: str, variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VOIPSTUDIO_API_TOKEN", "fake-token")
    monkeypatch.setenv("VOIPSTUDIO_API_URL", "ftp://127.0.0.1")
    monkeypatch.setenv(variable, value.format(CANARY))
    code, out, err = run("ping")
    assert (code, out) == (2, "")
    assert "the base URL" in err or "the token" in err
    assert CANARY not in err


def test_the_token_of_a_variable_in_the_url_of_another_is_not_quoted(
    run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VOIPSTUDIO_API_TOKEN", CANARY)
    monkeypatch.setenv("VOIPSTUDIO_API_URL", f"http://127.0.0.1:9/v1.2/{CANARY}")
    code, out, err = run("ping")
    assert (code, out) == (2, "")
    assert "VOIPSTUDIO_API_URL: the base URL contains the token" in err
    assert CANARY not in err


CALLS: dict[str, Any] = {
    "a base URL": lambda: CallMeBackClient("t", base_url=CANARY),
    "the token's own URL": lambda: CallMeBackClient(CANARY, base_url=f"https://x.example/{CANARY}"),
    "Basic's own URL": lambda: CallMeBackClient(Basic(7, CANARY), base_url=f"https://x/{CANARY}/v"),
    "an account's own URL": lambda: Account("a", CANARY, base_url=f"https://x/{CANARY}"),
    "a scheme": lambda: CallMeBackClient("t", base_url=f"{CANARY}://x"),
    "a port": lambda: CallMeBackClient("t", base_url=f"https://x:{CANARY}"),
    "a user agent": lambda: ClientConfig(user_agent=CANARY + "\n"),
    "a deadline": lambda: ClientConfig(deadline=CANARY),  # type: ignore[arg-type]
    "attempts": lambda: ClientConfig(attempts=CANARY),  # type: ignore[arg-type]
    "a rate": lambda: RateLimit(CANARY),  # type: ignore[arg-type]
    "a period": lambda: RateLimit(1, per=CANARY),  # type: ignore[arg-type]
    "a user's id": lambda: Basic(CANARY, "7"),  # type: ignore[arg-type]
    "an address": lambda: login(CANARY, "me@example.com"),
    "an account": lambda: Account(f"/{CANARY}", "t"),
    "an account's URL": lambda: Account("a", "t", base_url=CANARY),
    "an account's rate": lambda: Account("a", "t", rate=CANARY),  # type: ignore[arg-type]
    "a format": lambda: Plan(to=Path("x"), format=CANARY),  # type: ignore[arg-type]
    "a resource": lambda: Plan(to=Path("x"), resources=CANARY),  # type: ignore[arg-type]
    "since": lambda: Plan(to=Path("x"), since=CANARY),  # type: ignore[arg-type]
    "a checkpoint": lambda: Plan(to=Path("x"), checkpoint=CANARY),  # type: ignore[arg-type]
    "an operator": lambda: Filter("id", CANARY, 1),  # type: ignore[arg-type]
    "a filter": lambda: parse(CANARY),
    "a filter's value": lambda: where("id") == CANARY,
    "a directory's scheme": lambda: Plan(to=Path(f"{CANARY}:/x")),
    "XDG_CONFIG_HOME": lambda: CallMeBackClient.from_env(env={"XDG_CONFIG_HOME": f"/{CANARY}"}),
    "filters": lambda: WalkQuery.of("list", {"filters": CANARY}, RawWalkOptions),
    "a page size": lambda: WalkQuery.of("list", {"page_size": CANARY}, RawWalkOptions),
    "a walk": lambda: WalkQuery(walk=CANARY),  # type: ignore[arg-type]
    "a property": lambda: where(CANARY) != 1,
}  # fmt: skip


@pytest.mark.parametrize("call", CALLS)
def test_a_call_refuses_it_and_does_not_repeat_it(call: str) -> None:
    with pytest.raises(ClientMisuse) as caught:
        CALLS[call]()
    assert CANARY not in str(caught.value) + repr(caught.value) + repr(pickle.dumps(caught.value))


@pytest.mark.parametrize(
    "text",
    ["[accounts.'/{}']\ntoken_env = 'X'", "{} = 1", "[accounts]\n{} = 1", "{}",
     "[accounts.a]\n{} = 1", "[accounts.a]\ntoken_env = '{}'", "[accounts.a]\n{}",
     "[accounts.a]\ntoken_env = '/{}'", "[accounts.a]\ntoken_env = 'HOME'\nrate = '{}'",
     "[accounts.a]\ntoken_env = 'HOME'\nbase_url = '{}'"],
)  # fmt: skip
def test_a_file_of_accounts_that_holds_it_is_not_quoted(tmp_path: Path, text: str) -> None:
    path = tmp_path / "accounts.toml"
    path.write_text(text.replace("{}", CANARY))
    with pytest.raises(ClientMisuse) as caught:
        read_accounts(path, env={"HOME": "fake-token"})
    assert CANARY not in str(caught.value)


def test_what_is_not_known_is_named_if_it_looks_like_an_option() -> None:
    assert unrecognized(["--limit", "5"]) == ("unrecognized arguments: --limit, '5'")
    assert "; --since is called --from" in unrecognized(["--since=last"], "list")
    assert unrecognized([CANARY, "b"]) == "unrecognized arguments: 'b', 1 without --"
    assert unrecognized(["--token=x"]).endswith("a token is read from VOIPSTUDIO_API_TOKEN")
