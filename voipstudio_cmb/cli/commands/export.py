"""The command `export`: its options, and which of its three ways they ask for."""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING

import click

from voipstudio_cmb.cli.arguments import Arguments
from voipstudio_cmb.cli.options import (
    EXIT_CODES,
    TOKEN,
    account_options,
    accounts_options,
    conditions,
    filter_options,
    walk_options,
)
from voipstudio_cmb.cli.parser import FROM, INTEGER, NUMBER, Command, OneOf, Value, option
from voipstudio_cmb.resources import RESOURCES

if TYPE_CHECKING:
    from voipstudio_cmb.export import Plan


async def run(arguments: Arguments) -> int:
    """Streams, forecasts or writes files; returns the exit code."""
    from voipstudio_cmb.cli import dry_run, files, stream
    from voipstudio_cmb.cli.ending import at_exit
    from voipstudio_cmb.cli.metrics import metrics_file
    from voipstudio_cmb.cli.report import print_end

    writes = arguments.to != "-" and not arguments.dry_run
    metrics = metrics_file(arguments) if writes else None
    if writes:
        at_exit(partial(print_end, arguments))
    plan = _plan(arguments)
    if writes:
        return await files.run(arguments, plan, metrics)
    if arguments.to == "-":
        return await stream.run(arguments, plan)
    return await dry_run.run(arguments, plan)


def _plan(arguments: Arguments) -> Plan:
    import attrs

    from voipstudio_cmb.export import Plan

    given, names = vars(arguments), [field.name for field in attrs.fields(Plan)]
    options = {name: given[name] for name in names if name in given}
    return Plan(filters=tuple(conditions(arguments)), **options)


def _columns(text: str) -> str | list[str]:
    if text in ("all", "documented"):
        return text
    names = [name.strip() for name in text.split(",")]
    if not all(names):
        raise ValueError("it is empty, or one of its names is: separate names by commas")
    return names


_ADDRESS = re.compile(r"((tcp|tls|ws|wss)://)?(\[[0-9a-f:.]+\]|[a-z0-9._-]+):[0-9]{1,5}", re.I)


def _address(text: str) -> str:
    if not _ADDRESS.fullmatch(text):
        raise ValueError("it must be the address of a Dask scheduler, as tcp://10.0.0.1:8786")
    return text


_FORMATS, _METHODS = ("jsonl", "csv", "sqlite", "parquet"), ("gzip", "zstd")


def _output_options() -> list[click.Parameter]:
    to = (
        "The directory to write into, or s3://bucket/prefix (gs, az, file); - streams the rows of "
        "one resource to standard output."
    )
    workspace = "With s3://…: the local directory to make the files in, not ~/.cache."
    columns = "all: a column for each member of the rows; documented; or NAME,NAME."
    overlap = (
        "With --since: how long a row can take to show after it was created, as 30s, 10m or 1h."
    )
    since = OneOf(["last"], hint=f"; for rows from a day on, {FROM}")
    verify = "With --since last: compare the files before with their SHA-256, not only their size."
    return [
        option("--to", required=True, metavar="DIR", help=to, completes="dir"),
        option("--workspace", metavar="DIR", help=workspace, completes="dir"),
        option("--format", type=OneOf(_FORMATS), default="jsonl", help="What they are."),
        option(
            "--columns", default="all", type=Value("columns", _columns), metavar="COLUMNS",
            help=columns,
        ),
        option(
            "--compress", type=OneOf(_METHODS), help="With what, if the format supports it.",
        ),
        option(
            "--csv-null", type=str, default="", metavar="TEXT",
            help="What represents null in CSV.",
        ),
        *filter_options(),
        option("--since", type=since, help="Only what is new since the last export."),
        option("--overlap", default="0", metavar="TIME", help=overlap),
        option("--verify", is_flag=True, help=verify),
        option("--overwrite", is_flag=True, help="Replace files that exist."),
        option("--restart", is_flag=True, help="Start again instead of resuming."),
    ]  # fmt: skip


def _run_options() -> list[click.Parameter]:
    progress = (
        "On standard error: bars on a terminal, else lines (auto); JSON events; lines; nothing."
    )
    patience = "How long to wait for an API that is away, as 90s or 1h; 0: not at all."
    metrics = "Write what the run came to into this file, for Prometheus' node exporter."
    accounts = "Export each account of this TOML file into a directory named after it."
    shard = (
        "With --accounts: only part NUMBER of COUNT, as 2/8; auto: the part of this pod of an "
        "Indexed Job."
    )
    workers = "With --accounts: in so many processes of Dask, each with its share of --jobs."
    cluster = "With --accounts: by the workers of this Dask scheduler, as tcp://host:8786."
    rate = "The most requests per second for each account; --rate is for all together."
    return [
        option("--dry-run", is_flag=True, help="Only say what would be fetched; write nothing."),
        *walk_options(),
        option(
            "--jobs", type=INTEGER, default=8, metavar="N",
            help="Resources exported at a time.",
        ),
        option(
            "--progress", type=OneOf(("auto", "json", "lines", "none")), default="auto",
            help=progress,
        ),
        option("--patience", default="15m", metavar="TIME", help=patience),
        option("--metrics", metavar="FILE", help=metrics),
        *account_options(),
        *accounts_options(accounts),
        option("--shard", metavar="NUMBER/COUNT", help=shard),
        option("--workers", type=INTEGER, metavar="N", help=workers),
        option("--cluster", type=Value("address", _address), metavar="ADDRESS", help=cluster),
        option("--rate-per-account", type=NUMBER, metavar="PER_SECOND", help=rate),
        option("--sandbox", is_flag=True, help="Export from the stand-in: needs no token."),
    ]  # fmt: skip


_RESOURCES = f"Export collections (of {', '.join(RESOURCES)}; default: all)"

COMMAND = Command(
    "export",
    run,
    [
        click.Argument(["resources"], nargs=-1, metavar="[RESOURCE]...", type=OneOf(RESOURCES)),
        *_output_options(),
        *_run_options(),
    ],
    help=f"{_RESOURCES} into files that appear only when complete.",
    brief="Export collections into files that appear only when complete.",
    examples=[
        "voipstudio-cmb export --to exports --since last",
        "voipstudio-cmb export cdrs --to - --filter 'created_at>=2026-01-01'",
    ],
    epilog=f"{EXIT_CODES}\n\n{TOKEN}",
    exclusive=[
        ("quiet", "progress"),
        *(("accounts", other) for other in ("profile", "sandbox")),
        ("sandbox", "profile"),
        ("rate", "rate_per_account"),
        ("since", "overwrite"),
        ("workers", "cluster"),
        ("cluster", "jobs"),
        *(
            (where, other)
            for where in ("workers", "cluster")
            for other in ("shard", "dry_run", "overwrite", "restart")
        ),
    ],
    needs={
        "on_ignored_filter": ["filter"],
        "overlap": ["since"],
        "verify": ["since"],
        "rate_per_account": ["accounts"],
        "account": ["accounts"],
        "shard": ["accounts"],
        "workers": ["accounts"],
        "cluster": ["accounts"],
    },
)
