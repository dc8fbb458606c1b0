"""One deployment in a model world, and the passes of its two functions."""

from __future__ import annotations

from collections.abc import MutableMapping
from datetime import datetime, timedelta
from threading import RLock
from typing import Any

from park_volumes.aws import Ec2
from park_volumes.core.facts import Observation
from park_volumes.core.settings import Settings
from park_volumes.core.steps import MarkVolume
from park_volumes.run.context import Each, Pass, one_by_one
from park_volumes.run.execute import Result
from park_volumes.run.fleet import observe_fleet
from park_volumes.run.park_pass import ParkPass, park_sweep
from park_volumes.run.start_pass import Queue, StartPass
from tests.model.answers import Answer
from tests.model.client import Operation
from tests.model.ec2_model import EC2Client
from tests.model.faults import FaultPlan
from tests.model.records import Disk, Instance
from tests.model.world import World
from tests.unit.facts import OPT_IN, SETTINGS

ROOT = Disk(device="/dev/xvda", size=32, type="gp3", iops=4000, throughput=250, tags={"Name": "root"})
DATA = Disk(device="/dev/sdf", size=100, type="gp2", tags={"Name": "data"}, delete_on_termination=False)
TIME_LIMIT = timedelta(seconds=57)


TURN = RLock()
"""Held by whoever calls or moves the model: passes do both from several threads, and the model knows of none."""


class WorldClock:
    def __init__(self, world: World) -> None:
        self.world = world

    def now(self) -> datetime:
        return self.world.clock.time()

    def sleep(self, seconds: float) -> None:
        with TURN:
            self.world.clock.advance(seconds)


class OneAtATime(EC2Client):
    def _call(self, op: Operation, /, **params: Any) -> Answer:
        with TURN:
            return super()._call(op, **params)


class Stand:
    """A world with one deployment in it, and somebody who stops, starts and detaches as owners do."""

    def __init__(self, world: World | None = None, settings: Settings = SETTINGS) -> None:
        self.world = world or World()
        self.settings = settings
        self.clock = WorldClock(self.world)
        self.owner = EC2Client(self.world, "owner", owner=True)

    def launch(self, *disks: Disk, name: str = "db", opt_in: str = "true", **facts: Any) -> str:
        return self.world.launch(*(disks or (ROOT, DATA)), name=name, tags={OPT_IN: opt_in}, **facts)

    def instance(self, instance_id: str) -> Instance:
        found = self.world.instances.get(instance_id)
        assert found is not None
        return found

    def ec2(self, *, caller: str = "function", faults: FaultPlan | None = None) -> Ec2:
        client, its = OneAtATime(self.world, caller, faults=faults), self.settings
        return Ec2(client, deployment=its.deployment, previous_names=its.previous_names)  # type: ignore[arg-type]

    def this_pass(
        self,
        *,
        ec2: Ec2 | None = None,
        faults: FaultPlan | None = None,
        lasts: timedelta = TIME_LIMIT,
        each: Each = one_by_one,
        known: MutableMapping[str, datetime] | None = None,
    ) -> Pass:
        began = self.clock.now()
        return Pass(
            ec2=ec2 or self.ec2(faults=faults),
            settings=self.settings,
            clock=self.clock,
            began=began,
            deadline=began + lasts,
            each=each,
            known={} if known is None else known,
        )

    def park_pass(self, **options: Any) -> ParkPass:
        return ParkPass(this_pass=self.this_pass(**options))

    def start_pass(self, *, queue: Queue | None = None, **options: Any) -> StartPass:
        return StartPass(this_pass=self.this_pass(**options), queue=queue or Queue())

    def fleet(self) -> list[Observation]:
        return observe_fleet(self.ec2().reads, self.settings, self.clock.now()).observations

    def swept(self) -> list[str]:
        """The ids that a sweep of the park side finds."""
        return park_sweep(self.fleet(), self.settings, self.clock.now())

    def after(self, seconds: float) -> None:
        self.world.clock.advance(seconds)

    def stop(self, instance_id: str) -> None:
        self.owner.stop_instances(InstanceIds=[instance_id])
        self.after(60)

    def stopped(self, *disks: Disk, **facts: Any) -> str:
        instance_id = self.launch(*disks, **facts)
        self.stop(instance_id)
        return instance_id

    def step(self, *ids: str, faults: FaultPlan | None = None) -> list[Result]:
        """One pass of the park side, a minute after whatever came before, and the answer if it asks the start side."""
        results = self.step_alone(*ids, faults=faults)
        asking = [r.instance_id for r in results if {MarkVolume} == {type(s) for s in r.decision.every_step}]
        if asking:
            self.try_way_back(*asking)
        return results

    def ready(self, *ids: str) -> None:
        """Copied, and allowed to come back: the next pass detaches the root volumes."""
        for _ in range(2):
            self.step(*ids)
        self.after(61)

    def step_alone(self, *ids: str, faults: FaultPlan | None = None) -> list[Result]:
        self.after(61)
        return self.park_pass(faults=faults).park(ids)

    def rootless(self, *disks: Disk, **facts: Any) -> str:
        """Stopped, with completed and locked snapshots, and the root volume detached but still there."""
        instance_id = self.stopped(*disks, **facts)
        while self.instance(instance_id).root is not None:
            self.step(instance_id)
            self.after(10)
            self.try_way_back(instance_id)  # once more: IAM may go by the mark only now
        return instance_id

    def try_way_back(self, *ids: str) -> list[Result]:
        """One pass of the start side: it answers the marks that ask whether the way back is allowed."""
        return self.start_pass().settle(ids)

    def parked(self, *disks: Disk, **facts: Any) -> str:
        instance_id = self.rootless(*disks, **facts)
        for _ in range(8):
            self.step(instance_id)
        assert self.instance(instance_id).devices == ()
        return instance_id
