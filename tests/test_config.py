"""Configuration: where the token and URL come from, and that the token never shows itself."""

from __future__ import annotations

import copy
import json
import os
import pickle
import stat
import traceback
from pathlib import Path
from typing import Any

import attrs
import pytest

from voipstudio_cmb import CallMeBackClient, ClientConfig
from voipstudio_cmb.auth.credentials import Basic
from voipstudio_cmb.auth.profile import Credentials, Environment, resolve
from voipstudio_cmb.auth.secret import Secret
from voipstudio_cmb.config import DEFAULT_BASE_URL, checked_base_url
from voipstudio_cmb.errors import ConfigError, ConnectFailed, NoToken, Unauthorized
from voipstudio_cmb.query import MAX_CONCURRENCY
from voipstudio_cmb.sandbox import Sandbox

CANARY = "canary-not-a-token"


def shown(error: BaseException) -> str:
    """All that a crash reporter would print of *error*, with the locals of the package's frames."""
    report = traceback.TracebackException.from_exception(error, capture_locals=True)
    package = [frame for frame in report.stack if "voipstudio_cmb" in frame.filename]
    return "".join([*report.format_exception_only(), *(str(frame.locals) for frame in package)])


@pytest.mark.parametrize(
    "url",
    [
        "https://l7api.com/v1.2/voipstudio",
        "https://l7api.com:8443/v1.2",
        "http://127.0.0.1:8080/v1.2/voipstudio",
        "http://localhost/x",
        "http://[::1]:8080/x",
        "https://bücher.example/x",
    ],
)
def test_a_base_url_loses_only_its_trailing_slash(url: str) -> None:
    assert checked_base_url(url) == url
    assert checked_base_url(url + "/") == url


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://l7api.com/v1.2", "clear text"),
        ("http://127.0.0.1.evil.example/", "clear text"),
        ("ftp://l7api.com", "must begin with https://"),
        ("https://user:pass@l7api.com", "user information"),
        ("https://@l7api.com", "user information"),
        ("https://l7api.com/x?y=1", "remove the query"),
        ("https://l7api.com/x?", "remove the query"),
        ("https://l7api.com/x#y", "remove the query"),
        ("https://", "needs a scheme and a host"),
        ("https:///x", "needs a scheme and a host"),
        ("l7api.com/v1.2", "needs a scheme and a host"),
        ("https://l7api.com/\r\nX: y", "needs a scheme and a host"),
        ("https://l7api.com:port/", "can't be read"),
        ("https://[::1/", "can't be read"),
        ("", "is empty"),
        (None, "is empty"),
    ],
)
def test_a_base_url_that_would_leak_or_fail_is_refused(url: Any, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        CallMeBackClient("t", base_url=url)


@pytest.mark.parametrize(
    ("token", "words"),
    [
        (None, "empty or not a string"),
        ("", "empty or not a string"),
        (5, "empty or not a string"),
        (f'"{CANARY}"', "the token has quotes around it: leave them out"),
        (f"'{CANARY}'", "the token has quotes around it: leave them out"),
        (CANARY + "\n", "white space, control or non-ASCII"),
        (CANARY + "\r\nX-Evil: 1", "white space, control"),
        (CANARY + " ", "white space"),
        (CANARY + "ü", "non-ASCII"),
        (CANARY + "\ud800", "non-ASCII"),
        (CANARY + "\0", "control"),
    ],
)
def test_a_token_that_no_header_can_carry_is_refused_without_being_shown(
    token: Any, words: str
) -> None:
    with pytest.raises(ConfigError, match=words) as caught:
        CallMeBackClient(token)
    del token
    assert CANARY not in shown(caught.value)


def test_a_secret_does_not_show_itself() -> None:
    secret = Secret(CANARY)

    @attrs.frozen
    class Holder:
        secret: Secret

    holder = Holder(secret)
    for text in (repr(secret), str(secret), f"{secret}", repr(holder), repr(attrs.asdict(holder)),
                 repr(Credentials(secret, "https://x", "")), repr(secret.reveal),
                 repr(vars(Basic(7, secret)))):  # fmt: skip
        assert CANARY not in text
    for leak in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="can't be pickled"):
            leak(secret)
    assert secret.reveal() == CANARY
    assert type(secret.reveal()) is str


def test_a_secret_masks_itself_in_texts() -> None:
    secret = Secret(CANARY)
    assert secret.mask(f"token {CANARY} refused") == "token *** refused"
    encoded = "Y2FuYXJ5LW5vdC1hLXRva2Vu"
    assert secret.mask(f"Basic {encoded}") == "Basic ***"
    assert secret.mask(f"https://{CANARY.upper()}/") == "https://***/"
    assert Secret("to/ken/x").mask(r"as PHP writes it: to\/ken\/x") == "as PHP writes it: ***"
    assert Secret("t").mask("too short to hide") == "too short to hide"


@pytest.mark.parametrize("name", ["deadline", "timeout", "connect_timeout", "max_retry_after"])
@pytest.mark.parametrize("value", [0, -1, float("nan"), float("inf"), True, "5", None])
def test_times_are_finite_numbers_above_0(name: str, value: Any) -> None:
    with pytest.raises(ConfigError, match=f"{name} must be a finite number above 0"):
        ClientConfig(**{name: value})


@pytest.mark.parametrize("name", ["attempts", "connections", "max_body"])
@pytest.mark.parametrize("value", [0, -1, 1.5, True, "5"])
def test_counts_are_integers_from_1(name: str, value: Any) -> None:
    with pytest.raises(ConfigError, match=f"{name} must be an integer of at least 1"):
        ClientConfig(**{name: value})


def test_a_retry_budget_may_be_nothing_but_not_less() -> None:
    assert ClientConfig(retry_budget=0).retry_budget == 0
    for value in (-1, 1.5, True):
        with pytest.raises(ConfigError, match="retry_budget must be an integer of at least 0"):
            ClientConfig(retry_budget=value)  # type: ignore[arg-type]


def profile_file(home: Path, content: Any) -> Path:
    path = home / ".config" / "voipstudio" / "config.json"
    path.parent.mkdir(parents=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    path.chmod(0o600)
    return path


PROFILES = {
    "version": 1,
    "current": "default",
    "profiles": {
        "default": {"token": "file-token", "apiUrl": "https://file.example/v1.2", "userId": 1},
        "other": {"token": "other-token"},
        "empty": {"email": "a@b.example"},
        "plain": {"token": "plain-token", "apiUrl": "http://file.example"},
        "newline": {"token": CANARY + "\n"},
        "unset": {"token": "unset-token", "apiUrl": ""},
        "odd": {"token": "odd-token", "apiUrl": 5},
    },
}


def found(credentials: Credentials) -> tuple[str, str]:
    return credentials.token.reveal(), credentials.base_url


FILE, OURS, VARIABLE = "https://file.example/v1.2", DEFAULT_BASE_URL, "https://env.example"


@pytest.mark.parametrize(
    ("profile", "token", "url", "expected"),
    [
        (None, "", "", ("file-token", FILE)),
        (None, "", VARIABLE, ("file-token", FILE)),
        (None, "env-token", "", ("env-token", OURS)),
        (None, "env-token", VARIABLE, ("env-token", VARIABLE)),
        ("default", "", VARIABLE, ("file-token", FILE)),
        ("other", "", "", ("other-token", OURS)),
        ("other", "", VARIABLE, ("other-token", VARIABLE)),
        ("unset", "", VARIABLE, ("unset-token", VARIABLE)),
    ],
)
def test_a_token_goes_only_where_what_it_is_from_says(
    tmp_path: Path, profile: str | None, token: str, url: str, expected: tuple[str, str]
) -> None:
    path = profile_file(tmp_path, PROFILES)
    env = {"HOME": str(tmp_path), "VOIPSTUDIO_API_TOKEN": token, "VOIPSTUDIO_API_URL": url + "/"}
    if not url:
        del env["VOIPSTUDIO_API_URL"]
    credentials = resolve(profile, Environment(env))
    assert found(credentials) == expected
    client = CallMeBackClient.from_env(profile, env=env)
    assert (client.base_url, client.source) == (expected[1], credentials.source)
    used, where = expected
    assert f"the base URL {where} from " in credentials.source
    assert ("VOIPSTUDIO_API_TOKEN" in credentials.source) == (used == "env-token")
    assert (str(path) in credentials.source) == (used != "env-token")
    assert ("VOIPSTUDIO_API_URL" in credentials.source) == (where == VARIABLE)
    assert "-token" not in credentials.source


def test_a_profile_that_is_named_beside_a_token_is_refused(tmp_path: Path) -> None:
    profile_file(tmp_path, PROFILES)
    for variable in ("VOIPSTUDIO_API_TOKEN", "VOIPSTUDIO_API_TOKEN_FILE"):
        env = {"HOME": str(tmp_path), variable: "fake"}
        with pytest.raises(ConfigError, match=f"^{variable} has a token, and a profile is named"):
            CallMeBackClient.from_env("other", env=env)


def test_what_a_url_that_cant_be_used_is_from_is_said(tmp_path: Path) -> None:
    profile_file(tmp_path, PROFILES)
    env = {"HOME": str(tmp_path), "VOIPSTUDIO_API_URL": "ftp://x"}
    with pytest.raises(ConfigError, match="^VOIPSTUDIO_API_URL: the base URL must begin"):
        resolve("other", Environment(env))
    with pytest.raises(ConfigError, match="^VOIPSTUDIO_API_TOKEN: the token contains white"):
        resolve(None, Environment(env | {"VOIPSTUDIO_API_TOKEN": "a b"}))
    with pytest.raises(ConfigError, match="^apiUrl of the profile 'odd' in .* is empty or not a"):
        resolve("odd", Environment(env))


async def test_an_error_says_which_url_profile_and_variable_were_used(tmp_path: Path) -> None:
    async with Sandbox(rows=1, token="another-token") as api:
        stored = {"token": "fake-token", "apiUrl": api.base_url}
        path = profile_file(tmp_path, {"profiles": {"mine": stored}})
        env = {"HOME": str(tmp_path), "VOIPSTUDIO_API_URL": "http://127.0.0.1:1"}
        async with CallMeBackClient.from_env("mine", env=env) as cmb:
            with pytest.raises(Unauthorized) as refused:
                await cmb.ping()
        said = str(refused.value)
        assert f"from the profile 'mine' in {path}, the base URL {api.base_url}" in said
        env["VOIPSTUDIO_API_TOKEN"] = "another-token"
        config = ClientConfig(attempts=1)
        async with CallMeBackClient.from_env(env=env, config=config) as cmb:
            with pytest.raises(ConnectFailed, match="from VOIPSTUDIO_API_TOKEN, the base URL http"):
                await cmb.ping()
        async with CallMeBackClient("no", base_url=api.base_url) as cmb:
            with pytest.raises(Unauthorized, match=f"the base URL is {api.base_url}"):
                await cmb.ping()


def test_then_the_current_profile_of_the_vendors_file(tmp_path: Path) -> None:
    path = profile_file(tmp_path, PROFILES)
    before = path.read_bytes(), stat.S_IMODE(path.stat().st_mode), path.stat().st_mtime_ns
    env = {"HOME": str(tmp_path), "VOIPSTUDIO_API_TOKEN": ""}
    assert found(resolve(None, Environment(env))) == ("file-token", "https://file.example/v1.2")
    after = path.read_bytes(), stat.S_IMODE(path.stat().st_mode), path.stat().st_mtime_ns
    assert after == before
    assert list(path.parent.iterdir()) == [path]


def test_xdg_config_home_is_honoured(tmp_path: Path) -> None:
    profile_file(tmp_path, PROFILES)
    env = {"HOME": "/nowhere", "XDG_CONFIG_HOME": str(tmp_path / ".config")}
    assert found(resolve(None, Environment(env)))[0] == "file-token"


@pytest.mark.parametrize(
    ("profile", "words"),
    [
        ("missing", "no profile of that name.*default, empty, newline, odd, other, plain, unset"),
        ("empty", "profile 'empty'.*the token is empty"),
        ("plain", "profile 'plain'.*clear text"),
        ("newline", "profile 'newline'.*white space"),
    ],
)
def test_a_profile_that_cant_be_used_says_why_and_shows_no_token(
    tmp_path: Path, profile: str, words: str
) -> None:
    profile_file(tmp_path, PROFILES)
    with pytest.raises(ConfigError, match=words) as caught:
        resolve(profile, Environment({"HOME": str(tmp_path)}))
    assert CANARY not in shown(caught.value)
    assert "-token" not in shown(caught.value)


@pytest.mark.parametrize(
    "content",
    ["", "{", "[]", "null", '{"profiles": 5}', '{"profiles": {"default": "canary-not-a-token"}}',
     '{"profiles": ["canary-not-a-token"]}', '{"token": "canary-not-a-token"',
     "[" * 100_000, "[" * 5000, "[" * 5000 + "]" * 5000, '{"a":' * 5000 + "1" + "}" * 5000,
     '{"profiles":' + "9" * 5000 + "}"],
)  # fmt: skip
def test_a_broken_profile_file_is_refused_with_a_clear_error(tmp_path: Path, content: str) -> None:
    path = profile_file(tmp_path, content)
    with pytest.raises(ConfigError, match="not the JSON that `vs auth login` writes") as caught:
        resolve(None, Environment({"HOME": str(tmp_path)}))
    assert str(path) in str(caught.value)
    assert CANARY not in shown(caught.value)


def test_a_profile_file_that_cant_be_read_says_so(tmp_path: Path) -> None:
    (tmp_path / ".config" / "voipstudio" / "config.json").mkdir(parents=True)
    with pytest.raises(ConfigError, match="can't be read"):
        resolve(None, Environment({"HOME": str(tmp_path)}))


def test_no_token_anywhere_says_where_one_is_looked_for(tmp_path: Path) -> None:
    with pytest.raises(NoToken, match="VOIPSTUDIO_API_TOKEN_FILE.*`voipstudio-cmb sandb"):
        resolve(None, Environment({"HOME": str(tmp_path)}))
    profile_file(tmp_path, {"version": 1, "profiles": {}})
    with pytest.raises(NoToken, match="holds no profile"):
        resolve(None, Environment({"HOME": str(tmp_path)}))


def test_a_refused_url_beside_a_token_shows_no_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VOIPSTUDIO_API_TOKEN", CANARY)
    monkeypatch.setenv("VOIPSTUDIO_API_URL", "http://l7api.com")
    for env in (None, dict(os.environ)):
        with pytest.raises(ConfigError, match="clear text") as caught:
            CallMeBackClient.from_env(env=env)
        assert CANARY not in shown(caught.value)


@pytest.mark.parametrize("agent", ["a\r\nb", "", " a", "ü", 5, None])
def test_a_user_agent_that_no_header_can_carry_is_refused(agent: Any) -> None:
    with pytest.raises(ConfigError, match="user_agent must be printable ASCII"):
        ClientConfig(user_agent=agent)


def test_a_walk_may_have_as_many_requests_in_flight_as_it_may_be_told_to() -> None:
    assert ClientConfig().connections >= MAX_CONCURRENCY
