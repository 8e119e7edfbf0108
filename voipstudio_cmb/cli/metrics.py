"""`export --metrics FILE`: the last run in Prometheus' text format, for its node exporter."""

from __future__ import annotations

import errno
import os
import re
import stat
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from voipstudio_cmb.boundary.checks import quoted_path
from voipstudio_cmb.boundary.files import read_regular
from voipstudio_cmb.errors import ClientMisuse
from voipstudio_cmb.exit_codes import FAILED
from voipstudio_cmb.export import Summary
from voipstudio_cmb.export.store.disk import Disk, status, write_atomic
from voipstudio_cmb.export.store.lock import directory_locked

from .arguments import Arguments
from .ending import at_exit
from .terminal import notify

_PREFIX = "voipstudio_cmb_export_"
_FIRST = f"# HELP {_PREFIX}exit_code "
_SUCCESS = "last_success_timestamp_seconds"
_SUCCEEDED = re.compile(
    rf'^{_PREFIX}{_SUCCESS}\{{export="[^\n]*",(account="[^\n]*",resource="[a-z]+")\}} ([0-9.]+)$',
    re.MULTILINE,
)
_LARGEST = 64 * 1024 * 1024

Samples = Mapping[str, float]
"""The values of a metric, by the labels that tell them apart."""


class MetricsFile:
    """The file `path`, which tells of the last run of an export; `clock` gives Unix time.

    Its name, without what follows the last dot, is the label `export`: a metric may stand only once
    in all the files that one node exporter reads.

    Raises:
        ClientMisuse: it can't be written there, or is another file.
    """

    summary: Summary | None = None
    """What became of the run, once that is known."""

    def __init__(self, path: Path, clock: Callable[[], float] = time.time) -> None:
        self.path = Path(os.path.realpath(path))  # not a link to it, which would be replaced
        self._clock = clock
        try:
            if not stat.S_ISDIR(os.stat(self.path.parent).st_mode):
                raise ClientMisuse(f"--metrics: {quoted_path(path)} is in no directory")
            before = self._before()
        except OSError as error:
            absent = isinstance(error, FileNotFoundError)
            how = "make its directory first" if absent else "name a file in a directory that exists"
            raise ClientMisuse(
                f"--metrics: {quoted_path(path)} can't be used ({error.strerror}): {how}, or leave "
                "the option out"
            ) from None
        if before and not before.startswith(_FIRST):
            raise ClientMisuse(
                f"--metrics: {str(path)!r} exists and was not written by an export: name another "
                "file, or move it away"
            )

    def _before(self) -> str:
        if status(self.path) is None:
            return ""
        return read_regular(self.path, _LARGEST).decode("utf-8", "replace")

    def write(self, code: int) -> None:
        """Replaces the file after a run that ends with the exit `code`.

        Raises:
            OSError: it can't be written; what it held stays.
        """
        with directory_locked(self.path.parent):
            if (before := self._before()) and not before.startswith(_FIRST):
                raise FileExistsError(errno.EEXIST, "the export itself has made that file")
            succeeded = {labels: float(at) for labels, at in _SUCCEEDED.findall(before)}
            text = _text(self.path.stem, code, self._clock(), self.summary, succeeded)
            write_atomic(Disk(), self.path, text.encode())


def metrics_file(arguments: Arguments) -> MetricsFile | None:
    """The file that `--metrics` names, which is written when the command ends, however it does.

    Raises:
        ClientMisuse: it can't be used.
    """
    if arguments.metrics is None:
        return None
    file = MetricsFile(Path(arguments.metrics))

    def write(code: int) -> int:
        try:
            file.write(code)
        except OSError as error:
            notify(arguments, f"error: the metrics can't be written: {error.strerror}")
            return code or FAILED
        return code

    at_exit(write)
    return file


def _text(export: str, code: int, now: float, summary: Summary | None, succeeded: Samples) -> str:
    """The metrics of a run that ended `now`; `succeeded` says when its jobs did so before."""
    families: list[tuple[str, str, Samples]] = [
        ("exit_code", "With what the last run ended.", {"": code}),
        ("end_timestamp_seconds", "When the last run ended.", {"": round(now, 3)}),
    ]
    if summary is not None:
        families += [
            ("duration_seconds", "How long the last run took.", {"": round(summary.seconds, 3)}),
            ("requests", "The requests that the last run sent.", {"": summary.requests}),
            ("retries", "Those beyond the first of their call.", {"": summary.retries}),
            *_of_jobs(summary),
        ]
        done = families[-1][2]
        succeeded = {
            labels: round(now, 3) if done[labels] else succeeded.get(labels, 0) for labels in done
        }
    families.append((_SUCCESS, "When a run last completed the resource; 0: none has.", succeeded))
    return "".join(_lines(_label("export", export), families))


def _of_jobs(summary: Summary) -> list[tuple[str, str, Samples]]:
    """What differs from resource to resource, of which several jobs may make files."""
    rows: dict[str, float] = {}
    rejected: dict[str, float] = {}
    complete: dict[str, float] = {}
    for job in summary.jobs:
        labels = f"{_label('account', job.account)},{_label('resource', job.resource)}"
        done = int(job.state == "done")
        rows[labels] = rows.get(labels, 0) + job.rows * done
        rejected[labels] = rejected.get(labels, 0) + job.rejected
        complete[labels] = min(complete.get(labels, 1), done)
    return [
        ("rows", "The rows in the files that the last run completed.", rows),
        ("rejected_rows", "The rows that could not be used.", rejected),
        ("complete", "Whether the last run completed the resource.", complete),
    ]


def _label(name: str, value: str) -> str:
    text = value.encode("utf-8", "replace").decode()
    for plain, escaped in (("\\", "\\\\"), ('"', '\\"'), ("\n", "\\n")):
        text = text.replace(plain, escaped)
    return f'{name}="{text}"'


def _lines(export: str, families: Iterable[tuple[str, str, Samples]]) -> Iterable[str]:
    for name, meaning, samples in families:
        yield f"# HELP {_PREFIX}{name} {meaning}\n# TYPE {_PREFIX}{name} gauge\n"
        for labels, value in samples.items():
            yield f"{_PREFIX}{name}{{{export}{',' * bool(labels)}{labels}}} {value!r}\n"
