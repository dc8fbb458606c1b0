"""Whether data was lost, is stale or was swapped: judged on what volumes and snapshots hold, never on states alone.

The rules of EC2 are elsewhere and know nothing of this, except that they tell the ledger what happens.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from tests.model.records import Attachment, Content, Instance, Snapshot, Volume
    from tests.model.world import World

WRITING = frozenset(["pending", "running", "stopping"])
"""In these states an instance changes its volumes. Pending too: how far a start that falls back got, nobody knows."""

ORPHANS_ARE_KEPT = 30 * 86400
"""Seconds that a deployment keeps what would have died with a terminated instance (orphan_retention_days)."""

STILL_SEEN_STOPPED = timedelta(seconds=120)
"""After its launch: for a minute descriptions lag, and as long may a pass be under way that has looked before."""


class Copy(NamedTuple):
    """One place that holds certain bytes. proof: an attached or available volume, or a completed snapshot."""

    kind: str
    id: str
    state: str
    proof: bool


@dataclass(slots=True)
class Ledger:
    """What the owners of the data have a right to.

    latest: per instance, what each device last held. kept: volumes that their owner detached. waived: bytes of which
    the owner deleted the last copy. deleted: bytes of which the owner deleted the volume, or wrote it over. own_root:
    the instances to which somebody attached a root volume by hand since they stopped. own_start: those whose latest
    start was somebody else's. mortal: per instance, the devices off it that would have died with it. ended: when an
    instance was terminated. incidents: what must never be and was, in words.
    """

    latest: dict[str, "dict[str, Content]"] = field(default_factory=dict)
    kept: dict[str, "Content"] = field(default_factory=dict)
    waived: set["Content"] = field(default_factory=set)
    deleted: set["Content"] = field(default_factory=set)
    own_root: set[str] = field(default_factory=set)
    own_start: set[str] = field(default_factory=set)
    mortal: dict[str, set[str]] = field(default_factory=dict)
    ended: dict[str, float] = field(default_factory=dict)
    incidents: list[str] = field(default_factory=list)

    def clone(self) -> "Ledger":
        latest = {instance_id: devices.copy() for instance_id, devices in self.latest.items()}
        mortal = {instance_id: devices.copy() for instance_id, devices in self.mortal.items()}
        owners = self.kept.copy(), self.waived.copy(), self.deleted.copy(), self.own_root.copy(), self.own_start.copy()
        return Ledger(latest, *owners, mortal, self.ended.copy(), self.incidents.copy())

    def launched(self, world: "World", instance: "Instance") -> None:
        self.latest[instance.id] = _held(world, instance)

    def stopped(self, world: "World", instance: "Instance") -> None:
        """What is leaving the instance at that moment is its owner's, or was reported."""
        self.own_root.discard(instance.id)
        self.latest.setdefault(instance.id, {}).update(_held(world, instance, leaving=False))
        for attachment in instance.devices:
            volume: Volume | None = world.volumes.get(attachment.volume_id)
            if volume is not None:
                self.released(volume.id, world.content(volume))

    def terminating(self, world: "World", instance: "Instance") -> None:
        """The owner gives up the disks that go with the instance, and only those; the parked ones a month later."""
        devices = self.latest.get(instance.id, {})
        for attachment in instance.devices:
            if attachment.delete_on_termination:
                devices.pop(attachment.device, None)
            self.mortal.get(instance.id, set()).discard(attachment.device)
        self.ended[instance.id] = world.clock.now

    def given_up(self, world: "World", instance_id: str) -> set[str]:
        """The devices whose bytes nobody has a right to any more."""
        ended = self.ended.get(instance_id)
        over = ended is not None and world.clock.now >= ended + ORPHANS_ARE_KEPT
        return self.mortal.get(instance_id, set()) if over else set()

    def starting(self, instance_id: str, owner: bool) -> None:
        (self.own_start.add if owner else self.own_start.discard)(instance_id)

    def booting(self, world: "World", instance: "Instance") -> None:
        """A start must find exactly the latest bytes on exactly the old devices.

        With a root volume of its owner's it may find one missing that is just leaving, and that must be kept: with what
        the instance writes on it until it has gone.
        """
        expected = self.latest.get(instance.id, {})
        found = _held(world, instance, leaving=False)
        for device, content in dict(expected).items():
            if device not in found and instance.id in self.own_root:
                self.kept[_leaving(instance, device) or f"{device}, laid aside"] = expected.pop(device)
            elif device not in found:
                self._report(world, f"{instance.id} starts without {device}, which last held {content}")
            elif found[device].origin != content.origin:
                self._report(world, f"{instance.id} starts with {found[device]} on {device}, where {content} belongs")
            elif found[device] != content:
                self._report(world, f"{instance.id} starts with stale {found[device]} on {device} instead of {content}")
        for device in sorted(found.keys() - expected.keys()):
            self._report(world, f"{instance.id} starts with {found[device]} on {device}, where nobody put a disk")

    def attaching(self, world: "World", instance: "Instance", device: str, volume: "Volume", owner: bool) -> None:
        content = world.content(volume)
        if owner:
            if device == instance.root_device:
                self.own_root.add(instance.id)
            self.kept.pop(volume.id, None)
            self.latest.setdefault(instance.id, {})[device] = content
        elif instance.state in WRITING and self._may_come_back(world, instance, content):
            self._taken_up(instance.id, device, content)
        elif instance.state in WRITING:
            self._report(world, f"{volume.id} is attached to {instance.id} while it is {instance.state}")

    def _may_come_back(self, world: "World", instance: "Instance", content: "Content") -> bool:
        """A disk beside a root volume that somebody attached by hand; or one that its owner took off, while a pass may
        still see the instance as it was before its start."""
        taken_off = content in self.kept.values()
        return instance.id in self.own_root or (taken_off and _just_started(world, instance))

    def _taken_up(self, instance_id: str, device: str, content: "Content") -> None:
        """An instance that was started with a root volume of its owner's, or without a disk that its owner took off,
        gets the disk while it runs, and writes on."""
        self.latest.setdefault(instance_id, {})[device] = content
        for name in [name for name, kept in self.kept.items() if kept == content]:
            del self.kept[name]

    def detaching(self, world: "World", attachment: "Attachment", content: "Content", owner: bool) -> None:
        instance = world.instances.get(attachment.instance_id)
        if owner or (instance is not None and self._started_by_hand(world, instance)):
            self.latest.get(attachment.instance_id, {}).pop(attachment.device, None)
            self.kept[attachment.volume_id] = content
        elif instance is not None and instance.state in WRITING:
            self._report(world, f"{instance.id} loses {attachment.device} while it is {instance.state}")
        if not owner:
            mortal = self.mortal.setdefault(attachment.instance_id, set())
            (mortal.add if attachment.delete_on_termination else mortal.discard)(attachment.device)

    def _started_by_hand(self, world: "World", instance: "Instance") -> bool:
        """Somebody gave the instance a root volume and started it, while a pass may still see it stopped without one,
        and take off a disk that has its snapshot. That disk must be kept. No start of ours may lead there."""
        by_hand = instance.id in self.own_root and instance.id in self.own_start
        return by_hand and instance.state in WRITING and _just_started(world, instance)

    def released(self, volume_id: str, content: "Content") -> None:
        """A running instance wrote on a volume until it had gone."""
        if volume_id in self.kept:
            self.kept[volume_id] = content

    def discarding(self, world: "World", snapshot: "Snapshot") -> None:
        """A new volume may still be loading from the snapshot (only where the rules say that this takes time)."""
        since = world.clock.now - world.rules.hydration
        if world.rules.hydration:
            for volume in world.volumes.current():
                if volume.snapshot_id == snapshot.id and volume.created.timestamp() > since:
                    self._report(world, f"{snapshot.id} is deleted while {volume.id} still loads from it")

    def owner_deletes(self, world: "World", resource_id: str, content: "Content") -> None:
        """Called before the deed: with the last copy the owner gives up the bytes themselves."""
        self.kept.pop(resource_id, None)
        if resource_id.startswith("vol-"):
            self.deleted.add(content)
        if not any(copy.proof and copy.id != resource_id for copy in copies(world, content)):
            self.waived.add(content)

    def _report(self, world: "World", sentence: str) -> None:
        self.incidents.append(f"{world.clock.time():%H:%M:%S} {sentence}.")


def _leaving(instance: "Instance", device: str) -> str:
    """The id of the volume that is being detached from there, if one is."""
    return next((a.volume_id for a in instance.devices if a.device == device and a.state == "detaching"), "")


def _just_started(world: "World", instance: "Instance") -> bool:
    return world.clock.time() < instance.launch_time + STILL_SEEN_STOPPED


def latest(world: "World", instance_id: str) -> dict[str, "Content"]:
    """What each device of the instance last held, up to this moment."""
    devices = dict(world.ledger.latest.get(instance_id, {}))
    instance = world.instances.get(instance_id)
    if instance is not None and instance.state in WRITING:
        devices.update(_held(world, instance))
    return devices


def copies(world: "World", content: "Content") -> list[Copy]:
    """Where exactly these bytes still exist."""
    return whereabouts(world).get(content, [])


def whereabouts(world: "World") -> dict["Content", list[Copy]]:
    """Where everything is, in one pass."""
    places: dict[Content, list[Copy]] = {}
    for volume in world.volumes.current():
        copy = Copy("volume", volume.id, volume.state, volume.state in ("available", "in-use"))
        places.setdefault(world.content(volume), []).append(copy)
    for snapshot in world.snapshots.current():
        proof = snapshot.state == "completed" and not snapshot.doomed
        places.setdefault(snapshot.content, []).append(Copy("snapshot", snapshot.id, snapshot.state, proof))
    return places


def lost(world: "World", instance_ids: Iterable[str] | None = None) -> list[str]:
    """A sentence for every device whose latest bytes no proof copy holds any more. Empty: nothing is lost."""
    places = whereabouts(world)
    ids = world.ledger.latest if instance_ids is None else instance_ids
    wanted = [
        (f"{instance_id} {device}", content)
        for instance_id in ids
        for device, content in latest(world, instance_id).items()
        if device not in world.ledger.given_up(world, instance_id)
    ]
    if instance_ids is None:
        wanted += _kept(world)
    return [
        f"The latest bytes of {owner} ({content}) are gone; {_older(places, content)}."
        for owner, content in wanted
        if content not in world.ledger.waived and not any(copy.proof for copy in places.get(content, ()))
    ]


def _kept(world: "World") -> list[tuple[str, "Content"]]:
    """What owners took off; one that is still leaving a running instance is still written on."""
    kept = []
    for owner, content in world.ledger.kept.items():
        volume: Volume | None = world.volumes.get(owner)
        kept.append((owner, world.content(volume) if volume is not None and volume.attachments else content))
    return kept


def problems(world: "World") -> list[str]:
    """Everything that must never be so: what happened on the way, and what is lost now."""
    return world.ledger.incidents + lost(world)


def differences(before: "World", after: "World", resource_ids: Iterable[str]) -> list[str]:
    """Which of these resources are not as they were: for bystanders, whom nothing may touch."""
    pairs = [(before.find(resource_id), after.find(resource_id)) for resource_id in resource_ids]
    return [f"{old} has become {new}." for old, new in pairs if old != new]


class Fitting(NamedTuple):
    """All that a device must be like again after a start, apart from what it holds."""

    zone: str
    size: int
    type: str
    iops: int | None
    throughput: int | None
    encrypted: bool
    key: str | None
    card: int
    delete_on_termination: bool
    tags: tuple[tuple[str, str], ...]


def fittings(world: "World", instance_id: str) -> dict[str, Fitting]:
    """Per attached device. Tags sorted by key, ours included."""
    instance = world.instances.get(instance_id)
    found = {}
    for item in instance.devices if instance is not None else ():
        volume: Volume | None = world.volumes.get(item.volume_id)
        if volume is not None:
            v = volume
            look = (v.zone, v.size, v.type, v.iops, v.throughput, v.encrypted, v.key, item.card)
            found[item.device] = Fitting(*look, item.delete_on_termination, tuple(sorted(v.tags.items())))
    return found


def _held(world: "World", instance: "Instance", leaving: bool = True) -> dict[str, "Content"]:
    """What is on the devices; `leaving`: also on those that are being detached."""
    held: dict[str, Content] = {}
    for attachment in instance.devices:
        volume: Volume | None = world.volumes.get(attachment.volume_id)
        if volume is not None and (leaving or attachment.state != "detaching"):
            held[attachment.device] = world.content(volume)
    return held


def _older(places: dict["Content", list[Copy]], content: "Content") -> str:
    old = max((place for place in places if place.origin == content.origin), default=None)
    if old is None:
        return "no copy of any age is left"
    return f"the newest that is left is {old} in {', '.join(copy.id for copy in places[old])}"
