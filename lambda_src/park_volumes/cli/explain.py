"""What was seen of an instance, what is decided about it, and why: in text that a person reads."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields
from datetime import datetime
from typing import Any

from park_volumes.decide.park import park
from park_volumes.decide.start import start
from park_volumes.decide.status import status
from park_volumes.model import CreateVolume, Decision, Record, Seen, Settings, Step, Volume
from park_volumes.prices import GIB, savings

TIMES = ("at", "attach_time")


def explain(seen: Seen, settings: Settings, now: datetime) -> Iterator[str]:
    """Line by line: the state, what was seen, what each side would do next, what it costs."""
    shown = status(seen, settings, now)
    yield f"{seen.instance.label}: {shown['state']}"
    yield f"  {shown['detail']}"
    yield f"Seen at {_time(now)}"
    yield from _seen(seen, settings)
    yield "Decided"
    yield from decided("to park", park(seen, settings, now))
    yield from decided("to start, if asked", start(seen, settings, now, asked=True))
    yield "Costs, in USD a month"
    yield f"  {costs(seen, settings.prices)}"


def decided(what: str, decision: Decision) -> Iterator[str]:
    yield f"  {what}: {decision.outcome}. {decision.reason}"
    for number, stage in enumerate(decision.steps, start=1):
        for step in stage:
            yield f"    {number}. {step_in_words(step)}"


def step_in_words(step: Step) -> str:
    """The name of the step, which is that of the call in EC2's API, and what it is about."""
    if isinstance(step, CreateVolume):
        r = step.record
        return f"CreateVolume {r.size} GiB {r.type} from {r.snapshot_id} for {r.device}"
    values = {f.name: getattr(step, f.name) for f in fields(step) if f.name not in TIMES}
    words = [_word(value) for value in values.values() if isinstance(value, str | tuple) and value]
    return " ".join([type(step).__name__, *words])


def costs(seen: Seen, prices: Mapping[str, float]) -> str:
    found = savings(seen, prices)
    least = "at most " if found.at_most else ""
    return (
        f"as volumes {money(found.as_volumes)}, now {money(found.now)}, saved {money(found.saved)}; "
        f"parked {least}{money(found.as_snapshots)}"
    )


def money(cost: float | None) -> str:
    return "n/a" if cost is None else f"{cost:.2f}"


def _seen(seen: Seen, settings: Settings) -> Iterator[str]:
    i = seen.instance
    opt_in = f"{settings.opt_in_tag_key}={i.tags.get(settings.opt_in_tag_key, '(no such tag)')}"
    yield f"  instance  {i.state}, launched {_time(i.launch_time)}, root device {i.root_device}, {i.zone}, {opt_in}"
    if i.state_reason:
        yield f"            the reason of its state: {i.state_reason}"
    for v in seen.volumes:
        yield f"  volume    {_volume(v, i.id)}"
    for r in sorted(seen.records, key=lambda r: (r.started, r.snapshot_id)):
        yield f"  snapshot  {_snapshot(r, seen)}"
    for sentence in seen.damaged:
        yield f"  damaged   {sentence}"


def _volume(v: Volume, instance_id: str) -> str:
    words = [f"{v.id} {v.state}, {v.size} GiB {v.type}"]
    if at := v.attached_to(instance_id):
        ends = "deleted with it" if at.delete_on_termination else "kept after it"
        words.append(f"{at.state} at {at.device} since {_time(at.attach_time)}, {ends}")
    if v.snapshot_id:
        words.append(f"made from {v.snapshot_id}")
    if v.mark:
        words.append(f"in transit: generation {v.mark.generation}, marked {_time(v.mark.at)}")
    return ", ".join(words)


def _snapshot(r: Record, seen: Seen) -> str:
    stop = "of this stop" if r.launch_time == seen.instance.launch_time else f"of the launch at {_time(r.launch_time)}"
    words = [f"{r.snapshot_id} {r.state} {r.progress}".rstrip(), f"{r.device} of {r.volume_id} ({r.size} GiB {r.type})"]
    words += [f"part {r.part} of {r.parts} of generation {r.generation} {stop}", f"taken {_time(r.started)}"]
    if r.written is not None:
        words.append(f"{r.written / GIB:.1f} GiB written")
    if r.mark:
        words.append(f"its volume was given up at {_time(r.mark.at)}")
    if r.start_requested:
        words.append(f"a start was asked for at {_time(r.start_requested)}")
    return ", ".join([*words, "locked" if r.snapshot_id in seen.locked else "not locked"])


def _word(value: Any) -> str:
    return value if isinstance(value, str) else " ".join(map(str, value))


def _time(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"
