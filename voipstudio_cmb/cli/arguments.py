"""What was asked for on the command line."""

from __future__ import annotations

from types import SimpleNamespace


class Arguments(SimpleNamespace):
    """The `command`, its function `run`, and the value of each of its options.

    `given` are the names of those that were given.
    """
