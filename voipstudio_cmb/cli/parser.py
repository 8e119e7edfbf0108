"""Commands and values as click parses them; what it complains of is not repeated.

Whatever was typed may be a token in the wrong place, and what is printed may end up in a log.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Coroutine, Mapping, Sequence
from typing import Any, NoReturn, TypeAlias

import click
from click.core import ParameterSource
from click.shell_completion import CompletionItem

from voipstudio_cmb.boundary.text import nearest

from .arguments import Arguments

_NAME = re.compile(r"--?[a-z][a-z-]{0,19}")
_NEEDS: dict[str, Sequence[str]] = {"rate_limit": ["rate"], "rate_limit_key": ["rate"]}
"""What says nothing without another option, in every command that has it."""

FROM, UNTIL = "--filter 'created_at>=2026-01-31'", "--filter 'created_at<2026-02-01'"
_INSTEAD = {
    "--window": {"": "is called --concurrency"},
    "--from": {"export": f"is {FROM} here"},
    "--until": {"export": f"is {UNTIL} here"},
    "--limit": {"export": "is for `list`: an export brings all rows"},
    "--out": {"export": "is called --to"},
    "--output": {"export": "is called --to"},
    "--since": dict.fromkeys(("list", "chart", "count"), "is called --from"),
}
"""What to say of options that a command does not have; "" stands for any other command."""

_DEFAULTS = (ParameterSource.DEFAULT, ParameterSource.DEFAULT_MAP)


Run: TypeAlias = Callable[[Any], Coroutine[Any, Any, int]]
"""A command, which is given the arguments and returns the exit code."""


class Value(click.ParamType[Any]):
    """A value that `read` makes of a text; a ValueError says what it should be."""

    def __init__(self, name: str, read: Callable[[str], Any]) -> None:
        self.name, self.read = name, read

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The value of a text; defaults are values already."""
        if not isinstance(value, str):
            return value
        try:
            return self.read(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


class OneOf(click.Choice[str]):
    """One of some words, in which tabs complete; `else_` maps others to what to say of them.

    The `hint` is said of any other that is like none.
    """

    def __init__(self, words: Collection[str], hint: str = "", **else_: str) -> None:
        super().__init__(tuple(words))
        self._hint, self._else = hint, else_

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The word, or an error that names the nearest."""
        if value in self.choices:
            return str(value)
        if value in self._else:
            self.fail(self._else[value], param, ctx)
        known = ", ".join(self.choices)
        hint = nearest(value, self.choices) or self._hint
        self.fail(f"it is none of {known}{hint}", param, ctx)


def _integer(text: str) -> int:
    # Not more digits than Python takes, of any script.
    if not re.fullmatch(r"[+-]?[0-9]{1,4000}", text):
        raise ValueError("it must be an integer")
    return int(text)


def _text(text: str) -> str:
    if not text:  # of a variable of a shell that is not set
        raise ValueError("it is empty")
    return text


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ValueError("it must be a number") from None


INTEGER = Value("integer", _integer)
NUMBER = Value("number", _number)
TEXT = Value("text", _text)


def option(
    *names: str, completes: str | Sequence[str] | Callable[[], Sequence[str]] = (), **more: Any
) -> click.Option:
    """An option, whose help says its default.

    It `completes` "file" or "dir" names, some words, or what a function returns. Its value is a
    text that is not empty, unless it has another type.
    """

    def complete(_ctx: click.Context, _param: click.Parameter, typed: str) -> list[CompletionItem]:
        if isinstance(completes, str):
            return [CompletionItem("", type=completes)]
        words = completes() if callable(completes) else completes
        return [CompletionItem(each) for each in words if each.startswith(typed)]

    if completes:
        more["shell_complete"] = complete
    if not {"type", "is_flag", "count"} & more.keys() and "/" not in names[0]:
        more["type"] = TEXT
    more.setdefault("show_default", more.get("default") not in (None, "") and "is_flag" not in more)
    return click.Option(names, **more)


class Command(click.Command):
    """A command of `params`.

    Of `exclusive` pairs both can't be given. What `needs` others says nothing without one of them.
    """

    def __init__(
        self,
        name: str,
        run: Run,
        params: Sequence[click.Parameter] = (),
        *,
        help: str,
        brief: str = "",
        examples: Sequence[str],
        epilog: str = "",
        exclusive: Sequence[tuple[str, str]] = (),
        needs: Mapping[str, Sequence[str]] | None = None,
        resource: str | None = None,
    ) -> None:
        shown = "\n".join(f"  {example}" for example in examples)
        super().__init__(
            name,
            params=list(params),
            help=help,
            short_help=brief or None,
            epilog=f"\b\nExamples:\n{shown}\n\n{epilog}".rstrip(),
            context_settings={"allow_extra_args": True, "help_option_names": ["-h", "--help"]},
        )
        self.run, self.examples = run, examples
        self.exclusive, self.needs = exclusive, needs or {}
        self._known = {} if resource is None else {"resource": resource}

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Reads the arguments into `ctx`, and complains of those that nothing takes."""
        rest = super().parse_args(ctx, args)
        if rest and not ctx.resilient_parsing:
            raise click.UsageError(unrecognized(rest, self.name or ""), ctx)
        return rest

    def invoke(self, ctx: click.Context) -> Arguments:
        """What is to run, with the options that stand before the command's name."""
        path = ctx.command_path.split(" ", 1)[1]
        values = self._known | ctx.params
        given = {name for name in ctx.params if ctx.get_parameter_source(name) not in _DEFAULTS}
        for above in _groups(ctx):
            for name, value in above.params.items():
                if above.get_parameter_source(name) in _DEFAULTS:
                    continue
                if name not in values:
                    raise click.UsageError(f"`{path}` takes no --{name.replace('_', '-')}", ctx)
                if name not in given:
                    values[name] = value
                    given.add(name)
        self._check(given, ctx)
        return Arguments(run=self.run, command=path, given=given, **values)

    def _check(self, given: Collection[str], ctx: click.Context) -> None:
        """Complains of options that exclude each other, or that nothing comes of."""
        flags = {param.name: max(param.opts, key=len) for param in self.params}
        for one, other in (("quiet", "verbose"), *self.exclusive):
            if one in given and other in given:
                text = f"{flags[one]} and {flags[other]} exclude each other: leave one out"
                raise click.UsageError(text, ctx)
        for name, others in (_NEEDS | {**self.needs}).items():
            if name in given and not any(other in given for other in others):
                wanted = " or ".join(flags[other] for other in others)
                text = f"{flags[name]} needs {wanted}: add it, or leave {flags[name]} out"
                raise click.UsageError(text, ctx)


def _groups(ctx: click.Context) -> list[click.Context]:
    """The groups that `ctx` is in, the inner one first."""
    return [] if ctx.parent is None else [ctx.parent, *_groups(ctx.parent)]


class Group(click.Group):
    """Commands, each made when it is needed, and options that may stand before their names."""

    def __init__(
        self, name: str, names: Sequence[str], make: Callable[[str], click.Command], **more: Any
    ) -> None:
        super().__init__(name, context_settings={"help_option_names": ["-h", "--help"]}, **more)
        self._names, self._make = names, make

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names, in the order of the help."""
        return [*self._names]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of that name."""
        return self._make(cmd_name) if cmd_name in self._names else None

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command that `args` begin with, and the rest of them."""
        if ctx.resilient_parsing or args[0] in self._names or args[0].startswith("-"):
            return super().resolve_command(ctx, args)
        known = ", ".join(self._names)
        meant = nearest(args[0], self._names)
        if args[0] == "get" and "list" in self._names:
            meant = "; one is found by list --filter 'id=ID'"
        raise click.UsageError(f"there is no such command{meant} (known: {known})", ctx)


def complaint(error: click.UsageError) -> str:
    """What to say of `error`, without what was typed."""
    if isinstance(error, click.NoSuchOption) and isinstance(error.ctx and error.ctx.command, Group):
        return "an option of a command stands behind the command's name"
    if isinstance(error, click.NoSuchOption):
        said = unrecognized([error.option_name], (error.ctx and error.ctx.command.name) or "")
        meant = f"; did you mean {error.possibilities[0]}?" if error.possibilities else ""
        return said if ";" in said else said + meant
    if isinstance(error, click.BadParameter) and error.param is not None:
        flag = error.param.opts[0]
        named = flag if flag[0] == "-" else error.param.human_readable_name.strip("[].")
        if not isinstance(error, click.MissingParameter):
            return f"{named}: {error.message}"
        of = (
            f" (one of {', '.join(error.param.type.choices)})"
            if isinstance(error.param.type, OneOf)
            else ""
        )
        return f"{named} is missing{of}"
    return error.format_message().rstrip(".")


def refuse(error: click.UsageError) -> str:
    """The usage of the command that `error` is about, and what is wrong."""
    usage = "" if error.ctx is None else f"{error.ctx.get_usage()}\n"
    return f"{usage}error: {complaint(error)}"


def fail(message: str) -> NoReturn:
    """Raises the error for a wrong usage of the present command."""
    raise click.UsageError(message, click.get_current_context(silent=True))


def unrecognized(arguments: Sequence[str], command: str = "") -> str:
    """What to say of `arguments` that a `command` does not take; a possible token is counted."""
    from voipstudio_cmb.boundary.checks import is_quotable  # not for help: it needs attrs

    names = [name for each in arguments if _NAME.fullmatch(name := each.partition("=")[0])]
    shown = [each for each in arguments if is_quotable(each) and each not in names]
    others = len(arguments) - len(names) - len(shown)
    words = [*names, *map(repr, shown), *([f"{others} without --"] if others else [])]
    known = {name: _INSTEAD[name] for name in names if name in _INSTEAD}
    said = {name: each.get(command) or each.get("") for name, each in known.items()}
    instead = "".join(f"; {name} {text}" for name, text in said.items() if text)
    token = "; a token is read from VOIPSTUDIO_API_TOKEN" if "--token" in names else ""
    return f"unrecognized arguments: {', '.join(words)}{instead}{token}"
