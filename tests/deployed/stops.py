"""A fleet whose instances are stopped in every way there is, all at once, because parking takes minutes."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import boto3

from tests.local_aws.client import LocalAws
from tests.model.policies import Deny, tagged
from tests.support.fleet import PATIENCE, Disk, Fleet, Picture
from tests.support.url import Answer, FunctionUrl

DATA = Disk(device="/dev/sdf", size=20, delete_on_termination=False, tags={"Name": "data", "Team": "sales"})
EVERY = 5
"""Seconds from one look at all instances to the next: much shorter than the lock, during which one is started."""
STAYING = {"/dev/sdg", "/dev/sdh"}
"""Of the instance "excluded": where its owner says no, and where Kubernetes knows the volume by its id."""
BOTH = (Disk(tags={"Name": "root"}), DATA)


@dataclass(frozen=True, kw_only=True)
class Kind:
    """How an instance is launched, and where it is expected to end when it is stopped: in which state, and with what in
    its detail."""

    disks: tuple[Disk, ...]
    opt_in: str | None = "true"
    ends: str = "parked"
    told: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_opted_in(self) -> bool:
        return (self.opt_in or "").strip().lower() in ("true", "root")

    def has_ended(self, shown: Mapping[str, Any]) -> bool:
        return shown["state"] == self.ends and self.told in shown["detail"]


class Stops:
    """The instances by name; ``before`` are their pictures from when they ran."""

    def __init__(self, *, aws: LocalAws, fleet: Fleet) -> None:
        self.aws, self.fleet = aws, fleet
        kms = boto3.client("kms", **aws.boto3_arguments())  # type: ignore[call-overload]  # a mapping
        self.key = kms.create_key(Description="data")["KeyMetadata"]["Arn"]
        self.kinds = _kinds(self.key)
        with ThreadPoolExecutor(4) as pool:
            self.ids = dict(zip(self.kinds, pool.map(self._launch, self.kinds), strict=True))
        self.aws.set_instance(self.ids["spot"], lifecycle="spot")
        owned = f"arn:aws:license-manager:{aws.region}:123456789012:license-configuration"
        self.aws.set_instance(self.ids["guest"], licenses=[f"{owned}:lic-0123456789abcdef0123456789abcdef"])
        self.aws.deny(Deny(actions=("DeleteVolume",), when=tagged("DoNotDelete")))
        self.before: dict[str, Picture] = {}
        self.volumes_before: dict[str, list[str]] = {}
        self.put_back: Answer | None = None
        self.asked_too_early: Answer | None = None

    def _launch(self, name: str) -> str:
        kind = self.kinds[name]
        tags = dict(kind.tags) | ({"ParkVolumes": kind.opt_in} if kind.opt_in else {})
        instance_id = self.fleet.launch("twin" if name.startswith("twin") else name, kind.disks, tags)
        self.aws.write(instance_id)
        return instance_id

    def stop_all(self, url: FunctionUrl) -> None:
        """Stop each in its way, and wait until all have come to where they are expected to end."""
        for name, instance_id in self.ids.items():
            self.before[name] = self.fleet.picture(instance_id)
            self.volumes_before[name] = self.fleet.volume_ids(instance_id)
        self.aws.drop_events(event="stopped", resource=self.ids["unheard"], count=9)
        self.aws.double_events(event="stopped", resource=self.ids["doubled"], count=9)
        self.aws.fail_snapshot(volume=self.volumes_before["unlucky"][0], count=99)
        self.aws.guest_shutdown(self.ids["guest"])
        self._ask_too_early(url)
        by_api = [i for name, i in self.ids.items() if name not in {"guest", "running", "hasty"}]
        self.fleet.ec2.stop_instances(InstanceIds=by_api)
        self._wait(url)

    def _ask_too_early(self, url: FunctionUrl) -> None:
        """One instance takes long to stop, and somebody wants it started meanwhile."""
        quickly = self.aws.settings()["stop_seconds"]
        self.aws.configure(stop_seconds=30)
        self.fleet.ec2.stop_instances(InstanceIds=[self.ids["hasty"]])
        self.asked_too_early = url.start("hasty")
        self.aws.configure(stop_seconds=quickly)

    def _wait(self, url: FunctionUrl) -> None:
        def open_ends() -> dict[str, str]:
            states = {i["id"]: i for i in url.instances()}
            self._regret(url)
            shown = {name: states[self.ids[name]] for name, kind in self.kinds.items() if kind.is_opted_in}
            return {name: i["detail"] for name, i in shown.items() if not self.kinds[name].has_ended(i)}

        self.aws.wait_for(lambda: not open_ends(), PATIENCE, "all to be where they should be", open_ends, EVERY)

    def _regret(self, url: FunctionUrl) -> None:
        """One instance is started again as soon as its root volume is detached."""
        regret = self.ids["regret"]
        if self.put_back is None and len(self.fleet.volume_ids(regret)) < len(self.volumes_before["regret"]):
            self.put_back = url.start("regret")

    def wait_until_settled(self, name: str) -> None:
        """The sweep that settles comes when the functions ask for it; here also at once, which may be too early."""
        self.aws.fire_rule("park-volumes-start-fallback")
        self.fleet.wait_until_settled(self.ids[name])

    def show(self, url: FunctionUrl, name: str) -> dict[str, Any]:
        shown: dict[str, Any] = url.show(self.ids[name]).body
        return shown


def _kinds(key: str) -> dict[str, Kind]:
    shop = (
        Disk(size=16, iops=4000, throughput=200, kms_key=key, tags={"Name": "shop-root"}),
        Disk(device="/dev/sdf", size=100, iops=6000, throughput=250, kms_key=key, delete_on_termination=False),
        Disk(device="/dev/sdg", size=500, type="st1", tags={"Name": "log", "Äpfel": "süß & sauer"}),
    )
    kept = Disk(device="/dev/sdg", size=30, tags={"ParkVolumes": " No"})
    known = Disk(device="/dev/sdh", size=40, tags={"kubernetes.io/created-for/pvc/name": "db"})
    return {
        "shop": Kind(disks=shop),
        "guest": Kind(disks=BOTH, opt_in=" TRUE "),
        "root only": Kind(disks=BOTH, opt_in="Root"),
        "excluded": Kind(disks=(*BOTH, kept, known)),
        "guarded": Kind(
            disks=(Disk(), Disk(device="/dev/sdf", size=20, tags={"DoNotDelete": "yes"})),
            ends="stopped",
            told="DeleteVolume is denied",
        ),
        "unheard": Kind(disks=BOTH),
        "doubled": Kind(disks=BOTH),
        "crowd": Kind(disks=BOTH),
        "keyless": Kind(disks=BOTH),
        "crowded out": Kind(disks=(Disk(),)),
        "by cli": Kind(disks=BOTH),
        "in a batch": Kind(disks=BOTH),
        "twin 1": Kind(disks=(Disk(),)),
        "twin 2": Kind(disks=(Disk(),)),
        "sleeper": Kind(disks=BOTH),
        "hasty": Kind(disks=(Disk(),)),
        "regret": Kind(disks=BOTH, ends="running"),
        "running": Kind(disks=BOTH, ends="running"),
        "unlucky": Kind(disks=(Disk(),), ends="parking"),
        "spot": Kind(disks=(Disk(),), ends="stopped"),
        "stranger": Kind(disks=BOTH, opt_in=None),
        "refuser": Kind(disks=BOTH, opt_in="false"),
        "misspelt": Kind(disks=(Disk(),), opt_in="yes"),
        "night": Kind(disks=(Disk(size=9, kms_key=key), DATA), opt_in=None, tags={"Nightly": "true"}),
    }
