"""The command `completion`."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from voipstudio_cmb.cli.arguments import Arguments
from voipstudio_cmb.cli.parser import Command, OneOf
from voipstudio_cmb.cli.stdio import print_text
from voipstudio_cmb.exit_codes import DONE

_SHELLS = ("bash", "zsh", "fish")


async def run(arguments: Arguments) -> int:
    """Prints the script, which asks the command itself what may come next."""
    kind = get_completion_class(arguments.shell)
    assert kind is not None
    made = kind(click.Command("voipstudio-cmb"), {}, "voipstudio-cmb", "_VOIPSTUDIO_CMB_COMPLETE")
    await print_text(f"{made.source()}\n")
    return DONE


COMMAND = Command(
    "completion",
    run,
    [click.Argument(["shell"], type=OneOf(_SHELLS))],
    help="Print a script that completes commands, options and values by the Tab key.",
    examples=["voipstudio-cmb completion bash", "voipstudio-cmb completion fish"],
    epilog="""\b
bash: eval "$(voipstudio-cmb completion bash)" in ~/.bashrc
zsh:  eval "$(voipstudio-cmb completion zsh)" in ~/.zshrc, behind compinit
fish: voipstudio-cmb completion fish > ~/.config/fish/completions/voipstudio-cmb.fish""",
)
