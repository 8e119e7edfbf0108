"""Text files that people write, with whatever editor they have."""

from __future__ import annotations

import json


def decode_handwritten(content: bytes) -> str:
    """The text of a file: UTF-8, UTF-16 or UTF-32, without byte order marks, lines ending in LF.

    The file begins with an ASCII character, as TOML and JSON do: that tells the encodings apart.

    Raises:
        UnicodeDecodeError: it is none of these. It holds `content`, which may hold a secret.
    """
    text = content.decode(json.detect_encoding(content)).lstrip("\ufeff")
    return text.replace("\r\n", "\n").replace("\r", "\n")
