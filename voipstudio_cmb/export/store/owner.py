"""Whose the rows are: hashes of an account's identity, so that no file names it."""

from __future__ import annotations

import hashlib
import secrets


def owner_hash(identity: str, salt: str = "") -> str:
    """The hash of an account's `identity`, with a `salt` in front: a random one if it is empty."""
    salt = salt or secrets.token_hex(8)
    return f"{salt}:{hashlib.sha256(f'{salt}:{identity}'.encode()).hexdigest()}"


def is_owner(identity: str, hashed: str) -> bool:
    """Whether the hash `hashed`, whatever its salt, is one of `identity`."""
    return hashed == owner_hash(identity, hashed.rpartition(":")[0])
