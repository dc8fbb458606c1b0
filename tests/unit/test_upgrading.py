"""An upgrade from an old release at every moment of a parking and of a start: everything starts whole. And the way
back: it starts the instance or says in words why not, and once today's version is there again, it starts whole."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from types import ModuleType
from typing import Any

import pytest

from park_volumes.core.phase import Phase, phase_of
from tests.model import judge
from tests.model.faults import Call, Fault, FaultPlan, Lag, ProcessDied
from tests.model.world import World
from tests.support.old_release import LAST, OLDEST, OldRelease
from tests.unit.facts import SETTINGS
from tests.unit.passes import DATA, ROOT, TIME_LIMIT, OneAtATime, Stand, WorldClock

ENCRYPTED = DATA._replace(device="/dev/sdf", key="arn:aws:kms:us-east-1:123456789012:key/of-the-customer")
ROUNDS = 12
"""Of both sides, a minute each: more than a parking or a start takes."""
AGES = (Phase.WHOLE, Phase.LOCKED, Phase.COMMITTED, Phase.PARKED)


@dataclass(frozen=True)
class Code:
    """What the passes of an old release are made of."""

    release: OldRelease
    reconcile: ModuleType
    ec2: ModuleType
    settings: ModuleType


@pytest.fixture(scope="module", params=[OLDEST, LAST], ids=["0.1", "0.1-last"])
def code(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Code:
    release: OldRelease = request.param
    return Code(release, *release.code(tmp_path_factory.mktemp("old"), "reconcile", "ec2", "settings"))


class Old:
    """The deployment of an old release in a world."""

    def __init__(self, code: Code, world: World) -> None:
        self.world, self._code = world, code

    def _pass(self, faults: FaultPlan | None) -> Any:
        client, settings = OneAtATime(self.world, faults=faults), self._code.settings
        clock = WorldClock(self.world)
        return self._code.reconcile.Pass(
            ec2=self._code.ec2.Ec2(client, deployment=SETTINGS.deployment),
            settings=settings.from_environment(self._code.release.environment),
            clock=clock,
            began=clock.now(),
            deadline=clock.now() + TIME_LIMIT,
            each=self._code.reconcile.one_by_one,
        )

    def park(self, instance_id: str, faults: FaultPlan | None = None) -> None:
        """A minute later."""
        self.world.clock.advance(61)
        self._pass(faults).park([instance_id])

    def start(self, instance_id: str, faults: FaultPlan | None = None) -> str:
        """What it answers, an error included."""
        result = self._pass(faults).start(instance_id)
        return f"{result.decision.reason} {result.error}".strip()

    def sweep_starts(self) -> None:
        this = self._pass(None)
        if self._code.release is OLDEST:
            this.settle(self._code.reconcile.sweep_start(this.ec2))
        else:
            this.sweep_starts()


class Today(Old):
    """Today's version in the same world."""

    def __init__(self, world: World) -> None:
        self.world, self._stand = world, Stand(world)

    def park(self, instance_id: str, faults: FaultPlan | None = None) -> None:
        self._stand.step_alone(instance_id, faults=faults)
        self._stand.try_way_back(instance_id)

    def start(self, instance_id: str, faults: FaultPlan | None = None) -> str:
        result = self._stand.start_pass(faults=faults).start(instance_id)
        assert result is not None
        return f"{result.reason} {result.error or ''}".strip()

    def sweep_starts(self) -> None:
        self._stand.start_pass().sweep()


Version = Callable[[World], Old]
"""Takes over a world, with whatever another version has left in it."""


@dataclass(frozen=True)
class Moment:
    """An instance on its way, and what its disks were before."""

    world: World
    instance_id: str
    before: object

    def elsewhere(self, *, lag: Lag | None = None) -> Moment:
        world = self.world.clone()
        world.lag = lag
        return replace(self, world=world)

    @property
    def phase(self) -> Phase:
        world = self.world.clone()
        world.lag = None
        (seen,) = Stand(world).fleet()
        return phase_of(seen)

    @property
    def is_whole(self) -> bool:
        """It runs with every disk and every byte; and whatever happened on the way, no copy was ever lacking."""
        assert judge.problems(self.world) == []
        instance = self.world.instances.get(self.instance_id)
        assert instance is not None
        return instance.state == "running" and judge.fittings(self.world, self.instance_id) == self.before

    def is_parked_by(self, version: Version) -> bool:
        one = version(self.world)
        for _ in range(ROUNDS):
            one.sweep_starts()
            one.park(self.instance_id)
        return self.phase is Phase.PARKED

    def asks_for_start(self, version: Version) -> str:
        """What the version answers. Then its sweeps have the time to do the rest."""
        one = version(self.world)
        answer = one.start(self.instance_id)
        for _ in range(ROUNDS):
            self.world.clock.advance(61)
            one.sweep_starts()
            one.park(self.instance_id)
        return answer


def _stopped() -> Moment:
    stand = Stand()
    instance_id = stand.launch(ROOT, ENCRYPTED)
    before = judge.fittings(stand.world, instance_id)
    stand.stop(instance_id)
    stand.after(61)
    return Moment(stand.world, instance_id, before)


def _at_change(number: int) -> FaultPlan:
    """The process dies after so many calls that change anything."""
    left = number

    def plan(call: Call) -> Fault | None:
        nonlocal left
        if not call.operation.startswith("Describe") and not call.params.get("DryRun"):
            left -= 1
        return None if left else Fault.DIES_AFTER

    return plan


def _dying(moment: Moment, act: Callable[[Moment, FaultPlan], object]) -> Iterator[Moment]:
    """What a pass leaves that dies after its first change, its second and so on; last, what a whole one leaves."""
    number, died = 0, True
    while died:
        number, died, copy = number + 1, False, moment.elsewhere()
        try:
            act(copy, _at_change(number))
        except ProcessDied:
            died = True
        yield copy


def _parking(version: Version) -> list[Moment]:
    """Every moment of a parking, until it is parked."""
    moments = [_stopped()]
    while moments[-1].phase is not Phase.PARKED:
        moments += _dying(moments[-1], lambda at, faults: version(at.world).park(at.instance_id, faults))
    return moments


def _starting(version: Version, parked: Moment) -> list[Moment]:
    """Every moment of the pass that starts it."""
    return list(_dying(parked, lambda at, faults: version(at.world).start(at.instance_id, faults)))


@pytest.fixture(scope="module")
def old(code: Code) -> Version:
    return partial(Old, code)


@pytest.fixture(scope="module")
def parking(old: Version) -> list[Moment]:
    """Every moment of a parking by the old release."""
    return _parking(old)


@pytest.fixture(scope="module")
def today_s_parking() -> list[Moment]:
    """Every moment of a parking by today's version."""
    return _parking(Today)


def starts_whole(there: Moment, version: Version) -> None:
    phase, answer = there.phase, there.asks_for_start(version)
    assert there.is_whole, f"{phase}: {answer}"


class TestUpgrade:
    def test_every_phase_of_a_parking_was_seen(self, parking: list[Moment]) -> None:
        assert list(dict.fromkeys(moment.phase for moment in parking)) == list(AGES)

    def test_whatever_the_old_release_has_begun_to_park_starts_whole(self, parking: list[Moment]) -> None:
        for seed, moment in enumerate(parking):
            starts_whole(moment.elsewhere(lag=Lag(seconds=60, seed=seed)), Today)

    def test_whatever_it_has_begun_to_park_is_parked_to_the_end_and_starts_whole(self, parking: list[Moment]) -> None:
        for moment in parking:
            upgraded = moment.elsewhere()
            assert upgraded.is_parked_by(Today), f"{moment.phase}: {upgraded.phase}"
            starts_whole(upgraded, Today)

    def test_whatever_it_has_begun_to_start_starts_whole(self, old: Version, parking: list[Moment]) -> None:
        moments = _starting(old, parking[-1])
        assert Phase.RESTORING in {moment.phase for moment in moments}
        for seed, moment in enumerate(moments):
            starts_whole(moment.elsewhere(lag=Lag(seconds=60, seed=seed)), Today)


class TestWayBack:
    """The old release is deployed again; and then, where it cannot go on, today's once more."""

    def test_what_is_not_given_up_yet_starts_whole_with_the_old_release(
        self, old: Version, today_s_parking: list[Moment]
    ) -> None:
        for moment in (m for m in today_s_parking if m.phase in (Phase.WHOLE, Phase.LOCKED)):
            starts_whole(moment.elsewhere(), old)

    def test_the_last_code_of_0_1_starts_all_of_it_whole(
        self, code: Code, old: Version, today_s_parking: list[Moment]
    ) -> None:
        for moment in today_s_parking if code.release is LAST else ():
            starts_whole(moment.elsewhere(), old)

    def test_what_is_given_up_the_oldest_does_not_start_and_says_why(
        self, code: Code, old: Version, today_s_parking: list[Moment]
    ) -> None:
        """It cannot read the confirmation on the snapshots. While the last volumes are there, it waits for those."""
        given_up = [m for m in today_s_parking if m.phase in (Phase.COMMITTED, Phase.PARKED)]
        for moment in given_up if code.release is OLDEST else ():
            answer = moment.elsewhere().asks_for_start(old)
            cannot_read = f"{moment.instance_id} has no root volume and no snapshots of ParkVolumes to make one from."
            waits = f"The last volumes of {moment.instance_id} are being deleted; then it is restored."
            assert answer.startswith((cannot_read, waits) if moment.phase is Phase.COMMITTED else cannot_read)
            assert answer == waits or answer.endswith("The snapshot is kept; correct its park-volumes: tags.")

    def test_whatever_it_does_meanwhile_today_s_version_then_starts_all_of_it_whole(
        self, old: Version, today_s_parking: list[Moment]
    ) -> None:
        for moment in (*today_s_parking, *_starting(Today, today_s_parking[-1])):
            back = moment.elsewhere()
            back.asks_for_start(old)
            starts_whole(back, Today)
