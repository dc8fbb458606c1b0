"""The steps as calls of EC2."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any, Final, assert_never, cast

from park_volumes.aws.errors import GONE, INVALID, ROOTLESS, WOULD_SUCCEED, Ec2Error, Raced, errors_of
from park_volumes.aws.volume_parameters import parameters_of
from park_volumes.core import steps
from park_volumes.core import tags as our_tags

if TYPE_CHECKING:
    from mypy_boto3_ec2 import EC2Client

TAGGED: Final = 500
"""Resources tagged in one call; it takes 1,000 and recommends fewer (CreateTags API)."""
MODE: Final = "governance"
LOCK_DAYS: Final = 36_500
"""The longest lock that LockSnapshot takes. In governance mode UnlockSnapshot can end it earlier."""


class _DryClient:
    """An EC2 client whose calls EC2 only checks (the parameter DryRun of every action that changes something)."""

    def __init__(self, client: "EC2Client") -> None:
        self._client = client

    def __getattr__(self, name: str) -> Callable[..., Any]:
        return partial(getattr(self._client, name), DryRun=True)


class Ec2Writes:
    """The calls that change something. Every method raises Ec2Error, and Raced if looking again helps."""

    def __init__(self, client: "EC2Client") -> None:
        self._client = client

    def denied(self, step: steps.SimpleStep | steps.CreateVolume | steps.AttachVolume) -> Ec2Error | None:
        """The denial with which EC2 would answer this step, None if a policy allows it. What else EC2 checks in a dry
        run is documented nowhere, so another answer says nothing. Raises Ec2Error if there was no answer."""
        dry = Ec2Writes(cast("EC2Client", _DryClient(self._client)))
        try:
            match step:
                case steps.CreateVolume():
                    dry.create_volume(step)
                case steps.AttachVolume():
                    dry.attach_volume(step, step.volume_id)
                case _:
                    dry.do(step)
        except Ec2Error as error:
            if error.denied:
                return error
            if error.code != WOULD_SUCCEED and not error.refused:
                raise
        return None

    def do(self, step: steps.SimpleStep) -> None:  # noqa: C901, PLR0912  # one case for each step; mypy checks that none is missing
        match step:
            case steps.CreateSnapshot():
                self._create_snapshot(step)
            case steps.LockSnapshot():
                with errors_of("LockSnapshot", step.snapshot_id):
                    self._client.lock_snapshot(SnapshotId=step.snapshot_id, LockMode=MODE, LockDuration=LOCK_DAYS)
            case steps.MarkVolume():
                self._tag([step.volume_id], our_tags.tags_of_transit(step.mark, step.target))
            case steps.DetachVolume():
                self._detach_volume(step)
            case steps.ConfirmSnapshots():
                self._tag(step.snapshot_ids, our_tags.tags_of_confirmation(step.at))
            case steps.DeleteVolume():
                with errors_of("DeleteVolume", step.volume_id, done=GONE):
                    self._client.delete_volume(VolumeId=step.volume_id)
            case steps.DiscardSnapshot():
                self._discard_snapshot(step)
            case steps.ArchiveSnapshot() | steps.RestoreSnapshotTier():
                self._change_tier(step)
            case steps.RememberStart():
                self._tag(step.snapshot_ids, our_tags.tags_of_request(step.at, step.capacity_refused_at))
            case steps.RememberTermination():
                self._tag(step.snapshot_ids, our_tags.tags_of_termination(step.instance_id, step.at))
            case steps.RememberKept():
                self._tag([step.snapshot_id], our_tags.tags_of_kept(step.kept))
            case steps.RememberVerdict():
                self._tag([step.snapshot_id], our_tags.tags_of_verdict(step.verdict))
            case steps.CountAttempt():
                self._tag([step.snapshot_id], {our_tags.ATTEMPT: str(step.attempt)})
            case steps.SetDeleteOnTermination():
                self._set_delete_on_termination(step)
            case steps.UnmarkVolumes():
                self._unmark_volumes(step)
            case steps.StartInstance():
                self._start_instance(step)
            case _:
                assert_never(step)

    def _change_tier(self, step: steps.ArchiveSnapshot | steps.RestoreSnapshotTier) -> None:
        if isinstance(step, steps.ArchiveSnapshot):
            with errors_of("ModifySnapshotTier", step.snapshot_id):
                self._client.modify_snapshot_tier(SnapshotId=step.snapshot_id, StorageTier="archive")
        else:
            with errors_of("RestoreSnapshotTier", step.snapshot_id):
                self._client.restore_snapshot_tier(SnapshotId=step.snapshot_id, PermanentRestore=True)

    def _create_snapshot(self, step: steps.CreateSnapshot) -> None:
        with errors_of("CreateSnapshot", step.volume_id):
            self._client.create_snapshot(
                VolumeId=step.volume_id,
                Description=step.description,
                TagSpecifications=[{"ResourceType": "snapshot", "Tags": _tags(step.tags)}],
            )

    def _detach_volume(self, step: steps.DetachVolume) -> None:
        """Detach a volume. Raises Raced, though too late, if EC2 tells of another attachment than intended.
        Recorded answers of EC2 cut AttachTime to seconds or not; without one, the leaving volume still shows it."""
        with errors_of("DetachVolume", step.volume_id):
            ended = self._client.detach_volume(VolumeId=step.volume_id, InstanceId=step.instance_id, Device=step.device)
            at = ended.get("AttachTime") or self._still_attached_since(step)
        if at and at.replace(microsecond=0) != step.attach_time.replace(microsecond=0):
            words = f"it was attached again at {at:%H:%M:%S}, which this pass had not seen."
            raise Raced("DetachVolume", step.volume_id, "AttachedAnew", words)

    def _still_attached_since(self, step: steps.DetachVolume) -> datetime | None:
        """The AttachTime of an attachment that is ending; None once it has ended."""
        (volume,) = self._client.describe_volumes(VolumeIds=[step.volume_id])["Volumes"]
        here = (a for a in volume.get("Attachments", ()) if a.get("InstanceId") == step.instance_id)
        return next((a.get("AttachTime") for a in here), None)

    def _discard_snapshot(self, step: steps.DiscardSnapshot) -> None:
        """Unlock and delete a snapshot. Where EC2 refuses to unlock it, the deletion shows whether that was needed."""
        if step.locked:
            try:
                with errors_of("UnlockSnapshot", step.snapshot_id):
                    self._client.unlock_snapshot(SnapshotId=step.snapshot_id)
            except Ec2Error as error:
                if not error.refused:
                    raise
        with errors_of("DeleteSnapshot", step.snapshot_id, done=GONE):
            self._client.delete_snapshot(SnapshotId=step.snapshot_id)

    def create_volume(self, step: steps.CreateVolume) -> tuple[str, datetime]:
        """Create a volume from its record. Returns its id and creation time: a past one for a token used before."""
        r = step.record
        rate: dict[str, Any] = {"VolumeInitializationRate": step.rate} if step.rate else {}
        tags = our_tags.tags_of_rehearsal(r) if step.rehearsal else our_tags.tags_of_restored_volume(r)
        spec = r.rehearsal if step.rehearsal else r.spec
        with errors_of("CreateVolume", r.snapshot_id):
            made = self._client.create_volume(
                SnapshotId=r.snapshot_id,
                ClientToken=step.token,
                TagSpecifications=[{"ResourceType": "volume", "Tags": _tags(tags)}],
                **parameters_of(spec),
                **rate,
            )
        return made["VolumeId"], made["CreateTime"]

    def attach_volume(self, step: steps.AttachVolume, volume_id: str) -> None:
        # Older SDKs do not know the card, and without it EC2 uses 0.
        card: dict[str, Any] = {"EbsCardIndex": step.card} if step.card else {}
        with errors_of("AttachVolume", volume_id, raced={INVALID}):
            self._client.attach_volume(VolumeId=volume_id, InstanceId=step.instance_id, Device=step.device, **card)

    def _set_delete_on_termination(self, step: steps.SetDeleteOnTermination) -> None:
        devices = sorted(step.devices.items())
        flags: list[Any] = [{"DeviceName": device, "Ebs": {"DeleteOnTermination": flag}} for device, flag in devices]
        with errors_of("ModifyInstanceAttribute", step.instance_id, raced={"InvalidInstanceAttributeValue"}):
            self._client.modify_instance_attribute(InstanceId=step.instance_id, BlockDeviceMappings=flags)

    def _unmark_volumes(self, step: steps.UnmarkVolumes) -> None:
        """Remove exactly this mark. Given a value, EC2 deletes a tag only if it still has that value (DeleteTags API).
        The place is removed in any case: it tells people where the volume belongs, and nothing is done by it."""
        with errors_of("DeleteTags", ", ".join(step.volume_ids), done=GONE):
            self._client.delete_tags(
                Resources=list(step.volume_ids),
                Tags=[{"Key": our_tags.MARK, "Value": our_tags.mark_value(step.mark)}, {"Key": our_tags.TARGET}],
            )

    def _start_instance(self, step: steps.StartInstance) -> None:
        """Start an instance. EC2 answers InvalidParameterValue if the root volume is not attached, which is a race, and
        if it does not accept something else of the instance, which is none."""
        try:
            with errors_of("StartInstances", step.instance_id, raced={INVALID}):
                self._client.start_instances(InstanceIds=[step.instance_id])
        except Raced as error:
            if error.code == INVALID and not ROOTLESS.search(error.message):
                raise error.for_good from error
            raise

    def stop_instance(self, instance_id: str) -> None:
        with errors_of("StopInstances", instance_id):
            self._client.stop_instances(InstanceIds=[instance_id])

    def _tag(self, ids: Sequence[str], tags: Mapping[str, str]) -> None:
        for start in range(0, len(ids), TAGGED):
            some = ids[start : start + TAGGED]
            with errors_of("CreateTags", ", ".join(some)):
                self._client.create_tags(Resources=list(some), Tags=_tags(tags))


def _tags(tags: Mapping[str, str]) -> list[Any]:
    return [{"Key": key, "Value": value} for key, value in sorted(tags.items())]
