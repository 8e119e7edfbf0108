"""The account behind the sandbox: its user id, its tokens, and which credentials it accepts."""

from __future__ import annotations

import base64
import random
from collections.abc import Mapping
from typing import Any

import attrs


@attrs.define
class Account:
    """One user with one session token at a time, and with any number of API tokens.

    A new session token locks the old one out. API tokens don't expire here.
    """

    user_id: int
    token: str
    random: random.Random
    api_tokens: dict[str, dict[str, Any]] = attrs.field(factory=dict)
    """The rows of the API tokens, by token."""
    nonces: set[str] = attrs.field(factory=set)
    """What two-factor logins have to return with their code."""

    def new_secret(self) -> str:
        """Returns a token or nonce that was never given out: 40 hexadecimal digits."""
        return self.random.randbytes(20).hex()

    def presented(self, headers: Mapping[str, str]) -> str | None:
        """Returns the token in `headers`, if it is valid: ``X-Auth-Token``, or HTTP Basic."""
        for token in (self.token, *self.api_tokens):
            if "X-Auth-Token" in headers:
                valid = headers["X-Auth-Token"] == token
            else:
                scheme, _, credentials = headers.get("Authorization", "").partition(" ")
                encoded = base64.b64encode(f"{self.user_id}:{token}".encode()).decode()
                valid = scheme.lower() == "basic" and credentials == encoded
            if valid:
                return token
        return None
