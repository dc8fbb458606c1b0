"""Restored volumes load at a rate, where that is wanted and EC2 grants it; a start never fails for it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from park_volumes.core.start import Intent, initialization_rate, start
from park_volumes.core.steps import CreateVolume
from park_volumes.run.execute import Result
from tests.model import judge
from tests.model.faults import Fault, at_operation
from tests.unit.facts import NOW, SETTINGS, instance, opted, parked, record, records, seen, steps_of
from tests.unit.passes import Stand

TAG = "park-volumes:initialization-rate"
FAST = replace(SETTINGS, volume_initialization_rate=200)


def asked(stand: Stand, settings_rate: int = 200, fault: Fault | None = None, **tags: str) -> tuple[str, Result]:
    """A start of a parked instance; the fault strikes when its first volume is created."""
    stand.settings = replace(SETTINGS, volume_initialization_rate=settings_rate)
    instance_id = stand.parked()
    if tags:
        stand.owner.create_tags(Resources=[instance_id], Tags=[{"Key": TAG, "Value": v} for v in tags.values()])
    faults = at_operation("CreateVolume", fault) if fault else None
    result = stand.start_pass(faults=faults).start(instance_id)
    assert result is not None
    return instance_id, result


def rates(stand: Stand) -> list[int | None]:
    return sorted((v.rate for v in stand.world.volumes.current()), key=str)


@pytest.mark.parametrize(
    ("tag", "rate"), [("", 200), ("150", 150), ("0", None), ("99", 200), ("301", 200), ("fast", 200), ("-150", 200)]
)
def test_the_tag_of_the_instance_overrides_the_setting_where_it_is_a_rate(tag: str, rate: int | None) -> None:
    tags = {**opted("true"), **({TAG: tag} if tag else {})}

    assert initialization_rate(instance(tags=tags), FAST) == rate


def test_without_either_volumes_load_at_first_touch() -> None:
    steps = steps_of(start(parked(), SETTINGS, NOW, intent=Intent.START), CreateVolume)

    assert {(s.rate, s.token) for s in steps} == {(None, "snap-data-1"), (None, "snap-root-1")}


def test_the_rate_is_part_of_the_token() -> None:
    steps = steps_of(start(parked(), FAST, NOW, intent=Intent.START), CreateVolume)

    assert {(s.rate, s.token) for s in steps} == {(200, "snap-data-1-200"), (200, "snap-root-1-200")}


def test_a_later_attempt_goes_without_a_rate() -> None:
    again = tuple(record(r.device, confirmed_at=r.confirmed_at, attempt=2) for r in records())
    steps = steps_of(start(seen(records=again), FAST, NOW, intent=Intent.START), CreateVolume)

    assert {(s.rate, s.token) for s in steps} == {(None, "snap-data-2"), (None, "snap-root-2")}


def test_volumes_are_restored_at_the_rate(stand: Stand) -> None:
    instance_id, _ = asked(stand)

    assert rates(stand) == [200, 200]
    assert stand.instance(instance_id).state == "pending"


def test_a_tag_of_the_instance_counts_in_a_start(stand: Stand) -> None:
    asked(stand, 200, tag="0")

    assert rates(stand) == [None, None]


def test_a_rate_that_is_refused_is_done_without_and_the_start_goes_on(stand: Stand) -> None:
    instance_id, result = asked(stand, fault=Fault.DENIED)

    assert result.error is None
    assert rates(stand) == [200, None]
    assert stand.instance(instance_id).state == "pending"
    assert judge.problems(stand.world) == []


def test_a_refusal_for_another_reason_is_told_all_the_same(stand: Stand) -> None:
    stand.settings = FAST
    instance_id = stand.parked()
    result = stand.start_pass(faults=at_operation("CreateVolume", Fault.DENIED, times=99)).start(instance_id)

    assert result is not None
    assert "CreateVolume failed" in str(result.error)
    assert rates(stand) == []


@pytest.mark.parametrize("fault", [Fault.ANSWER_LOST, Fault.SERVER_ERROR_AFTER, Fault.THROTTLED])
def test_an_error_after_which_nobody_knows_makes_no_second_volume(stand: Stand, fault: Fault) -> None:
    instance_id, _ = asked(stand, fault=fault)
    for _ in range(3):
        stand.after(5)
        stand.start_pass().start(instance_id)

    assert rates(stand) == [200, 200]
