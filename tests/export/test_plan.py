"""Where a plan may write to: a directory of this machine, and no name of another place."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import Any

import attrs
import pytest

from voipstudio_cmb.errors import ClientMisuse
from voipstudio_cmb.export import Plan

URLS = [
    "s3://bucket/x", "S3://bucket", "gs://bucket/x", "az://container/x", "hdfs:/x", "s3:/bucket/x",
    "git+ssh://host/x", "https://host/x?a=b", " s3://bucket", "s3a://b/x", "abfss://c@a.dfs/x",
]  # fmt: skip


@pytest.mark.parametrize("url", URLS)
@pytest.mark.parametrize("kind", [str, Path, PurePosixPath])
def test_a_url_is_refused_with_what_to_do(url: str, kind: Any) -> None:
    with pytest.raises(ClientMisuse, match=r"is a URL .*copy what is complete to ") as caught:
        Plan(to=kind(url))
    assert str(caught.value).startswith("--to (to=) ")


@pytest.mark.parametrize("url", ["file:///srv/x", "file://x", "file:/srv/x", "FILE:///x"])
def test_a_file_url_is_refused_with_what_to_do(url: str) -> None:
    with pytest.raises(ClientMisuse, match=r"is a URL .*: give the path alone"):
        Plan(to=url)


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
