"""Options that several commands share."""

from __future__ import annotations

import argparse

EPILOG = """exit codes: 0 done; 1 failed; 2 wrong usage; 3 finished, but some rows were rejected or
some jobs failed for good; 4 not authorised; 5 failed for now: run the same command again to
resume; 130 interrupted and 143 terminated: an export can be resumed likewise

The token comes from VOIPSTUDIO_API_TOKEN, else from the profile that --profile names, else from the
current profile that `vs auth login` wrote. A profile's token goes to the profile's URL; one without
a URL, and the token of the variable, go to VOIPSTUDIO_API_URL."""


def add_account_options(parser: argparse.ArgumentParser) -> None:
    """Adds `--profile` and `--rate`."""
    add = parser.add_argument
    add(
        "--profile",
        metavar="NAME",
        help="a profile of the vendor's command line, unless VOIPSTUDIO_API_TOKEN is set",
    )
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


def check_numbers(arguments: argparse.Namespace) -> None:
    """Raises ClientMisuse if a rate is not a number above 0, or a count is below 1."""
    from voipstudio_cmb.boundary.checks import checked_integer
    from voipstudio_cmb.limits import checked_rate

    for name in ("rate", "rate_per_account"):
        if (rate := getattr(arguments, name, None)) is not None:
            checked_rate(f"--{name.replace('_', '-')}", rate)
    for name in ("jobs", "limit"):
        checked_integer(f"--{name}", getattr(arguments, name, 1), 1)
