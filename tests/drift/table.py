"""The tables about Terraform plans, made from what the last recorded run of tests/drift has seen."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tests.drift.patterns import AS_IT_IS, PATTERNS, Pattern, Way, every_way
from tests.support.terraform import ROOT

FINDINGS = ROOT / "tests" / "drift" / "findings.json"

Plan = Mapping[str, Sequence[str]]
Findings = dict[str, dict[str, list[str]]]
"""Pattern and way to stage (parked, started) to what the plan would do, in words; nothing for a quiet plan."""

FAILS = "fails"
"""Instead of an action: the plan ended with an error about this."""
WORDS = {
    ("aws_instance", "delete create"): "replaces the instance",
    ("aws_instance", "create delete"): "replaces the instance",
    ("aws_instance", "update volume_tags"): "sets `volume_tags`",
    ("aws_ebs_volume", "create"): "creates an empty volume",
    ("aws_volume_attachment", "create"): "attaches it",
    ("aws_ec2_tag", "create"): "makes the tag again",
    ("aws_ec2_instance_state", "update state"): "starts the instance",
    ("aws_instance", "update instance_type"): "changes the type, and fails to start it",
    ("aws_ebs_volume", FAILS): "fails, for the whole stack",
}
HARMFUL = ("replaces the instance", "creates an empty volume")


def findings(*, parked: Sequence[Plan], started: Plan) -> Findings:
    """What several plans while parked, and one after the start, would do to each pattern opted in each way."""
    return {
        pattern.name_with(way): {
            "parked": _words(pattern.name_with(way), parked),
            "started": _words(pattern.name_with(way), [started]),
        }
        for pattern, way in every_way()
    }


def is_of(address: str, name: str) -> bool:
    """Whether this is the address of a resource of that name, or of one in a module of that name."""
    return name in re.split(r"[.\[]", address)


def _words(name: str, plans: Sequence[Plan]) -> list[str]:
    """What any of these plans would do to the resources of that name, instance and volume before the attachment."""
    found = {address: " ".join(actions) for plan in plans for address, actions in plan.items()}
    named = {a: actions for a, actions in sorted(found.items()) if is_of(a, name)}
    kinds = ((next(part for part in a.split(".") if part.startswith("aws_")), actions) for a, actions in named.items())
    return [WORDS.get(one, ": ".join(one)) for one in kinds]


def recorded() -> Findings:
    seen: Findings = json.loads(FINDINGS.read_text(encoding="utf-8"))
    return seen


def quiet(seen: Findings, pattern: Pattern, way: Way) -> bool:
    return not any(seen[pattern.name_with(way)].values())


def summary() -> Iterator[str]:
    """For the README: what is safe and what takes which line, patterns of the same verdict together."""
    seen = recorded()
    alike: dict[tuple[str, str], list[str]] = {}
    for pattern in PATTERNS:
        verdict, way = _verdict(seen, pattern)
        alike.setdefault((verdict, _line(pattern, way)), []).append(pattern.declared)
    yield "| how the disks are declared | verdict | line to add |"
    yield "|---|---|---|"
    for (verdict, line), declared in alike.items():
        yield f"| {'; '.join(declared)} | {verdict} | {line} |"


def _verdict(seen: Findings, pattern: Pattern) -> tuple[str, Way]:
    """The first way that no plan shows. Where even ignoring does not help, it is one that leaves the volume alone."""
    way = next(way for way in pattern.ways if quiet(seen, pattern, way))
    harms = set(HARMFUL) & set(seen[pattern.name_with(AS_IT_IS)]["parked"])
    if way is AS_IT_IS:
        return "safe as it is", way
    if harms:
        return "**unsafe without this line**", way
    return "safe with this line", way


def _line(pattern: Pattern, way: Way) -> str:
    return f"`{pattern.line(way)}` in {way.where}" if way.line else ""


def in_full() -> Iterator[str]:
    """For the guide: every pattern opted in every way, and what its plan says."""
    seen = recorded()
    yield "| how the disks are declared | besides `ParkVolumes` | a plan while parked | a plan after the start |"
    yield "|---|---|---|---|"
    for pattern, way in every_way():
        stages: Any = seen[pattern.name_with(way)]
        parked, started = (" and ".join(stages[stage]) or "no change" for stage in ("parked", "started"))
        yield f"| {pattern.declared} | {_line(pattern, way) or 'nothing'} | {parked} | {started} |"
