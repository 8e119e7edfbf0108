"""Progress bars and tables by rich, which comes with the extra `cli`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import IO, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn
from rich.table import Column, Table
from rich.text import Text


class Bars:
    """Progress bars on a terminal, of which at most `room` fit."""

    def __init__(self, stream: IO[str]) -> None:
        console = Console(file=stream)
        # Not redirecting, or rich would send what is printed to standard output the same way.
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=20),
            TextColumn("{task.fields[text]}", markup=False),
            console=console,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self.room: int = max(1, console.height - 3)
        self._bars: dict[str, TaskID] = {}

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def show(self, bars: Sequence[tuple[str, int, int | None, str]], line: str) -> None:
        """Draws a bar for each name, number, total (if known) and text, and `line` below."""
        drawn = {name: (done, total, text) for name, done, total, text in bars}
        if line:
            drawn["all"] = (0, None, line)
        for name in set(self._bars) - set(drawn):
            self._progress.remove_task(self._bars.pop(name))
        for name, (done, total, text) in drawn.items():
            if name not in self._bars:
                self._bars[name] = self._progress.add_task(name, text=text, total=None)
            self._progress.update(self._bars[name], completed=done, total=total, text=text)

    def __exit__(self, *_: object) -> None:
        self._progress.stop()


def print_table(stream: IO[str], columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Prints `rows` under `columns`, fitted to the terminal."""
    table = Table(*(Column(Text(name), no_wrap=True) for name in columns))
    for row in rows:
        # As Text, as the names are, or brackets in them would be taken for markup.
        table.add_row(*(Text(cell) for cell in row))
    Console(file=stream).print(table)
