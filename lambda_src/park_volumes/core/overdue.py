"""What takes longer than it should: reported at once, then once a day, with what EC2 says now and what to do."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from park_volumes.core.facts import Observation
from park_volumes.core.phase import Phase, row_of
from park_volumes.core.settings import Settings
from park_volumes.core.steps import CreateSnapshot, CreateVolume, Decision, Outcome

NEWS = timedelta(minutes=65)
"""How long it is news that something takes too long: a sweep comes at least once an hour."""


@dataclass(frozen=True, kw_only=True)
class Overdue:
    """Something that should have been over ``by`` then: ``what`` says so in sentences, ``remedy`` what to do."""

    by: datetime
    what: str
    remedy: str

    def is_news(self, now: datetime) -> bool:
        return now < self.by + NEWS


def overdue(seen: Observation, decision: Decision, settings: Settings, now: datetime) -> Overdue | None:
    """Whether this instance is on its way to somewhere, and should have arrived. A refusal is no way, and neither is a
    decision that only now begins to copy."""
    by = due_by(seen, settings, now)
    if by is None:
        return None
    row = row_of(seen)
    if not _on_its_way(seen, decision, row.phase):
        return None
    told = what_ec2_says(seen)
    says = f" EC2 says now: {told}." if told else ""
    what = f"{decision.reason} This should have been over by {by:%Y-%m-%d %H:%M} UTC.{says}"
    return Overdue(by=by, what=what, remedy=row.remedy)


def due_by(seen: Observation, settings: Settings, now: datetime) -> datetime | None:
    """The time by which what may be on its way should be over; None if that is still to come, or is not known."""
    by = row_of(seen).due(seen, settings)
    return by if by is not None and now >= by else None


def _on_its_way(seen: Observation, decision: Decision, phase: Phase) -> bool:
    if any(isinstance(step, CreateSnapshot | CreateVolume) for step in decision.every_step):
        return False
    moves = phase is Phase.CHANGING or bool(seen.in_transit)
    return decision.outcome is Outcome.GOING_ON or (decision.outcome is Outcome.DONE and moves)


def what_ec2_says(seen: Observation) -> str:
    """What is between two states, in EC2's words; empty if nothing is."""
    i, states = seen.instance, ("creating", "deleting", "error")
    attached = {(v.id, a.device): a.state for v, a in seen.attached}
    at_rest = "attached"
    words = [f"{i.id} is {i.state}"] if i.state not in ("running", "stopped") else []
    words += [f"{v} at {device} is {state}" for (v, device), state in attached.items() if state != at_rest]
    mapped = [m for m in i.mappings if attached.get((m.volume_id, m.device)) != m.status]
    words += [f"{i.id} shows {m.volume_id} at {m.device} as {m.status}" for m in mapped]
    words += [f"{v.id} is {v.state}" for v in seen.volumes if v.state in states]
    pending = [r for r in seen.of_this_stop if r.state == "pending"]
    words += [f"{r.snapshot_id} of {r.device} is pending at {r.progress or '0%'}" for r in pending]
    ids = {v.id for v in seen.volumes}
    words += [f"{v} is being modified" for v in sorted(ids & seen.modifying)]
    words += [f"somebody else's snapshot of {v} is pending" for v in sorted(ids & seen.being_copied)]
    words += [
        f"{r.snapshot_id} is on its way from the archive" for r in seen.of_this_stop if r.snapshot_id in seen.moving
    ]
    return "; ".join(words)
