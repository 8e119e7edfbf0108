"""Proof of the mask: a secret is found however a server spells it, and little else is taken."""

from __future__ import annotations

import html
import json
import re
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Callable
from functools import partial
from typing import Any
from urllib.parse import quote, quote_plus, unquote

import pytest

from voipstudio_cmb.auth.secret import Secret

TOKEN = "Canary/not+a=token&<it>"
PASSWORD = "pässwörd & 'kö'"


def in_base64(text: str) -> str:
    return b64encode(text.encode()).decode()


SPELLINGS = {
    "as it is": TOKEN,
    "lower-cased": TOKEN.lower(),
    "percent-encoded": quote(TOKEN, safe=""),
    "percent-encoded in lower case": quote(TOKEN, safe="").lower(),
    "percent-encoded wholly": "".join(f"%{ord(each):02x}" for each in TOKEN),
    "percent-encoded twice": quote(quote(TOKEN, safe=""), safe=""),
    "HTML": html.escape(TOKEN),
    "HTML twice": html.escape(html.escape(TOKEN)),
    "HTML, all decimal": "".join(f"&#{ord(each)};" for each in TOKEN),
    "HTML, all hexadecimal": "".join(f"&#x{ord(each):X};" for each in TOKEN),
    "JSON": json.dumps(TOKEN)[1:-1].replace("/", "\\/"),
    "JSON, all escaped": "".join(f"\\u{ord(each):04x}" for each in TOKEN),
    "JSON in JSON": json.dumps(json.dumps(TOKEN).replace("&", "\\u0026"))[3:-3],
    "percent-encoded in HTML": html.escape(quote(TOKEN, safe="&")),
    "Python": TOKEN.replace("&", "\\x26"),
    "UTF-16": TOKEN.encode("utf-16-le").decode().rstrip("\0"),
    "with what nobody sees": "\u200b".join(TOKEN),
    "wrapped": TOKEN[:7] + "\r\n" + TOKEN[7:],
    "base64": in_base64(TOKEN),
    "base64 for URLs": urlsafe_b64encode(TOKEN.encode()).decode().rstrip("="),
    "the pair of HTTP Basic": in_base64(f"1001:{TOKEN}"),
    "a pair, one longer": in_base64(f"10017:{TOKEN}"),
    "a pair, two longer": in_base64(f"100177:{TOKEN}, and more"),
    "base64, percent-encoded": quote(in_base64(TOKEN), safe=""),
}


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_a_token_is_masked_however_it_is_spelt(spelling: str) -> None:
    sent = SPELLINGS[spelling]
    masked = Secret(TOKEN).mask(f"token [{sent}] refused")
    assert masked == "token [***] refused"


@pytest.mark.parametrize(
    "sent",
    [PASSWORD, quote(PASSWORD), quote_plus(PASSWORD), html.escape(PASSWORD), json.dumps(PASSWORD),
     "".join(f"&#{ord(each)};" for each in PASSWORD), in_base64(PASSWORD)],
)  # fmt: skip
def test_a_password_with_blanks_and_other_letters_is_masked_too(sent: str) -> None:
    assert "ssw" not in (masked := Secret(PASSWORD).mask(f"for {sent}: no"))
    assert masked.startswith("for ")
    assert masked.endswith(": no")


@pytest.mark.parametrize("spelling", ["as it is", "percent-encoded", "HTML", "JSON, all escaped",
                                      "HTML, all decimal", "the pair of HTTP Basic"])  # fmt: skip
def test_a_text_that_was_cut_within_a_token_shows_none_of_it(spelling: str) -> None:
    sent = SPELLINGS[spelling]
    for end in range(len(sent)):
        masked = Secret(TOKEN).mask(f"refused: [{sent[:end]}")
        plain = html.unescape(unquote(re.sub(r"\\u00(..)", r"%\1", masked)))
        assert TOKEN[:5] not in plain
        assert in_base64(f"1001:{TOKEN[:5]}")[:12] not in plain


@pytest.mark.parametrize(
    "text",
    ["", "nothing of it", "https://x.example/a%20b?c=%2F", "&lt;b&gt; &amp; \\u00e4 \\n \\",
     "canal, can", "Y2FuYWw=", "100 % sure & \\", "*** is masked"],
)  # fmt: skip
def test_any_other_text_stays_as_it_is(text: str) -> None:
    assert Secret(TOKEN).mask(text) == text


def test_every_place_is_masked_and_a_secret_of_three_letters_is_none() -> None:
    assert Secret("abcd").mask("abcd, abcdabcd, %61bcd or Abcd!") == "***, ******, *** or ***!"
    assert Secret("abc").mask("abc") == "abc"


def test_no_pattern_is_made_of_a_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    pieces = {TOKEN[at : at + 6] for at in range(len(TOKEN) - 5)}

    def checked(call: Callable[..., Any], pattern: Any, *rest: Any) -> Any:
        assert not any(piece in str(pattern) for piece in pieces), "`re` would keep the pattern"
        return call(pattern, *rest)

    for name in ("compile", "sub", "subn", "search", "match", "fullmatch", "finditer", "findall"):
        monkeypatch.setattr(re, name, partial(checked, getattr(re, name)))
    assert Secret(TOKEN).mask(f"token {TOKEN} refused") == "token *** refused"
