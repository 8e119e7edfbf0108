"""Where a plan may write to: a directory of this machine, and no name of another place."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import Any

import attrs
import pytest

from tests.fakes.secrets import CANARY
from voipstudio_cmb.errors import ClientMisuse
from voipstudio_cmb.export import Plan, verify
from voipstudio_cmb.export.plan.place import StoreUrl

URLS = [
    "hdfs:/x", "hdfs://host/x", "git+ssh://host/x", "https://bucket.s3.amazonaws.com/x?a=b",
    "HTTP://host/x", "ftp:\\\\host",
]  # fmt: skip


@pytest.mark.parametrize("url", URLS)
@pytest.mark.parametrize("kind", [str, Path, PurePosixPath])
def test_a_url_of_another_place_is_refused_with_what_to_do(url: str, kind: Any) -> None:
    with pytest.raises(ClientMisuse, match=r"is a URL .*or to s3://bucket/prefix, gs:.*copy what"):
        Plan(to=kind(url))


MISSPELT = {
    "S3://bucket/x": "has to begin with s3:// (in lower case), as s3://bucket/prefix.",
    "s3:/bucket/x": "has to begin with s3:// (with two slashes), as s3://bucket/prefix.",
    "s3:bucket/x": "has to begin with s3:// (with two slashes), as",
    "s3//bucket/x": "has to begin with s3:// (with a colon), as",
    "S3:\\\\bucket\\x": "has to begin with s3:// (in lower case, with / and not \\), as",
    "s3 ://bucket/x": "has to begin with s3:// (without blanks), as",
    "s3: //bucket/x": "has to begin with s3:// (without blanks), as",
    "gcs://bucket/x": "has to begin with gs:// (as it is called here), as gs://bucket/prefix.",
    "GCS:/bucket/x": "has to begin with gs:// (in lower case, as it is called here, with two",
    "s3a://b/x": "has to begin with s3:// (as it is called here), as",
    "azure://box/x": "has to begin with az:// (as it is called here), as az://container/prefix.",
    "abfss://box@a.dfs/x": "has to begin with az:// (as it is called here), as",
    "file:/srv/x": "has to begin with file:// (with three slashes), as file:///directory.",
    "file:x": "has to begin with file:// (with three slashes), as file:///directory.",
    "FILE:///srv/x": "has to begin with file:// (in lower case), as file:///directory.",
}


@pytest.mark.parametrize(("url", "says"), MISSPELT.items())
def test_an_address_that_begins_wrong_says_how_it_is_spelt(url: str, says: str) -> None:
    for check, option in ((lambda: Plan(to=url), "--to (to=)"), (lambda: next(verify(url)), "DIR")):
        with pytest.raises(ClientMisuse) as caught:
            check()
        assert str(caught.value).startswith(option)
        assert says in str(caught.value)
    with pytest.raises(
        ClientMisuse, match="has to be a local path, not that of a store: files are"
    ):
        Plan(to="s3://bucket/x", workspace=url)  # type: ignore[arg-type]


def test_a_path_that_was_an_address_says_what_it_has_lost() -> None:
    with pytest.raises(
        ClientMisuse, match=r"^--to .* is an address: give it as a text, as a Path loses"
    ):
        Plan(to=Path("s3://bucket/x"))


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("s3://", "names no bucket: write s3://bucket/prefix"),
        ("s3:///x", "names no bucket: write s3://bucket/prefix"),
        ("s3://Bucket/x", "lower-case letters, digits, '-', '_' and '.'; .* AWS_ENDPOINT_URL; w"),
        ("s3://localhost:9000/bucket", "a server of your own goes into AWS_ENDPOINT_URL"),
        ("s3://bucket//x", "has an empty name in it, or . or ..: write s3://bucket/prefix"),
        ("gs://bucket/../x", "has an empty name in it, or . or ..: write gs://bucket/prefix"),
        ("az://../x", "has an empty name in it, or . or ..: write az://container/prefix"),
        ("file://host/x", "absolute path, which begins with a third slash: write file:///d"),
        ("file://~/x", "absolute path, which begins with a third slash: write file:///d"),
        ("file:///", "names no directory by its absolute path"),
        (f"s3://AKIA:{CANARY}@bucket/x", "has '@' in it.*no query, no user, no escapes and no"),
        (f"az://container/x?sig={CANARY}", r"has '\?' in it.*no query, no user, no escapes"),
        ("s3://bucket/x?", r"has '\?' in it.*write s3://bucket/prefix"),
        ("s3://bucket/x#y", "has '#' in it"),
        ("s3://bucket\\x", r"has '\\\\' in it"),
        ("s3://bucket/a b", "has ' ' in it.*and no blanks"),
        ("s3:// bucket", "has ' ' in it.*and no blanks"),
        ("s3://bucket/a%20b", "has '%' in it.*no escapes"),
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
    with pytest.raises(ClientMisuse, match=r"--workspace .* is for an export to a store.*leave it"):
        Plan(to="x", workspace=Path("y"))
    for store in ("s3://bucket/w", StoreUrl.parse("s3://bucket/w")):
        with pytest.raises(ClientMisuse, match=r"^--workspace .* has to be a local path"):
            Plan(to="s3://bucket/x", workspace=store)  # type: ignore[arg-type]
    with pytest.raises(ClientMisuse, match="choose another format"):
        Plan(to="s3://bucket/x", format="sqlite", since="last")


@pytest.mark.parametrize("home", ["~", "~/x"])
def test_a_home_directory_that_no_shell_has_expanded_is_refused(home: str) -> None:
    words = r"would be a directory named '~'.*\$HOME"
    for to in (home, Path(home)):
        with pytest.raises(ClientMisuse, match=words):
            Plan(to=to)
    with pytest.raises(ClientMisuse, match=f"--workspace .*{words}"):
        Plan(to="s3://bucket/x", workspace=Path(home))


def test_what_is_no_path_of_text_is_refused() -> None:
    class Bytes:
        def __fspath__(self) -> bytes:
            return b"x"

    for wrong in (b"x", Bytes(), 7, None, "", " "):
        with pytest.raises(ClientMisuse, match="has to be the path of a directory, not"):
            Plan(to=wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "to",
    ["x", "10:00", "2026-01-01T10:00", "a:b", "C:/x", "x/s3://y", "/srv/s3:/x", "~x", "x~/y", "-",
     "s3", "s3/x", "file", "az", "gs-x", "s3x", "files: /x", "https:x"],
)  # fmt: skip
def test_other_names_are_directories(to: str) -> None:
    plan = Plan(to=to)
    assert plan.to == Path(to)
    assert attrs.evolve(plan, to=plan.to / "account").to == Path(to, "account")
