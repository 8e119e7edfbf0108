"""The parser of the command line: what it complains of, it does not repeat.

Whatever was typed may be a token in the wrong place, and what is printed may end up in a log.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from typing import NoReturn

_RENAMED = {"--limit": "--page-size", "--window": "--concurrency"}
_NAME = re.compile(r"--?[a-z][a-z-]{0,19}")
_TYPED = re.compile(
    r"(?:(?<=invalid choice)|(?<= value)): .*?(?= \(choose from|\Z)"
    r"|(?<=ignored explicit argument) .*"
    r"|(?<=ambiguous option: )(?=--)[^=]*=.*(?= could match)",
    re.DOTALL,
)


class Parser(argparse.ArgumentParser):
    """A parser whose errors name options, and no values."""

    def error(self, message: str) -> NoReturn:
        """Prints the usage and `message` without what was typed, and exits."""
        super().error(_TYPED.sub("", message))


def unrecognized(arguments: Sequence[str]) -> str:
    """What to say of `arguments` that no command takes."""
    names = [name for each in arguments if _NAME.fullmatch(name := each.partition("=")[0])]
    words = names + ["what is no option"] * (len(names) < len(arguments))
    renamed = (f"; {old} is called {_RENAMED[old]}" for old in names if old in _RENAMED)
    token = "; a token is read from VOIPSTUDIO_API_TOKEN" if "--token" in names else ""
    return f"unrecognized arguments: {', '.join(words)}{''.join(renamed)}{token}"
