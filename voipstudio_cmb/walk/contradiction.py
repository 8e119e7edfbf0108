"""Whether the rows of a page prove that the server has ignored what it was asked for. No I/O.

Only what is certain is a proof, whatever the server's zones, collations and ways to write values:

* numbers, where the documented type is one; where none is documented, and the server may compare
  digits as text, the rows have to contradict that too;
* times by more than two zones can differ;
* texts only if not one row of a full page fits, without case, accents and punctuation.

Null, nothing, and a value that is not of its field's type prove nothing.
"""

from __future__ import annotations

import html
import unicodedata
from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from operator import gt
from typing import Any, Literal

from voipstudio_cmb.codec.comparison import OPERATORS, folded, is_day, moment, number, type_of
from voipstudio_cmb.codec.conversion import values_of
from voipstudio_cmb.errors import FilterIgnored, SortIgnored
from voipstudio_cmb.filters import Filter
from voipstudio_cmb.models import Page
from voipstudio_cmb.query import PageRequest

ZONES = timedelta(hours=26)
"""The most that two zones differ by: the server may compare in one and write in another."""

_DAY = timedelta(days=1)
_FEW = 10
_ROUNDED = Decimal("1e-6")
"""What a database's float may be off, as a part of it: a single one has seven digits."""


def check_conditions(page: Page[Any], request: PageRequest) -> None:
    """Raises `FilterIgnored` if the rows of `page` contradict a condition of `request`."""
    rows = page.records
    full = len(rows) >= request.page_size or (page.total or 0) > len(rows)
    for condition in request.conditions:
        proof = contradiction(condition, values_of(rows, condition.property), full)
        if proof is not None:
            raise FilterIgnored(
                f"the server ignores the condition {condition}: {proof}. Ask without it, for all "
                "rows, and choose them yourself; a walk or an export does that for you with "
                'on_ignored_filter="client" (--filter-here)',
                condition=str(condition),
                sent="yes",
            )


def contradiction(condition: Filter, values: Sequence[Any], full: bool) -> str | None:
    """How rows with these `values` contradict `condition`; None if that is not certain."""
    name, how, wanted = condition.property, condition.operator, condition.value
    kind = type_of(name)
    if how != "like":
        found = None if kind in (str, datetime) else _number_against(how, wanted, values, kind)
        if found is None and kind in (datetime, None):
            found = _time_against(how, wanted, values)
        if found is not None:
            return f"it sent a row with {name} {found}"
    texts = how in ("eq", "like") and full and kind not in (Decimal, bool, datetime)
    if texts and values and not any(_may_fit(how, wanted, each) for each in values):
        return f"not one row of a full page ({len(values)}) has such a {name}"
    return None


def _number_against(how: str, wanted: Any, values: Sequence[Any], kind: Any) -> Any:
    """A number that contradicts the condition, if one of `values` certainly does."""
    right = number(wanted)
    if right is None:
        return None
    found = values
    if not {*map(type, values)} <= {int, float}:
        found = [each for each in values if isinstance(each, int | float | Decimal)]
    if kind is Decimal:
        found = [
            *found,
            *(each for text in values if isinstance(text, str) and (each := number(text))),
        ]
    wrong = next((each for each in _extremes(how, found) if _misses(how, each, right)), None)
    if wrong is None or kind is not None or isinstance(wrong, bool):
        return wrong
    as_text = (str(each) for each in found if each >= 0)
    return wrong if any(not OPERATORS[how](text, str(wanted)) for text in as_text) else None


def _extremes(how: str, values: Sequence[Any]) -> list[Any]:
    """Those of `values` that are the first to contradict a condition, if any does."""
    if not values:
        return []
    ends = {"gt": [min], "gte": [min], "lt": [max], "lte": [max], "eq": [min, max]}[how]
    return [end(values) for end in ends]


def _misses(how: str, found: Any, wanted: Any) -> bool:
    if isinstance(found, int) and (isinstance(wanted, int) or wanted == int(wanted)):
        return not OPERATORS[how](found, wanted)
    left, right = Decimal(str(found)), Decimal(str(wanted))
    near = abs(left - right) <= _ROUNDED * max(abs(left), abs(right))
    return not near and not OPERATORS[how](left, right)


def _time_against(how: str, wanted: Any, values: Sequence[Any]) -> Any:
    """A time that contradicts the condition, if one of `values` certainly does."""
    right = moment(wanted) if isinstance(wanted, str) else None
    if right is None:
        return None
    texts = [each for each in values if isinstance(each, str)]
    found = _extremes(how, texts)
    if any(moment(text) is None for text in found):  # what is no time may be beyond any
        found = _extremes(how, [text for text in texts if moment(text) is not None])
    until = ZONES + _DAY if is_day(wanted) else ZONES
    for text in found:
        left = moment(text)
        assert left is not None
        early = how in ("gt", "gte", "eq") and right - left > ZONES
        if early or (how in ("lt", "lte", "eq") and left - right > until):
            return text
    return None


def _may_fit(how: str, wanted: Any, found: Any) -> bool:
    """Whether a server may take `found` for what was asked for, however it compares texts."""
    found = str(found) if type(found) is int else found
    if not isinstance(found, str) or moment(found) is not None:
        return True
    left, right = number(found), number(wanted)
    numbers = [each for each in (left, right) if each is not None]
    if how == "eq" and (len(numbers) == 1 or (numbers and left == right)):
        return True  # where one is a number, databases read what they can of the other
    pieces = [_bare(piece) for piece in str(wanted).replace("_", "%").split("%")]
    text = _bare(html.unescape(found))
    if _is_special(text) or _is_special("".join(pieces)):
        return True
    if how == "eq":
        return _spelt(text) == _spelt(_bare(str(wanted)))
    at = 0
    for piece in pieces:
        at = text.find(piece, at)
        if at < 0:
            return False
        at += len(piece)
    return True


def _bare(text: str) -> str:
    return "".join(filter(str.isalnum, folded(text)))


def _is_special(text: str) -> bool:
    """Whether it has letters that are the same as others in some collations, as æ is as ae."""
    special = ("LATIN", "HIRAGANA", "KATAKANA")
    names = (unicodedata.name(each, "") for each in text if not each.isascii())
    return any(name.startswith(special) for name in names)


def _spelt(text: str) -> str:
    """`text` with those spellings the same that a collation may take for the same."""
    for two in ("ae", "oe", "ue", "aa", "ss"):
        text = text.replace(two, two[0])
    return text


def check_order(
    page: Page[Any], request: PageRequest, *, proved: bool
) -> Literal["fine", "few", "same", "doubt"]:
    """Whether the rows of `page` are in the order of `request`, as far as that can be seen.

    They may be "fine", but too "few" to be so by chance only seldom. "same" says that they show no
    order because they do not differ, "doubt" that nobody knows how the server compares them. There
    is none where the server has `proved` that it sorts.

    Raises:
        SortIgnored: they certainly are not.
    """
    sort = request.sort or ""
    values = [each for each in values_of(page.records, sort) if each is not None]
    values = values[::-1] if request.descending else values
    ends = values[:1] + values[-1:]
    if not _ascends(values):
        if _certainly_misordered(values, type_of(sort)):
            raise sort_ignored(request)
        if proved:
            return "fine"
        ends = values
        if _differ(values) and _falls([_key(each) for each in values]):
            return "doubt"
    if not _differ(ends):
        return "same"
    # A server's own order is most often that of ids, in one direction or the other.
    return "few" if sort != "id" and len(values) < _FEW else "fine"


def same_both_ways(page: Page[Any], other: Page[Any], sort: str) -> bool:
    """Whether `page` and the `other`, asked for in the other direction, are the same though the
    rows differ in what they are sorted by: no order of any kind gives that."""
    values, ids = values_of(page.records, sort), [each.id for each in page.records]
    same = ids == [each.id for each in other.records] and values == values_of(other.records, sort)
    return same and _differ([each for each in values if each is not None])


def sort_ignored(request: PageRequest) -> SortIgnored:
    """The error that says that the order of `request` is ignored."""
    direction = "descending" if request.descending else "ascending"
    return SortIgnored(
        f"the server ignores the order: its rows are not sorted by {request.sort}, {direction}. "
        "List all rows without sort and descending (--sort, --desc), and sort them yourself",
        sort=request.sort or "",
        sent="yes",
    )


def _certainly_misordered(values: list[Any], kind: Any) -> bool:
    if all(type(each) is int for each in values):
        if kind not in (int, None) or not _falls(values):
            return False
        # Where no number is documented, the server may sort digits as text.
        return kind is int or (min(values) >= 0 and _falls([str(each) for each in values]))
    if kind not in (datetime, None):
        return False
    times = [moment(each) for each in values if isinstance(each, str)]
    latest = datetime.min
    for time in times:
        if time is not None:
            if latest - time > ZONES:
                return True
            latest = max(latest, time)
    return False


def _ascends(values: list[Any]) -> bool:
    try:
        return not _falls(values)
    except TypeError:  # they are of several types
        return False


def _falls(values: list[Any]) -> bool:
    return any(map(gt, values, values[1:]))


def _key(value: Any) -> tuple[int, Any]:
    as_number = number(value)
    return (1, folded(str(value))) if as_number is None else (0, as_number)


def _differ(values: Sequence[Any]) -> bool:
    """Whether two of `values` are different to any server."""
    keys = set[Any]()
    for each in values:
        if (key := number(each)) is None:
            text = _bare(str(each))
            if _is_special(text):
                continue
            keys.add(_spelt(text))
        else:
            keys.add(key)
    return len(keys) > 1
