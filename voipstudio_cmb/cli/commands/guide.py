"""The command `guide`."""

from __future__ import annotations

import sys

import click

from voipstudio_cmb.cli.arguments import Arguments
from voipstudio_cmb.cli.parser import Command, OneOf
from voipstudio_cmb.cli.stdio import print_text
from voipstudio_cmb.cli.terminal import rich_for
from voipstudio_cmb.exit_codes import DONE
from voipstudio_cmb.guides import GUIDES, first_sentence, read


async def run(arguments: Arguments) -> int:
    """Prints one guide, or what each is about."""
    if arguments.guide is None:
        text = "".join(f"* `{name}`: {first_sentence(name)}\n" for name in GUIDES)
    else:
        text = read(arguments.guide)
    if rich := rich_for(sys.stdout):
        text = rich.rendered(text)
    await print_text(text)
    return DONE


COMMAND = Command(
    "guide",
    run,
    [click.Argument(["guide"], type=OneOf(GUIDES), required=False)],
    help="Show a guide, or without a name what each of them is about.",
    examples=["voipstudio-cmb guide", "voipstudio-cmb guide nightly"],
)
