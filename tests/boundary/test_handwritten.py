"""Text files that people write: every editor's encoding and line ends."""

from __future__ import annotations

import codecs
import json
from pathlib import Path

import pytest

from voipstudio_cmb import CallMeBackClient
from voipstudio_cmb.boundary.files import decode_handwritten
from voipstudio_cmb.export import read_accounts

TEXT = "# Zoë, \N{SNOWMAN}\n[accounts.rome]\ntoken_env = 'ROME_TOKEN'\n"
PROFILE = '{\n"profiles": {"default": {"token": "not-a-token", "apiUrl": "http://127.0.0.1:9"}}\n}'

WRITTEN = {
    "UTF-8": str.encode,
    "UTF-8 with a mark": lambda text: codecs.BOM_UTF8 + text.encode(),
    "and with CRLF": lambda text: codecs.BOM_UTF8 + text.replace("\n", "\r\n").encode(),
    "with CR": lambda text: text.replace("\n", "\r").encode(),
    "with two marks": lambda text: codecs.BOM_UTF8 * 2 + text.encode(),
    "UTF-16": lambda text: text.replace("\n", "\r\n").encode("utf-16"),
    "UTF-16 BE": lambda text: codecs.BOM_UTF16_BE + text.encode("utf-16-be"),
    "UTF-16 without a mark": lambda text: text.encode("utf-16-le"),
    "UTF-32": lambda text: text.encode("utf-32"),
}


@pytest.mark.parametrize("how", WRITTEN)
def test_a_file_is_read_however_it_was_saved(tmp_path: Path, how: str) -> None:
    write = WRITTEN[how]
    assert decode_handwritten(write(TEXT)) == TEXT
    accounts = tmp_path / "accounts.toml"
    accounts.write_bytes(write(TEXT))
    assert [each.name for each in read_accounts(accounts, env={"ROME_TOKEN": "x"})] == ["rome"]
    profile = tmp_path / "voipstudio" / "config.json"
    profile.parent.mkdir()
    profile.write_bytes(write(PROFILE))
    client = CallMeBackClient.from_env(env={"XDG_CONFIG_HOME": str(tmp_path)})
    assert client.base_url == json.loads(PROFILE)["profiles"]["default"]["apiUrl"]


@pytest.mark.parametrize(
    "content", [b"# \xe4", b"\xff\xfe#", b"\xff\xfe\x00\xd8", b"\xef\xbb\xbf\xff"]
)
def test_what_is_no_text_is_refused(content: bytes) -> None:
    with pytest.raises(UnicodeDecodeError):
        decode_handwritten(content)
    assert decode_handwritten(b"") == ""
