"""`make explore`: random stories until as many are told as were asked for, on all cores, and what they covered.

SCHEDULES= says how many (100,000 without it), SEED= the first seed (0 without it), PROCESSES= how many at once (as many
as there are cores). Of a story that goes wrong the shortest form is shown at once, and the seed tells it again; the
others go on. Then every reader of tags and messages is fed with anything, EXAMPLES= times (100,000 without it). Ends
with 1 if something went wrong.
"""

import os
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from multiprocessing import get_context

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from tests.explore.walks import Walked, ready_for_many, walked

CHUNK = 500
LINES = 20
"""Without a terminal, so many lines of progress are printed."""
ANYTHING = ("tests/unit/test_anything.py", "tests/unit/test_reading.py", "tests/unit/test_notices.py")
"""The tests that are given anything."""


def main() -> int:
    schedules, seed = _number("SCHEDULES", 100_000), _number("SEED", 0)
    processes = _number("PROCESSES", os.cpu_count() or 1)
    console = Console()
    console.print(f"{schedules:,} random schedules from seed {seed} on, in {processes} processes.")
    began, found = time.monotonic(), 0
    seen: Counter[str] = Counter()
    chunks = [range(n, min(n + CHUNK, seed + schedules)) for n in range(seed, seed + schedules, CHUNK)]
    with get_context("spawn").Pool(processes, ready_for_many) as pool:
        for told, covered, findings in _shown(pool.imap_unordered(walked, chunks), schedules, console):
            seen += covered
            found += len(findings)
            for finding in findings:
                console.print(f"\nAfter {told:,} schedules:\n{finding}\n", markup=False, highlight=False)
    minutes = (time.monotonic() - began) / 60
    wrong = f"{found:,} of them went wrong" if found else "nothing found"
    console.print(f"\n{schedules:,} schedules in {minutes:.1f} minutes, and {wrong}. They covered:")
    _print_covered(seen, console)
    whole = _feed(_number("EXAMPLES", 100_000), processes, console)
    return 0 if whole and not found else 1


def _feed(examples: int, processes: int, console: Console) -> bool:
    """Whether every reader stands anything, so many times."""
    if not examples:
        return True
    console.print(f"\n{examples:,} examples of anything for every reader of tags and messages.")
    command = [sys.executable, "-m", "pytest", "-q", "-n", str(processes), *ANYTHING]
    return not subprocess.run(command, env={**os.environ, "EXAMPLES": str(examples)}, check=False).returncode


def _number(name: str, otherwise: int) -> int:
    text = os.environ.get(name) or str(otherwise)
    if not re.fullmatch(r"[0-9_,]+", text):
        sys.exit(f"{name}={text} is not a whole number.")
    return int(text.replace(",", "").replace("_", ""))


def _shown(results: Iterable[Walked], schedules: int, console: Console) -> Iterator[Walked]:
    """The same results with the sum of stories told, and a bar that moves with them; plain lines without a terminal."""
    columns = (
        TextColumn("exploring"),
        BarColumn(bar_width=None),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    told, shown = 0, 0
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        bar = progress.add_task("", total=schedules)
        for count, seen, findings in results:
            told += count
            progress.advance(bar, count)
            if not console.is_terminal and told * LINES // schedules > shown:
                shown = told * LINES // schedules
                console.print(f"{told:,} of {schedules:,} schedules")
            yield told, seen, findings


def _print_covered(seen: Counter[str], console: Console) -> None:
    for name, count in sorted(seen.items()):
        console.print(f"{count:>12,}  {name}", highlight=False)


if __name__ == "__main__":
    sys.exit(main())
