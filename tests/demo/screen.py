"""How the demo shows itself: progress is one line, which moves on a terminal, and grows elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.status import Status
from rich.table import Table

EVERY = 10.0
"""Seconds from one word of progress to the next where there is no terminal."""


class Board:
    """Some things under way, each with words on where it stands, all in one line."""

    def __init__(self, console: Console, now: Callable[[], float], status: Status | None) -> None:
        self._console, self._now, self._status = console, now, status
        self._words: dict[str, str] = {}
        self._began = self._said_at = now()
        self._said = ""

    def show(self, name: str, words: str) -> None:
        self._words[name] = words
        line = ", ".join(f"{one}: {where}" for one, where in self._words.items())
        if self._status is not None:
            self._status.update(f"{line} ({self._now() - self._began:.0f} s)")
        elif self._now() - self._said_at >= EVERY:
            self._grow("." if line == self._said else f"{' | ' if self._said else '  '}{line} ")
            self._said, self._said_at = line, self._now()

    def _grow(self, words: str) -> None:
        self._console.print(words, end="", highlight=False, markup=False)

    def end(self) -> None:
        if self._said:
            self._grow("\n")


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
            board = Board(self.console, self.now, None)
            try:
                yield board
            finally:
                board.end()
            return
        with self.console.status("") as status:
            yield Board(self.console, self.now, status)
