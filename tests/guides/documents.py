"""What users read: the README and the guides, and the blocks of code in them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

from voipstudio_cmb.exit_codes import FAILED, INCOMPLETE, NOT_AUTHORISED, USAGE
from voipstudio_cmb.guides import GUIDES

ROOT = Path(__file__).parent.parent.parent
FOLDER = ROOT / "voipstudio_cmb" / "guides"

ENGINES = (
    "distributed", "dlt", "duckdb", "fastapi", "matplotlib", "pandas", "polars", "nbclient",
    "psycopg",
)  # fmt: skip
"""Packages that only `.ci/run` installs: the scripts that import one run there."""

HOPELESS = [FAILED, USAGE, INCOMPLETE, NOT_AUTHORISED]
"""The exit codes after which the same command would end the same."""


class Block(NamedTuple):
    """A fenced block: its language, its text, and where it stands."""

    language: str
    text: str
    place: str

    @property
    def needs_engines(self) -> bool:
        """Whether it is a script that imports one of `ENGINES`."""
        imports = rf"^\s*(import|from) ({'|'.join(ENGINES)})\b"
        return self.language == "python" and bool(re.search(imports, self.text, re.MULTILINE))


class Document(NamedTuple):
    """A text for users."""

    name: str
    text: str

    @property
    def blocks(self) -> list[Block]:
        """The fenced blocks, in their order."""
        found = re.finditer(r"^```(\w+)\n(.*?)^```$", self.text, re.DOTALL | re.MULTILINE)
        return [
            Block(each[1], each[2], f"{self.name}:{self.text.count(chr(10), 0, each.start()) + 2}")
            for each in found
        ]


def guide(name: str) -> Document:
    """The guide `name`."""
    return Document(f"{name}.md", (FOLDER / f"{name}.md").read_text("utf-8"))


README = Document("README.md", (ROOT / "README.md").read_text("utf-8"))
ALL = [README, *map(guide, GUIDES)]
