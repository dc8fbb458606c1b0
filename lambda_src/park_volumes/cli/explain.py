"""What was seen of an instance, what is decided about it, and why, as text for people."""

from collections.abc import Iterator, Mapping
from dataclasses import fields
from datetime import datetime
from typing import Any

from park_volumes.core.choice import why_it_stays
from park_volumes.core.facts import Observation, SnapshotRecord, Volume
from park_volumes.core.park import park
from park_volumes.core.prices import GIB, savings
from park_volumes.core.settings import Settings
from park_volumes.core.start import Intent, start
from park_volumes.core.status import status
from park_volumes.core.steps import CreateVolume, Decision, Step

TIMES = ("at", "attach_time")


def explain(observation: Observation, settings: Settings, now: datetime) -> Iterator[str]:
    """Line by line: the state, what was seen, what each side would do next, what it costs."""
    shown = status(observation, settings, now)
    yield f"{observation.instance.label}: {shown['state']}"
    yield f"  {shown['detail']}"
    yield f"Seen at {_time(now)}"
    yield from _observed(observation, settings)
    yield "Decided"
    yield from decided("to park", park(observation, settings, now))
    yield from decided("to start, if requested", start(observation, settings, now, intent=Intent.START))
    yield "Costs, in USD a month"
    yield f"  {costs(observation, settings.prices)}"


def decided(what: str, decision: Decision) -> Iterator[str]:
    yield f"  {what}: {decision.outcome}. {decision.reason}"
    for number, stage in enumerate(decision.steps, start=1):
        for step in stage:
            yield f"    {number}. {step_in_words(step)}"


def step_in_words(step: Step) -> str:
    """The name of the step, as in the EC2 API, and what it is about."""
    if isinstance(step, CreateVolume):
        r = step.record
        return f"CreateVolume {r.spec.size} GiB {r.spec.type} from {r.snapshot_id} for {r.device}"
    values = {f.name: getattr(step, f.name) for f in fields(step) if f.name not in TIMES}
    words = [_word(value) for value in values.values() if isinstance(value, str | tuple) and value]
    return " ".join([type(step).__name__, *words])


def costs(observation: Observation, prices: Mapping[str, float]) -> str:
    found = savings(observation, prices)
    least = "at most " if found.at_most else ""
    today = f"as volumes {money(found.as_volumes)}, now {money(found.now)}, saved {money(found.saved)}"
    return f"{today}; parked {least}{money(found.as_snapshots)}"


def money(cost: float | None) -> str:
    return "n/a" if cost is None else f"{cost:.2f}"


def _observed(observation: Observation, settings: Settings) -> Iterator[str]:
    i = observation.instance
    opt_in = f"{settings.opt_in_tag_key}={i.tags.get(settings.opt_in_tag_key, '(no such tag)')}"
    yield f"  instance  {i.state}, launched {_time(i.launch_time)}, root device {i.root_device}, {i.zone}, {opt_in}"
    if i.state_reason:
        yield f"            reason for its state: {i.state_reason}"
    for v in observation.volumes:
        why = why_it_stays(v, observation, settings) if v.attached_to(i.id) else ""
        yield f"  volume    {_volume(v, i.id)}{f', stays attached because {why}' if why else ''}"
    for r in sorted(observation.records, key=lambda r: (r.started, r.snapshot_id)):
        yield f"  snapshot  {_snapshot(r, observation)}"
    for sentence in observation.damaged:
        yield f"  damaged   {sentence}"


def _volume(v: Volume, instance_id: str) -> str:
    words = [f"{v.id} {v.state}, {v.spec.size} GiB {v.spec.type}"]
    if at := v.attached_to(instance_id):
        ends = "deleted on termination" if at.delete_on_termination else "kept on termination"
        words.append(f"{at.state} at {at.device} since {_time(at.attach_time)}, {ends}")
    if v.snapshot_id:
        words.append(f"created from {v.snapshot_id}")
    if v.mark:
        words.append(f"in transit: generation {v.mark.generation}, marked {_time(v.mark.at)}")
    return ", ".join(words)


def _snapshot(r: SnapshotRecord, observation: Observation) -> str:
    stop = "of this stop" if r in observation.of_this_stop else f"of the launch at {_time(r.launch_time)}"
    volume = f"{r.device} of {r.volume_id} ({r.spec.size} GiB {r.spec.type})"
    words = [f"{r.snapshot_id} {r.state} {r.progress}".rstrip(), volume]
    words += [f"part {r.part} of {r.parts} of generation {r.generation} {stop}", f"taken {_time(r.started)}"]
    if r.written is not None:
        words.append(f"{r.written / GIB:.1f} GiB written")
    if r.confirmed_at:
        words.append(f"its volume was given up at {_time(r.confirmed_at)}")
    if r.start_requested:
        words.append(f"a start was requested at {_time(r.start_requested)}")
    return ", ".join([*words, "locked" if r.snapshot_id in observation.locked else "not locked"])


def _word(value: Any) -> str:
    return value if isinstance(value, str) else " ".join(map(str, value))


def _time(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"
