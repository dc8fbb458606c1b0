"""The facts that decisions are based on: what EC2 describes, and what our tags say.

Times are timezone-aware UTC datetimes, sizes are GiB unless their name says otherwise, states are EC2's own words."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
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
    card: int = 0


@dataclass(frozen=True, kw_only=True)
class Instance:
    """An EC2 instance, as DescribeInstances gives it.
    ``owner`` is its account; ``stopped_at`` is when its last stop was requested, None if EC2 does not say."""

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
    owner: str = ""
    stopped_at: datetime | None = None

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
class Rehearsal:
    """The tag ``park-volumes:rehearsal`` of a volume that was created only to see whether EC2 can use its key."""

    deployment: str
    instance_id: str


@dataclass(frozen=True, kw_only=True)
class Loading:
    """How far EC2 has filled a volume with the blocks of its snapshot, and in how many seconds it will be full by EC2's
    own estimate; None without one."""

    percent: int
    seconds_left: int | None = None


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """The tag ``park-volumes:way-back`` of a snapshot: what EC2 answered at ``at``, when the calls were tried that
    follow once its volume is given up. ``denied`` is the action that it did not allow, with EC2's ``words``; empty: all
    are allowed. ``shape`` is what a policy can tell the volume by, and ``rehearsed`` when a volume was last really
    created with its key; None if it has none."""

    shape: str
    at: datetime
    rehearsed: datetime | None = None
    denied: str = ""
    words: str = ""


@dataclass(frozen=True, kw_only=True)
class Kept:
    """The tag ``park-volumes:kept`` of a snapshot that was to be discarded at ``at``, and why it was not: EC2's words,
    such as the AMI that uses it, or the accounts that it is shared with."""

    at: datetime
    words: str


@dataclass(frozen=True, kw_only=True)
class AttachmentTarget:
    """Where a volume in transit belongs, and the snapshot that holds its content. The tag ``park-volumes:place`` tells
    people and older versions the same; what is done follows the record of the snapshot."""

    device: str
    card: int
    snapshot_id: str
    delete_on_termination: bool


@dataclass(frozen=True, kw_only=True)
class Volume:
    """An EBS volume. State: creating, available, in-use, deleting, deleted, error.
    ``snapshot_id`` is the snapshot that it was created from, ``managed_by`` the AWS service without which nobody may
    change it; both are empty if there is none. ``created`` is when it was created. ``damage`` says in a sentence if its
    mark cannot be read; it then counts as absent."""

    id: str
    state: str
    spec: VolumeSpec
    created: datetime = NEVER
    snapshot_id: str = ""
    multi_attach: bool = False
    managed_by: str = ""
    attachments: tuple[Attachment, ...] = ()
    tags: Mapping[str, str] = field(default_factory=dict)
    mark: TransitMark | None = None
    rehearsal: Rehearsal | None = None
    damage: str = ""

    def attached_to(self, instance_id: str) -> Attachment | None:
        return next((a for a in self.attachments if a.instance_id == instance_id), None)


@dataclass(frozen=True, kw_only=True)
class BinnedVolume:
    """A deleted volume that a Recycle Bin keeps until ``leaves``; None if EC2 does not say."""

    id: str
    spec: VolumeSpec
    leaves: datetime | None


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
    - ``verdict`` is what EC2 said of the calls that follow once the volume is given up; None: they were not tried.
    - ``kept`` says why it was not discarded when that was tried last; None: it was not tried.
    - ``home`` is the home region of the deployment that took it; empty: the region that the snapshot is in.
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
    verdict: Verdict | None = None
    kept: Kept | None = None
    home: str = ""
    damage: tuple[str, ...] = ()

    @property
    def rehearsal(self) -> VolumeSpec:
        """Of a volume that is created from this snapshot only to try its key. No restored volume has its size, so
        nobody can have one taken for the other by its tags."""
        return self.spec.enlarged()

    @property
    def order(self) -> tuple[datetime, str]:
        """Sorts snapshots from the oldest to the newest, in the same way in every pass."""
        return self.started, self.snapshot_id

    @property
    def target(self) -> AttachmentTarget:
        """Where the volume belongs: the original, and the one created from this snapshot."""
        ends = self.delete_on_termination
        return AttachmentTarget(
            device=self.device, card=self.card, snapshot_id=self.snapshot_id, delete_on_termination=ends
        )


@dataclass(frozen=True, kw_only=True)
class VolumeInTransit:
    """A volume with our mark, and the record that proves it: the record's snapshot was taken of this volume, or the
    volume was created from it. ``attachment`` is its attachment to this instance, or None."""

    volume: Volume
    mark: TransitMark
    record: SnapshotRecord
    attachment: Attachment | None

    @property
    def target(self) -> AttachmentTarget:
        return self.record.target

    @property
    def id(self) -> str:
        return self.volume.id

    @property
    def state(self) -> str:
        return self.volume.state

    @property
    def restored(self) -> bool:
        """Whether it was created from the snapshot of its record. Otherwise it is that snapshot's original."""
        return self.volume.snapshot_id == self.record.snapshot_id

    @property
    def came_back(self) -> bool:
        """Whether it was attached after the mark was written: put back, or restored."""
        return self.attachment is not None and self.attachment.attach_time > self.mark.at

    @property
    def never_left(self) -> bool:
        """Whether it is an original that has been attached since before its snapshot was taken."""
        a = self.attachment
        return a is not None and not self.restored and a.attach_time < self.record.started

    @property
    def owners_flag(self) -> bool | None:
        """The DeleteOnTermination that its owner wants, as long as it has never left: then nobody else sets it. None if
        it has, and while it leaves, since no page says what EC2 shows then."""
        a = self.attachment
        return a.delete_on_termination if a and a.state == "attached" and self.never_left else None

    @property
    def flag_differs(self) -> bool:
        """Whether it came back without the DeleteOnTermination that its target asks for. At another device, where its
        owner has put it, it has the flag that the owner has given it."""
        a, wanted = self.attachment, self.target.delete_on_termination
        if a is None or self.moved or self.never_left:
            return False
        return a.delete_on_termination != wanted

    @property
    def moved(self) -> bool:
        """Whether it is attached to its instance at another device than its own."""
        return self.attachment is not None and self.attachment.device != self.target.device

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
    - ``not_restored``: the ids of snapshots that EC2 could not bring back from the archive tier.
    - ``modifying``: the ids of volumes whose modification is not finished.
    - ``being_copied``: the ids of volumes of which a snapshot that is not ours is pending.
    - ``since``: when that began which is moving, modifying or being copied, by the id of the snapshot or volume.
    - ``loading``: the volumes that EC2 still fills from their snapshots, where somebody wants to see that.
    - ``verdicts``: what EC2 said of calls for volumes of other instances, by their shape.
    - ``parked_by``: the names of other deployments that gave volumes of its last stop up; seen only where it is BROKEN.
    - ``damaged``: a sentence for each tag of ours on its snapshots and volumes that says what cannot be."""

    instance: Instance
    volumes: tuple[Volume, ...] = ()
    records: tuple[SnapshotRecord, ...] = ()
    locked: frozenset[str] = frozenset()
    moving: frozenset[str] = frozenset()
    not_restored: frozenset[str] = frozenset()
    modifying: frozenset[str] = frozenset()
    being_copied: frozenset[str] = frozenset()
    since: Mapping[str, datetime] = field(default_factory=dict)
    loading: Mapping[str, Loading] = field(default_factory=dict)
    verdicts: Mapping[str, Verdict] = field(default_factory=dict)
    parked_by: tuple[str, ...] = ()
    damaged: tuple[str, ...] = ()

    @property
    def instance_id(self) -> str:
        return self.instance.id

    @property
    def undamaged(self) -> "Observation":
        """The same without its damage."""
        return replace(self, damaged=()) if self.damaged else self

    @property
    def damage(self) -> str:
        """What is damaged, for people: not all of it, since an answer, an event and a message have their limits."""
        more = len(self.damaged) - MOST_DAMAGE
        rest = (f"Damaged tags beyond these: {more}.",) if more > 0 else ()
        return " ".join((*self.damaged[:MOST_DAMAGE], *rest))

    @cached_property
    def attached(self) -> tuple[tuple[Volume, Attachment], ...]:
        """The volumes attached to the instance by their own description, in the order of their devices."""
        pairs = [(v, a) for v in self.volumes if (a := v.attached_to(self.instance.id))]
        return tuple(sorted(pairs, key=lambda pair: pair[1].device))

    @cached_property
    def in_transit(self) -> tuple[VolumeInTransit, ...]:
        """The volumes with our mark whose way through this instance a record proves."""
        return tuple(
            VolumeInTransit(volume=v, mark=mark, record=r, attachment=v.attached_to(self.instance.id))
            for v in self.volumes
            if (mark := v.mark) and mark.instance_id == self.instance.id and (r := _record_of(self.records, v, mark))
        )

    @property
    def rehearsals(self) -> tuple[tuple[Volume, SnapshotRecord], ...]:
        """The volumes that were created only to try a key, each with its record. As long as nothing was given up by
        that record, no volume of its snapshot holds anything else. Tags alone do not prove that: such a volume is also
        larger than any restored one."""
        tried = {(r.snapshot_id, r.rehearsal.size): r for r in self.records if r.confirmed_at is None}
        ours = (v for v in self.volumes if v.rehearsal and v.rehearsal.instance_id == self.instance.id)
        every = ((v, tried.get((v.snapshot_id, v.spec.size))) for v in ours if not v.attachments)
        return tuple((v, r) for v, r in every if r)

    @property
    def unproven(self) -> tuple[Volume, ...]:
        """The volumes with our mark of this instance for which there is no such record. They are left alone."""
        proven = {v.id for v in self.in_transit}
        marked = (v for v in self.volumes if v.mark and v.mark.instance_id == self.instance.id)
        return tuple(v for v in marked if v.id not in proven)

    @cached_property
    def of_this_stop(self) -> tuple[SnapshotRecord, ...]:
        """The records with the instance's current launch time. Their snapshots were taken after it, whatever somebody
        wrote on an older one."""
        launched = self.instance.launch_time
        return tuple(r for r in self.records if r.launch_time == launched < r.started)

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
        The pass that detached the root volume confirms the snapshots: the newest confirmation names that attempt. Of
        two snapshots of one part the newest counts, in every pass."""
        confirmed = [(r.confirmed_at, r) for r in self.of_this_stop if r.confirmed_at]
        if not confirmed:
            return None
        confirmed_at, newest = max(confirmed, key=lambda pair: pair[0])
        whole = (r for _, r in confirmed if r.generation == newest.generation and r.state == "completed")
        parts: dict[int, SnapshotRecord] = {}
        for r in sorted(whole, key=lambda r: r.order):
            parts[r.part] = r
        missing = [f"part {k} of {newest.parts}" for k in range(1, newest.parts + 1) if k not in parts]
        if all(r.device != self.instance.root_device for r in parts.values()):
            missing.append(f"the root volume ({self.instance.root_device})")
        ordered = tuple(parts[k] for k in sorted(parts))
        return Generation(name=newest.generation, confirmed_at=confirmed_at, parts=ordered, missing=tuple(missing))

    @property
    def last_given_up(self) -> str:
        """The name of the generation that was confirmed last, in this stop or an earlier one; empty without one."""
        confirmed = [(r.confirmed_at, r.generation) for r in self.records if r.confirmed_at]
        return max(confirmed, default=(None, ""))[1]

    @property
    def volumes_given_up(self) -> frozenset[str]:
        """The ids of the volumes that were given up, in this stop or an earlier one, as far as records are kept."""
        return frozenset(r.volume_id for r in self.records if r.confirmed_at)

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


def _record_of(records: Iterable[SnapshotRecord], v: Volume, mark: TransitMark) -> SnapshotRecord | None:
    """The record of the snapshot that was taken of this volume, or that it was created from, in the attempt that
    its mark names. Anybody can write a mark; VolumeId and SnapshotId never change. A confirmed record comes first,
    then one whose snapshot is completed, and the newest of those."""
    of_attempt = (r for r in records if r.generation == mark.generation)
    proof = [r for r in of_attempt if r.volume_id == v.id or r.snapshot_id == v.snapshot_id]
    return max(proof, key=lambda r: (r.confirmed_at is not None, r.state == "completed", r.order), default=None)
