"""What was seen of an instance, what is decided about it, and why, as text for people."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import assert_never

from park_volumes.core.choice import why_it_stays
from park_volumes.core.facts import Observation, SnapshotRecord, Volume
from park_volumes.core.park import park
from park_volumes.core.phase import WITHOUT_ROOT, Phase, phase_of
from park_volumes.core.prices import GIB, savings
from park_volumes.core.settings import Settings
from park_volumes.core.start import Intent, start
from park_volumes.core.status import status
from park_volumes.core.steps import (
    ArchiveSnapshot,
    AttachVolume,
    ConfirmSnapshots,
    CountAttempt,
    CreateSnapshot,
    CreateVolume,
    Decision,
    DeleteVolume,
    DetachVolume,
    DiscardSnapshot,
    LockSnapshot,
    MarkVolume,
    Outcome,
    RememberKept,
    RememberStart,
    RememberTermination,
    RememberVerdict,
    RestoreSnapshotTier,
    SetDeleteOnTermination,
    StartInstance,
    Step,
    TryGivingUp,
    TryWayBack,
    UnmarkVolumes,
)
from park_volumes.core.tags import OPT_IN_ALL, opted_in


def explain(observation: Observation, settings: Settings, now: datetime) -> Iterator[str]:
    """Line by line: how to opt it in, if it is not; the state, what was seen, what each side would do next, what it
    costs."""
    shown = status(observation, settings, now)
    yield from _opting_in(observation, settings)
    yield f"{observation.instance.label}: {shown['state']}"
    yield f"  {shown['detail']}"
    yield f"Seen at {_time(now)}"
    yield from _observed(observation, settings)
    yield "Decided"
    yield from decided("to park", park(observation, settings, now))
    yield from decided("to start, if requested", start(observation, settings, now, intent=Intent.START))
    yield "Costs, in USD a month"
    yield f"  {costs(observation, settings.prices)}"


def foretold(observation: Observation, decision: Decision, settings: Settings) -> Iterator[str]:
    """What would be done about an instance, in the conditional. A reason tells of steps as if they were being done, so
    it is shown only where there are none, or none but to remember the request."""
    yield observation.instance.label
    if decision.outcome is Outcome.REFUSED or all(isinstance(step, RememberStart) for step in decision.every_step):
        yield f"  {_would_be(decision.outcome)} {decision.reason}"
    yield from _steps(decision)
    yield f"  costs: {costs(observation, settings.prices)} USD a month"


def _would_be(outcome: Outcome) -> str:
    match outcome:
        case Outcome.DONE:
            return "Nothing would be done."
        case Outcome.GOING_ON:
            return "It would have to wait."
        case Outcome.REFUSED | Outcome.OBSERVED:
            return "It would be refused."
        case _:
            assert_never(outcome)


def would(step: Step) -> str:  # noqa: C901, PLR0912  # one case for each step; mypy checks that none is missing
    """What a step would do, as a sentence."""
    match step:
        case CreateSnapshot():
            return f"A snapshot of {step.volume_id} would be taken."
        case LockSnapshot():
            return f"{step.snapshot_id} would be locked against deletion."
        case MarkVolume():
            return f"{step.volume_id} would be marked as in transit."
        case DetachVolume():
            return f"{step.volume_id} would be detached from {step.device}."
        case DeleteVolume(volume_id=what) | DiscardSnapshot(snapshot_id=what):
            return f"{what} would be deleted."
        case ArchiveSnapshot():
            return f"{step.snapshot_id} would be moved to the archive tier."
        case RestoreSnapshotTier():
            return f"{step.snapshot_id} would be brought back from the archive tier, which takes up to 72 hours."
        case (
            ConfirmSnapshots()
            | RememberStart()
            | RememberTermination()
            | RememberVerdict()
            | RememberKept()
            | CountAttempt()
        ):
            return _would_write(step)
        case TryGivingUp() | TryWayBack():
            return _would_try(step)
        case CreateVolume(record=r):
            return f"A volume of {r.spec.size} GiB {r.spec.type} would be created from {r.snapshot_id} for {r.device}."
        case AttachVolume():
            volume = step.volume_id or f"The volume from {step.snapshot_id}"
            return f"{volume} would be attached at {step.device}."
        case SetDeleteOnTermination() | UnmarkVolumes():
            return _would_give_back(step)
        case StartInstance():
            return f"{step.instance_id} would be started."
        case _:
            assert_never(step)


def _would_try(step: TryGivingUp | TryWayBack) -> str:
    if isinstance(step, TryWayBack):
        return f"ParkVolumes would test whether {step.instance_id} may come back from its snapshots."
    volumes = _listed(d.volume_id for d, _ in step.parts)
    return f"ParkVolumes would test whether {volumes} may be detached and deleted."


def _would_give_back(step: SetDeleteOnTermination | UnmarkVolumes) -> str:
    if isinstance(step, UnmarkVolumes):
        return f"The mark of {_listed(step.volume_ids)} would be removed."
    return f"DeleteOnTermination of {_listed(step.devices)} would be set as it was."


def _would_write(
    step: ConfirmSnapshots | RememberStart | RememberTermination | RememberVerdict | RememberKept | CountAttempt,
) -> str:
    match step:
        case ConfirmSnapshots():
            return f"It would be written on {_listed(step.snapshot_ids)} that their volumes are given up."
        case RememberStart():
            return f"The request would be written on {_listed(step.snapshot_ids)}."
        case RememberTermination():
            return f"It would be written on {_listed(step.snapshot_ids)} that {step.instance_id} is terminated."
        case RememberVerdict():
            return f"What EC2 allows would be written on {step.snapshot_id}."
        case RememberKept():
            return f"Why {step.snapshot_id} is kept would be written on it."
        case CountAttempt():
            return f"Attempt {step.attempt} at a volume from {step.snapshot_id} would be counted."
        case _:
            assert_never(step)


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names)


def _opting_in(observation: Observation, settings: Settings) -> Iterator[str]:
    """What to do about an instance that is not opted in; nothing if it is, or is gone."""
    instance, key, phase = observation.instance, settings.opt_in_tag_key, phase_of(observation)
    if opted_in(instance.tags, settings) or phase is Phase.ENDED:
        return
    tag = f"its tag {key} is {instance.tags[key]!r}" if key in instance.tags else f"it has no tag {key}"
    yield f"{instance.label} is not opted in, because {tag}: it is neither parked nor started by ParkVolumes."
    if phase in WITHOUT_ROOT and observation.records:
        yield "Its volumes are parked. To start it, opt it in again:"
    else:
        yield "To have it parked when it stops, opt it in:"
    yield f"  aws ec2 create-tags --resources {instance.id} --tags Key={key},Value={OPT_IN_ALL}"


def decided(what: str, decision: Decision) -> Iterator[str]:
    yield f"  {what}: {decision.outcome}. {decision.reason}"
    yield from _steps(decision)


def _steps(decision: Decision) -> Iterator[str]:
    for number, stage in enumerate(decision.steps, start=1):
        for step in stage:
            yield f"    {number}. {would(step)}"


def costs(observation: Observation, prices: Mapping[str, float]) -> str:
    found = savings(observation, prices)
    most = "at most " if found.at_most else ""
    today = f"as volumes {money(found.as_volumes)}, now {money(found.now)}, saved {money(found.saved)}"
    return f"{today}; parked {most}{money(found.as_snapshots)}"


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


def _time(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"
