"""The guides, which `voipstudio-cmb guide NAME` shows: one Markdown file each."""

from __future__ import annotations

from importlib.resources import files

GUIDES = (
    "start",
    "fields",
    "walking",
    "errors",
    "export",
    "nightly",
    "accounts",
    "scale",
    "warehouse",
    "notebooks",
    "settings",
    "as-code",
    "services",
    "testing",
    "costs",
    "internals",
    "reference",
)
"""Their names, in the order in which one reads them."""


def read(name: str) -> str:
    """The text of the guide `name`, which is one of `GUIDES`, as Markdown."""
    return (files(__name__) / f"{name}.md").read_text("utf-8")


def first_sentence(name: str) -> str:
    """What the guide `name` is about: the first sentence below its title."""
    _, _, below = read(name).partition("\n\n")
    return " ".join(below.partition("\n\n")[0].split()).partition(". ")[0].rstrip(".") + "."
