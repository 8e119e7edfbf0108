"""The account behind the sandbox: its user id, its token, and which credentials it accepts."""

from __future__ import annotations

import base64
from collections.abc import Mapping

import attrs


@attrs.define
class Account:
    """One user with one valid token at a time; a new token locks the old one out."""

    user_id: int
    token: str

    def accepts(self, headers: Mapping[str, str]) -> bool:
        """Tells whether `headers` carry the token, in ``X-Auth-Token`` or as HTTP Basic."""
        if "X-Auth-Token" in headers:
            return headers["X-Auth-Token"] == self.token
        scheme, _, credentials = headers.get("Authorization", "").partition(" ")
        encoded = base64.b64encode(f"{self.user_id}:{self.token}".encode()).decode()
        return scheme.lower() == "basic" and credentials == encoded
