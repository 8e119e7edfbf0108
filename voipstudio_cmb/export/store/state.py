"""What earlier runs have left of a file that an export is to make."""

from __future__ import annotations

from typing import TypeAlias

import attrs

from .checkpoint import Checkpoint
from .manifest import Entry


@attrs.frozen
class Fresh:
    """Nothing that can be resumed."""


@attrs.frozen
class Interrupted:
    """A run was interrupted before or after it published the file."""

    checkpoint: Checkpoint


@attrs.frozen
class Finished:
    """A run published the file, and was interrupted when it had removed its checkpoint."""

    entry: Entry


State: TypeAlias = Fresh | Interrupted | Finished
"""What is left of one file."""
