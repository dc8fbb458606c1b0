"""The facts that decisions are based on: what EC2 describes, and what our tags say.

Times are timezone-aware UTC datetimes, sizes are GiB unless their name says otherwise, states are EC2's own words."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property

from park_volumes.core.volume_spec import VolumeSpec

NEVER = datetime.fromtimestamp(0, UTC)
"""The time of something that has not happened yet."""
NOT_SHOWN = "gone"
"""The state of an instance that EC2 does not show, although snapshots of it exist. EC2 has no such state."""
MOST_DAMAGE = 5
"""Sentences about damaged tags that one instance gets."""


@dataclass(frozen=True, kw_only=True)
class BlockDevice:
    """One entry of an instance's block device mapping, as DescribeInstances gives it."""

    device: str
    volume_id: str
    status: str
    managed_by: str = ""


@dataclass(frozen=True, kw_only=True)
class Instance:
    """An EC2 instance, as DescribeInstances gives it."""

    id: str
    state: str
    launch_time: datetime
    zone: str
    root_device: str
    mappings: tuple[BlockDevice, ...]
    tags: Mapping[str, str]
    root_device_type: str = "ebs"
    state_reason: str = ""
    state_message: str = ""
    lifecycle: str = ""
    hibernation: bool = False
    product_codes: tuple[str, ...] = ()
    managed_by: str = ""
    outpost_arn: str = ""
    address: str = ""

    @property
    def name(self) -> str:
        return self.tags.get("Name", "")

    @property
    def label(self) -> str:
        """The id, and the Name if it has one, for people."""
        return f"{self.id} ({self.name})" if self.name else self.id

    def on(self, device: str) -> BlockDevice | None:
        """The mapping at a device, or None if nothing is attached."""
        return next((m for m in self.mappings if m.device == device), None)


@dataclass(frozen=True, kw_only=True)
class Attachment:
    """Where a volume is attached. State: attaching, attached, detaching, busy."""

    instance_id: str
    device: str
    state: str
    attach_time: datetime
    delete_on_termination: bool
    card: int = 0


@dataclass(frozen=True, kw_only=True)
class TransitMark:
    """The tag ``park-volumes:mark`` of a volume in transit. All volumes of one attempt at parking have the same mark.
    ``at`` is when the pass that wrote it began. That pass ends at most one function timeout later."""

    deployment: str
    instance_id: str
    generation: str
    launch_time: datetime
    at: datetime


@dataclass(frozen=True, kw_only=True)
class AttachmentTarget:
    """The tag ``park-volumes:place``: where a volume in transit belongs, and the snapshot that holds its content."""

    device: str
    card: int
    snapshot_id: str
    delete_on_termination: bool


@dataclass(frozen=True, kw_only=True)
class Volume:
    """An EBS volume. State: creating, available, in-use, deleting, deleted, error.
    ``snapshot_id`` is the snapshot that it was created from, ``managed_by`` the AWS service without which nobody may
    change it; both are empty if there is none. ``damage`` says in a sentence if its mark or its target cannot be read;
    both then count as absent."""

    id: str
    state: str
    spec: VolumeSpec
    snapshot_id: str = ""
    multi_attach: bool = False
    managed_by: str = ""
    attachments: tuple[Attachment, ...] = ()
    tags: Mapping[str, str] = field(default_factory=dict)
    mark: TransitMark | None = None
    target: AttachmentTarget | None = None
    damage: str = ""

    def attached_to(self, instance_id: str) -> Attachment | None:
        return next((a for a in self.attachments if a.instance_id == instance_id), None)


@dataclass(frozen=True, kw_only=True)
class SnapshotRecord:
    """One of our snapshots with all that is needed to rebuild its volume. The record is stored in its tags.

    State: pending, completed, error, recoverable, recovering.

    - ``launch_time`` is the LaunchTime of the instance, seen before the snapshot was taken.
    - ``part`` of ``parts`` numbers the devices of one generation from 1.
    - ``source`` is the snapshot that the volume itself was created from, empty if there is none.
    - ``confirmed_at`` is the time of the mark with which the volume was given up; None: it was not given up.
    - ``start_requested`` is when a start was requested, ``capacity_refused_at`` when EC2 last had no capacity for it.
    - ``attempt`` counts the volumes requested from CreateVolume, from 1.
    - ``written`` is the size of all written blocks in bytes; None if EC2 does not report it.
    - ``terminated`` is when the instance was first seen terminated.
    - ``archived``: the snapshot is in the archive tier, and no volume can be created from it.
    - ``damage``: a sentence for each note in its tags that cannot be read, and so counts as absent."""

    snapshot_id: str
    volume_id: str
    state: str
    started: datetime
    progress: str
    deployment: str
    instance_id: str
    device: str
    launch_time: datetime
    generation: str
    part: int
    parts: int
    spec: VolumeSpec
    card: int
    delete_on_termination: bool
    user_tags: Mapping[str, str]
    source: str = ""
    confirmed_at: datetime | None = None
    start_requested: datetime | None = None
    capacity_refused_at: datetime | None = None
    attempt: int = 1
    written: int | None = None
    terminated: datetime | None = None
    archived: bool = False
    damage: tuple[str, ...] = ()

    @property
    def target(self) -> AttachmentTarget:
        """Where the volume belongs: the original, and the one created from this snapshot."""
        ends = self.delete_on_termination
        return AttachmentTarget(
            device=self.device, card=self.card, snapshot_id=self.snapshot_id, delete_on_termination=ends
        )


@dataclass(frozen=True, kw_only=True)
class VolumeInTransit:
    """A volume with our mark and its target. ``attachment`` is its attachment to this instance, or None."""

    volume: Volume
    mark: TransitMark
    target: AttachmentTarget
    attachment: Attachment | None

    @property
    def id(self) -> str:
        return self.volume.id

    @property
    def state(self) -> str:
        return self.volume.state

    @property
    def restored(self) -> bool:
        """Whether it was created from the snapshot that its target names. Otherwise it is that snapshot's original."""
        return self.volume.snapshot_id == self.target.snapshot_id

    @property
    def came_back(self) -> bool:
        """Whether it was attached after the mark was written: put back, or restored."""
        return self.attachment is not None and self.attachment.attach_time > self.mark.at

    @property
    def flag_differs(self) -> bool:
        """Whether it is attached without the DeleteOnTermination that its target asks for."""
        wanted = self.target.delete_on_termination
        return self.attachment is not None and self.attachment.delete_on_termination != wanted

    @property
    def moves(self) -> bool:
        """Whether it is changing its state, or being attached or detached."""
        attaching_or_detaching = self.attachment is not None and self.attachment.state != "attached"
        return attaching_or_detaching or self.state not in ("available", "in-use")

    @property
    def elsewhere(self) -> bool:
        """Whether it is attached to another instance."""
        return any(a is not self.attachment for a in self.volume.attachments)


@dataclass(frozen=True, kw_only=True)
class Generation:
    """The parts of one attempt at parking whose volumes were, or were about to be, given up.
    ``confirmed_at`` is the newest confirmation on its snapshots. ``missing`` names what is not there. While anything is
    missing, nothing may be restored or deleted by this generation."""

    name: str
    confirmed_at: datetime
    parts: tuple[SnapshotRecord, ...]
    missing: tuple[str, ...]

    @property
    def volume_ids(self) -> frozenset[str]:
        return frozenset(r.volume_id for r in self.parts)


@dataclass(frozen=True, kw_only=True)
class Observation:
    """Everything that was seen of one instance in one look.

    - ``volumes``: attached to the instance, marked for it, or named by a record of its last stop.
    - ``locked``: the ids of its locked snapshots.
    - ``moving``: the ids of snapshots on their way to or from the archive tier.
    - ``damaged``: a sentence for each tag of ours on its snapshots and volumes that says what cannot be."""

    instance: Instance
    volumes: tuple[Volume, ...] = ()
    records: tuple[SnapshotRecord, ...] = ()
    locked: frozenset[str] = frozenset()
    moving: frozenset[str] = frozenset()
    damaged: tuple[str, ...] = ()

    @property
    def instance_id(self) -> str:
        return self.instance.id

    @property
    def damage(self) -> str:
        """What is damaged, for people: not all of it, since an answer, an event and a message have their limits."""
        more = len(self.damaged) - MOST_DAMAGE
        rest = (f"{more} more of its tags are damaged.",) if more > 0 else ()
        return " ".join((*self.damaged[:MOST_DAMAGE], *rest))

    @cached_property
    def attached(self) -> tuple[tuple[Volume, Attachment], ...]:
        """The volumes attached to the instance by their own description, in the order of their devices."""
        pairs = [(v, a) for v in self.volumes if (a := v.attached_to(self.instance.id))]
        return tuple(sorted(pairs, key=lambda pair: pair[1].device))

    @cached_property
    def in_transit(self) -> tuple[VolumeInTransit, ...]:
        return tuple(
            VolumeInTransit(volume=v, mark=v.mark, target=v.target, attachment=v.attached_to(self.instance.id))
            for v in self.volumes
            if v.mark and v.target and v.mark.instance_id == self.instance.id
        )

    @cached_property
    def of_this_stop(self) -> tuple[SnapshotRecord, ...]:
        """The records with the instance's current launch time."""
        return tuple(r for r in self.records if r.launch_time == self.instance.launch_time)

    @cached_property
    def originals(self) -> tuple[VolumeInTransit, ...]:
        """The original volumes that are marked and not yet being deleted."""
        return tuple(v for v in self.in_transit if not v.restored and v.state != "deleting")

    @cached_property
    def restored(self) -> tuple[VolumeInTransit, ...]:
        return tuple(v for v in self.in_transit if v.restored)

    @property
    def marked_root(self) -> VolumeInTransit | None:
        """The original root volume, marked and not yet being deleted."""
        return next((v for v in self.originals if v.target.device == self.instance.root_device), None)

    @property
    def root_detached(self) -> bool:
        """Whether the instance has no root volume, by its own description and by those of all volumes."""
        root = self.instance.root_device
        return self.instance.on(root) is None and all(a.device != root for _, a in self.attached)

    @property
    def descriptions_agree(self) -> bool:
        """Whether the instance and its volumes show the same: the same volumes at the same devices, all attached."""
        mappings = self.instance.mappings
        mapped = {(m.device, m.volume_id) for m in mappings if m.status == "attached"}
        attached = {(a.device, v.id) for v, a in self.attached if a.state == "attached"}
        return mapped == attached and len(mapped) == len(mappings)

    @cached_property
    def generation(self) -> Generation | None:
        """The generation of this stop that was confirmed last; None if there is none.
        The pass that detached the root volume confirms the snapshots: the newest confirmation names that attempt. Two
        passes at once can take two snapshots of one part: the one with the smallest id counts, in every pass."""
        confirmed = [(r.confirmed_at, r) for r in self.of_this_stop if r.confirmed_at]
        if not confirmed:
            return None
        confirmed_at, newest = max(confirmed, key=lambda pair: pair[0])
        whole = (r for _, r in confirmed if r.generation == newest.generation and r.state == "completed")
        parts: dict[int, SnapshotRecord] = {}
        for r in sorted(whole, key=lambda r: r.snapshot_id):
            parts.setdefault(r.part, r)
        missing = [f"part {k} of {newest.parts}" for k in range(1, newest.parts + 1) if k not in parts]
        if all(r.device != self.instance.root_device for r in parts.values()):
            missing.append(f"the root volume ({self.instance.root_device})")
        ordered = tuple(parts[k] for k in sorted(parts))
        return Generation(name=newest.generation, confirmed_at=confirmed_at, parts=ordered, missing=tuple(missing))

    @property
    def complete_generation(self) -> Generation | None:
        """The confirmed generation, if nothing of it is missing."""
        return None if self.generation is None or self.generation.missing else self.generation

    @property
    def given_up(self) -> Generation:
        """The complete generation, in a phase that requires one. Raises ValueError if there is none."""
        if self.complete_generation is None:
            raise ValueError(f"{self.instance.id} has no complete generation.")
        return self.complete_generation

    def originals_of(self, generation: str) -> list[VolumeInTransit]:
        """The original volumes that are marked for this attempt at parking."""
        return [v for v in self.originals if v.mark.generation == generation]

    def left_of(self, generation: Generation) -> list[Volume]:
        """The volumes of a generation that still exist, with any mark or none, even while they are being deleted."""
        return [v for v in self.volumes if v.id in generation.volume_ids]
