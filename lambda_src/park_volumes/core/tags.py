"""Turns records, marks and targets into EC2 tags, and back. Only this module knows the format of the tags.

Everything fits EC2's limits: 50 tags a resource, keys of 127 and values of 256 characters, and uses only characters
that every AWS service takes in tags (EC2 User Guide, "Tag restrictions"). The tags are the only storage that we have.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from park_volumes.core.facts import Attachment, AttachmentTarget, SnapshotRecord, TransitMark, Volume
from park_volumes.core.settings import Settings
from park_volumes.core.volume_spec import VolumeSpec

OPT_IN_ALL = "true"
OPT_IN_ROOT = "root"
OPTED_IN = (OPT_IN_ALL, OPT_IN_ROOT)
"""The values of the opt-in tag with which an instance is parked: whole, or its root volume only."""
LEAVE_ATTACHED = "false"
NO = (LEAVE_ATTACHED, "no", "off", "0")
"""The values of the same tag with which a volume stays attached; on an instance they are the same as no tag."""
BLANKS = ("", " ", "  ")
SPELLINGS = frozenset(before + word + after for word in OPTED_IN for before in BLANKS for after in BLANKS)
"""How an instance is opted in, in any case. The roles know the same (``opt_in_values`` in iam.tf): a condition of IAM
can ignore case, but blanks have to be spelt out."""
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
TARGET = PREFIX + "place"
START_REQUESTED = PREFIX + "start-requested"
ATTEMPT = PREFIX + "attempt"
TERMINATED = PREFIX + "terminated"

TAGS_PER_RESOURCE = 50
OUR_TAGS = 12
"""The most of our tags that one snapshot can have."""


class DamagedRecord(Exception):
    """The tags of one of our snapshots no longer say how to rebuild its volume."""


def owner_tags(tags: Mapping[str, str]) -> dict[str, str]:
    """The tags that a volume's owner gave it: without ours, and without AWS's own, which only AWS can write."""
    return {key: value for key, value in tags.items() if not key.startswith((PREFIX, "aws:"))}


def tags_of_aws(tags: Mapping[str, str]) -> list[str]:
    """The keys of the tags that only AWS can write, so a restored volume lacks them."""
    return [key for key in tags if key.startswith("aws:")]


def too_many_tags(volume: Volume) -> bool:
    """Whether a volume has more tags than fit on its snapshot together with ours."""
    return len(owner_tags(volume.tags)) + OUR_TAGS > TAGS_PER_RESOURCE


def tags_of_record(
    volume: Volume, attachment: Attachment, *, deployment: str, launch_time: datetime, generation: str, part: str
) -> dict[str, str]:
    """The tags with which a snapshot of this volume is created. ``part`` looks like "1/3"."""
    words = volume.spec.words()
    words |= {"card": str(attachment.card), "delete-on-termination": _word(attachment.delete_on_termination)}
    if volume.snapshot_id:
        words["from"] = volume.snapshot_id
    tags = owner_tags(volume.tags) | {
        DEPLOYMENT: deployment,
        INSTANCE: attachment.instance_id,
        DEVICE: attachment.device,
        LAUNCH_TIME: launch_time.isoformat(),
        GENERATION: generation,
        PART: part,
        VOLUME: " ".join(f"{name}={value}" for name, value in words.items()),
    }
    return tags | {KMS_KEY: volume.spec.kms_key} if volume.spec.kms_key else tags


def read_record(tags: Mapping[str, str], *, snapshot_id: str, encrypted: bool, **described: Any) -> SnapshotRecord:
    """The record of a snapshot; ``described`` has the fields that are not in its tags. Raises DamagedRecord, which
    names what cannot be read."""
    try:
        words = dict(word.split("=", 1) for word in tags[VOLUME].split())
        part, parts = tags[PART].split("/")
        requested, capacity_refused = _read_request(tags.get(START_REQUESTED, ""))
        kms_key = tags.get(KMS_KEY, "")
        return SnapshotRecord(
            snapshot_id=snapshot_id,
            deployment=tags[DEPLOYMENT],
            instance_id=tags[INSTANCE],
            device=tags[DEVICE],
            launch_time=datetime.fromisoformat(tags[LAUNCH_TIME]),
            generation=tags[GENERATION],
            part=int(part),
            parts=int(parts),
            spec=VolumeSpec.of_words(words, encrypted=encrypted or KMS_KEY in tags, kms_key=kms_key),
            card=int(words["card"]),
            delete_on_termination=_flag(words["delete-on-termination"]),
            user_tags=owner_tags(tags),
            source=words.get("from", ""),
            confirmed_at=datetime.fromisoformat(tags[MARK]) if MARK in tags else None,
            start_requested=requested,
            capacity_refused_at=capacity_refused,
            attempt=int(tags.get(ATTEMPT, "1")),
            terminated=_read_termination(tags),
            **described,
        )
    except (KeyError, ValueError) as error:
        what = f"The tags of snapshot {snapshot_id} do not say how to rebuild its volume ({error!r})"
        raise DamagedRecord(f"{what}. The snapshot is kept; correct its park-volumes: tags.") from error


def tags_of_confirmation(at: datetime) -> dict[str, str]:
    """The mark of a snapshot is the time of its volume's mark; the record holds the rest."""
    return {MARK: at.isoformat()}


def tags_of_termination(instance_id: str, at: datetime) -> dict[str, str]:
    return {TERMINATED: f"{instance_id} {at.isoformat()}"}


def _read_termination(tags: Mapping[str, str]) -> datetime | None:
    """When the instance of this record was seen terminated. A termination of another instance does not count."""
    instance_id, _, at = tags.get(TERMINATED, "").partition(" ")
    return datetime.fromisoformat(at) if instance_id == tags[INSTANCE] and at else None


def tags_of_request(at: datetime, capacity_refused_at: datetime | None) -> dict[str, str]:
    """A start request: when it came, and when EC2 last had no capacity for it, if that happened."""
    return {START_REQUESTED: " ".join(time.isoformat() for time in (at, capacity_refused_at) if time)}


def _read_request(value: str) -> tuple[datetime | None, datetime | None]:
    times = [datetime.fromisoformat(word) for word in value.split(" ")] if value else []
    return (times[0] if times else None, times[1] if len(times) > 1 else None)


def mark_value(mark: TransitMark) -> str:
    words = (mark.deployment, mark.instance_id, mark.generation, mark.launch_time.isoformat(), mark.at.isoformat())
    return " ".join(words)


def mark_pattern(deployment: str, instance_id: str) -> str:
    """A value of a DescribeVolumes tag filter that matches every mark of one instance."""
    return f"{deployment} {instance_id} *"


def tags_of_transit(mark: TransitMark, target: AttachmentTarget) -> dict[str, str]:
    place = f"{target.device} {target.card} {target.snapshot_id} {_word(target.delete_on_termination)}"
    return {MARK: mark_value(mark), TARGET: place}


def tags_of_restored_volume(r: SnapshotRecord) -> dict[str, str]:
    """The tags with which a volume is restored: its owner's, and those that say that it is in transit.
    They are the same in every pass: EC2 accepts a ClientToken again only with the same parameters."""
    if r.confirmed_at is None:
        raise DamagedRecord(f"Snapshot {r.snapshot_id} has no mark: its volume was never given up.")
    mark = TransitMark(
        deployment=r.deployment,
        instance_id=r.instance_id,
        generation=r.generation,
        launch_time=r.launch_time,
        at=r.confirmed_at,
    )
    return dict(r.user_tags) | tags_of_transit(mark, r.target)


def with_transit_tags(volume: Volume, tags: Mapping[str, str]) -> Volume:
    """The volume with the mark and the target in its tags. Tags that cannot be read count as absent."""
    try:
        return replace(volume, mark=_read_mark(tags), target=_read_target(tags))
    except ValueError:
        return volume


def _read_mark(tags: Mapping[str, str]) -> TransitMark | None:
    if MARK not in tags:
        return None
    deployment, instance_id, generation, *times = tags[MARK].split(" ")
    launched, at = map(datetime.fromisoformat, times)
    return TransitMark(
        deployment=deployment, instance_id=instance_id, generation=generation, launch_time=launched, at=at
    )


def _read_target(tags: Mapping[str, str]) -> AttachmentTarget | None:
    if TARGET not in tags:
        return None
    device, card, snapshot_id, delete_on_termination = tags[TARGET].split(" ")
    ends = _flag(delete_on_termination)
    return AttachmentTarget(device=device, card=int(card), snapshot_id=snapshot_id, delete_on_termination=ends)


def _word(flag: bool) -> str:
    return str(flag).lower()


def _flag(word: str) -> bool:
    if word not in ("true", "false"):
        raise ValueError(f"{word!r} is neither true nor false")
    return word == "true"


def opted_in(tags: Mapping[str, str], settings: Settings) -> bool:
    """Whether an instance with these tags is parked when it stops."""
    return tags.get(settings.opt_in_tag_key, "").lower() in SPELLINGS


def opt_in_word(tags: Mapping[str, str], settings: Settings) -> str | None:
    """The value of the opt-in tag, in lower case and without blanks around it; None if there is no such tag."""
    value = tags.get(settings.opt_in_tag_key)
    return None if value is None else value.strip().lower()
