"""The manifest and the files that it lists: what was changed since is noticed before it is used."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks.harness.offline import Offline, rows
from tests.fakes.exports import names, run
from voipstudio_cmb.errors import ClientMisuse
from voipstudio_cmb.export import Plan, forecast
from voipstudio_cmb.export.store.manifest import read_manifest


def plan(to: Path, **more: Any) -> Plan:
    given = {"to": to, "resources": "cdrs", "page_size": 5, "checkpoint": 0, "since": "last"} | more
    return Plan(**given)


async def two_nights(to: Path, **more: Any) -> Offline:
    api = Offline(count=20)
    for count in (20, 33):
        api.tables["cdrs"] = rows(count)
        assert (await run(api, plan(to, **more))).complete
    return api


async def test_no_digit_of_a_manifest_can_be_another(tmp_path: Path) -> None:
    await two_nights(tmp_path)
    path = tmp_path / "manifest.json"
    text = path.read_bytes()
    for place, byte in enumerate(text):
        if chr(byte).isdigit():
            path.write_bytes(text[:place] + b"%d" % ((byte - 47) % 10) + text[place + 1 :])
            with pytest.raises(ClientMisuse, match="is no manifest|was changed or damaged"):
                read_manifest(tmp_path)
    path.write_bytes(text)
    assert len(read_manifest(tmp_path)) == 2


async def test_an_edited_manifest_is_refused_and_one_that_is_only_laid_out_anew_is_not(
    tmp_path: Path,
) -> None:
    api = await two_nights(tmp_path)
    path = tmp_path / "manifest.json"
    held = json.loads(path.read_bytes())
    path.write_text(json.dumps(held))
    assert (await run(api, plan(tmp_path))).complete
    held["files"]["cdrs.0002.jsonl"]["highest"] -= 1
    path.write_text(json.dumps(held))
    asked = len(api.asked)
    with pytest.raises(ClientMisuse, match=r"manifest.json' was changed or damaged since .*copy"):
        await run(api, plan(tmp_path))
    path.write_text(json.dumps(held | {"version": 1}))
    with pytest.raises(ClientMisuse, match=r"its version is 1, not 3\): move it away"):
        await run(api, plan(tmp_path))
    assert len(api.asked) == asked


@pytest.mark.parametrize("harm", ["cut", "emptied", "longer", "directory", "link to nothing"])
async def test_files_that_were_changed_are_not_built_upon(tmp_path: Path, harm: str) -> None:
    api = await two_nights(tmp_path)
    path = tmp_path / "cdrs.jsonl"
    data = path.read_bytes()
    if harm in ("cut", "emptied", "longer"):
        path.write_bytes({"cut": data[:-1], "emptied": b"", "longer": data + b"{}\n"}[harm])
    else:
        path.unlink()
        path.mkdir() if harm == "directory" else path.symlink_to("nothing")
    asked = len(api.asked)
    with pytest.raises(ClientMisuse, match=r"cdrs.jsonl' is not as manifest.json says .*Move it"):
        await run(api, plan(tmp_path))
    with pytest.raises(ClientMisuse, match="is not as manifest.json says"):
        await forecast(api.client(), plan(tmp_path))
    assert len(api.asked) == asked
    path.rename(tmp_path / "away")  # what it says
    assert (await run(api, plan(tmp_path))).complete
    assert path.read_bytes() == data


async def test_a_file_of_the_same_size_is_compared_by_its_hash_on_request(tmp_path: Path) -> None:
    api = await two_nights(tmp_path)
    path = tmp_path / "cdrs.jsonl"
    data = path.read_bytes()
    assert (await run(api, plan(tmp_path, verify=True))).complete
    path.write_bytes(data.replace(b"caller 3", b"caller 4"))
    assert (await run(api, plan(tmp_path))).complete
    with pytest.raises(ClientMisuse, match=r"\(its SHA-256 is another one\).*Move it away"):
        await run(api, plan(tmp_path, verify=True))
    path.unlink()
    assert (await run(api, plan(tmp_path, verify=True))).complete
    assert path.read_bytes() == data
    with pytest.raises(ClientMisuse, match="give since"):
        plan(tmp_path, verify=True, since=None)


async def test_files_of_other_resources_and_a_link_to_where_one_was_moved_are_left_alone(
    tmp_path: Path,
) -> None:
    to = tmp_path / "out"
    api = await two_nights(to, resources=("cdrs", "visitors"))
    (to / "visitors.jsonl").write_bytes(b"")
    (to / "cdrs.jsonl").rename(tmp_path / "moved")
    (to / "cdrs.jsonl").symlink_to(tmp_path / "moved")
    assert (await run(api, plan(to, verify=True))).complete
    assert "cdrs.0003.jsonl" not in names(to)
