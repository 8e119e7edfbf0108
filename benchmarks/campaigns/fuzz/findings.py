"""What a run met, and what contradicts the claim."""

from __future__ import annotations

from collections import Counter

import attrs

SHOWN = 20
"""How many contradictions are printed at most."""


@attrs.define
class Findings:
    """What one run met."""

    met: Counter[str] = attrs.field(factory=Counter)
    """How often each outcome was met."""
    wrong: list[str] = attrs.field(factory=list)
    slowest: float = 0.0
    """Seconds."""

    def add(self, contradiction: str) -> None:
        """Adds what contradicts the claim."""
        self.wrong.append(contradiction[:600])
        if len(self.wrong) <= SHOWN:
            print(f"  {contradiction}"[:600])

    def check_time(self, seconds: float, allowed: float, sent: object) -> None:
        """Adds that what was `sent` took too long, if it did."""
        self.slowest = max(self.slowest, seconds)
        if seconds > allowed:
            self.add(f"{seconds:.3f} s for {sent}")
