"""Plans and outcomes as text for people, a line at a time. No I/O, and no colours.

A line that changes something begins with `+` (create), `~` (update), `-` (delete) or `=` (adopt),
after blanks: by that a terminal may colour it.
"""

from __future__ import annotations

from .planner import Plan
from .run import Outcome


def render(plan: Plan) -> str:
    """What `plan` does; its last line counts that."""
    raise NotImplementedError


def render_drift(plan: Plan) -> str:
    """How the account differs from the document, what is gone, and what is not in the document."""
    raise NotImplementedError


def render_outcome(outcome: Outcome) -> str:
    """What is not done and why, and a last line that counts what is."""
    raise NotImplementedError
