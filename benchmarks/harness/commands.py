"""What the command lines have in common: their help, and the last lines of a campaign."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from typing import Any


class _Help(argparse.ArgumentDefaultsHelpFormatter, argparse.RawDescriptionHelpFormatter):
    """Shows defaults, but none that says only that an option was not given."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        if action.default in (None, False, ""):
            return action.help
        return super()._get_help_string(action)


class Command:
    """A command line: `add` its options, then `parse`.

    The first paragraph of `doc` is what `--help` says about it; `example` are arguments to try.
    """

    def __init__(self, prog: str, doc: str | None, example: str) -> None:
        self.parser = argparse.ArgumentParser(
            prog=prog,
            description=(doc or "").split("\n\n")[0],
            epilog=f"example:\n  {prog} {example}",
            formatter_class=_Help,
        )

    def add(self, name: str, default: Any, help: str, **more: Any) -> None:
        """Adds an option whose type is that of its `default`; a `False` makes it a flag."""
        if default is False:
            more["action"] = "store_true"
        elif isinstance(default, list):
            more |= {"default": default, "nargs": "*", "type": type(default[0])}
        else:
            more = {"default": default, "type": type(default), "metavar": "N"} | more
        self.parser.add_argument(name, help=help, **more)

    def quick(self, help: str) -> None:
        """Adds `--quick`, which proves nothing."""
        self.add("--quick", False, f"{help}: takes seconds, proves nothing")

    def parse(self, arguments: list[str] | None) -> argparse.Namespace:
        """Reads the command line."""
        return self.parser.parse_args(arguments)


class Campaign(Command):
    """The command line of a campaign, whose random choices all come from `--seed`."""

    def __init__(self, name: str, doc: str | None, example: str) -> None:
        super().__init__(f"python -m benchmarks.campaigns.{name}", doc, example)
        self.add("--seed", 1, "decides every random choice")


def conclude(failures: Iterable[str]) -> list[str]:
    """Prints what contradicts the claim, or that it holds; returns it."""
    found = list(failures)
    print(*found or ["the claim holds"], sep="\n")
    if found:
        print("the claim does NOT hold")
    return found


def counted(counts: Any) -> str:
    """A `Counter` in words, the most common first."""
    return ", ".join(f"{name} {count}" for name, count in counts.most_common())
