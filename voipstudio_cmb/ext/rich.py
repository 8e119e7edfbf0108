"""Progress bars and tables by rich, which comes with the extra `cli`."""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import IO, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Column, Table
from rich.text import Text

from voipstudio_cmb.export import Job


class Bars:
    """One bar a job on standard error, redrawn by `show`."""

    def __init__(self, stream: IO[str]) -> None:
        # Not redirecting, or rich would send what is printed to standard output the same way.
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.fields[name]:<9}"),
            BarColumn(),
            TextColumn("{task.completed:>9,.0f} rows"),
            TimeElapsedColumn(),
            TextColumn("{task.fields[state]}"),
            console=Console(file=stream),
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._bars: dict[str, TaskID] = {}

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def show(self, jobs: Sequence[Job]) -> None:
        """Draws the *jobs* as they stand."""
        for job in jobs:
            if job.resource not in self._bars:
                self._bars[job.resource] = self._progress.add_task(
                    "", name=job.resource, state=job.state, total=None
                )
            total = job.rows if job.state == "done" else job.total
            self._progress.update(
                self._bars[job.resource], completed=job.rows, total=total, state=job.state
            )

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._progress.stop()


def print_table(stream: IO[str], columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Prints *rows* under *columns*, fitted to the terminal."""
    table = Table(*(Column(name, no_wrap=True) for name in columns))
    for row in rows:
        # As Text, or brackets in a value would be taken for markup.
        table.add_row(*(Text(cell) for cell in row))
    Console(file=stream).print(table)
