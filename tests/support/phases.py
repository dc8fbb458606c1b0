"""The table of phases as documents show it: rows for docs/safety.md, a state diagram for docs/how-it-works.md."""

from collections.abc import Iterator, Mapping

from park_volumes.core.phase import PHASES, Phase

SHOWN = (
    Phase.RUNNING,
    Phase.CHANGING,
    Phase.WHOLE,
    Phase.LOCK_VOID,
    Phase.LOCKED,
    Phase.COMMITTED,
    Phase.PARKED,
    Phase.RESTORING,
    Phase.ENDED,
)
"""In the order in which a diagram reads best. BROKEN is left out: only people lead there."""
STOP = (Phase.RUNNING, Phase.CHANGING)
"""What people do in every story; the rest of what only they do is left out."""


def rows() -> Iterator[str]:
    sides = "what the park side does | what a wanted start does"
    yield f"| phase | seen as | {sides} | leads to | by people only | told if it takes longer than |"
    yield "|---|---|---|---|---|---|---|"
    for row in PHASES:
        ways = (_in_words(row.leads_to), _in_words(row.people))
        cells = (row.phase.name, row.evidence, row.park_side, row.wanted_start, *ways, row.takes)
        yield f"| {' | '.join(cells)} |"


def diagram() -> Iterator[str]:
    yield "```mermaid"
    yield "stateDiagram-v2"
    yield f"    [*] --> {Phase.RUNNING.name}"
    for row in sorted((row for row in PHASES if row.phase in SHOWN), key=lambda row: SHOWN.index(row.phase)):
        ways = dict(row.leads_to) | {after: deed for after, deed in row.people.items() if (row.phase, after) == STOP}
        for after in (phase for phase in SHOWN if phase in ways):
            yield f"    {row.phase.name} --> {after.name}: {ways[after]}"
    yield f"    {Phase.ENDED.name} --> [*]"
    yield "```"


def _in_words(ways: Mapping[Phase, str]) -> str:
    return "; ".join(f"{phase.name}: {words}" for phase, words in ways.items())
