"""A fleet of instances in a model account, and what befalls it: all are stopped, in the morning all are started."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from itertools import cycle

from park_volumes.core import tags as records
from tests.bench.cloud import Account
from tests.bench.deployed import OPT_IN
from tests.bench.simulation import Simulation
from tests.model.faults import BUCKETS, Bucket, Throttle
from tests.model.records import Disk, Durations, Rules
from tests.model.validation import Refused
from tests.model.world import World

GIB = 8
"""Of every volume, where nothing else is said."""
DURATIONS = Durations()
"""What takes how long where the figures are counts: 60 seconds a snapshot."""


def disks(count: int, gib: int = GIB) -> list[Disk]:
    """A root volume and data volumes."""
    devices = ["/dev/xvda", *(f"/dev/xvd{a}{b}" for a in "bc" for b in "abcdefghijklmnopqrstuvwxyz")]
    return [Disk(device=device, size=gib) for device in devices[:count]]


class Fleet:
    """So many running instances that are opted in. ``busy``: whether EC2's buckets are those that it documents."""

    def __init__(
        self,
        instances: int,
        volumes: int,
        *,
        gib: int = GIB,
        durations: Durations = DURATIONS,
        concurrency: int = 1000,
        elsewhere: Sequence[World] = (),
    ) -> None:
        """``elsewhere``: the other regions that the account has enabled."""
        names = tuple(world.rules.region for world in elsewhere)
        self.world = World(rules=Rules(regions=("us-east-1", *names)), durations=durations)
        self.world.throttle = Throttle()
        self.simulation = Simulation(self.world, *elsewhere)
        self.account = Account(self.simulation, concurrency)
        self.ids = [
            self.world.launch(*disks(volumes, gib), name=f"n{k}", tags={OPT_IN: "true"}) for k in range(instances)
        ]
        self.volumes = len(self.world.volumes.rows)
        self.began = self.simulation.now

    @property
    def seconds(self) -> float:
        """Since the beginning."""
        return self.simulation.now - self.began

    def stop(self, within: float = 60) -> None:
        """All are stopped, evenly over so many seconds, by whoever does such things at night."""
        for k, instance_id in enumerate(self.ids):
            moment = self.simulation.now + within * k / len(self.ids)
            self.simulation.at(moment, partial(stop, self.world, instance_id))

    def left(self, ids: Sequence[str] = ()) -> int:
        """The instances that still have a volume."""
        found = (self.world.instances.get(i) for i in ids or self.ids)
        return sum(bool(instance and instance.devices) for instance in found)

    def volumes_left(self) -> int:
        return len(list(self.world.volumes.current()))

    def running(self) -> int:
        found = (self.world.instances.get(i) for i in self.ids)
        return sum(instance is not None and instance.state == "running" for instance in found)

    def until_parked(self, most_seconds: float, *, but: int = 0) -> float:
        """Lets it run until no volume is left but so many of others; the seconds that this took."""
        end = self.seconds + most_seconds
        while self.volumes_left() > but and self.seconds < end:
            self.simulation.run(seconds=10)
        return self.seconds


def stop(world: World, instance_id: str) -> None:
    instance = world.instances.get(instance_id)
    if instance is not None:
        world.stop(instance, "Client.UserInitiatedShutdown")


class Neighbour:
    """Another caller in the account, which makes one call every two seconds: each action in turn, once, no retries."""

    ACTIONS = (
        "CreateSnapshot",
        "LockSnapshot",
        "CreateTags",
        "DetachVolume",
        "DeleteVolume",
        "DescribeInstances",
        "DescribeVolumes",
        "DescribeSnapshots",
    )

    def __init__(self, fleet: Fleet) -> None:
        self.made = self.answered = 0
        self._fleet = fleet
        fleet.simulation.spawn(self._live)

    def _live(self) -> None:
        throttle = self._fleet.world.throttle
        for action in cycle(self.ACTIONS):
            self.made += 1
            if throttle is not None:
                try:
                    throttle.take(action, {"Filters": [action]}, self._fleet.simulation.now)
                    self.answered += 1
                except Refused:
                    pass
            self._fleet.simulation.sleep(2)


def dictated(volumes: int) -> float:
    """Seconds that EC2's buckets alone ask for: the slowest action that every volume needs once."""

    def seconds(bucket: Bucket) -> float:
        return max(0, volumes - bucket.size) / bucket.refill

    once = ("CreateSnapshot", "LockSnapshot", "DetachVolume", "DeleteVolume")
    return max(seconds(BUCKETS[action]) for action in once)


def region(name: str) -> World:
    """Another region of the account, with its own buckets."""
    world = World(rules=Rules(region=name, zones=(f"{name}a",)), durations=DURATIONS)
    world.throttle = Throttle()
    return world


def asleep(instances: int, *, concurrency: int = 1000, elsewhere: Sequence[World] = ()) -> Fleet:
    """So many instances that were parked long ago: no volume, and two snapshots each of the last stop."""
    fleet = Fleet(0, 0, concurrency=concurrency, elsewhere=elsewhere)
    fleet.ids += sleepers(fleet.world, instances)
    return fleet


def sleepers(world: World, instances: int) -> list[str]:
    launch = datetime.fromtimestamp(int(world.clock.now) - 7200, UTC)
    when = datetime.fromtimestamp(int(world.clock.now) - 3600, UTC)
    ids = []
    for _ in range(instances):
        instance_id = world.launch(*disks(2), tags={OPT_IN: "true"}, state="stopped", age_seconds=7200)
        instance = world.instances.get(instance_id)
        assert instance is not None
        for k, item in enumerate(instance.devices, start=1):
            written = record_tags(instance_id, item.device, f"{k}/2", launch, when)
            world.add_snapshot(item.volume_id, tags=written, description=records.description_of(written))
            world.volumes.rows.pop(item.volume_id)
        world.instances.put(instance._replace(devices=()), 0)
        ids.append(instance_id)
    return ids


def record_tags(instance_id: str, device: str, part: str, launch: datetime, when: datetime) -> dict[str, str]:
    return {
        records.DEPLOYMENT: "park-volumes",
        records.INSTANCE: instance_id,
        records.DEVICE: device,
        records.LAUNCH_TIME: launch.isoformat(),
        records.GENERATION: "0123456789abcdef",
        records.PART: part,
        records.VOLUME: "zone=us-east-1a type=gp3 size=8 iops=3000 throughput=125 card=0 delete-on-termination=true",
        **records.tags_of_confirmation(when),
    }


def shuffled(ids: Sequence[str], seed: int) -> list[str]:
    mixed = list(ids)
    random.Random(seed).shuffle(mixed)
    return mixed
