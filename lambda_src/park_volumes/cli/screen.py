"""What a person sees: bars if there is a terminal and the package rich, otherwise plain lines."""

import importlib.util
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol, TextIO


class Board(Protocol):
    """Shows the progress of each instance, with a text."""

    def show(self, name: str, percent: float, words: str) -> None: ...


class Lines:
    """Prints a line for each change of the text."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._said: dict[str, str] = {}

    def show(self, name: str, percent: float, words: str) -> None:
        if self._said.get(name) != words:
            self._said[name] = words
            print(f"{name}: {words} ({percent:.0f}%)", file=self._out, flush=True)


class Screen:
    def __init__(self, out: TextIO, notes: TextIO) -> None:
        self._out, self._notes = out, notes

    def note(self, words: str) -> None:
        """Say something beside the answer, which a program may be reading."""
        print(words, file=self._notes, flush=True)

    def say(self, words: str = "") -> None:
        print(words, file=self._out, flush=True)

    def table(self, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
        """Columns as wide as their widest cell; the last one is free text."""
        every = [columns, *rows]
        widths = [max(len(row[k]) for row in every) for k in range(len(columns) - 1)]
        for row in every:
            self.say("  ".join([*(cell.ljust(w) for cell, w in zip(row, widths, strict=False)), row[-1]]).rstrip())

    @contextmanager
    def board(self) -> Iterator[Board]:
        if self._out.isatty() and importlib.util.find_spec("rich"):
            with _bars(self._out) as bars:
                yield bars
        else:
            yield Lines(self._out)


@contextmanager
def _bars(out: TextIO) -> Iterator[Board]:
    """Imported only here: the commands work without rich."""
    from rich.console import Console  # noqa: PLC0415  # needed here only, and may be absent
    from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn  # noqa: PLC0415  # the same

    name = TextColumn("{task.description}", markup=False)
    words = TextColumn("{task.fields[words]}", markup=False)
    with Progress(name, BarColumn(bar_width=30), words, TimeElapsedColumn(), console=Console(file=out)) as progress:
        tasks: dict[str, TaskID] = {}

        class Bars:
            def show(self, name: str, percent: float, words: str) -> None:
                if name not in tasks:
                    tasks[name] = progress.add_task(name, total=100, words="")
                progress.update(tasks[name], completed=percent, words=words)

        yield Bars()
