"""observe_only: everything is decided and said, and nothing is changed."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from park_volumes.core.park import park
from park_volumes.core.prices import GIB, prices_of
from park_volumes.core.refusals import apply_observe_only
from park_volumes.core.status import status
from park_volumes.core.steps import Outcome
from tests.unit.facts import (
    DATA,
    ID,
    NOW,
    ROOT,
    SETTINGS,
    data_volume,
    given_up,
    parked,
    record,
    root_volume,
    seen,
)
from tests.unit.functions import SWEEP, SWEEP_STARTS, Functions, state_change
from tests.unit.passes import Stand

OBSERVING = replace(SETTINGS, observe_only=True)
IN_VIRGINIA = replace(OBSERVING, prices=prices_of("us-east-1", {}))


def test_what_would_be_done_is_said_and_not_done() -> None:
    stopped = seen(root_volume(), data_volume())

    decision = apply_observe_only(park(stopped, OBSERVING, NOW), stopped, OBSERVING)

    assert decision.outcome is Outcome.OBSERVED
    assert (decision.steps, decision.look_again) == ((), None)
    assert decision.reason == (
        "Nothing was changed, because observe_only is set. "
        f"Otherwise: {ID} is stopped. Volumes that still need a snapshot: 2 of 2."
    )


def test_what_it_would_save_is_said_where_prices_are_known() -> None:
    stopped = seen(root_volume(), data_volume())

    decision = apply_observe_only(park(stopped, IN_VIRGINIA, NOW), stopped, IN_VIRGINIA)

    assert decision.reason.endswith("Parked, it would save at least 0.48 USD a month.")


def test_the_saving_goes_by_the_last_snapshots_where_there_are_any() -> None:
    last = tuple(record(d, generation="earlier", written=GIB) for d in (DATA, ROOT))
    stopped = seen(root_volume(), data_volume(), records=last)

    decision = apply_observe_only(park(stopped, IN_VIRGINIA, NOW), stopped, IN_VIRGINIA)

    assert decision.reason.endswith("Parked, it would save 1.18 USD a month.")


def test_a_decision_without_steps_is_what_it_was() -> None:
    refused = seen(root_volume(multi_attach=True))
    decision = park(refused, OBSERVING, NOW)

    assert apply_observe_only(decision, refused, OBSERVING) is decision


def test_a_stopped_instance_is_shown_as_stopped_and_one_on_its_way_as_stuck() -> None:
    assert status(seen(root_volume(), data_volume()), OBSERVING, NOW)["state"] == "stopped"
    assert status(parked(), OBSERVING, NOW)["state"] == "parked"
    assert status(given_up(), OBSERVING, NOW)["state"] == "needs attention"


class Watch:
    """A deployment that first parks for real, and then only observes; and the calls that change something."""

    def __init__(self, stand: Stand, functions: Functions, monkeypatch: pytest.MonkeyPatch) -> None:
        self.stand, self.functions = stand, functions
        self.ids = [stand.launch(name="runs"), stand.stopped(name="stopped"), stand.rootless(name="rootless")]
        self.ids.append(stand.parked(name="parked"))
        self.changes: list[str] = []
        monkeypatch.setenv("OBSERVE_ONLY", "true")
        stand.world.on_call = self._note

    def _note(self, operation: str, _: dict[str, Any]) -> None:
        if not operation.startswith(("Describe", "Get", "SendMessage")):
            self.changes.append(operation)


@pytest.fixture
def watch(stand: Stand, functions: Functions, monkeypatch: pytest.MonkeyPatch) -> Watch:
    return Watch(stand, functions, monkeypatch)


def test_no_pass_changes_anything(watch: Watch) -> None:
    for _ in range(3):
        watch.stand.after(timedelta(hours=30).total_seconds())
        watch.functions.park(SWEEP, *(state_change(i, "stopped") for i in watch.ids))
        watch.functions.start(SWEEP_STARTS)

    assert watch.changes == []


@pytest.mark.parametrize("verb", ["start", "stop"])
def test_no_request_changes_anything_and_each_is_told_why(watch: Watch, verb: str) -> None:
    codes = {i: watch.functions.post(i, verb) for i in watch.ids}

    refused = {i for i, reply in codes.items() if reply.status == 409}
    assert refused == (set(watch.ids[1:]) if verb == "start" else {watch.ids[0]})
    assert {codes[i].code for i in refused} == {"observe_only"}
    assert watch.changes == []


def test_the_same_calls_would_be_seen_without_it(watch: Watch, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OBSERVE_ONLY", "false")
    watch.functions.park(*(state_change(i, "stopped") for i in watch.ids))

    assert "CreateSnapshot" in watch.changes
