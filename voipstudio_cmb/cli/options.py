"""Options that several commands share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
from click.shell_completion import CompletionItem

from .arguments import Arguments
from .parser import INTEGER, NUMBER, option

if TYPE_CHECKING:
    from voipstudio_cmb.filters import Filter

_MOST_JOBS = 1000
_MOST_WORKERS = 1000

EXIT_CODES = """Exit codes: 0 done; 1 failed; 2 wrong usage; 3 finished, but some rows were rejected
or some of several things failed for good; 4 not authorised; 5 failed for now: run the same command
again, which resumes an export, but after a change that may have been carried out look first; 130
interrupted and 143 terminated: an export can be resumed likewise."""

DIFFERENCES = """Exit codes: 0 no difference; 10 differences; 1 failed; 2 wrong usage, or a document
with mistakes; 3 some accounts failed; 4 not authorised; 5 failed for now: run the same command
again; 130 interrupted."""

APPLIED = """Exit codes: 0 done; 1 failed; 2 wrong usage, a document with mistakes, or an outdated
plan; 3 some of it failed; 4 not authorised; 5 something failed for now, had changed meanwhile, or
may have been carried out: run the same command again; 130 interrupted."""

TOKEN = """The token comes from VOIPSTUDIO_API_TOKEN or the file that VOIPSTUDIO_API_TOKEN_FILE
names, else from the profile that --profile names, else from the current profile that `vs auth
login` wrote; --profile beside either variable is refused. A profile's token goes to the profile's
URL; one without a URL, and the token of a variable, go to VOIPSTUDIO_API_URL. VOIPSTUDIO_LOG=info
or debug is -v or -vv."""


def account_options() -> list[click.Parameter]:
    """`--profile`, `--rate` and where it is shared, `--verbose` and `--quiet`."""
    profile = "A profile of the vendor's command line, if no variable has a token."
    shared = (
        "With --rate: share it with all who name this Redis or Valkey, as redis://HOST:6379/0. A "
        "URL with a password is safer in the variable VOIPSTUDIO_RATE_LIMIT, which is for each "
        "--rate."
    )
    key = "The name of what is shared so, such as the account's."
    verbose = "Show what is waited for and tried again; -vv: each attempt, with its request id."
    return [
        option("--profile", metavar="NAME", help=profile, completes=_profiles),
        option("--rate", type=NUMBER, metavar="PER_SECOND", help="The most requests per second."),
        option("--rate-limit", metavar="URL", help=shared),
        option("--rate-limit-key", default="voipstudio-cmb", metavar="NAME", help=key),
        option("--verbose", "-v", count=True, help=verbose, show_default=False),
        quiet_option(),
    ]


def quiet_option() -> click.Parameter:
    """`--quiet`."""
    quiet = "Print errors only, and the rows or records that were asked for."
    return option("--quiet", "-q", is_flag=True, help=quiet)


def _profiles() -> list[str]:
    """The names in the vendor's profile file, if it can be read."""
    from voipstudio_cmb.auth.profile import Environment, profile_names

    return profile_names(Environment())


def ids_argument() -> click.Parameter:
    """One id or more."""
    return click.Argument(
        ["ids"], nargs=-1, required=True, metavar="ID...", type=INTEGER,
        callback=lambda _ctx, _param, ids: tuple(dict.fromkeys(ids)),
    )  # fmt: skip


def dry_run_option() -> click.Parameter:
    """`--dry-run` of what changes something."""
    return option("--dry-run", is_flag=True, help="Only print the requests, without the token.")


def condition_option() -> click.Parameter:
    """`--filter`."""
    like = (
        "Only rows like 'created_at>=2026-01-01'; operators = > >= < <= and ~ (like); repeatable."
    )
    return option("--filter", multiple=True, metavar="CONDITION", help=like)


def filter_options() -> list[click.Parameter]:
    """`--filter` and `--filter-here`."""
    here = "Send no --filter: read all rows and compare them here, for an API that ignores it."
    return [
        condition_option(),
        option(
            "--filter-here",
            "on_ignored_filter",
            is_flag=True,
            flag_value="client",
            default="raise",
            help=here,
        ),
    ]


def period_options() -> list[click.Parameter]:
    """`--from`, `--until` and `--zone`."""
    since = (
        "Only rows created from then on: 2026-01-31, '2026-01-31 10:00', today, yesterday, or "
        "24h, 7d, 2w ago."
    )
    zone = "Whose times these are: the account's.  [default: this machine's]"
    return [
        option("--from", "start", metavar="TIME", help=since),
        option("--until", metavar="TIME", help="And before then; of a day, until its end."),
        option("--zone", metavar="NAME", help=zone),
    ]


def walk_options() -> list[click.Parameter]:
    """`--page-size` and `--concurrency`."""
    return [
        option("--page-size", type=INTEGER, default=500, metavar="N", help="Rows per page."),
        option(
            "--concurrency", type=INTEGER, default=4, metavar="N",
            help="Page requests in flight per resource.",
        ),
    ]  # fmt: skip


_SECTIONS = "The accounts that a document has [accounts.NAME] sections for: a TOML file."


def accounts_options(accounts: str = _SECTIONS) -> list[click.Parameter]:
    """`--accounts`, with what it is for, and `--account`."""
    return [
        option("--accounts", metavar="FILE", help=accounts, completes="file"),
        option(
            "--account", multiple=True, metavar="NAME", shell_complete=_account_names,
            help="With --accounts: only this one; repeatable.",
        ),
    ]  # fmt: skip


def _account_names(ctx: click.Context, _param: click.Parameter, typed: str) -> list[CompletionItem]:
    from voipstudio_cmb.export.accounts import account_names

    names = account_names(ctx.params.get("accounts") or "")
    return [CompletionItem(name) for name in names if name.startswith(typed)]


def document_argument(*, required: bool = True) -> click.Parameter:
    """The document's path."""

    def complete(_ctx: click.Context, _param: click.Parameter, _typed: str) -> list[CompletionItem]:
        return [CompletionItem("", type="file")]

    metavar = "FILE" if required else "[FILE]"
    return click.Argument(["document"], metavar=metavar, required=required, shell_complete=complete)


def prune_option() -> click.Parameter:
    """`--prune`."""
    prune = "Delete what an apply made or adopted, and the document has no more."
    return option("--prune", is_flag=True, help=prune)


def check_certificates() -> None:
    """Raises ClientMisuse if the certificates that the environment names could never be read."""
    import os

    from voipstudio_cmb.boundary.files import check_regular
    from voipstudio_cmb.errors import ClientMisuse

    try:
        if path := os.environ.get("SSL_CERT_FILE"):
            check_regular(path, 64 * 1024 * 1024)
    except FileNotFoundError:
        pass  # then there are none, which the handshake will tell
    except OSError as error:
        raise ClientMisuse(f"SSL_CERT_FILE can't be read: {error.strerror}") from None


def check_numbers(arguments: Arguments) -> None:
    """Raises ClientMisuse if a rate is not a number above 0, or an integer is out of its range."""
    from voipstudio_cmb.boundary.checks import checked_integer
    from voipstudio_cmb.limits import checked_rate
    from voipstudio_cmb.query import MAX_CONCURRENCY, MAX_PAGE_SIZE

    ranges = {
        "jobs": (1, _MOST_JOBS), "workers": (1, _MOST_WORKERS), "limit": (1, None),
        "page_size": (1, MAX_PAGE_SIZE), "concurrency": (1, MAX_CONCURRENCY),
    }  # fmt: skip
    for name in ("rate", "rate_per_account"):
        if (rate := getattr(arguments, name, None)) is not None:
            checked_rate(f"--{name.replace('_', '-')}", rate)
    for name, bounds in ranges.items():
        if (number := getattr(arguments, name, None)) is not None:
            checked_integer(f"--{name.replace('_', '-')}", number, *bounds)
    for id in getattr(arguments, "ids", ()):
        checked_integer("ID", id, 1, 2**63 - 1)


def conditions(arguments: Arguments) -> list[Filter]:
    """What `--filter` says; raises ClientMisuse if that is no condition."""
    from voipstudio_cmb.errors import ClientMisuse
    from voipstudio_cmb.filters import parse

    try:
        return [*map(parse, arguments.filter)]
    except ClientMisuse as error:
        raise ClientMisuse(f"--filter: {error.message}") from None
