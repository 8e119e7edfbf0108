"""Options that several commands share."""

from __future__ import annotations

import argparse

EPILOG = """exit codes: 0 done; 1 failed; 2 wrong usage; 3 finished, but some rows were rejected or
some jobs failed for good; 4 not authorised; 5 failed for now: run the same command again to
resume; 130 interrupted and 143 terminated: an export can be resumed likewise

The token comes from the profile that --profile names; else from VOIPSTUDIO_API_TOKEN, and the base
URL from VOIPSTUDIO_API_URL; else from the current profile that `vs auth login` wrote."""


def add_account_options(parser: argparse.ArgumentParser) -> None:
    """Adds `--profile` and `--rate`."""
    add = parser.add_argument
    add("--profile", metavar="NAME", help="a profile of the vendor's command line")
    add("--rate", type=float, metavar="PER_SECOND", help="the most requests per second")


def add_filter_option(parser: argparse.ArgumentParser) -> None:
    like = "only rows like 'created_at>=2026-01-01'; operators = > >= < <= and ~ (like); repeatable"
    parser.add_argument("--filter", action="append", default=[], metavar="CONDITION", help=like)
    parser.add_argument(
        "--filter-here",
        dest="on_ignored_filter",
        action="store_const",
        const="client",
        default="raise",
        help="send no --filter: read all rows and compare them here, for an API that ignores it",
    )


def check_numbers(arguments: argparse.Namespace) -> None:
    """Raises ClientMisuse if a rate is not a number above 0, or a count is below 1."""
    from voipstudio_cmb.checks import checked_integer, checked_number

    for name in ("rate", "rate_per_account"):
        if (rate := getattr(arguments, name, None)) is not None:
            checked_number(f"--{name.replace('_', '-')}", rate)
    for name in ("jobs", "limit"):
        checked_integer(f"--{name}", getattr(arguments, name, 1), 1)
