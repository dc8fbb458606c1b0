"""Facts for the tests of decisions: one instance, stopped four hours ago, with a root and data volumes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from park_volumes.core.facts import (
    Attachment,
    AttachmentTarget,
    BlockDevice,
    Instance,
    Observation,
    SnapshotRecord,
    TransitMark,
    Verdict,
    Volume,
)
from park_volumes.core.park import park
from park_volumes.core.settings import Settings
from park_volumes.core.steps import CreateSnapshot, Decision, Step
from park_volumes.core.tags import read_record
from park_volumes.core.volume_spec import VolumeSpec
from park_volumes.core.way_back import shape_of

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
LAUNCHED = NOW - timedelta(hours=8)
TAKEN = NOW - timedelta(hours=1)
"""When the snapshots were taken."""
MARKED = NOW - timedelta(minutes=30)
OPT_IN = "ParkVolumes"
ZONE = "eu-central-1b"
ID = "i-0123456789abcdef0"
OTHER = "i-0fedcba9876543210"
ROOT = "/dev/xvda"
DATA = "/dev/sdf"
GENERATION = "0123456789abcdef"
SETTINGS = Settings(
    deployment="park-volumes",
    opt_in_tag_key=OPT_IN,
    function_timeout=timedelta(seconds=60),
    quiet_period=timedelta(seconds=120),
    grace_period=timedelta(0),
    snapshot_retention=timedelta(hours=24),
    lock_snapshots=True,
)
MARK = TransitMark(
    deployment=SETTINGS.deployment, instance_id=ID, generation=GENERATION, launch_time=LAUNCHED, at=MARKED
)


def attachment(device: str = ROOT, **facts: Any) -> Attachment:
    defaults: dict[str, Any] = {
        "instance_id": ID,
        "state": "attached",
        "attach_time": LAUNCHED,
        "delete_on_termination": device == ROOT,
    }
    return Attachment(device=device, **(defaults | facts))


def volume(volume_id: str, at: Attachment | None = None, **facts: Any) -> Volume:
    """A volume, attached or available. The facts may be attributes of its spec, too."""
    defaults: dict[str, Any] = {"state": "in-use" if at else "available"}
    return Volume(id=volume_id, attachments=(at,) if at else (), **(defaults | _with_spec(facts)))


def spec(**attributes: Any) -> VolumeSpec:
    defaults: dict[str, Any] = {"zone": ZONE, "type": "gp3", "size": 8}
    return VolumeSpec(**(defaults | attributes))


def _with_spec(facts: Mapping[str, Any]) -> dict[str, Any]:
    """The same facts, those that are attributes of a spec gathered in one."""
    names = {f.name for f in fields(VolumeSpec)}
    attributes = {name: value for name, value in facts.items() if name in names}
    others = {name: value for name, value in facts.items() if name not in names}
    return {"spec": spec(**attributes)} | others


def root_volume(**facts: Any) -> Volume:
    return volume("vol-root", attachment(ROOT), **facts)


def data_volume(**facts: Any) -> Volume:
    return volume("vol-data", attachment(DATA), **facts)


def mappings(volumes: Iterable[Volume], instance_id: str = ID) -> tuple[BlockDevice, ...]:
    """What DescribeInstances says of these volumes' attachments."""
    return tuple(
        BlockDevice(device=a.device, volume_id=v.id, status=a.state)
        for v in volumes
        for a in v.attachments
        if a.instance_id == instance_id
    )


def instance(**facts: Any) -> Instance:
    defaults: dict[str, Any] = {
        "id": ID,
        "state": "stopped",
        "launch_time": LAUNCHED,
        "zone": ZONE,
        "root_device": ROOT,
        "mappings": (),
        "tags": {OPT_IN: "true", "Name": "db"},
        "state_reason": "Client.UserInitiatedShutdown",
    }
    return Instance(**(defaults | facts))


def seen(
    *volumes: Volume, records: Iterable[SnapshotRecord] = (), locked: Iterable[str] | None = None, **facts: Any
) -> Observation:
    """What a look sees; unless `locked` says otherwise, every completed snapshot is locked."""
    every = tuple(records)
    ids = {r.snapshot_id for r in every if r.state == "completed"} if locked is None else locked
    one = instance(**({"mappings": mappings(volumes)} | facts))
    return Observation(instance=one, volumes=volumes, records=every, locked=frozenset(ids))


def record(device: str, **facts: Any) -> SnapshotRecord:
    """The record of the root volume or of the data volume: part 1 or 2 of 2, completed."""
    word = "root" if device == ROOT else "data"
    defaults: dict[str, Any] = {
        "snapshot_id": f"snap-{word}",
        "volume_id": f"vol-{word}",
        "state": "completed",
        "started": TAKEN,
        "progress": "100%",
        "deployment": SETTINGS.deployment,
        "instance_id": ID,
        "launch_time": LAUNCHED,
        "generation": GENERATION,
        "part": 2 if device == ROOT else 1,
        "parts": 2,
        "card": 0,
        "delete_on_termination": device == ROOT,
        "user_tags": {},
    }
    return SnapshotRecord(device=device, **(defaults | _with_spec(facts)))


def records(**facts: Any) -> tuple[SnapshotRecord, SnapshotRecord]:
    """Both records of the last stop, confirmed: the volumes were, or were about to be, given up."""
    both = {"confirmed_at": MARKED} | facts
    return record(DATA, **both), record(ROOT, **both)


def in_transit(v: Volume, mark: TransitMark = MARK) -> Volume:
    """The volume with a mark; that of the records, unless another is given."""
    return replace(v, mark=mark)


def target(device: str, snapshot_id: str, **facts: Any) -> AttachmentTarget:
    defaults: dict[str, Any] = {"card": 0, "delete_on_termination": device == ROOT}
    return AttachmentTarget(device=device, snapshot_id=snapshot_id, **(defaults | facts))


def given_up(**changes: Any) -> Observation:
    """The root volume is detached and still there, the data volume attached; both are marked."""
    of_data, of_root = records()
    there = (in_transit(volume("vol-root")), in_transit(data_volume()))
    return seen(*there, records=(of_data, of_root), **changes)


def parked(**changes: Any) -> Observation:
    """None of the volumes exists."""
    return seen(records=records(), **changes)


def restored(r: SnapshotRecord, at: Attachment | None = None, **facts: Any) -> Volume:
    """A volume made from a record."""
    made = volume(f"vol-new-{r.device[-3:]}", at, snapshot_id=r.snapshot_id, **facts)
    return in_transit(made)


def steps_of(decision: Decision, kind: type[Any]) -> list[Any]:
    return [step for step in decision.every_step if isinstance(step, kind)]


def kinds(decision: Decision) -> list[set[str]]:
    """The kinds of steps in each stage."""
    return [{type(step).__name__ for step in stage} for stage in decision.steps]


def with_snapshots(before: Observation, *, started: datetime = TAKEN, **facts: Any) -> Observation:
    """The same after the park side has taken the snapshots it asks for; every one completed, unless facts differ."""
    asked: list[CreateSnapshot] = steps_of(park(before, SETTINGS, NOW), CreateSnapshot)
    made = [recorded(step, started=started, number=k) for k, step in enumerate(asked, start=1)]
    return replace(before, records=(*before.records, *(replace(allowed(r, before), **facts) for r in made)))


def allowed(r: SnapshotRecord, s: Observation) -> SnapshotRecord:
    """The record once the start side has tried the way back, and EC2 allows it."""
    return replace(r, verdict=Verdict(shape=shape_of(r, s.instance), at=NOW - timedelta(minutes=1)))


def recorded(step: CreateSnapshot, *, started: datetime, number: int) -> SnapshotRecord:
    """The record that a step leaves on its snapshot."""
    return read_record(
        step.tags,
        snapshot_id=f"snap-{number}",
        description=step.description,
        volume_id=step.volume_id,
        state="completed",
        started=started,
        progress="100%",
        encrypted=False,
    )


def change(s: Observation, **facts: Any) -> Observation:
    """The same with another fact of the instance."""
    return replace(s, instance=replace(s.instance, **facts))


def opted(value: str) -> Mapping[str, str]:
    return {OPT_IN: value}


Steps = tuple[tuple[Step, ...], ...]
