"""The journal: what the stand-in received and how it answered, with no secret in it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import attrs
import msgspec

MASK: Final = "***"
_SECRET_HEADERS: Final = frozenset({"x-auth-token", "authorization", "cookie"})


@attrs.define(kw_only=True)
class Received:
    """One request. *path* is relative to the base URL, *at* is monotonic time.

    *status* is `None` until the answer is made, and stays so when the connection was dropped.
    """

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes
    at: float
    status: int | None = None

    @property
    def json(self) -> Any:
        """The body as plain data, `None` when it is not JSON."""
        try:
            return msgspec.json.decode(self.body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return None

    @property
    def page(self) -> int | None:
        """The page asked for, 1 when none was named, `None` when it is no number."""
        text = self.query.get("page", "1")
        return int(text) if text.isascii() and text.isdigit() and len(text) < 20 else None


def masked_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """Returns a copy of *headers* in which the credentials are ``***``."""
    return {
        name: MASK if name.lower() in _SECRET_HEADERS else value for name, value in headers.items()
    }


def masked_body(path: str, body: bytes) -> bytes:
    """Returns *body*, but with nothing of a log-in except that there was one."""
    return b'"***"' if path == "/login" and body else body
