"""The error tree: drawn as it is, rooted in one class, picklable, holding nothing of aiohttp's."""

from __future__ import annotations

import copy
import pickle
import re
from typing import Any

import pytest

from voipstudio_cmb import errors
from voipstudio_cmb.errors import CallMeBackError, ClientMisuse, HTTPStatusError, RequestTimeout


def _tree(root: type[Any]) -> set[type[Any]]:
    return {root}.union(*(_tree(sub) for sub in root.__subclasses__()))


ALL = sorted(_tree(CallMeBackError), key=lambda kind: kind.__name__)


def test_the_drawing_is_the_tree() -> None:
    assert errors.__doc__ is not None
    drawn: dict[int, str] = {}
    for line in errors.__doc__.splitlines():
        found = re.match(r"    ([│├└─ ]*)([A-Z]\w+)", line)
        if found is None:
            continue
        depth, name = len(found[1]) // 4, found[2]
        drawn[depth] = name
        kind = getattr(errors, name)
        if depth:
            assert drawn[depth - 1] in [base.__name__ for base in kind.__bases__], name
    names = set(re.findall(r"[─ ] ?([A-Z]\w+)", errors.__doc__)) & {k.__name__ for k in ALL}
    assert names == {kind.__name__ for kind in ALL}


@pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.__name__)
def test_every_error_pickles_and_copies_with_all_it_knows(kind: type[CallMeBackError]) -> None:
    error = kind(
        "what went wrong",
        sent="maybe",
        attempts=3,
        waited=1.5,
        method="GET",
        path="/callmeback/cdrs",
        page=2,
        status=429,
        retry_after=5.0,
        messages={"name": ["too long"]},
    )
    for other in (pickle.loads(pickle.dumps(error)), copy.copy(error), copy.deepcopy(error)):
        assert type(other) is kind
        assert vars(other) == vars(error)
        assert str(other) == str(error)
    assert str(error) == "GET /callmeback/cdrs page 2: what went wrong (after 3 attempts)"


@pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.__name__)
def test_a_copy_with_context_differs_in_what_is_named_and_holds_no_frame(
    kind: type[CallMeBackError],
) -> None:
    with pytest.raises(kind) as caught:
        raise kind("odd", sent="yes", retryable=True, status=400) from KeyError("the cause")
    error = caught.value
    other = error.with_context(attempts=2, path="/x", method="GET").with_detail("look first")
    assert type(other) is kind
    assert str(other) == "GET /x: odd; look first (after 2 attempts)"
    assert other.args == ("odd; look first",)
    changes = {"message": "odd; look first", "attempts": 2, "path": "/x", "method": "GET"}
    assert vars(other) == vars(error) | changes
    assert (other.__traceback__, other.__context__) == (None, None)
    assert other.__cause__ is error.__cause__
    assert (error.message, error.attempts, error.path) == ("odd", 0, None)


def test_a_subclass_with_arguments_of_its_own_is_copied_too() -> None:
    class Mine(CallMeBackError):
        def __init__(self, table: str, row: int) -> None:
            super().__init__(f"{table} {row}")
            self.row = row

    other = Mine("cdrs", 7).with_context(attempts=2)
    assert (type(other), other.row, str(other)) == (Mine, 7, "cdrs 7 (after 2 attempts)")


def test_an_error_is_also_what_python_calls_such_a_thing() -> None:
    assert issubclass(ClientMisuse, ValueError)
    assert issubclass(ClientMisuse, RuntimeError)
    assert issubclass(RequestTimeout, TimeoutError)
    timeout = RequestTimeout("too slow", phase="connect")
    assert timeout.phase == "connect"
    assert HTTPStatusError("x").messages == {}
    assert HTTPStatusError("x").messages is not HTTPStatusError("x").messages
