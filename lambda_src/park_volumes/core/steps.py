"""The steps of decisions, named as in the EC2 API where it has them, and the decision itself."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from park_volumes.core.facts import AttachmentTarget, Kept, SnapshotRecord, TransitMark, Verdict


@dataclass(frozen=True, kw_only=True)
class CreateSnapshot:
    volume_id: str
    description: str
    tags: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class LockSnapshot:
    snapshot_id: str


@dataclass(frozen=True, kw_only=True)
class MarkVolume:
    """Tag a volume with its mark and its target."""

    volume_id: str
    mark: TransitMark
    target: AttachmentTarget


@dataclass(frozen=True, kw_only=True)
class DetachVolume:
    """Detach a volume. ``attach_time`` names the intended attachment, not a later one at the same device."""

    volume_id: str
    instance_id: str
    device: str
    attach_time: datetime


@dataclass(frozen=True, kw_only=True)
class ConfirmSnapshots:
    """Tag the snapshots of an attempt with the time of its mark: this pass, and no other, detached the root volume.
    The time is the same for all attempts of a pass, so one call is enough for all of them.
    It is no note but the proof without which nothing is deleted: where it cannot be written, the volumes come back."""

    snapshot_ids: tuple[str, ...]
    at: datetime


@dataclass(frozen=True, kw_only=True)
class DeleteVolume:
    volume_id: str


@dataclass(frozen=True, kw_only=True)
class DiscardSnapshot:
    """Unlock a snapshot, if it is locked, and delete it. One that is shared with other accounts, or that EC2 does not
    delete because something uses it, is locked again and kept, and holds up no other."""

    snapshot_id: str
    locked: bool


@dataclass(frozen=True, kw_only=True)
class RememberKept:
    """Tag a snapshot with why it was not discarded. It is a note: where it cannot be written, it is tried again
    earlier."""

    snapshot_id: str
    kept: Kept


@dataclass(frozen=True, kw_only=True)
class ArchiveSnapshot:
    snapshot_id: str


@dataclass(frozen=True, kw_only=True)
class RestoreSnapshotTier:
    """Bring a snapshot back from the archive tier for good."""

    snapshot_id: str


@dataclass(frozen=True, kw_only=True)
class RememberStart:
    """Tag the snapshots of a stop: when a start was requested, and when EC2 last had no capacity for it.
    It is a note: where it cannot be written, as on a snapshot that already has 50 tags, the start goes on without."""

    snapshot_ids: tuple[str, ...]
    at: datetime
    capacity_refused_at: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class RememberTermination:
    """Tag the snapshots of an instance that was seen terminated."""

    snapshot_ids: tuple[str, ...]
    instance_id: str
    at: datetime


@dataclass(frozen=True, kw_only=True)
class RememberVerdict:
    """Tag a snapshot with what EC2 said of the calls that follow."""

    snapshot_id: str
    verdict: Verdict


@dataclass(frozen=True, kw_only=True)
class TryGivingUp:
    """Try dry whether volumes may be detached and deleted, and the records of their snapshots confirmed. A denial stops
    the decision."""

    parts: tuple[tuple[DetachVolume, SnapshotRecord], ...]


@dataclass(frozen=True, kw_only=True)
class TryWayBack:
    """Try dry whether volumes may be created from these records and attached, in the place of the volumes named with
    them, and whether the instance may be started. The verdict is written on the snapshots."""

    instance_id: str
    parts: tuple[tuple[SnapshotRecord, str], ...]


@dataclass(frozen=True, kw_only=True)
class CountAttempt:
    """Tag a snapshot with the number of the next volume to request from it.
    It is no note: without it the token would name the dead volume again, so where it cannot be written, the start fails
    and says why."""

    snapshot_id: str
    attempt: int


@dataclass(frozen=True, kw_only=True)
class CreateVolume:
    """Create a volume from a record, with its mark and target. The same ``token`` creates only one volume.
    ``rate``: MiB/s at which EC2 loads it from its snapshot; None: on first access. ``rehearsal``: it is created only to
    see whether EC2 can use its key, and gets neither."""

    record: SnapshotRecord
    token: str
    rate: int | None = None
    rehearsal: bool = False


@dataclass(frozen=True, kw_only=True)
class AttachVolume:
    """Attach a volume: a known one by ``volume_id``, or the one that this pass makes from ``snapshot_id``."""

    instance_id: str
    device: str
    card: int
    volume_id: str = ""
    snapshot_id: str = ""


@dataclass(frozen=True, kw_only=True)
class SetDeleteOnTermination:
    instance_id: str
    devices: Mapping[str, bool]


@dataclass(frozen=True, kw_only=True)
class UnmarkVolumes:
    """Remove exactly this mark from these volumes. A volume that has another mark by now keeps it."""

    volume_ids: tuple[str, ...]
    mark: TransitMark


@dataclass(frozen=True, kw_only=True)
class StartInstance:
    instance_id: str


ParkStep = CreateSnapshot | LockSnapshot | MarkVolume | DetachVolume | ConfirmSnapshots | DeleteVolume
SnapshotStep = DiscardSnapshot | RememberKept | ArchiveSnapshot | RestoreSnapshotTier
RequestStep = RememberStart | RememberTermination
StartStep = CountAttempt | SetDeleteOnTermination | UnmarkVolumes | StartInstance | RememberVerdict
SimpleStep = ParkStep | SnapshotStep | RequestStep | StartStep
"""The steps that are one call, and have no result for later steps except their success."""
Step = SimpleStep | CreateVolume | AttachVolume | TryGivingUp | TryWayBack
Stage = tuple[Step, ...]


def stages(*every: Stage) -> tuple[Stage, ...]:
    """These stages, without the empty ones."""
    return tuple(stage for stage in every if stage)


class Outcome(StrEnum):
    """What a decision means for the caller."""

    DONE = "done"
    GOING_ON = "going on"
    REFUSED = "refused"
    OBSERVED = "observed"


@dataclass(frozen=True, kw_only=True)
class Decision:
    """What to do about one instance, and why, in a sentence.
    ``steps`` are stages, done one after the other. The steps within a stage do not depend on each other. ``look_again``
    is the time until another look is useful, if no event announces it."""

    reason: str
    outcome: Outcome = Outcome.DONE
    steps: tuple[Stage, ...] = ()
    look_again: timedelta | None = None

    @property
    def every_step(self) -> Iterator[Step]:
        return (step for stage in self.steps for step in stage)


def going_on(reason: str, *, steps: tuple[Stage, ...] = (), again: timedelta | None = None) -> Decision:
    """Something is in progress: an event, the sweep, or a look after ``again`` continues it."""
    return Decision(reason=reason, outcome=Outcome.GOING_ON, steps=steps, look_again=again)


def refuse(reason: str, *steps: Stage) -> Decision:
    """It does not continue by itself: a person has to change something."""
    return Decision(reason=reason, outcome=Outcome.REFUSED, steps=stages(*steps))
