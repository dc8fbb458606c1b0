"""What proves that a snapshot holds all of a volume. Tags only say what to do; anybody may write them. What counts here
never changes after a snapshot is created (VolumeId, StartTime, KmsKeyId, Description), or is seen on the volume now."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final

from park_volumes.core.facts import NEVER, Attachment, Instance, SnapshotRecord, Volume, VolumeInTransit
from park_volumes.core.tags import owner_tags

TAGS_COUNT: Final = timedelta(minutes=1)
"""How long IAM may ignore a tag that was just written; no document says. A denial until then proves nothing."""


def tagged_at(v: Volume) -> datetime:
    """When our tag was written on a volume: a restored one was created with it, the mark of another says when."""
    return max(v.created, v.mark.at if v.mark else NEVER)


def is_current(r: SnapshotRecord, volume: Volume) -> bool:
    """Whether a volume created from this record would be what the volume is now: nobody has modified it, or changed its
    tags, since its snapshot was taken."""
    return r.volume_id == volume.id and r.spec == volume.spec and r.user_tags == owner_tags(volume.tags)


def says(r: SnapshotRecord, v: VolumeInTransit) -> bool:
    """Whether the record says what the volume is now, and which flag its owner wants."""
    same_flag = v.owners_flag in (None, r.delete_on_termination)
    return same_flag and is_current(r, v.volume)


def changed(volumes: Iterable[VolumeInTransit]) -> list[VolumeInTransit]:
    """Those that are no longer what their records say."""
    return [v for v in volumes if not says(v.record, v)]


def is_copy(r: SnapshotRecord, volume: Volume, a: Attachment, instance: Instance) -> bool:
    """Whether a snapshot holds all that was written to a volume that is attached to a stopped instance: it was taken
    after the volume was attached, after the launch, and after the stop, if EC2 tells when that was. One that somebody
    has archived does not count, since no volume can be created from it for days."""
    after_stop = r.started >= (instance.stopped_at or NEVER)
    in_this_stop = r.started > max(a.attach_time, instance.launch_time) and after_stop
    place = (r.device, r.card, r.delete_on_termination) == (a.device, a.card, a.delete_on_termination)
    return in_this_stop and place and not r.archived and is_current(r, volume)
