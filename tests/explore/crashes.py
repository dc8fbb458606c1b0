"""Every crash: a pass dies before and after each of its calls, or a call fails or its answer is lost; then sweeps."""

from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

from tests.explore.scenarios import MOMENTS, at
from tests.explore.stage import EXCUSES, Finding, Kind, Stage
from tests.model.faults import STRIKES_AT, Call, Fault, FaultPlan, Lag, at_call

FAULTS = (Fault.DIES_BEFORE, Fault.DIES_AFTER, Fault.ANSWER_LOST, Fault.THROTTLED)
LATE_FAULTS = tuple(STRIKES_AT)
KINDS: tuple[Kind, ...] = ("sweep of park", "start", "sweep of start")


class Crash(NamedTuple):
    shape: str
    moment: str
    kind: Kind
    call: int
    fault: Fault
    lag: float

    def __str__(self) -> str:
        return f"{self.shape}, {self.moment}: {self.kind}, call {self.call}: {self.fault.value}, lag {self.lag:.0f} s"


def crashes(shape: str, lag: float = 0.0, moments: tuple[str, ...] = MOMENTS) -> Iterator[Crash]:
    """All that can befall one pass of each kind in each moment of an instance of this shape.

    ``call`` counts all calls, or for a fault that only one operation can have, the calls of that operation.
    """
    for moment in moments:
        for kind in KINDS:
            stage = _stage(shape, moment, lag)
            process = stage.run(kind)
            for call in range(1, process.calls + 1):
                for fault in FAULTS:
                    yield Crash(shape, moment, kind, call, fault, lag)
            for fault in LATE_FAULTS:
                for number in range(1, process.client.calls.get(STRIKES_AT[fault], 0) + 1):
                    yield Crash(shape, moment, kind, number, fault, lag)


def suffer(crash: Crash, seen: Counter[str], known: set[int] | None = None) -> None:
    """Let it happen, then let the sweeps alone bring the instance to a rest, and start it. Raises Finding."""
    stage = _stage(crash.shape, crash.moment, crash.lag)
    stage.seen = seen
    process = stage.begin(crash.kind)
    process.client.faults = _plan(crash)
    stage.excuses += EXCUSES.get(crash.fault, ())
    try:
        process.finish()
        conclude(stage, known)
    except Finding as finding:
        raise Finding(f"{crash}: {finding}") from None


def _plan(crash: Crash) -> FaultPlan:
    if crash.fault not in STRIKES_AT:
        return at_call(crash.call, crash.fault)
    left = crash.call

    def plan(call: Call) -> Fault | None:
        nonlocal left
        left -= call.may_have(crash.fault)
        return crash.fault if left == 0 and call.may_have(crash.fault) else None

    return plan


def conclude(stage: Stage, known: set[int] | None = None) -> None:
    """What must come about after whatever happened. ``known``: situations in which it is known to."""
    if known is not None:
        situation = stage.fingerprint()
        if situation in known:
            stage.seen["rest: as known before"] += 1
            return
        known.add(situation)
    stage.outwait_the_stuck()
    stage.converge()
    if stage.state == "stopped" and stage.opted_in:
        stage.start_up()
    if stage.state == "running" and stage.opted_in:
        stage.retire()


def _stage(shape: str, moment: str, lag: float) -> Stage:
    stage = at(shape, moment).clone()
    stage.world.lag = Lag(lag, seed=7) if lag else None
    return stage
