"""No test of the transport waits after broken HTTP."""

from __future__ import annotations

from functools import partial

import pytest

from voipstudio_cmb.middleware.throttle import RateEstimate


@pytest.fixture(autouse=True)
def paced(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shortens the pause that follows broken HTTP: it is measured on virtual time elsewhere."""
    monkeypatch.setattr(
        "voipstudio_cmb.middleware.throttle.RateEstimate", partial(RateEstimate, unasked=0.0)
    )
