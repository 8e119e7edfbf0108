"""Which accounts each of several pods takes: all of them once, and the same ones each time."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fakes.exports import written
from voipstudio_cmb.auth.profile import Environment
from voipstudio_cmb.errors import ClientMisuse, NoToken
from voipstudio_cmb.export import Exports, Plan, read_accounts
from voipstudio_cmb.export.split import Split, parse_split
from voipstudio_cmb.sandbox import Sandbox

NAMES = st.sets(st.from_regex(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}", fullmatch=True), max_size=40)


def parts(names: set[str], count: int) -> list[set[str]]:
    return [
        {name for name in names if Split(number, count).takes(name)}
        for number in range(1, count + 1)
    ]


@given(NAMES, st.integers(1, 300))
def test_each_account_is_in_one_part(names: set[str], count: int) -> None:
    split = parts(names, count)
    assert sum(map(len, split)) == len(names)
    assert set[str]().union(*split) == names


@given(NAMES, st.integers(1, 40))
def test_one_part_more_takes_accounts_and_moves_none_between_the_others(
    names: set[str], count: int
) -> None:
    before, after = parts(names, count), parts(names, count + 1)
    assert all(new <= old for old, new in zip(before, after, strict=False))


def test_parts_are_the_same_on_every_machine_and_about_as_large() -> None:
    names = {f"shop-{number}" for number in range(1000)}
    sizes = [len(part) for part in parts(names, 8)]
    assert sizes == [119, 143, 132, 124, 121, 118, 121, 122]


@pytest.mark.parametrize(
    "text",
    ["", "2", "0/8", "9/8", "8/0", "1/-8", "a/b", "2/8/9", " 2/8", "2/8\n", "02/8", "\u0662/8",
     "1/1000000", "AUTO"],
)  # fmt: skip
def test_what_is_no_part_is_refused(text: str) -> None:
    with pytest.raises(ClientMisuse, match=r"--shard \(shard=\) must be NUMBER/COUNT"):
        parse_split(text, Environment({}))


def test_a_pod_knows_its_part() -> None:
    env = {"JOB_COMPLETION_INDEX": "0", "JOB_COMPLETIONS": "8"}
    assert parse_split("auto", Environment(env)) == Split(1, 8) == parse_split("1/8", Environment())
    env["JOB_COMPLETION_INDEX"] = "7"
    assert parse_split("auto", Environment(env)) == Split(8, 8)


@pytest.mark.parametrize(
    ("index", "count", "words"),
    [
        ("", "", "JOB_COMPLETION_INDEX and JOB_COMPLETIONS must be set"),
        ("0", "", "auto (shard=): JOB_COMPLETIONS must be set"),
        ("", "8", "auto (shard=): JOB_COMPLETION_INDEX must be set"),
        ("8", "8", "must be a number from 0, and below"),
        ("-1", "8", "must be a number from 0, and below"),
        ("x", "8", "must be a number from 0, and below"),
        ("0", "0", "must be a number from 0, and below"),
    ],
)
def test_a_pod_that_does_not_know_its_part_is_told_why(index: str, count: str, words: str) -> None:
    env = {"JOB_COMPLETION_INDEX": index, "JOB_COMPLETIONS": count}
    with pytest.raises(ClientMisuse) as refused:
        parse_split("auto", Environment(env))
    assert words in str(refused.value)


def test_a_part_needs_the_tokens_of_its_own_accounts_only(tmp_path: Path) -> None:
    names = [f"shop-{number}" for number in range(6)]
    path = written(
        tmp_path,
        "".join(f'[accounts.{name}]\ntoken_env = "T{name[-1]}"\n' for name in names),
    )
    own = [name for name in names if Split(1, 3).takes(name)]
    assert 0 < len(own) < 6
    env = {f"T{name[-1]}": "fake-token" for name in own}
    assert [each.name for each in read_accounts(path, env=env, shard="1/3")] == own
    with pytest.raises(NoToken, match="T3, T5$"):
        read_accounts(path, env=env, shard="3/3")
    assert read_accounts(path, env={}, shard="2/3") == ()


async def test_what_a_pod_has_not_told_stays_so_when_another_one_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Sandbox(rows=4) as api:
        monkeypatch.setenv("TOKEN", api.token)
        url = f'base_url = "{api.base_url}"'
        file = written(
            tmp_path,
            "".join(f'[accounts.shop-{n}]\ntoken_env = "TOKEN"\n{url}\n' for n in range(4)),
        )

        def pod(shard: str) -> Exports:
            plan = Plan(to=tmp_path / "shops", resources="settings")
            return Exports(read_accounts(file, shard=shard), plan, shard=shard)

        assert (await pod("1/3").run_marked()).complete  # killed before it could tell
        assert (await pod("3/3").run()).complete
        again = await pod("1/3").run()
        assert [job.already for job in again.jobs] == [True] * 3
        assert not [path for path in (tmp_path / "shops").iterdir() if path.name[0] == "."]
