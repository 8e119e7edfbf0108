"""What proves that a server ignores a condition or an order, and what proves nothing."""

from __future__ import annotations

from typing import Any

import pytest

from voipstudio_cmb.filters import parse
from voipstudio_cmb.walk.contradiction import contradiction

MILES = "2020-01-01 00:00:00"

CERTAIN: list[tuple[str, list[Any]]] = [
    ("id>5000", [5001, 1001]),
    ("id<5", [4, 5]),
    ("id=5", [5, 6]),
    ("id=5", [5, 4]),
    ("id<=5", [6]),
    ("button_id>=7", [None, 6]),
    ("button_id=7", [None, 6, "x"]),
    ("ddi=0044", [45]),
    ("floating_icon=true", [True, False]),
    ("floating_icon=0", [0, 1]),
    ("max_call_rate>0.15", [0.2, 0.1]),
    ("max_call_rate>0.15", ["0.20", "0.10"]),
    ("max_call_rate=100", ["100.00", 8.11]),
    ("max_call_rate<3", [3.2]),
    ("created_at>=2026-01-05", ["2026-01-09 00:00:00", "2026-01-03 21:59:59"]),
    ("created_at>2026-01-05 12:00", ["2026-01-04 09:00:00"]),
    ("created_at<=2026-01-05", ["2026-01-07 03:00:00"]),
    ("created_at<2026-01-05 00:00:00", ["2026-01-06 03:00:00"]),
    ("created_at=2026-01-05", [MILES]),
    ("created_at>=2026-01-05", ["0000-00-00 00:00:00", None, "", MILES, "2026-01-09 00:00:00"]),
    ("created_at>=2026-01-05", ["2020-01-01T00:00:00Z"]),
    ("calldate>=2026-01-05", [MILES]),
    ("duration>60", [70, 5, 10]),
    ("duration=60", [60, 61]),
    ("charge>1", [0.05]),
    ("is_root=1", [True, False]),
    ("name=Shop", ["Alpha", "Beta"]),
    ("name=café", ["Shop 1", "Shop 2"]),
    ("name~shop", ["Alpha", "Beta"]),
    ("name~a%b", ["ba", "bba"]),
    ("src=442", ["443", "444"]),
    ("button_id=7", ["6", "8"]),
    ("ddi~44", [55, 66]),
]


@pytest.mark.parametrize(("condition", "values"), CERTAIN)
def test_what_is_certain(condition: str, values: list[Any]) -> None:
    assert contradiction(parse(condition), values, full=True) is not None


UNCERTAIN: list[tuple[str, list[Any]]] = [
    ("id>5", []),
    ("id>5", [6, 7]),
    ("id>=5", [5]),
    ("button_id>7", [None, None]),
    ("button_id>7", ["6", "1"]),  # digits that may be compared as text
    ("button_id>7", ["none", True and "x", {}, []]),
    ("button_id=7", ["7", "07", "7.0"]),
    ("ddi=0044", [44]),
    ("floating_icon=true", [1, "1", None, True]),
    ("max_call_rate>0.15", [0.15]),  # which a database's float may be
    ("max_call_rate=0.15", [0.15, "0.15", "0.150", 0.15000001]),
    ("created_at>=2026-01-05", ["2026-01-04 00:00:00", "2026-01-03 22:00:00"]),  # of zones
    ("created_at<=2026-01-05", ["2026-01-07 02:00:00"]),  # may mean the end of that day
    ("created_at=2026-01-05", ["2026-01-05 23:59:59", "2026-01-04 00:00:00"]),
    ("created_at>=2026-01-05", ["0000-00-00 00:00:00", "", "never", None, 5, "01.01.2020"]),
    ("created_at>0000-00-00", [MILES]),
    ("created_at>=9999-12-31", ["9999-12-31 00:00:00"]),
    ("created_at<=0001-01-01", ["0001-01-01 00:00:00"]),
    ("calldate=2026-01-05", ["2026-01-05 08:00:00"]),
    ("calldate~2026-01-05", ["2026-01-04 20:00:00"]),
    ("duration>60", [7, 8]),  # digits that may be compared as text
    ("duration>60", ["5", "1"]),
    ("src>zoe", ["Adam"]),  # nobody knows the collation
    ("src=abc", [5]),
    ("src=5", ["5 and more"]),
    ("name=Shop", ["Alpha", "SHOP"]),
    ("name=Muller", ["Müller"]),
    ("name=Müller", ["MUELLER"]),
    ("name=strasse", ["Straße"]),
    ("name=Smorrebrod", ["Smørrebrød"]),
    ("name=cafe", ["Café "]),
    ("name=McDonald", ["Mc-Donald"]),
    ("name=Tom & Jerry", ["Tom &amp; Jerry"]),
    ("name~e", ["aether"]),
    ("name~SHOP", ["my shop 5"]),
    ("name~a_c", ["xabcx"]),
    ("name=Shop", ["Alpha", None]),
    ("id~55", [1551]),
    ("labels~x", [["a"]]),
]


@pytest.mark.parametrize(("condition", "values"), UNCERTAIN)
def test_what_proves_nothing(condition: str, values: list[Any]) -> None:
    assert contradiction(parse(condition), values, full=True) is None


def test_texts_of_a_page_that_is_not_full_prove_nothing() -> None:
    assert contradiction(parse("name=Shop"), ["Alpha"], full=False) is None
    assert contradiction(parse("id=5"), [4], full=False) is not None
