"""``make mutants``: puts small faults into the code at random, and shows those that no unit test finds.

NUMBER= says how many (300 without it, "all" for every one), SEED= which (1 without it), ROOM= takes only the files
whose path begins with one of these words, PROCESSES= how many at once (as many as there are cores), CPU_SECONDS= after
how much processor time one has no end. Ends with 1 if fewer are found than pyproject.toml asks for, and with 2 if
nothing could be said.
"""

from __future__ import annotations

import os
import random
import sys
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from tests.mutation.choice import choose
from tests.mutation.hunt import CPU_SECONDS, Limits, Outcome, hunt
from tests.mutation.mutants import Mutant
from tests.mutation.project import Project, ProjectError, read

NUMBER = 300


def main(root: Path, given: Mapping[str, str]) -> int:
    try:
        return _main(read(root), given)
    except ProjectError as error:
        print(error, file=sys.stderr)
        return 2


def _main(project: Project, given: Mapping[str, str]) -> int:
    rooms = tuple((given.get("ROOM") or "").replace(",", " ").split()) or ("",)
    every = [mutant for mutant in project.mutants() if mutant.path.startswith(rooms)]
    chosen = pick(every, given.get("NUMBER") or str(NUMBER), int(given.get("SEED") or 1))
    if not chosen:
        raise ProjectError(
            f"There is nothing to mutate in {given.get('ROOM')}: the rooms are {', '.join(project.rooms)}."
        )
    cores = int(given.get("PROCESSES") or os.cpu_count() or 1)
    print(f"{len(chosen)} of {len(every)} possible mutants. Which tests run which line?", flush=True)
    choice = choose(project, cores)
    sources, began = project.sources(), time.monotonic()
    outcomes: Counter[Outcome] = Counter()

    def tell(mutant: Mutant, outcome: Outcome) -> None:
        outcomes[outcome] += 1
        if not outcome.found:
            place = (project.package / mutant.path).relative_to(project.root)
            print(f"\n{place}:{mutant.line}: {outcome.value}\n{mutant.diff(sources[mutant.path])}", flush=True)
        elif outcomes.total() % max(len(chosen) // 20, 1) == 0:
            print(f"{outcomes.total()} of {len(chosen)}", flush=True)

    hunt(project, choice, chosen, tell, Limits(cores, int(given.get("CPU_SECONDS") or CPU_SECONDS)))
    found = sum(number for outcome, number in outcomes.items() if outcome.found)
    percent = 100 * found / len(chosen)
    print(
        f"\n{found} of {len(chosen)} mutants found in {(time.monotonic() - began) / 60:.0f} minutes: {percent:.1f} "
        f"percent, and at least {project.at_least:.0f} are asked for. {len(project.equivalents)} kinds of equivalent "
        f"ones are left out."
    )
    return int(percent < project.at_least)


def pick(every: list[Mutant], number: str, seed: int) -> list[Mutant]:
    """So many at random, the same ones for the same seed."""
    if number == "all":
        return every
    return random.Random(seed).sample(every, min(int(number), len(every)))


if __name__ == "__main__":
    sys.exit(main(Path.cwd(), os.environ))
