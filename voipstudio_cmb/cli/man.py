"""The manual page, made of the help of all commands: `python -m voipstudio_cmb.cli.man`."""

from __future__ import annotations

from collections.abc import Iterator

import click

from voipstudio_cmb import __version__

from .main import COMMAND
from .parser import Command


def manual() -> str:
    """The page in roff."""
    context = click.Context(COMMAND, info_name="voipstudio-cmb")
    lines = [
        f'.TH VOIPSTUDIO-CMB 1 "" "voipstudio_cmb {__version__}"',
        ".SH NAME",
        f"voipstudio-cmb \\- {_text(COMMAND.help or '')}",
        ".SH SYNOPSIS",
        ".B voipstudio-cmb",
        "[OPTIONS] COMMAND [ARGS]...",
        ".SH COMMANDS",
        *_commands(COMMAND, context),
        ".SH EXIT CODES AND TOKENS",
        *(f".PP\n{_text(part)}" for part in (COMMAND.epilog or "").split("\n\n")),
    ]
    return "\n".join(lines) + "\n"


def _commands(group: click.Group, context: click.Context) -> Iterator[str]:
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        inner = click.Context(command, info_name=name, parent=context)
        if isinstance(command, click.Group):
            yield from _commands(command, inner)
        elif isinstance(command, Command):
            usage = [inner.command_path, *command.collect_usage_pieces(inner)]
            yield f".SS {_text(' '.join(usage))}"
            yield _text(command.help or "")
            for option in command.params:
                if (record := option.get_help_record(inner)) and isinstance(option, click.Option):
                    yield f".TP\n.B {_text(record[0])}\n{_text(record[1]) or '.'}"
            for example in command.examples:
                yield f".PP\n.EX\n{_text(example)}\n.EE"


def _text(text: str) -> str:
    """`text` on one line, with what roff takes for its own escaped."""
    return " ".join(text.split()).replace("\\", "\\e").replace("-", "\\-").replace("'", "\\(aq")


if __name__ == "__main__":
    print(manual(), end="")
