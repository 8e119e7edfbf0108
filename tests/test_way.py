"""How one page travels: the rooms and modules that it meets, counted, so that no detour creeps in.

A room is a module of the root or a folder; a change is a call from one into another.
"""

from __future__ import annotations

import sys
from itertools import pairwise
from pathlib import Path
from types import FrameType
from typing import Any

import voipstudio_cmb
from voipstudio_cmb import CallMeBackClient
from voipstudio_cmb.sandbox import Sandbox

ROOT = Path(voipstudio_cmb.__file__).parent


def _changes(places: list[str]) -> int:
    return sum(here != there for here, there in pairwise(places))


async def test_one_page_meets_few_rooms_and_turns_back_seldom() -> None:
    modules: list[str] = []

    def notice(frame: FrameType, event: str, arg: Any) -> None:
        path, passes_on = Path(frame.f_code.co_filename), frame.f_code.co_name == "<lambda>"
        if event == "call" and not passes_on and path.is_relative_to(ROOT):
            modules.append(str(path.relative_to(ROOT)))

    with Sandbox(rows=4) as api:  # in a thread of its own, which is not counted
        async with CallMeBackClient(api.token, base_url=api.base_url) as cmb:
            await cmb.cdrs.list().collect()  # what is warm has been imported and connected
            sys.setprofile(notice)
            try:
                rows = await cmb.cdrs.list().collect()
            finally:
                sys.setprofile(None)
    rooms = [Path(module).parts[0] for module in modules]
    assert len(rows) == 4
    assert len(set(rooms)) <= 13, sorted(set(rooms))
    assert _changes(rooms) <= 60, _changes(rooms)
    assert _changes(modules) <= 134, _changes(modules)
