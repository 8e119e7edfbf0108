"""Columns that were named and that no row has."""

from __future__ import annotations

from tests.fakes.secrets import CANARY
from voipstudio_cmb.columns import absent_columns
from voipstudio_cmb.models import Cdr


def test_a_member_is_had_however_it_is_spelt_and_wherever_it_comes_first() -> None:
    rows = [b'{"id":1}', b'{"id":2,"src":null,"stra\\u00dfe":1}']
    assert absent_columns(["src", "straße", "name"], Cdr, rows) == ""
    assert absent_columns("all", Cdr, rows) == absent_columns(["x"], Cdr, []) == ""
    assert absent_columns(["Src"], Cdr, rows[1:]).endswith("did you mean 'src'?")


def test_what_may_be_a_token_is_not_quoted() -> None:
    assert CANARY not in absent_columns([CANARY], Cdr, [b'{"id":1}'])
