"""Many accounts at once: the file that names them, the turns they take, and one that fails."""

from __future__ import annotations

import asyncio
import gc
import traceback
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest

from tests.fakes.exports import written
from tests.fakes.secrets import CANARY, leaks, reports_of
from voipstudio_cmb import CallMeBackClient, ClientConfig
from voipstudio_cmb.config import DEFAULT_BASE_URL
from voipstudio_cmb.errors import ClientMisuse, ConfigError, ConnectFailed, NoToken, Unauthorized
from voipstudio_cmb.export import Account, Export, Exports, Plan, read_accounts
from voipstudio_cmb.export.run import exports as many
from voipstudio_cmb.export.run.exports import Turns
from voipstudio_cmb.limits import RateLimit
from voipstudio_cmb.sandbox import Fault, Sandbox

ENV = {"SHOP": "one", "SHOP_BERLIN_TOKEN": CANARY}
QUICK = ClientConfig(retry=lambda error, request, attempts: None)


def refused(tmp_path: Path, text: str, env: dict[str, str] = ENV) -> ClientMisuse:
    with pytest.raises(ClientMisuse) as caught:
        read_accounts(written(tmp_path, text), env=env)
    assert leaks(*reports_of(behind_us(caught.value))) == []
    return caught.value


def behind_us(error: Exception) -> Exception:
    """*error* without the frame that caught it, whose locals hold what was tried."""
    assert error.__traceback__ is not None
    return error.with_traceback(error.__traceback__.tb_next)


def test_a_file_names_accounts_and_the_environment_has_their_tokens(tmp_path: Path) -> None:
    text = """
        [accounts.shop-berlin]
        token_env = "SHOP_BERLIN_TOKEN"
        base_url = "https://api.example.com/v1/"
        rate = 5
        [accounts.other_1]
        token_env = "SHOP"
    """
    berlin, other = read_accounts(written(tmp_path, text), env=ENV)
    assert (berlin.name, berlin.base_url, berlin.rate) == (
        "shop-berlin", "https://api.example.com/v1", 5,
    )  # fmt: skip
    assert berlin.token.reveal() == CANARY
    assert (other.name, other.base_url, other.rate) == ("other_1", DEFAULT_BASE_URL, None)
    assert leaks(repr(berlin), str(berlin)) == []


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "names no account: it needs a table [accounts.NAME]"),
        ("accounts = 5", "names no account"),
        ("x = 1\n[accounts.a]\ntoken_env = 'SHOP'", "it has a key that is not known"),
        ("[accounts]\na = 5", "an account is no table"),
        ("[accounts.a]", "accounts.a needs token_env"),
        ("[accounts.a]\ntoken_env = 5", "accounts.a has no usable token_env: it is no name of"),
        ("[accounts.a]\ntoken_env = 'a b'", "accounts.a has no usable token_env: it is no name of"),
        ("[accounts.a]\ntoken_env = 'SHOP'\nrates = 5", "is not known; did you mean rate?"),
        ("[accounts.a]\ntoken_env = 'SHOP'\nrate = 0", "accounts.a: rate must be a finite number"),
        ("[accounts.a]\ntoken_env = 'SHOP'\nrate = inf", "rate must be a finite number"),
        ("[accounts.a]\ntoken_env = 'SHOP'\nrate = true", "rate must be a finite number"),
        ("[accounts.a]\ntoken_env = 'SHOP'\nbase_url = 'http://x.y'", "must begin with https://"),
        ("[accounts.a]\ntoken_env = 'SHOP'\nbase_url = 5", "the base URL is empty or not a string"),
        ("[accounts.A]\ntoken_env = 'SHOP'\n[accounts.a]\ntoken_env = 'SHOP'",
         "'A' and 'a' would share a directory"),
        ("[accounts.a]\ntoken_env = 'SHOP'\n[accounts.A]\ntoken_env = 'SHOP'",
         "'a' and 'A' would share a directory"),
        ("[accounts.a]\n\ntoken_env = =", "is no TOML: fix it at line 3"),
        ("[accounts.a]\ntoken_env = 'SHOP'\ntoken_env = 'SHOP'", "is no TOML: fix it at"),
    ],
)  # fmt: skip
def test_what_can_not_be_used_is_said(tmp_path: Path, text: str, words: str) -> None:
    error = refused(tmp_path, text)
    assert isinstance(error, ConfigError)
    assert words in str(error)
    assert str(tmp_path / "accounts.toml") in str(error) or "share a directory" in words


@pytest.mark.parametrize(
    "name", ["../../x", "a/b", ".hidden", "", "x" * 65, "a b", "\u202ea", "a\0b", "ä", "a\n"]
)
def test_v12_no_name_leads_out_of_the_directory(tmp_path: Path, name: str) -> None:
    with pytest.raises(ClientMisuse, match="an account's name is none that its directory can have"):
        Account(name, "token")
    if "\0" not in name:
        import json

        error = refused(tmp_path, f"[accounts.{json.dumps(name)}]\ntoken_env = 'SHOP'")
        assert "an account's name is none that its directory can have" in str(error)


def test_the_token_of_an_account_may_be_in_a_file(tmp_path: Path) -> None:
    path = tmp_path / "accounts.toml"
    path.write_text('[accounts.a]\ntoken_file = "secrets/a"\n')
    with pytest.raises(
        ConfigError, match=r"accounts\.a: the file that token_file names can't be r"
    ):
        read_accounts(path, env={})
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "a").write_text("fake-token\n")
    (account,) = read_accounts(path, env={})
    assert (account.token.reveal(), account.token.may_change) == ("fake-token", True)
    for keys in ('token_file = ""', "token_file = 5", 'token_file = "x"\ntoken_env = "A"'):
        path.write_text(f"[accounts.a]\n{keys}\n")
        with pytest.raises(ConfigError, match="token_file"):
            read_accounts(path, env={"A": "fake-token"})
    path.write_text(f'[accounts.a]\ntoken_file = "{CANARY}"\n')
    with pytest.raises(ConfigError) as refused:
        read_accounts(path, env={})
    assert CANARY not in str(refused.value)


FUNCTIONS = f"""
def plain(account): return f"{{account}}-token"
async def later(account): return f"{{account}}-token"
def failing(account): raise ValueError("{CANARY}")
def none(account): return None
"""


async def test_a_function_may_return_the_token(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "our_vault.py").write_text(FUNCTIONS)
    monkeypatch.syspath_prepend(str(tmp_path))
    path = tmp_path / "accounts.toml"
    for function in ("plain", "later"):
        path.write_text(f'[accounts.shop]\ntoken_function = "our_vault:{function}"\n')
        (account,) = read_accounts(path, env={})
        assert account.token.reveal() == "shop-token"
    for function, words in {
        "our_vault:failing": "the function that token_function names failed: ValueError",
        "our_vault:other": "failed: AttributeError",
        "no_vault:plain": "failed: ModuleNotFoundError",
        "our_vault:none": "token",
        "our_vault": "accounts.shop has no usable token_function: it is no MODULE:FUNCTION",
    }.items():
        path.write_text(f'[accounts.shop]\ntoken_function = "{function}"\n')
        with pytest.raises(ConfigError, match=words) as refused:
            read_accounts(path, env={})
        trace = "".join(traceback.TracebackException.from_exception(refused.value).format())
        assert CANARY not in trace


def test_an_account_without_a_url_is_asked_where_the_environment_says(tmp_path: Path) -> None:
    path = tmp_path / "accounts.toml"
    own = 'base_url = "https://own.example/v1"'
    path.write_text(f'[accounts.a]\ntoken_env = "A"\n[accounts.b]\ntoken_env = "A"\n{own}\n')
    env = {"A": "fake-token", "VOIPSTUDIO_API_URL": "https://elsewhere.example/v1/"}
    assert [each.base_url for each in read_accounts(path, env=env)] == [
        "https://elsewhere.example/v1", "https://own.example/v1",
    ]  # fmt: skip
    with pytest.raises(ConfigError, match="^VOIPSTUDIO_API_URL: the base URL must begin with http"):
        read_accounts(path, env=env | {"VOIPSTUDIO_API_URL": "http://elsewhere.example"})


@pytest.mark.parametrize(
    "text",
    [
        f"[accounts.a]\ntoken = '{CANARY}'",
        f"[accounts.a]\nToken = '{CANARY}'\ntoken_env = 'SHOP'",
        f"token = '{CANARY}'",
    ],
)
def test_s6_a_token_in_the_file_is_refused_unseen(tmp_path: Path, text: str) -> None:
    words = "tokens do not belong in this file: name an environment variable in token_env"
    assert words in str(refused(tmp_path, text))


@pytest.mark.parametrize(
    "text",
    [
        f"[accounts.a]\ntoken_env = '{CANARY}'",
        f"[accounts.a]\ntoken_env = '{CANARY.replace('-', '_')}'",
        f"[accounts.a]\ntoken_env = 'SHOP'\nbase_url = 'https://{CANARY}@example.com'",
        f"[accounts.a]\ntoken_env = '{CANARY}'\ntoken_env = '{CANARY}'",
        f"[accounts.a]\ntoken_env = {CANARY}",
    ],
)
def test_s6_a_token_in_the_wrong_place_is_not_shown_either(tmp_path: Path, text: str) -> None:
    error = refused(tmp_path, text)
    assert CANARY.replace("-", "_") not in str(error)


def test_s6_a_token_that_no_header_may_carry_is_not_shown(tmp_path: Path) -> None:
    error = refused(tmp_path, "[accounts.a]\ntoken_env = 'BAD'", {"BAD": CANARY + "\n"})
    assert "accounts.a: the token contains white space" in str(error)
    with pytest.raises(ConfigError) as caught:
        Account("../x", CANARY)
    assert leaks(*reports_of(behind_us(caught.value))) == []


def test_all_variables_that_are_missing_are_named_at_once(tmp_path: Path) -> None:
    text = "".join(
        f"[accounts.{name}]\ntoken_env = '{name.upper()}_TOKEN'\n" for name in ("a", "b", "c")
    )
    error = refused(tmp_path, text, {"B_TOKEN": "x", "C_TOKEN": ""})
    assert isinstance(error, NoToken)
    assert "variables that are not set: A_TOKEN, C_TOKEN" in str(error)


def test_a_file_that_can_not_be_read_is_said(tmp_path: Path) -> None:
    for path in (tmp_path / "none.toml", tmp_path):
        with pytest.raises(ConfigError, match=f"^the accounts file '{path}' can't be read: [Ni]"):
            read_accounts(path)
    for path in (Path(CANARY), Path("x\0y")):
        with pytest.raises(ConfigError, match="^the accounts file.* can't be read") as caught:
            read_accounts(path)
        assert CANARY not in str(caught.value)
    (tmp_path / "latin").write_bytes(b"# \xe4")
    with pytest.raises(ConfigError, match="is no text: save it as UTF-8"):
        read_accounts(tmp_path / "latin")


def test_exports_need_accounts_and_know_no_two_of_one_name(tmp_path: Path) -> None:
    plan = Plan(to=tmp_path)
    for wrong in ([], ["a"]):
        with pytest.raises(ClientMisuse, match="exporting accounts needs some"):
            Exports(wrong, plan)
    with pytest.raises(ClientMisuse, match="would share a directory"):
        Exports([Account("a", "x"), Account("a", "y")], plan)
    with pytest.raises(ClientMisuse, match="slots must be an integer from 1"):
        Exports([Account("a", "x")], plan, slots=0)
    with pytest.raises(ClientMisuse, match="choose one"):
        Exports([Account("a", "x")], plan, limiter=RateLimit(1), rate=1)


def some(api: Sandbox, number: int) -> list[Account]:
    return [Account(f"a{i}", api.token, base_url=api.base_url) for i in range(number)]


async def test_accounts_are_exported_each_to_its_directory_and_their_clients_closed(
    tmp_path: Path,
) -> None:
    async with Sandbox(rows=120) as api:
        exports = Exports(some(api, 3), Plan(to=tmp_path, page_size=50))
        assert [(job.account, job.resource) for job in exports.jobs][4:6] == [
            ("a0", "buttons"), ("a1", "cdrs"),
        ]  # fmt: skip
        summary = await exports.run()
        with pytest.raises(ClientMisuse, match="have been run"):
            await exports.run()
    assert summary.complete
    assert summary.jobs == exports.jobs
    assert summary.requests == api.requests
    del exports
    gc.collect()  # a client that is not closed warns, which fails this test
    expected = {path.name: path.read_bytes() for path in (tmp_path / "a0").iterdir()}
    assert len(expected) == 6
    for name in ("a1", "a2"):
        found = {path.name: path.read_bytes() for path in (tmp_path / name).iterdir()}
        assert found == expected


async def test_an_account_that_fails_does_not_stop_the_others(tmp_path: Path) -> None:
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "cdrs.jsonl").write_text("precious")
    async with Sandbox(rows=60) as api:
        accounts = [
            Account("refused", "wrong", base_url=api.base_url),
            Account("nowhere", "x", base_url="http://127.0.0.1:9/v1"),
            Account("taken", api.token, base_url=api.base_url),
            Account("fine", api.token, base_url=api.base_url),
        ]
        exports = Exports(
            accounts, Plan(to=tmp_path, resources=["cdrs", "websites"]), slots=1, config=QUICK
        )
        summary = await exports.run()
    errors = {job.account: type(job.error) for job in summary.jobs}
    assert errors == {
        "refused": Unauthorized, "nowhere": ConnectFailed, "taken": ClientMisuse,
        "fine": type(None),
    }  # fmt: skip
    assert (tmp_path / "taken" / "cdrs.jsonl").read_text() == "precious"
    assert len((tmp_path / "fine" / "cdrs.jsonl").read_text().splitlines()) == 60
    del exports
    gc.collect()  # a client that is not closed warns, which fails this test


@pytest.mark.one_in(2)
@pytest.mark.parametrize("slots", [1, 2, 3, 8])
async def test_every_account_gets_a_turn_before_any_gets_a_second(
    tmp_path: Path, slots: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[Turns] = []
    given: list[Turns] = []

    class Noted(Turns):
        begun = False

        def __init__(self, slots: asyncio.Semaphore) -> None:
            super().__init__(slots)
            made.append(self)

        async def begin(self) -> None:
            await super().begin()
            self.begun = True
            given.append(self)

        async def __aenter__(self) -> None:
            begun, self.begun = self.begun, False
            await super().__aenter__()
            if not begun:
                given.append(self)

    monkeypatch.setattr(many, "Turns", Noted)
    async with Sandbox(rows=20, latency=(0.0, 0.004)) as api:
        exports = Exports(some(api, 6), Plan(to=tmp_path, concurrency=1), slots=slots)
        task = asyncio.create_task(exports.run())
        most = 0
        while not task.done():
            await asyncio.sleep(0.0005)
            running = [job for job in exports.jobs if job.state in ("running", "writing")]
            most = max(most, len(running))
        assert (await task).complete
    assert most <= slots
    assert len(given) == 30
    assert given[:6] == made
    if slots == 1:
        assert all(len(set(given[at : at + 6])) == 6 for at in (6, 12))


@pytest.mark.one_in(2)
@pytest.mark.parametrize("resources", [[], ["buttons"], ["buttons", "websites"], ["settings"]])
@pytest.mark.parametrize("slots", [1, 2])
async def test_buttons_that_wait_for_others_never_hold_a_turn_that_these_need(
    tmp_path: Path, slots: int, resources: list[str]
) -> None:
    async with Sandbox(rows=20) as api:
        for _ in range(2):  # then with what is there already: names are read again
            plan = Plan(to=tmp_path, resources=resources, overwrite=True)
            summary = await asyncio.wait_for(Exports(some(api, 3), plan, slots=slots).run(), 30)
            assert summary.complete
        api.script(Fault(path="/callmeback/settings", status=403, times=None))
        plan = Plan(to=tmp_path / "b", resources=resources)
        summary = await asyncio.wait_for(Exports(some(api, 3), plan, slots=slots).run(), 30)
        assert {job.state for job in summary.jobs} <= {"done", "failed"}


async def test_a_turn_that_no_job_had_is_given_back() -> None:
    slots = asyncio.Semaphore(1)
    turns = Turns(slots)
    await turns.begin()
    assert slots.locked()
    turns.end()
    turns.end()
    assert not slots.locked()
    await turns.begin()
    async with turns:
        turns.end()
        assert slots.locked()
    assert not slots.locked()
    async with turns:
        assert slots.locked()


async def test_a_cancelled_run_closes_all_and_is_resumed_later(tmp_path: Path) -> None:
    async with Sandbox(rows=600, latency=0.005) as api:
        plan = Plan(to=tmp_path, resources=["cdrs", "settings"], page_size=10)
        exports = Exports(some(api, 4), plan, slots=2)
        task = asyncio.create_task(exports.run())
        while not sum(job.rows for job in exports.jobs) > 100:
            await asyncio.sleep(0.001)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        del exports, task
        gc.collect()  # a client that is not closed warns, which fails this test
        summary = await Exports(some(api, 4), plan, slots=8).run()
    assert summary.complete
    assert sum(job.kept for job in summary.jobs) > 50
    assert all(job.total in (None, job.rows) for job in summary.jobs if not job.already)


async def test_each_account_is_paced_as_it_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def limiters(*accounts: Account, **options: Any) -> list[Any]:
        client = Mock(wraps=CallMeBackClient)
        monkeypatch.setattr(many, "CallMeBackClient", client)
        Exports(accounts, Plan(to=tmp_path), **options)
        return [call.kwargs["limiter"] for call in client.call_args_list]

    a, b = Account("a", "x"), Account("b", "x", rate=7)
    shared = RateLimit(3)
    assert [each and each.n for each in limiters(a, b)] == [None, 7]
    assert limiters(a, b, limiter=shared)[0] is shared
    assert limiters(a, b, limiter=shared)[1].n == 7
    c = Account("c", "x")
    one, other = limiters(a, c, rate=5)
    assert (one.n, other.n) == (5, 5)
    assert one is not other


async def test_an_export_of_one_account_shares_slots_as_before(tmp_path: Path) -> None:
    async with Sandbox(rows=30) as api, CallMeBackClient(api.token, base_url=api.base_url) as cmb:
        slots = asyncio.Semaphore(1)
        assert (await Export(cmb, Plan(to=tmp_path), slots=slots).run()).complete


class Walked(list[Any]):
    """A list that counts how often it is walked."""

    walks = 0

    def __iter__(self) -> Any:
        self.walks += 1
        return super().__iter__()


async def test_no_account_looks_at_the_jobs_of_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    walks = []
    async with Sandbox(rows=1) as api:
        for count in (2, 8):
            accounts = [Account(f"a{n}", api.token, base_url=api.base_url) for n in range(count)]
            plan = Plan(to=tmp_path / str(count), resources=("settings",))
            exports = Exports(accounts, plan)
            jobs = Walked(exports.jobs)
            with monkeypatch.context() as patch:
                patch.setattr(Exports, "jobs", jobs)
                await exports.run()
            walks.append(jobs.walks)
    assert walks[0] == walks[1]
