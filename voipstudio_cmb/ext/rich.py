"""Progress bars and rendered guides by rich, which comes with the extra `cli`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import IO, Self

from rich.console import Console, ConsoleDimensions
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn
from rich.text import Text


class Bars:
    """Progress bars on a terminal, of which at most `room` fit."""

    def __init__(self, stream: IO[str], width: int, height: int) -> None:
        self._console = Console(file=stream)
        # Not redirecting, or rich would send what is printed to standard output the same way.
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=20),
            TextColumn("{task.fields[text]}", markup=False),
            console=self._console,
            redirect_stdout=False,
            redirect_stderr=False,
            auto_refresh=False,  # by a thread: it would draw for a reader that does not read, too
        )
        self._bars: dict[str, TaskID] = {}
        self.resize(width, height)

    def resize(self, width: int, height: int) -> None:
        """Fits what comes next into `width` columns and `height` lines."""
        self._console.size = ConsoleDimensions(width, height)
        self.room: int = max(1, height - 3)

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
        self._progress.refresh()

    def print_above(self, line: str) -> None:
        """Prints `line` above the bars, which are drawn again below it."""
        self._console.print(Text(line), soft_wrap=True)

    def __exit__(self, *_: object) -> None:
        self._progress.stop()


def can_draw(stream: IO[str]) -> bool:
    """Whether `stream` is a terminal on which a cursor moves; rich's own variables are obeyed."""
    return bool(Console(file=stream).is_interactive)


def rendered(markdown: str) -> str:
    """The text of a Markdown document as this terminal shows it, at most 100 columns wide."""
    from rich.markdown import Markdown  # with its parser, which bars do not need

    console = Console()
    console.width = min(console.width, 100)
    with console.capture() as capture:
        console.print(Markdown(markdown))
    return capture.get()
