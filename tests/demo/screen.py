"""How the demo shows itself: bars and colours on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

WIDTH = 110


class Board:
    """Some things under way, each with a percentage and a word on where it stands."""

    def __init__(self, console: Console, progress: Progress | None) -> None:
        self._console, self._progress = console, progress
        self._tasks: dict[str, TaskID] = {}
        self._said: dict[str, str] = {}

    def show(self, name: str, percent: float, words: str) -> None:
        """Move a bar; without a terminal, say a line where the words have changed."""
        if self._progress is not None:
            if name not in self._tasks:
                self._tasks[name] = self._progress.add_task(name, total=100, words="")
            self._progress.update(self._tasks[name], completed=percent, words=words)
        elif self._said.get(name) != words:
            self._said[name] = words
            self._console.print(f"  {name}: {words}", highlight=False)


class Screen:
    def __init__(self) -> None:
        self.console = Console(soft_wrap=True)
        self.now: Callable[[], float] = time.monotonic
        self._began = self.now()
        self.failed: list[str] = []

    def go_by(self, now: Callable[[], float]) -> None:
        """Tells the time by another clock from now on."""
        self._began, self.now = now() - (self.now() - self._began), now

    def heading(self, words: str) -> None:
        elapsed = self.now() - self._began
        self.console.print(f"\n[bold]{words}[/bold] [dim]({elapsed:.0f} s)[/dim]", highlight=False)

    def say(self, words: str) -> None:
        self.console.print(f"  {words}", highlight=False, markup=False)

    def check(self, claim: str, problems: Iterable[str] = ()) -> None:
        """A claim that held, or the problems that speak against it; they make the demo fail."""
        found = list(problems)
        sign = "[red]✗[/red]" if found else "[green]✓[/green]"
        self.console.print(f"  {sign} {claim}", highlight=False)
        for problem in found:
            self.console.print(f"      {problem}", highlight=False, markup=False)
        self.failed += found

    def table(self, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
        table = Table(*columns, box=None, pad_edge=True, header_style="bold")
        for row in rows:
            table.add_row(*row)
        self.console.print(table, highlight=False)

    @contextmanager
    def board(self) -> Iterator[Board]:
        if not self.console.is_terminal:
            yield Board(self.console, None)
            return
        columns = (
            TextColumn("  {task.description:<34}"),
            BarColumn(bar_width=30),
            TextColumn("{task.fields[words]}"),
            TimeElapsedColumn(),
        )
        with Progress(*columns, console=self.console) as progress:
            yield Board(self.console, progress)
