"""Where an instance stands, read from what was seen: what both sides must see in the same way."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from park_volumes.model import OPTED_IN, Attachment, Instance, Mark, Place, Record, Seen, Settings, Volume

STOPPED_ON_PURPOSE = ("", "Client.UserInitiatedShutdown", "Client.InstanceInitiatedShutdown", "Server.ScheduledStop")
"""The StateReason codes of a stop that a person, the guest or AWS maintenance asked for; absent counts as asked for."""

CAPACITY = "Server.InsufficientInstanceCapacity"
"""The StateReason code of a start that EC2 had no room for."""

BY_HAND = "Nothing was changed; attach the others by hand."

SHORTEST_WAIT = timedelta(minutes=1)
"""Before a start is tried again that EC2 had no capacity for."""


def opted_in(instance: Instance, settings: Settings) -> bool:
    return instance.tags.get(settings.opt_in_tag_key) in OPTED_IN


def attached(seen: Seen) -> list[tuple[Volume, Attachment]]:
    """The volumes attached to the instance, by their own description, in the order of their devices."""
    pairs = [(v, at) for v in seen.volumes if (at := v.attached_to(seen.instance.id))]
    return sorted(pairs, key=lambda pair: pair[1].device)


def root_detached(seen: Seen) -> bool:
    """Whether the instance has no root volume, in its own description and in those of all volumes seen."""
    root = seen.instance.root_device
    return seen.instance.on(root) is None and all(at.device != root for _, at in attached(seen))


def settled(seen: Seen) -> bool:
    """Whether the instance and its volumes tell the same story: the same volumes at the same devices, all attached."""
    mapped = {(m.device, m.volume_id) for m in seen.instance.mappings if m.status == "attached"}
    there = {(at.device, v.id) for v, at in attached(seen) if at.state == "attached"}
    return mapped == there and len(mapped) == len(seen.instance.mappings)


@dataclass(frozen=True, kw_only=True)
class Marked:
    """A volume in transit of this instance. ``at`` is where it is attached to the instance, None where it is not."""

    volume: Volume
    mark: Mark
    place: Place
    at: Attachment | None

    @property
    def id(self) -> str:
        return self.volume.id

    @property
    def state(self) -> str:
        return self.volume.state

    @property
    def restored(self) -> bool:
        """Whether it was made from the snapshot that its place names; else it is the original of that snapshot."""
        return self.volume.snapshot_id == self.place.snapshot_id

    @property
    def came_back(self) -> bool:
        """Whether it was attached after the mark was written: put back, or restored."""
        return self.at is not None and self.at.attach_time > self.mark.at

    @property
    def altered(self) -> bool:
        """Whether it is attached without the DeleteOnTermination that its place asks for."""
        return self.at is not None and self.at.delete_on_termination != self.place.delete_on_termination

    @property
    def elsewhere(self) -> bool:
        """Whether it is attached to another instance."""
        return any(at is not self.at for at in self.volume.attachments)


def marked(seen: Seen) -> list[Marked]:
    """The volumes in transit of this instance."""
    return [
        Marked(volume=v, mark=v.mark, place=v.place, at=v.attached_to(seen.instance.id))
        for v in seen.volumes
        if v.mark and v.place and v.mark.instance_id == seen.instance.id
    ]


def misplaced(seen: Seen) -> str:
    """A sentence where a volume in transit is attached to the instance at another device than its own; else empty."""
    moved = [(m, m.at) for m in marked(seen) if m.at and m.at.device != m.place.device]
    words = ", ".join(f"{m.id} at {at.device} instead of {m.place.device}" for m, at in moved)
    return f"{seen.instance.id} has {words}: detach it and ask again." if words else ""


def displaced(seen: Seen) -> str:
    """A sentence where a free volume in transit finds another one at its device, of its owner's; else empty."""
    for m in marked(seen):
        there = seen.instance.on(m.place.device)
        if m.at is None and there and there.volume_id != m.id and not m.elsewhere:
            return (
                f"The device {m.place.device} of {seen.instance.id} is taken by {there.volume_id}, while its own "
                f"volume {m.id} is free. Detach the one, or take the tag park-volumes:mark off the other."
            )
    return ""


@dataclass(frozen=True, kw_only=True)
class Generation:
    """The parts of one attempt at parking whose volumes were, or were about to be, given up.

    ``marked_at`` is the newest mark on the snapshots. ``missing`` names in words what is not there; with anything
    missing, nothing may be restored or deleted by it.
    """

    name: str
    marked_at: datetime
    parts: tuple[Record, ...]
    missing: tuple[str, ...]


def given_up(seen: Seen) -> Generation | None:
    """The generation whose marks are the newest of those that bear the instance's launch time now; None where none has.

    The snapshots are marked by the pass that detached the root volume, once it has: the newest mark names that attempt.
    """
    marks = [(r.mark.at, r) for r in seen.records if r.mark and _of_this_stop(r, r.mark, seen.instance)]
    if not marks:
        return None
    marked_at, newest = max(marks, key=lambda pair: pair[0])
    parts = _one_per_part(r for _, r in marks if r.generation == newest.generation and r.state == "completed")
    missing = [f"part {k} of {newest.parts}" for k in range(1, newest.parts + 1) if k not in parts]
    if all(r.device != seen.instance.root_device for r in parts.values()):
        missing.append(f"the root volume ({seen.instance.root_device})")
    ordered = tuple(parts[k] for k in sorted(parts))
    return Generation(name=newest.generation, marked_at=marked_at, parts=ordered, missing=tuple(missing))


def originals(seen: Seen) -> list[Marked]:
    """The original volumes, marked and not yet deleted."""
    return [m for m in marked(seen) if not m.restored and m.state != "deleting"]


def root_in_transit(seen: Seen) -> Marked | None:
    return next((m for m in originals(seen) if m.place.device == seen.instance.root_device), None)


def unconfirmed(seen: Seen, generation: Generation | None) -> bool:
    """Whether the root volume is there and bears the mark of an attempt that was not confirmed whole."""
    root = root_in_transit(seen)
    if root is None:
        return False
    return generation is None or generation.name != root.mark.generation or bool(generation.missing)


def attempt_of(seen: Seen, generation: str) -> list[Marked]:
    """The original volumes that are marked for this attempt at parking."""
    return [m for m in originals(seen) if m.mark.generation == generation]


def held_up(seen: Seen, root: Marked) -> str:
    """A sentence where a volume of somebody's own doing keeps the originals from being put back; else empty."""
    if taken := [m.id for m in attempt_of(seen, root.mark.generation) if m.elsewhere]:
        return f"{', '.join(taken)} of {seen.instance.id} is attached elsewhere: detach it and ask again."
    return misplaced(seen) or displaced(seen)


def without_some(seen: Seen, root: Marked) -> str:
    """The beginning of a sentence where originals could not be put back beside the others; else empty."""
    there = {m.id for m in attempt_of(seen, root.mark.generation)} | {v.id for v, _ in attached(seen)}
    lost = sorted({r.volume_id for r in seen.records if r.generation == root.mark.generation} - there)
    words = f"Of the original volumes of {seen.instance.id}, {', '.join(lost)} is gone or has lost its mark"
    return words if lost else ""


def _of_this_stop(r: Record, mark: Mark, instance: Instance) -> bool:
    return r.launch_time == instance.launch_time == mark.launch_time and r.generation == mark.generation


def _one_per_part(records: Iterable[Record]) -> dict[int, Record]:
    """Two passes at once can make two snapshots of one part: the one with the smallest id counts, for everybody."""
    parts: dict[int, Record] = {}
    for r in sorted(records, key=lambda r: r.snapshot_id):
        parts.setdefault(r.part, r)
    return parts


def asked_to_start(seen: Seen, settings: Settings) -> datetime | None:
    """When the latest launch was asked for here; None where it was not, or too long before it."""
    launched = seen.instance.launch_time
    requests = (r.start_requested for r in seen.records if r.start_requested and r.launch_time < launched)
    return max((at for at in requests if at <= launched < at + settings.start_hold), default=None)


def fell_back(seen: Seen, settings: Settings) -> bool:
    """Whether the instance was started here and stopped again though nobody asked for that: EC2 took the start back."""
    i = seen.instance
    on_purpose = i.state_reason in STOPPED_ON_PURPOSE
    return i.state == "stopped" and not on_purpose and asked_to_start(seen, settings) is not None


def taken_back(seen: Seen) -> str:
    """EC2's own reason for a start that it accepted and then did not do, as a sentence."""
    i = seen.instance
    return f"EC2 took the start of {i.id} back: {(i.state_message or i.state_reason).rstrip('.')}."


def next_try(seen: Seen, settings: Settings, now: datetime) -> datetime | None:
    """When a start is tried again that EC2 had no capacity for: after as long again as it has been waited for already.

    None where the last try did not end like that, or the hour is over. EC2 says so to the call, or it accepts the call,
    moves the launch time, and lets the instance fall back to stopped.
    """
    last = _without_capacity(seen, settings)
    if last is None or now >= last[0] + settings.start_hold:
        return None
    asked, tried = last
    return tried + max(SHORTEST_WAIT, tried - asked)


def _without_capacity(seen: Seen, settings: Settings) -> tuple[datetime, datetime] | None:
    """When the start was asked for, and last tried, that EC2 had no capacity for."""
    instance = seen.instance
    asked = asked_to_start(seen, settings) if fell_back(seen, settings) else None
    if asked and instance.state_reason == CAPACITY:
        return asked, instance.launch_time
    of_this_stop = (r for r in seen.records if r.launch_time == instance.launch_time)
    tries = ((r.start_requested, r.start_refused) for r in of_this_stop if r.start_requested and r.start_refused)
    return max(tries, default=None)


def start_refused(seen: Seen, tried: datetime) -> bool:
    """Whether EC2 must have refused a start at that time because of us: no root volume since, and records of this stop.

    An instance launched later has been started by somebody meanwhile, and may have been stopped again on purpose.
    """
    instance = seen.instance
    of_this_stop = any(r.launch_time == instance.launch_time for r in seen.records)
    return instance.state == "stopped" and root_detached(seen) and of_this_stop and instance.launch_time < tried


def start_pending(seen: Seen, settings: Settings, now: datetime) -> bool:
    """Whether a start was asked for within the last hour that has not moved the launch time yet."""
    return any(now < at + settings.start_hold for at in _requests(seen))


def start_under_way(seen: Seen, settings: Settings, now: datetime) -> bool:
    """Whether the pass that was asked for the start may still be at work: others would only get in its way."""
    return any(now < at + settings.function_timeout for at in _requests(seen))


def last_request(seen: Seen) -> datetime | None:
    """When the last start of this stop was asked for."""
    return max(_requests(seen), default=None)


def _requests(seen: Seen) -> list[datetime]:
    of_this_stop = (r for r in seen.records if r.launch_time == seen.instance.launch_time)
    return [r.start_requested for r in of_this_stop if r.start_requested is not None]
