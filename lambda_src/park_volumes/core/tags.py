"""Turns records, marks and targets into EC2 tags, and back. Only this module knows the format of the tags.

Everything fits EC2's limits: 50 tags a resource, keys of 127 and values of 256 characters, and uses only characters
that every AWS service takes in tags (EC2 User Guide, "Tag restrictions"). The tags are the only storage that we have.

Whoever may tag can write anything into them, so every value is read by its type and range. What does not fit damages
its own snapshot or volume, and is reported with the instance that it belongs to. What it takes to rebuild a volume is
essential: without it there is no record. The other tags of a snapshot are notes, which then count as absent."""

import base64
import hashlib
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any, TypeVar

from park_volumes.core import reading
from park_volumes.core.facts import (
    Attachment,
    AttachmentTarget,
    Kept,
    Rehearsal,
    SnapshotRecord,
    TransitMark,
    Verdict,
    Volume,
)
from park_volumes.core.reading import flag, read_from, time, whole, word
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
WAY_BACK = PREFIX + "way-back"
KEPT = PREFIX + "kept"
REHEARSAL = PREFIX + "rehearsal"
HOME = PREFIX + "home"

VALUE_LENGTH = 256
"""The most characters of a tag's value."""
TAGS_PER_RESOURCE = 50
OUR_TAGS = 12
"""The most of our tags that one snapshot can have, until it is to be discarded or its instance is terminated; beside
``HOME``."""
MOST_PARTS = 200
"""More than an instance has volumes: EC2 attaches at most 128 to one."""
CARDS = whole(0, 100)
SKEW = timedelta(minutes=1)
"""How far the clock that wrote a time may be ahead of the clock that reads it."""
T = TypeVar("T")
BORN_WITH = (DEPLOYMENT, INSTANCE, DEVICE, LAUNCH_TIME, GENERATION, PART, VOLUME, KMS_KEY)
"""Our tags that a snapshot is created with; they never change."""
SEAL = re.compile(r" \[([\w-]{11})\.((?:[\w-]{4})*)\]", re.ASCII)
"""The end of a description: a digest of the tags ``BORN_WITH``, and one of each tag of the owner."""
NONE = "-"
"""A word of a tag that says that there is nothing to say."""


class DamagedRecord(Exception):
    """The tags of one of our snapshots no longer say how to rebuild its volume."""


def owner_tags(tags: Mapping[str, str]) -> dict[str, str]:
    """The tags that a volume's owner gave it: without ours, and without AWS's own, which only AWS can write."""
    return {key: value for key, value in tags.items() if not key.startswith((PREFIX, "aws:"))}


def tags_of_aws(tags: Mapping[str, str]) -> list[str]:
    """The keys of the tags that only AWS can write, so a restored volume lacks them."""
    return [key for key in tags if key.startswith("aws:")]


def tags_of_home(settings: Settings) -> dict[str, str]:
    """Shows a deployment of the same name, at home in this region, that another one works here too."""
    return {HOME: settings.home} if settings.home else {}


def most_owner_tags(settings: Settings) -> int:
    """How many tags of a volume's owner fit on its snapshot together with ours."""
    return TAGS_PER_RESOURCE - OUR_TAGS - len(tags_of_home(settings))


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


def description_of(tags: Mapping[str, str]) -> str:
    """The description with which a snapshot with these tags is created. EC2 has no call that changes it, while anybody
    who may call CreateTags can change the tags: so it seals the record, and names the owner's tags of that time."""
    owner = sorted(owner_tags(tags).items())
    return f"{_plain_description(tags)} [{_seal(tags)}.{''.join(_digest(tag, 3) for tag in owner)}]"


def _plain_description(tags: Mapping[str, str]) -> str:
    """For people; also the whole description of a snapshot that a version before the seal took."""
    return f"ParkVolumes: {tags[DEVICE]} of {tags[INSTANCE]}"


def _seal(tags: Mapping[str, str]) -> str:
    return _digest([(key, tags[key]) for key in BORN_WITH if key in tags], 8)


def _digest(words: Iterable[object], size: int) -> str:
    """So many bytes of a hash, as characters."""
    whole = hashlib.sha256(repr(tuple(words)).encode(errors="surrogatepass")).digest()
    return base64.urlsafe_b64encode(whole[:size]).decode().rstrip("=")


def _sealed_owner_tags(tags: Mapping[str, str], description: str) -> dict[str, str]:
    """The owner's tags that the snapshot was created with; those that somebody added or changed later are left out.
    Raises ValueError if the description is not that of a record with these tags."""
    plain, now = _plain_description(tags), owner_tags(tags)
    if description == plain:
        return now
    sealed = SEAL.fullmatch(description.removeprefix(plain))
    if sealed is None or not description.startswith(plain) or sealed[1] != _seal(tags):
        raise ValueError(f"it was not created with them, by its description {description!r}")
    known = re.findall("....", sealed[2])
    return {key: value for key, value in now.items() if _digest((key, value), 3) in known}


def read_record(
    tags: Mapping[str, str], *, snapshot_id: str, description: str, encrypted: bool, kms_key: str = "", **described: Any
) -> SnapshotRecord:
    """The record of a snapshot; ``described`` has the fields that are not in its tags. Raises DamagedRecord, which
    names what cannot be read, and if the tags are not those that the snapshot was created with."""
    notes = _Notes(tags, snapshot_id)
    no_request: tuple[datetime | None, datetime | None] = (None, None)
    try:
        instance_id = read_from(tags, INSTANCE, reading.instance_id)
        part, parts = read_from(tags, PART, _part)
        words = read_from(tags, VOLUME, _words)
        requested, capacity_refused = notes.read(START_REQUESTED, _request, otherwise=no_request)
        return SnapshotRecord(
            snapshot_id=snapshot_id,
            deployment=read_from(tags, DEPLOYMENT, word),
            instance_id=instance_id,
            device=read_from(tags, DEVICE, word),
            launch_time=read_from(tags, LAUNCH_TIME, time),
            generation=read_from(tags, GENERATION, word),
            part=part,
            parts=parts,
            spec=VolumeSpec.of_words(words, encrypted=encrypted, kms_key=kms_key),
            card=read_from(words, "card", CARDS),
            delete_on_termination=read_from(words, "delete-on-termination", flag),
            user_tags=_sealed_owner_tags(tags, description),
            source=read_from(words, "from", word) if "from" in words else "",
            confirmed_at=read_from(tags, MARK, partial(_confirmation, tags)) if MARK in tags else None,
            start_requested=requested,
            capacity_refused_at=capacity_refused,
            attempt=notes.read(ATTEMPT, whole(1, 10_000), otherwise=1),
            terminated=notes.read(TERMINATED, partial(_termination, instance_id), otherwise=None),
            verdict=notes.read(WAY_BACK, _verdict, otherwise=None),
            kept=notes.read(KEPT, _kept, otherwise=None),
            home=notes.read(HOME, word, otherwise=""),
            damage=tuple(notes.damage),
            **described,
        )
    except ValueError as error:
        what = f"The tags of snapshot {snapshot_id} do not say how to rebuild its volume ({error})"
        raise DamagedRecord(f"{what}. The snapshot is kept; correct its park-volumes: tags.") from error


class _Notes:
    """Reads the notes of one snapshot. ``damage`` has a sentence for each that cannot be read."""

    def __init__(self, tags: Mapping[str, str], snapshot_id: str) -> None:
        self._tags, self._snapshot_id = tags, snapshot_id
        self.damage: list[str] = []

    def read(self, key: str, read: Callable[[str], T], *, otherwise: T) -> T:
        if key not in self._tags:
            return otherwise
        try:
            return read_from(self._tags, key, read)
        except ValueError as error:
            self.damage.append(_counts_for_nothing(f"snapshot {self._snapshot_id}", str(error)))
            return otherwise


def _counts_for_nothing(of: str, what: str) -> str:
    return f"A tag of {of} counts for nothing ({what}): correct it, or remove it."


def owner_of_record(tags: Mapping[str, str]) -> str:
    """The instance of a snapshot, even if its record is damaged; empty if that cannot be read."""
    return _or_nobody(tags.get(INSTANCE))


def owner_of_mark(tags: Mapping[str, str]) -> str:
    """The instance in the mark of a volume, even if the mark is damaged; empty if that cannot be read."""
    return _or_nobody([*tags.get(MARK, "").split(" "), ""][1])


def _or_nobody(text: object) -> str:
    try:
        return reading.instance_id(text)
    except ValueError:
        return ""


def _part(text: str) -> tuple[int, int]:
    numbers = [whole(1, MOST_PARTS)(number) for number in text.split("/")]
    match numbers:
        case [part, parts] if part <= parts:
            return part, parts
    raise ValueError("it is not a part of its parts, like 1/3")


def _words(text: str) -> dict[str, str]:
    """The words of the tag ``park-volumes:volume``."""
    pairs = [one.partition("=") for one in text.split(" ")]
    if not all(equals for _, equals, _ in pairs):
        raise ValueError("it does not consist of words like size=8")
    return {name: value for name, _, value in pairs}


def without_the_future(r: SnapshotRecord, now: datetime) -> SnapshotRecord:
    """The record without the notes of the future: nobody has asked for a start then, nor seen a termination. A
    confirmation of the future counts, because a start needs it, but it is reported, too."""
    of, late = f"snapshot {r.snapshot_id}", now + SKEW
    notes: dict[str, dict[str, datetime | None]] = {
        START_REQUESTED: {"start_requested": r.start_requested, "capacity_refused_at": r.capacity_refused_at},
        TERMINATED: {"terminated": r.terminated},
        WAY_BACK: {"verdict": r.verdict.at if r.verdict else None},
        KEPT: {"kept": r.kept.at if r.kept else None},
    }
    for key, times in notes.items():
        if any(at and at > late for at in times.values()):
            told = _counts_for_nothing(of, f"{key} is of the future")
            absent: dict[str, Any] = dict.fromkeys(times)
            r = replace(r, **absent, damage=(*r.damage, told))
    if r.confirmed_at and r.confirmed_at > late:
        r = replace(r, damage=(*r.damage, _mark_of_the_future(of, r.confirmed_at)))
    return r


def damage_of_volume(v: Volume, now: datetime) -> str:
    """What is wrong with the mark or the target of a volume, as a sentence; empty if nothing is."""
    if v.mark and v.mark.at > now + SKEW:
        return _mark_of_the_future(f"volume {v.id}", v.mark.at)
    return v.damage


def _mark_of_the_future(of: str, at: datetime) -> str:
    return f"The tag {MARK} of {of} is of the future: before {at:%Y-%m-%d %H:%M} UTC nothing is deleted or settled."


def tags_of_confirmation(at: datetime) -> dict[str, str]:
    """The mark of a snapshot is the time of its volume's mark; the record holds the rest."""
    return {MARK: at.isoformat()}


def _confirmation(tags: Mapping[str, str], text: str) -> datetime:
    """When the volume of this snapshot was given up. The first versions wrote the whole mark of the volume, of which
    the record has everything but the time."""
    rest = " ".join(tags[key] for key in (DEPLOYMENT, INSTANCE, GENERATION, LAUNCH_TIME))
    return time(text.removeprefix(f"{rest} "))


def tags_of_termination(instance_id: str, at: datetime) -> dict[str, str]:
    return {TERMINATED: f"{instance_id} {at.isoformat()}"}


def _termination(instance_id: str, text: str) -> datetime | None:
    """When this instance was seen terminated. A termination of another instance does not count."""
    other, _, at = text.partition(" ")
    return time(at) if reading.instance_id(other) == instance_id else None


def tags_of_request(at: datetime, capacity_refused_at: datetime | None) -> dict[str, str]:
    """A start request: when it came, and when EC2 last had no capacity for it, if that happened."""
    return {START_REQUESTED: " ".join(time.isoformat() for time in (at, capacity_refused_at) if time)}


def _request(text: str) -> tuple[datetime | None, datetime | None]:
    asked, tried, at = text.partition(" ")
    return time(asked), time(at) if tried else None


def tags_of_verdict(v: Verdict) -> dict[str, str]:
    rehearsed = v.rehearsed.isoformat() if v.rehearsed else NONE
    return _said(WAY_BACK, (v.at.isoformat(), v.shape, rehearsed, v.denied or NONE), v.words)


def _said(key: str, before: Iterable[str], words: str) -> dict[str, str]:
    """A tag that ends with EC2's words, cut to what it holds, and to the characters that every AWS service takes."""
    value = " ".join((*before, re.sub(r"[^\w .:/=+@-]", "", words, flags=re.ASCII)))
    return {key: value[:VALUE_LENGTH].strip()}


def tags_of_kept(kept: Kept) -> dict[str, str]:
    return _said(KEPT, (kept.at.isoformat(),), kept.words)


def says_the_same(before: Kept | None, now: Kept) -> bool:
    """Whether a snapshot was kept for the same reason before, as far as a tag holds it. EC2 gives no code for what uses
    a snapshot, so its words are compared."""
    return before is not None and before.words == _kept(tags_of_kept(now)[KEPT]).words


def _kept(text: str) -> Kept:
    at, _, words = text.partition(" ")
    return Kept(at=time(at), words=words)


def _verdict(text: str) -> Verdict | None:
    at, shape, rehearsed, denied, *words = [*text.split(" ", 4), *[""] * 4][:5]
    return Verdict(
        at=time(at),
        shape=word(shape),
        rehearsed=None if rehearsed == NONE else time(rehearsed),
        denied="" if denied == NONE else word(denied),
        words=" ".join(words),
    )


def tags_of_rehearsal(r: SnapshotRecord) -> dict[str, str]:
    """The tags of a volume that is created only to try its key: its owner's, since policies may ask for them."""
    return dict(r.user_tags) | {REHEARSAL: f"{r.deployment} {r.instance_id}"}


def _read_rehearsal(tags: Mapping[str, str]) -> Rehearsal | None:
    deployment, _, owner = tags.get(REHEARSAL, "").partition(" ")
    instance_id = _or_nobody(owner)
    return Rehearsal(deployment=deployment, instance_id=instance_id) if instance_id else None


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


def with_mark(volume: Volume) -> Volume:
    """The volume with the mark in its tags. If that cannot be read, it counts as absent."""
    volume = replace(volume, rehearsal=_read_rehearsal(volume.tags))
    try:
        return replace(volume, mark=read_from(volume.tags, MARK, _mark) if MARK in volume.tags else None)
    except ValueError as error:
        return replace(volume, damage=_counts_for_nothing(f"volume {volume.id}", str(error)))


def _mark(text: str) -> TransitMark:
    """Only a mark that is exactly as we write it counts: no other could be removed again (UnmarkVolumes)."""
    deployment, instance_id, generation, launched, at = [*text.split(" "), *[""] * 5][:5]
    mark = TransitMark(
        deployment=word(deployment),
        instance_id=reading.instance_id(instance_id),
        generation=word(generation),
        launch_time=time(launched),
        at=time(at),
    )
    if mark_value(mark) != text:
        raise ValueError("it is not written as ParkVolumes writes it")
    return mark


def _word(flag: bool) -> str:
    return str(flag).lower()


def opted_in(tags: Mapping[str, str], settings: Settings) -> bool:
    """Whether an instance with these tags is parked when it stops."""
    return tags.get(settings.opt_in_tag_key, "").lower() in SPELLINGS


def opt_in_word(tags: Mapping[str, str], settings: Settings) -> str | None:
    """The value of the opt-in tag, in lower case and without blanks around it; None if there is no such tag."""
    value = tags.get(settings.opt_in_tag_key)
    return None if value is None else value.strip().lower()
