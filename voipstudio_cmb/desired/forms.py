"""How each documented attribute is written in a document, sent, and read back. No I/O."""

from __future__ import annotations

from typing import Literal, TypeAlias

Kind: TypeAlias = Literal["buttons", "settings"]
"""A kind of resource that a document may have sections of."""
