"""Half surrogate pairs: read as Python reads them, and written as the escapes that they were."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from voipstudio_cmb.codec.surrogates import escaped, is_text, tolerant, without_half_pairs

TEXTS = st.text(st.sampled_from('a~\\"u\ud800\udbff\udc00\udfff\U0001f600d8'), max_size=8)
VALUES = st.recursive(
    TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)


@given(VALUES)
def test_any_value_is_read_as_python_reads_it(value: Any) -> None:
    text = escaped(value)
    assert tolerant(msgspec.json.decode)(text) == json.loads(text)
    raw = tolerant(msgspec.json.Decoder(list[msgspec.Raw]).decode)(b"[" + text + b"]")
    assert list(map(bytes, raw)) == [text]


@pytest.mark.parametrize(
    "text", [b"", b"{", b'"\xff"', rb'{"a":"\ud800"', rb'"\ud8"', rb'"\ud8zz"', rb'"\x"']
)
def test_what_is_no_json_stays_an_error(text: bytes) -> None:
    with pytest.raises(ValueError, match="."):
        tolerant(msgspec.json.decode)(text)


@given(TEXTS)
def test_a_string_is_text_if_utf_8_can_write_it(value: str) -> None:
    assert is_text(value) == (value == value.encode(errors="replace").decode())
    assert is_text(without_half_pairs(value))
    assert without_half_pairs(value) == value or not is_text(value)
