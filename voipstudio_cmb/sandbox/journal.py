"""The journal: which requests the sandbox received, and with which status. It holds no secret."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import attrs
import msgspec

LOGINS: Final = frozenset({"/login", "/login2fa"})
"""The paths whose bodies carry the credentials."""
MASK: Final = "***"
_SECRET_HEADERS: Final = frozenset({"x-auth-token", "authorization", "cookie"})


@attrs.define(kw_only=True)
class Received:
    """One request that arrived."""

    method: str
    path: str
    """The path below the base URL, an API token in it as ``***``."""
    query: Mapping[str, str]
    headers: Mapping[str, str]
    """The headers, with credentials as ``***``."""
    body: bytes
    """The body, that of a login as ``"***"``."""
    at: float
    """When it arrived, in monotonic time."""
    status: int | None = None
    """The status of the response: `None` until it is made, and if the connection was dropped."""

    @property
    def json(self) -> Any:
        """The body as plain data; `None` if it is not JSON."""
        try:
            return msgspec.json.decode(self.body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return None

    @property
    def page(self) -> int | None:
        """The requested page: 1 if the request names none, `None` if it is not a number."""
        text = self.query.get("page", "1")
        return int(text) if text.isascii() and text.isdigit() and len(text) < 20 else None


def masked_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """Returns a copy of `headers` with ``***`` for credentials."""
    return {
        name: MASK if name.lower() in _SECRET_HEADERS else value for name, value in headers.items()
    }


def masked_body(path: str, body: bytes) -> bytes:
    """Returns `body`, with ``"***"`` for that of a login."""
    return b'"***"' if path in LOGINS and body else body


def masked_path(path: str) -> str:
    """Returns `path`, with ``***`` for the API token to delete."""
    parent = "/apitokens/"
    return f"{parent}{MASK}" if path.startswith(parent) else path
