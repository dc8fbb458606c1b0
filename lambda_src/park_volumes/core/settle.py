"""Settles what came back: restores DeleteOnTermination, and removes the mark once no pass can see the old state."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from park_volumes.core.facts import Observation, Volume, VolumeInTransit
from park_volumes.core.settings import Settings
from park_volumes.core.steps import AttachVolume, Decision, SetDeleteOnTermination, Stage, UnmarkVolumes, stages


def settle(seen: Observation, settings: Settings, now: datetime) -> Decision:
    """What to do about the volumes in transit of an instance that has its root volume, running or stopped.
    We attach no more volumes to a running instance: a free one was detached by somebody, and loses its mark too."""
    instance = seen.instance
    reason = f"{instance.id} is {instance.state}."
    if not nothing_moves(seen):
        return Decision(reason=reason)
    running = instance.state == "running"
    transit = (v.volume for v in seen.in_transit if v.attachment or (running and v.state == "available"))
    over = [*transit, *(v for v in seen.unproven if v.attached_to(instance.id))]
    return Decision(reason=reason, steps=stages(*complete(seen), unmark(over, settings, now)))


def nothing_moves(seen: Observation) -> bool:
    """Whether everything is at rest: the descriptions agree, and no volume in transit is between two states."""
    at_rest = all(v.state in ("in-use", "available", "error") for v in seen.in_transit)
    return seen.descriptions_agree and at_rest


def complete(seen: Observation) -> tuple[Stage, Stage]:
    """Attach what belongs there: free volumes in transit whose device is free, while the instance is stopped."""
    instance = seen.instance
    known = (v for v in seen.in_transit if not v.restored or v.record.generation == seen.last_given_up)
    free = [v for v in known if v.state == "available" and instance.on(v.target.device) is None]
    missing = free if instance.state == "stopped" else []
    there = [v for v in seen.in_transit if v.attachment]
    return tuple(attach(v, seen) for v in missing), deletion_flags(seen, [*missing, *there])


def attach(v: VolumeInTransit, seen: Observation) -> AttachVolume:
    at = v.target
    return AttachVolume(instance_id=seen.instance.id, device=at.device, card=at.card, volume_id=v.id)


def deletion_flags(seen: Observation, volumes: Iterable[VolumeInTransit]) -> Stage:
    """Restore DeleteOnTermination: EC2 sets it to false for every volume attached after the launch."""
    wrong = [v for v in volumes if v.flag_differs or (v.attachment is None and v.target.delete_on_termination)]
    return set_flags(seen, {v.target.device: v.target.delete_on_termination for v in wrong})


def set_flags(seen: Observation, flags: Mapping[str, bool]) -> Stage:
    return (SetDeleteOnTermination(instance_id=seen.instance.id, devices=flags),) if flags else ()


def unmark(over: Sequence[Volume], settings: Settings, now: datetime) -> Stage:
    """Remove the marks that are old enough, or of a future that no pass has seen, each with one call for all volumes
    that have it."""
    old = {v.mark for v in over if v.mark and abs(now - v.mark.at) > settings.settle_period}
    return tuple(
        UnmarkVolumes(volume_ids=tuple(v.id for v in over if v.mark == mark), mark=mark)
        for mark in sorted(old, key=lambda mark: mark.at)
    )
