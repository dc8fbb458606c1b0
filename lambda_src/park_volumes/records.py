"""Records, marks and places as EC2 tags, and back. The one place that knows the words of the tags.

Everything fits EC2's limits: 50 tags a resource, keys of 127 and values of 256 characters, and uses only characters
that every AWS service takes in tags (EC2 User Guide, "Tag restrictions"). Nothing else remembers anything for us.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

from park_volumes.model import Attachment, Mark, Place, Record, Volume

PREFIX = "park-volumes:"
DEPLOYMENT = PREFIX + "deployment"
INSTANCE = PREFIX + "instance"
DEVICE = PREFIX + "device"
LAUNCH_TIME = PREFIX + "launch-time"
GENERATION = PREFIX + "generation"
PART = PREFIX + "part"
VOLUME = PREFIX + "volume"
KMS_KEY = PREFIX + "kms-key"
MARK = PREFIX + "mark"
PLACE = PREFIX + "place"
START_REQUESTED = PREFIX + "start-requested"
ATTEMPT = PREFIX + "attempt"
TERMINATED = PREFIX + "terminated"

TAGS_PER_RESOURCE = 50
OUR_TAGS = 12
"""The most tags of ours that one snapshot can bear."""


class DamagedRecord(Exception):
    """A snapshot of ours whose tags no longer say how to rebuild its volume."""


def user_tags(tags: Mapping[str, str]) -> dict[str, str]:
    """The tags that a volume's owner gave it: not ours, and none of AWS's own, which nobody can write back."""
    return {key: value for key, value in tags.items() if not key.startswith((PREFIX, "aws:"))}


def lost_tags(tags: Mapping[str, str]) -> list[str]:
    """The keys of the tags that AWS gave a volume and that nobody can write back."""
    return [key for key in tags if key.startswith("aws:")]


def too_many_tags(volume: Volume) -> bool:
    """Whether a volume has more tags than fit beside ours on its snapshot."""
    return len(user_tags(volume.tags)) + OUR_TAGS > TAGS_PER_RESOURCE


def tags_of_record(
    volume: Volume, at: Attachment, *, deployment: str, launch_time: datetime, generation: str, part: str
) -> dict[str, str]:
    """The tags with which a snapshot of this volume is born; ``part`` reads "1/3"."""
    spec = {
        "zone": volume.zone,
        "type": volume.type,
        "size": volume.size,
        "iops": volume.iops,
        "throughput": volume.throughput,
        "card": at.card,
        "delete-on-termination": str(at.delete_on_termination).lower(),
        "from": volume.snapshot_id or None,
    }
    tags = user_tags(volume.tags) | {
        DEPLOYMENT: deployment,
        INSTANCE: at.instance_id,
        DEVICE: at.device,
        LAUNCH_TIME: launch_time.isoformat(),
        GENERATION: generation,
        PART: part,
        VOLUME: " ".join(f"{key}={value}" for key, value in spec.items() if value is not None),
    }
    return tags | {KMS_KEY: volume.kms_key} if volume.kms_key else tags


def record(
    tags: Mapping[str, str],
    *,
    snapshot_id: str,
    volume_id: str,
    state: str,
    started: datetime,
    progress: str,
    encrypted: bool,
    written: int | None = None,
    archived: bool = False,
) -> Record:
    """A snapshot's record. Raises DamagedRecord, which names what can not be read."""
    try:
        spec = dict(word.split("=", 1) for word in tags[VOLUME].split())
        part, parts = tags[PART].split("/")
        requested, refused = _request(tags.get(START_REQUESTED, ""))
        return Record(
            snapshot_id=snapshot_id,
            volume_id=volume_id,
            state=state,
            started=started,
            progress=progress,
            instance_id=tags[INSTANCE],
            device=tags[DEVICE],
            launch_time=datetime.fromisoformat(tags[LAUNCH_TIME]),
            generation=tags[GENERATION],
            part=int(part),
            parts=int(parts),
            zone=spec["zone"],
            type=spec["type"],
            size=int(spec["size"]),
            iops=int(spec["iops"]) if "iops" in spec else None,
            throughput=int(spec["throughput"]) if "throughput" in spec else None,
            card=int(spec["card"]),
            delete_on_termination=_boolean(spec["delete-on-termination"]),
            encrypted=encrypted or KMS_KEY in tags,
            kms_key=tags.get(KMS_KEY, ""),
            user_tags=user_tags(tags),
            source=spec.get("from", ""),
            mark=_confirmation(tags),
            start_requested=requested,
            start_refused=refused,
            attempt=int(tags.get(ATTEMPT, "1")),
            written=written,
            terminated=_terminated(tags),
            archived=archived,
        )
    except (KeyError, ValueError) as error:
        raise DamagedRecord(
            f"The tags of snapshot {snapshot_id} do not say how to rebuild its volume ({error!r}). "
            "The snapshot is kept; correct its park-volumes: tags."
        ) from error


def termination_value(instance_id: str, at: datetime) -> str:
    return f"{instance_id} {at.isoformat()}"


def _terminated(tags: Mapping[str, str]) -> datetime | None:
    """When the instance of this record was seen terminated; a word about another instance is none about this one."""
    instance_id, _, at = tags.get(TERMINATED, "").partition(" ")
    return datetime.fromisoformat(at) if instance_id == tags[INSTANCE] and at else None


def request_value(at: datetime, refused: datetime | None) -> str:
    """A request to start: when it came, and when EC2 last had no capacity for it, if that happened."""
    return " ".join(time.isoformat() for time in (at, refused) if time)


def _request(value: str) -> tuple[datetime | None, datetime | None]:
    times = [datetime.fromisoformat(word) for word in value.split(" ")] if value else []
    return (times[0] if times else None, times[1] if len(times) > 1 else None)


def mark_value(mark: Mark) -> str:
    words = (mark.deployment, mark.instance_id, mark.generation, mark.launch_time.isoformat(), mark.at.isoformat())
    return " ".join(words)


def mark_pattern(deployment: str, instance_id: str) -> str:
    """A DescribeVolumes tag filter value that matches every mark of one instance."""
    return f"{deployment} {instance_id} *"


def mark(tags: Mapping[str, str]) -> Mark | None:
    """The mark among these tags; None where there is none. Raises ValueError where it can not be read."""
    if MARK not in tags:
        return None
    deployment, instance_id, generation, launch_time, at = tags[MARK].split(" ")
    return Mark(
        deployment=deployment,
        instance_id=instance_id,
        generation=generation,
        launch_time=datetime.fromisoformat(launch_time),
        at=datetime.fromisoformat(at),
    )


def tags_of_confirmation(at: datetime) -> dict[str, str]:
    """The mark of a snapshot: the time of that of its volume. The rest of it is in the record."""
    return {MARK: at.isoformat()}


def _confirmation(tags: Mapping[str, str]) -> Mark | None:
    """The mark of a record; None where its volume was not given up. Raises KeyError, ValueError."""
    if MARK not in tags:
        return None
    return Mark(
        deployment=tags[DEPLOYMENT],
        instance_id=tags[INSTANCE],
        generation=tags[GENERATION],
        launch_time=datetime.fromisoformat(tags[LAUNCH_TIME]),
        at=datetime.fromisoformat(tags[MARK]),
    )


def place_value(place: Place) -> str:
    return f"{place.device} {place.card} {place.snapshot_id} {str(place.delete_on_termination).lower()}"


def place(tags: Mapping[str, str]) -> Place | None:
    """The place among these tags; None where there is none. Raises ValueError where it can not be read."""
    if PLACE not in tags:
        return None
    device, card, snapshot_id, delete_on_termination = tags[PLACE].split(" ")
    return Place(
        device=device, card=int(card), snapshot_id=snapshot_id, delete_on_termination=_boolean(delete_on_termination)
    )


def tags_of_mark(mark: Mark, place: Place) -> dict[str, str]:
    return {MARK: mark_value(mark), PLACE: place_value(place)}


def tags_of_volume(record: Record) -> dict[str, str]:
    """The tags with which a volume is restored: its owner's, and the marks that say it is in transit.

    They are the same whoever restores, and whenever: EC2 takes a ClientToken only with the parameters it had first.
    """
    if record.mark is None:
        raise DamagedRecord(f"Snapshot {record.snapshot_id} bears no mark: its volume was never given up.")
    return dict(record.user_tags) | tags_of_mark(record.mark, place_of(record))


def place_of(record: Record) -> Place:
    return Place(
        device=record.device,
        card=record.card,
        snapshot_id=record.snapshot_id,
        delete_on_termination=record.delete_on_termination,
    )


def with_mark(volume: Volume, tags: Mapping[str, str]) -> Volume:
    """The volume with its mark and place read from its tags. What can not be read counts as none."""
    try:
        return replace(volume, mark=mark(tags), place=place(tags))
    except ValueError:
        return volume


def _boolean(word: str) -> bool:
    if word not in ("true", "false"):
        raise ValueError(f"{word!r} is neither true nor false")
    return word == "true"
