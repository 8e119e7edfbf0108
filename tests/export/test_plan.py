"""Where a plan may write to: a directory of this machine, and no name of another place."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import Any

import attrs
import pytest

from tests.fakes.secrets import CANARY
from voipstudio_cmb.errors import ClientMisuse
from voipstudio_cmb.export import Plan

URLS = [
    "S3://bucket", "hdfs:/x", "hdfs://host/x", "s3:/bucket/x", "file:/srv/x", "FILE:///x",
    "git+ssh://host/x", "https://host/x?a=b", "s3a://b/x", "abfss://c@a.dfs/x",
]  # fmt: skip


@pytest.mark.parametrize("url", URLS)
@pytest.mark.parametrize("kind", [str, Path, PurePosixPath])
def test_a_url_of_another_place_is_refused_with_what_to_do(url: str, kind: Any) -> None:
    with pytest.raises(ClientMisuse, match=r"is a URL .*or to s3://bucket/prefix, gs:.*copy what"):
        Plan(to=kind(url))


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("s3://", "has to look like"),
        ("s3:///x", "has to look like"),
        ("s3://bucket//x", "has to look like"),
        ("gs://bucket/../x", "has to look like"),
        ("az://../x", "has to look like"),
        ("file://host/x", "has to look like"),
        ("file:///", "has to look like"),
        (f"s3://AKIA:{CANARY}@bucket/x", "no query, no user and no escapes"),
        (f"az://container/x?sig={CANARY}", "no query, no user and no escapes"),
        ("s3://bucket/a b", "no query, no user and no escapes"),
        ("s3://bucket/a%20b", "no query, no user and no escapes"),
    ],
)
def test_an_address_that_can_not_be_used_says_why_and_repeats_no_secret(url: str, why: str) -> None:
    with pytest.raises(ClientMisuse, match=why) as caught:
        Plan(to=url)
    assert str(caught.value).startswith("--to (to=)")
    assert CANARY not in str(caught.value)


def test_an_address_has_a_directory_of_its_own_in_the_workspace(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    plan = Plan(to=" s3://bucket/a/b/")
    assert str(plan.to) == "s3://bucket/a/b"
    assert plan.directory == tmp_path / "voipstudio-cmb" / "s3" / "bucket" / "a" / "b"
    own = attrs.evolve(plan, to=plan.to / "shop", workspace="/w")
    assert (str(own.to), own.directory) == ("s3://bucket/a/b/shop", Path("/w/s3/bucket/a/b/shop"))
    assert Plan(to="file:///srv/x", workspace="w").directory == Path("w/file/srv/x")
    assert Plan(to="x").directory == Path("x")
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert plan.directory == Path.home() / ".cache/voipstudio-cmb/s3/bucket/a/b"


def test_what_does_not_go_with_an_address_is_refused() -> None:
    with pytest.raises(ClientMisuse, match="a workspace .* is of exports to an object store"):
        Plan(to="x", workspace=Path("y"))
    with pytest.raises(ClientMisuse, match="choose another format"):
        Plan(to="s3://bucket/x", format="sqlite", since="last")


@pytest.mark.parametrize("home", ["~", "~/x"])
def test_a_home_directory_that_no_shell_has_expanded_is_refused(home: str) -> None:
    for to in (home, Path(home)):
        with pytest.raises(ClientMisuse, match=r"would be a directory named '~'.*\$HOME"):
            Plan(to=to)


def test_what_is_no_path_of_text_is_refused() -> None:
    class Bytes:
        def __fspath__(self) -> bytes:
            return b"x"

    for wrong in (b"x", Bytes(), 7, None, ""):
        with pytest.raises(ClientMisuse, match="needs the path of a directory"):
            Plan(to=wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "to",
    ["x", "10:00", "2026-01-01T10:00", "a:b", "s3:bucket", "C:/x", "x/s3://y", "/srv/s3:/x", "~x",
     "x~/y", "-"],
)  # fmt: skip
def test_other_names_are_directories(to: str) -> None:
    plan = Plan(to=to)
    assert plan.to == Path(to)
    assert attrs.evolve(plan, to=plan.to / "account").to == Path(to, "account")
