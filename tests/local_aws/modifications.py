"""Modifications of volumes, which take their time (EBS user guide, "Elastic Volumes").

https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_ModifyVolume.html
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from moto.core.utils import utcnow

from tests.local_aws.ebs import Attachment, StrictEbs, StrictVolume, refusal
from tests.local_aws.filters import matches

BETWEEN = timedelta(hours=6)
"""Between two modifications of a volume."""
USUAL_IOPS = {"io1": 3000, "io2": 3000}
"""Of a volume that gets this type and no IOPS of its own. Those of the others are the same as for a new volume."""


@dataclass(kw_only=True)
class Modification:
    """The latest modification of a volume: its attributes before and after, under their API names."""

    volume: StrictVolume
    original: dict[str, Any]
    target: dict[str, Any]
    started: datetime
    state: str = "modifying"
    ended: datetime | None = None

    @property
    def under_way(self) -> bool:
        return self.state in {"modifying", "optimizing"}

    def apply(self) -> None:
        self.volume.size, self.volume.volume_type = self.target["Size"], self.target["VolumeType"]
        self.volume.iops, self.volume.throughput = self.target["Iops"], self.target["Throughput"]

    def end(self, state: str) -> None:
        self.state, self.ended = state, utcnow()

    def described(self) -> dict[str, Any]:
        """https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_VolumeModification.html"""
        progress = {"modifying": 0, "optimizing": 50, "completed": 100, "failed": 0}[self.state]
        facts = {"VolumeId": self.volume.id, "ModificationState": self.state, "Progress": progress}
        facts |= {f"Original{name}": value for name, value in self.original.items()}
        facts |= {f"Target{name}": value for name, value in self.target.items()}
        facts |= {"StartTime": self.started, "EndTime": self.ended}
        return {name: value for name, value in facts.items() if value is not None}

    def fields(self) -> dict[str, Any]:
        return {
            "modification-state": lambda: [self.state],
            "original-iops": lambda: [self.original["Iops"]],
            "original-size": lambda: [self.original["Size"]],
            "original-volume-type": lambda: [self.original["VolumeType"]],
            "target-iops": lambda: [self.target["Iops"]],
            "target-size": lambda: [self.target["Size"]],
            "target-volume-type": lambda: [self.target["VolumeType"]],
            "volume-id": lambda: [self.volume.id],
        }


class ElasticVolumes(StrictEbs):
    """The part of the EC2 backend that modifies volumes."""

    def __init__(self) -> None:
        super().__init__()
        self.modifications: dict[str, Modification] = {}

    def api_modify_volume(self, params: dict[str, Any]) -> Modification:
        """ModifyVolume, but for MultiAttachEnabled."""
        volume = self.volume_named(params["VolumeId"])
        if volume.state not in {"available", "in-use"}:
            raise refusal("IncorrectState", f"Volume '{volume.id}' is in the '{volume.state}' state.")
        self.refuse_too_often(volume.id)
        original = {
            "Size": volume.size,
            "VolumeType": volume.volume_type,
            "Iops": volume.iops,
            "Throughput": volume.throughput,
        }
        target = self.target(original, {name: params[name] for name in original if params.get(name)})
        self.end_dry_run()
        modification = Modification(volume=volume, original=original, target=target, started=utcnow())
        self.modifications[volume.id] = modification
        fails = self.world.faults.take("modify_volume", volume=volume.id) is not None
        self.world.later(
            self.world.settings.modify_volume_seconds,
            f"{volume.id} is modified",
            lambda: self.modified(modification, fails=fails),
        )
        return modification

    def refuse_too_often(self, volume_id: str) -> None:
        last = self.modifications.get(volume_id)
        if last is None:
            return
        if last.under_way:
            message = f"Volume {volume_id} cannot be modified in modification state {last.state.upper()}"
            raise refusal("IncorrectModificationState", message)
        if utcnow() < last.started + BETWEEN:
            raise refusal(
                "VolumeModificationRateExceeded",
                "You've reached the maximum modification rate per volume limit. Wait at least 6 hours between "
                "modifications per EBS volume.",
            )

    def target(self, original: dict[str, Any], asked: dict[str, Any]) -> dict[str, Any]:
        """What the volume is to be like. With another type, what is not asked for is what is usual for that type."""
        if not asked:
            raise refusal("InvalidParameterValue", "Must specify at least one of size, type, iops, throughput")
        whole = {**original, **asked}
        if whole["Size"] < original["Size"]:
            raise refusal("InvalidParameterValue", "New size cannot be smaller than existing size")
        kind = whole["VolumeType"]
        same = kind == original["VolumeType"]
        if not same or kind == "gp2":
            whole["Iops"] = asked.get("Iops") or USUAL_IOPS.get(kind)
        if not same:
            whole["Throughput"] = asked.get("Throughput")
        iops, throughput = self.performance(kind, whole["Size"], whole)
        return {**whole, "Iops": iops, "Throughput": throughput}

    def modified(self, modification: Modification, *, fails: bool) -> None:
        """The volume is what it is to be, and only slower for a while; or it stays as it was."""
        if fails:
            modification.end("failed")
            return
        modification.apply()
        modification.state = "optimizing"
        self.world.later(
            self.world.settings.optimize_volume_seconds,
            f"{modification.volume.id} is optimized",
            lambda: modification.end("completed"),
        )

    def api_attach_volume(self, volume_id: str, instance_id: str, device: str, card: int) -> Attachment:
        """AttachVolume waits for a modification, as public bug reports tell; no page does."""
        modification = self.modifications.get(volume_id)
        if modification is not None and modification.state == "modifying":
            message = f"Cannot attach volume {volume_id} when it is in modification state: MODIFYING"
            raise refusal("OperationNotPermitted", message)
        return super().api_attach_volume(volume_id, instance_id, device, card)

    def matching_modifications(self, ids: list[str], filters: dict[str, list[str]]) -> list[Modification]:
        """DescribeVolumesModifications: the latest of each volume that there is."""
        for volume_id in ids:
            self.volume_named(volume_id)
            if volume_id not in self.modifications:
                message = f"Modification for volume '{volume_id}' does not exist."
                raise refusal("InvalidVolumeModification.NotFound", message)
        return [
            modification
            for volume_id, modification in self.modifications.items()
            if volume_id in self.volumes
            and (not ids or volume_id in ids)
            and matches(filters, {}, modification.fields())
        ]
