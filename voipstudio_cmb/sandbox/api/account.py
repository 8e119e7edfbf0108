"""The account behind the stand-in: its number, its token, and who is let in with it."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping

import attrs


@attrs.define
class Account:
    """One user with one valid *token* at a time; replacing it locks the old one out."""

    user_id: int
    token: str

    def admits(self, headers: Mapping[str, str]) -> bool:
        """Tells whether *headers* carry the token, in ``X-Auth-Token`` or as HTTP Basic."""
        if "X-Auth-Token" in headers:
            return headers["X-Auth-Token"] == self.token
        scheme, _, credentials = headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "basic":
            return False
        try:
            decoded = base64.b64decode(credentials, validate=True)
        except (binascii.Error, ValueError):
            return False
        return decoded == f"{self.user_id}:{self.token}".encode()
