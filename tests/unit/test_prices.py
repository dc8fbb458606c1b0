"""What volumes and snapshots cost: known to the cent, or not known, and never guessed."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest

from park_volumes.core.prices import (
    GIB,
    REGIONS,
    TABLE,
    TRAIL_COPY,
    archive_price,
    archiving_pays,
    cents,
    prices_of,
    savings,
    snapshot_price,
    total,
    volume_price,
)
from park_volumes.core.volume_spec import VolumeSpec
from tests.unit.facts import (
    DATA,
    LAUNCHED,
    MARKED,
    ROOT,
    attachment,
    data_volume,
    given_up,
    parked,
    record,
    records,
    restored,
    root_volume,
    seen,
    spec,
    volume,
)

SEOUL = prices_of("ap-northeast-2", {})
VIRGINIA = prices_of("us-east-1", {})


def price(one: VolumeSpec) -> float | None:
    return volume_price(VIRGINIA, one)


@pytest.mark.parametrize(
    ("one", "expected"),
    [
        (spec(type="gp3", size=100, iops=3000, throughput=125), 8.0),
        (spec(type="io1", size=100), 12.5),
        (spec(type="gp3", size=100, iops=4000, throughput=225), 8.0 + 5.0 + 4.0),
        (spec(type="gp3", size=100), 8.0),
        (spec(type="gp2", size=100, iops=300), 10.0),
        (spec(type="io1", size=100, iops=1000), 12.5 + 65.0),
        (spec(type="io2", size=100, iops=32_000), 12.5 + 2080.0),
        (spec(type="st1", size=500), 22.5),
        (spec(type="sc1", size=500), 7.5),
        (spec(type="standard", size=100), 5.0),
    ],
)
def test_a_volume_costs_its_size_and_what_was_provisioned(one: VolumeSpec, expected: float) -> None:
    assert price(one) == pytest.approx(expected)


def test_iops_of_gp2_cost_nothing_though_ec2_reports_them() -> None:
    assert price(spec(type="gp2", size=1000, iops=3000)) == price(spec(type="gp2", size=1000))


def test_the_cheaper_tiers_of_io2_are_not_guessed() -> None:
    assert price(spec(type="io2", size=100, iops=32_001)) is None


def test_a_type_without_a_price_costs_nothing_known() -> None:
    assert price(spec(type="gp4", size=100)) is None


def test_a_snapshot_costs_what_is_written_in_it() -> None:
    assert snapshot_price(SEOUL, 16 * GIB) == pytest.approx(0.80)
    assert snapshot_price(SEOUL, 0) == 0.0
    assert archive_price(SEOUL, 16 * GIB) == pytest.approx(0.20)


def test_a_region_that_is_not_in_the_table_has_no_prices() -> None:
    nowhere = prices_of("eu-central-1", {})

    assert snapshot_price(nowhere, GIB) is None
    assert savings(parked(), nowhere).saved is None


def test_a_price_of_the_deployment_stands_in_for_the_table_s() -> None:
    ours = prices_of("us-east-1", {"gp3": 0.07})

    assert volume_price(ours, spec(type="gp3", size=100)) == pytest.approx(7.0)
    assert volume_price(ours, spec(type="gp2", size=100)) == pytest.approx(10.0)


def test_every_region_of_the_table_has_every_price() -> None:
    assert all(len(row) == len(REGIONS) for row in TABLE.values())


def test_a_parked_instance_saves_its_volumes_less_what_is_written() -> None:
    written = tuple(record(d, confirmed_at=MARKED, size=100, written=10 * GIB) for d in (DATA, ROOT))

    found = savings(seen(records=written), VIRGINIA)

    assert found.as_volumes == pytest.approx(16.0)
    assert found.now == found.as_snapshots == pytest.approx(1.0)
    assert found.saved == pytest.approx(15.0)
    assert not found.at_most


def test_without_a_word_about_what_is_written_every_block_counts() -> None:
    found = savings(parked(), VIRGINIA)

    assert found.as_snapshots == pytest.approx(2 * 8 * 0.05)
    assert found.at_most


def test_a_full_volume_of_the_cheapest_kind_costs_more_as_a_snapshot() -> None:
    full = record(ROOT, confirmed_at=MARKED, type="sc1", size=500, iops=None, throughput=None, written=500 * GIB)

    assert savings(seen(records=[full]), VIRGINIA).saved == pytest.approx(500 * (0.015 - 0.05))


def test_while_volumes_and_snapshots_are_both_there_both_are_paid() -> None:
    found = savings(given_up(), VIRGINIA)

    assert found.as_volumes == pytest.approx(2 * 8 * 0.08)
    assert found.now == pytest.approx(2 * 8 * (0.08 + 0.05))
    assert found.saved == pytest.approx(-2 * 8 * 0.05)


def test_an_instance_that_was_never_parked_saves_nothing_and_shows_what_it_would() -> None:
    found = savings(seen(root_volume(), data_volume()), VIRGINIA)

    assert found.saved == 0.0
    assert found.as_snapshots == pytest.approx(2 * 8 * 0.05)
    assert found.at_most


def test_what_it_would_cost_as_snapshots_goes_by_the_last_snapshots() -> None:
    last = tuple(record(d, written=GIB) for d in (DATA, ROOT))

    found = savings(seen(root_volume(), data_volume(), records=last), VIRGINIA)

    assert found.as_snapshots == pytest.approx(2 * 0.05)
    assert not found.at_most


def test_the_snapshots_of_one_device_share_their_blocks() -> None:
    chain = (record(ROOT, written=4 * GIB), record(ROOT, snapshot_id="snap-2", written=5 * GIB))

    assert savings(seen(root_volume(), records=chain), VIRGINIA).now == pytest.approx(8 * 0.08 + 5 * 0.05)


def test_a_snapshot_that_is_not_completed_is_not_counted() -> None:
    pending = record(ROOT, state="pending", written=None)

    assert savings(seen(root_volume(), records=[pending]), VIRGINIA).now == pytest.approx(8 * 0.08)


def test_restored_volumes_on_their_way_back_are_volumes_again() -> None:
    of_data, of_root = (record(d, confirmed_at=MARKED, written=GIB) for d in (DATA, ROOT))
    back = (restored(of_root), restored(of_data, attachment(DATA, attach_time=LAUNCHED)))

    found = savings(seen(*back, records=(of_data, of_root)), VIRGINIA)

    assert found.as_volumes == pytest.approx(2 * 8 * 0.08)
    assert found.now == pytest.approx(2 * 8 * 0.08 + 2 * 0.05)


def test_a_volume_that_is_being_deleted_costs_nothing_any_more() -> None:
    going = (volume("vol-root", state="deleting"), volume("vol-data", state="deleting"))

    assert savings(seen(*going, records=records()), VIRGINIA).now == pytest.approx(2 * 8 * 0.05)


def test_a_total_is_known_only_where_every_part_is() -> None:
    known, unknown = savings(parked(), VIRGINIA), savings(parked(), {})

    assert total([known, known]).saved == pytest.approx(2 * (known.saved or 0))
    assert total([known, unknown]).saved is None
    assert total([]).saved == 0.0


def test_a_total_is_at_most_what_it_says_if_any_part_is() -> None:
    known = savings(seen(records=[record(ROOT, confirmed_at=MARKED, written=GIB)]), VIRGINIA)
    at_most = savings(parked(), VIRGINIA)

    assert total([known, at_most]).at_most
    assert not total([known, known]).at_most
    assert not total([]).at_most


@pytest.mark.parametrize(
    ("one", "expected"),
    [
        (spec(type="gp3", size=100, iops=4000, throughput=225), 9.12 + 5.7 + 4.56),
        (spec(type="gp2", size=100, iops=300), 11.4),
        (spec(type="io1", size=100, iops=1000), 12.78 + 66.6),
        (spec(type="io2", size=100, iops=1000), 12.78 + 66.6),
        (spec(type="st1", size=500), 25.5),
        (spec(type="sc1", size=500), 8.7),
        (spec(type="standard", size=100), 8.0),
    ],
)
def test_a_volume_in_seoul_costs_what_the_price_list_of_seoul_says(one: VolumeSpec, expected: float) -> None:
    assert volume_price(SEOUL, one) == pytest.approx(expected)


@pytest.mark.parametrize("prices", [SEOUL, VIRGINIA], ids=["Seoul", "Virginia"])
def test_snapshots_and_the_archive_cost_the_same_in_both_regions(prices: Mapping[str, float]) -> None:
    assert snapshot_price(prices, 100 * GIB) == pytest.approx(5.0)
    assert archive_price(prices, 100 * GIB) == pytest.approx(1.25)
    assert prices["archive-restore"] == pytest.approx(0.03)


def test_the_largest_iops_that_has_one_price_is_known_and_the_next_is_not() -> None:
    assert price(spec(type="io2", size=100, iops=32_000)) == pytest.approx(12.5 + 2080.0)
    assert price(spec(type="io2", size=100, iops=32_001)) is None
    assert price(spec(type="io1", size=100, iops=32_001)) is not None


@pytest.mark.parametrize(
    "facts",
    [
        {"confirmed_at": None},
        {"confirmed_at": MARKED, "launch_time": LAUNCHED - timedelta(days=1)},
        {"confirmed_at": MARKED, "state": "error"},
    ],
    ids=["kept its volume", "of an earlier stop", "not completed"],
)
def test_only_what_was_given_up_since_the_last_start_would_be_a_volume_again(facts: dict[str, Any]) -> None:
    assert savings(seen(records=[record(ROOT, written=GIB, **facts)]), VIRGINIA).as_volumes == 0.0


@pytest.mark.parametrize("state", ["deleting", "deleted", "error"])
def test_a_volume_that_is_none_any_more_costs_nothing(state: str) -> None:
    assert savings(seen(volume("vol-root", state=state)), VIRGINIA).now == 0.0


@pytest.mark.parametrize("archived", [4, 10], ids=["smaller than those", "larger than those"])
def test_what_is_archived_is_paid_whole_beside_the_largest_that_is_not(archived: int) -> None:
    chain = (
        record(ROOT, written=3 * GIB),
        record(ROOT, snapshot_id="snap-2", written=5 * GIB),
        record(ROOT, snapshot_id="snap-3", written=archived * GIB, archived=True),
    )

    assert savings(seen(records=chain), VIRGINIA).now == pytest.approx(archived * 0.0125 + 5 * 0.05)


def test_the_archive_pays_if_three_months_in_it_and_the_way_back_cost_less() -> None:
    """Of one GiB: three months of 0.0125 and 0.03 are less than three of 0.05, by 0.0825 USD."""
    (one,) = (record(ROOT, written=GIB),)
    assert archiving_pays([one], [one], VIRGINIA)
    assert archiving_pays([one], [one], {**VIRGINIA, "archive-restore": 0.1124})
    assert not archiving_pays([one], [one], {**VIRGINIA, "archive-restore": 0.1126})
    assert not archiving_pays([one], [one], {**VIRGINIA, "archive": 0.0401})
    for unknown in ("snapshot", "archive", "archive-restore"):
        assert not archiving_pays([one], [one], {k: v for k, v in VIRGINIA.items() if k != unknown})


def test_what_two_snapshots_of_a_device_share_is_not_shared_in_the_archive() -> None:
    chain = [record(ROOT, snapshot_id=f"snap-{n}", written=4 * GIB) for n in range(4)]
    assert archiving_pays(chain[:2], [], VIRGINIA)
    assert not archiving_pays(chain, [], VIRGINIA)
    other = record(DATA, written=4 * GIB)
    assert archiving_pays([*chain[:3], other], [], VIRGINIA)


def test_a_gib_is_what_ec2_counts_in() -> None:
    assert snapshot_price(SEOUL, 1_073_741_824) == pytest.approx(0.05)
    assert archive_price(SEOUL, 1_073_741_824) == pytest.approx(0.0125)


def test_the_archive_does_not_pay_where_it_costs_exactly_as_much() -> None:
    """In quarters, which are exact: three months of 0.25 and 0.75 for the way back are three of 0.50."""
    (one,) = (record(ROOT, written=GIB),)
    exact = {"snapshot": 0.5, "archive": 0.25, "archive-restore": 0.75}

    assert not archiving_pays([one], [one], exact)
    assert archiving_pays([one], [one], exact | {"archive-restore": 0.5})


def test_what_a_device_shares_is_as_large_as_its_largest_snapshot() -> None:
    """In the standard tier 4 GiB, in the archive 4 and 1: a third of the price is less, nine tenths are not."""
    chain = [record(ROOT, written=4 * GIB), record(ROOT, snapshot_id="snap-2", written=GIB)]

    assert archiving_pays(chain, [], {"snapshot": 0.9, "archive": 0.3, "archive-restore": 0})
    assert not archiving_pays(chain, [], {"snapshot": 0.9, "archive": 0.81, "archive-restore": 0})


@pytest.mark.parametrize(("cost", "shown"), [(None, None), (1.234, 1.23), (1.236, 1.24), (0.001, 0.0)])
def test_money_is_shown_in_cents(cost: float | None, shown: float | None) -> None:
    assert cents(cost) == shown


def test_a_copy_of_an_event_in_a_further_trail_costs_two_dollars_for_a_hundred_thousand() -> None:
    """AWS CloudTrail pricing: management events delivered to S3 beyond the first copy."""
    assert pytest.approx(TRAIL_COPY * 100_000) == 2.00
