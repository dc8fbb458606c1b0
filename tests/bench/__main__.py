"""``make bench``: the three ways side by side, and the burst. Everything is on the model's clock: no run differs."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor

from tests.bench.burst import burst
from tests.bench.comparison import ARTICLE, GIB, SNAPSHOT_SECONDS, WAITERS, WAYS, compare, spent
from tests.bench.morning import PEOPLE, SCHEDULE, morning
from tests.bench.night import parked
from tests.bench.plot import draw
from tests.bench.running import running
from tests.bench.sdk import CHANGING_SECONDS, DESCRIBING_SECONDS
from tests.model.records import Durations

SIZES = ((1, 1), (1, 2), (1, 8), (1, 27), (10, 2), (100, 1), (100, 2), (100, 8), (1000, 2), (10000, 2))
"""Instances, and volumes of each."""
CONCURRENCIES = (10, 100)
"""Of the account."""
RESERVED = ((10, 0), (100, 0), (100, 10))
"""Concurrent executions of the account, and how many of them are for the start function alone."""
MORNINGS = ((PEOPLE, SCHEDULE), (1, SCHEDULE), (0, 1))
"""The part of the starts that people ask for, and how many instances a schedule names."""
WIDTH = 6
COLUMNS = (
    ("inst.", "instances", "d"),
    ("vol.", "volumes", "d"),
    ("park: changing", "park_changing", ".2f"),
    ("describing", "park_describing", ".2f"),
    ("billed ms", "park_billed_ms", ",.0f"),
    ("s beyond", "park_seconds", ",.0f"),
    ("USD/1,000", "dollars_per_1000", ".3f"),
    ("start: changing", "start_changing", ".2f"),
    ("describing", "start_describing", ".2f"),
    ("s", "start_seconds", ",.0f"),
    ("not parked", "not_parked", "d"),
    ("not started", "not_started", "d"),
)


def main() -> None:
    """Every figure has a process of its own, on as many cores as there are, and is printed in its turn."""
    instances = int(os.environ.get("INSTANCES", "10000"))
    print(_assumptions())
    print(_line([title for title, _, _ in COLUMNS], "way"), flush=True)
    with ProcessPoolExecutor() as pool:
        rows = [pool.submit(compare, way, *size) for size in SIZES if size[0] <= instances for way in WAYS]
        others = [pool.submit(_losses), pool.submit(_costs), pool.submit(_growth, instances)]
        others += [pool.submit(_burst, instances, concurrency) for concurrency in CONCURRENCIES]
        others += [pool.submit(_morning, instances // 5, *n, *who) for who in MORNINGS for n in RESERVED]
        for row in rows:
            f = row.result()
            print(_line([format(getattr(f, name), how) for _, name, how in COLUMNS], f.way), flush=True)
        draw([row.result() for row in rows])
        for other in others:
            print(other.result(), flush=True)


def _assumptions() -> str:
    d = Durations()
    return (
        f"Assumed: {DESCRIBING_SECONDS} s for a describing call, {CHANGING_SECONDS} s for another; a snapshot of "
        f"{GIB} GiB {SNAPSHOT_SECONDS / 60:.1f} min, create {d.create:.0f} s, attach {d.attach:.0f} s, "
        f"detach {d.detach:.0f} s, delete {d.delete:.0f} s. Throttling: EC2's documented buckets.\n"
        "Prices: Lambda on arm64 and SQS in us-east-1 "
        "(https://aws.amazon.com/lambda/pricing/, https://aws.amazon.com/sqs/pricing/); EC2's calls are free.\n"
        "Figures are of one instance; 's beyond' is the time until all are parked, without the snapshots' own. "
        "Not parked: within 6 hours; not started: within one.\n"
    )


def _line(cells: Sequence[str], way: str) -> str:
    widths = [max(len(title), WIDTH) for title, _, _ in COLUMNS]
    return "  ".join([way.rjust(len(ARTICLE)), *(cell.rjust(width) for cell, width in zip(cells, widths, strict=True))])


def _losses() -> str:
    lines = ["", "With faults, 100 instances of 2 volumes; bytes of which no copy is left:"]
    for way in WAYS:
        f = compare(way, 100, 2, seed=1)
        lines.append(f"  {way:14} {f.lost_gib:6,} GiB lost, {f.not_parked} not parked, {f.not_started} not started")
    lines.append(
        f"({ARTICLE} deletes the volume while its snapshot is pending. What EC2 does then is undocumented; the model "
        f"does the worst. A snapshot of more than 10 minutes is too long for {WAITERS[5:]}.)\n"
    )
    return "\n".join(lines)


def _costs() -> str:
    lines = ["The module itself, USD a month: instances, while all are parked, for 22 stops and starts, together:"]
    return "\n".join([*lines, *(running(instances).row for instances in (10, 100, 1000))]) + "\n"


def _growth(instances: int) -> str:
    """The same stops, one every half second, in a small and in a large account."""
    lines = ["Instances of a volume, stopped one every half second; of each, without the sweeps:"]
    for size in (100, instances):
        s = spent(parked(size, 1, within=size / 2))
        each = f"{s.changing / size:.2f} changing and {s.describing / size:.2f} describing calls"
        lines.append(
            f"  of {size:6,}: {each}, {s.billed_seconds / size:.2f} s billed, USD {1000 * s.dollars / size:.4f}/1,000"
        )
    return "\n".join(lines) + "\n"


def _morning(instances: int, concurrency: int, reserved: int, people: float, schedule: int) -> str:
    m = morning(instances, concurrency=concurrency, reserved=reserved, people=people, schedule=schedule)
    told = [answer["detail"] for answer in m.answers if "is waiting in the queue" in answer.get("detail", "")]
    refused = sum(answer["status"] >= 400 for answer in m.answers)
    return (
        f"The morning: {instances:,} starts asked for in a minute, {people:.0%} of them by people, the others by "
        f"schedules of {schedule}; Lambda concurrency {concurrency}, {reserved} of it reserved\n"
        f"  {m.running:,} run, the last after {m.seconds:,.0f} s; EC2's bucket dictates {m.dictated:,.0f} s\n"
        f"  the unluckiest was overtaken by {m.overtaken}; of {len(m.answers):,} answers to people {len(told)} say how "
        f"many are ahead, and {refused} to ask again\n"
        f"  {m.throttled:,} of {m.calls:,} calls throttled; {m.dropped} events given up, {len(m.errors)} errors, "
        f"{len(m.problems)} devices lost\n"
        f"  {m.invocations:,} invocations, {m.billed_seconds:,.0f} s billed"
    )


def _burst(instances: int, concurrency: int) -> str:
    b = burst(instances, concurrency=concurrency)
    doubled = len(b.snapshots_of) - len(set(b.snapshots_of))
    return (
        f"The burst: {instances:,} instances of 2 volumes stopped in a minute, Lambda concurrency {concurrency}\n"
        f"  parked after {b.seconds:,.0f} s; EC2's buckets dictate {b.dictated:,.0f} s, so {b.share:.2f} times that "
        f"and the lock period\n  {b.left} volumes left, {len(b.problems)} devices lost, {doubled} snapshots doubled, "
        f"{b.dead_letters} messages given up, {len(b.errors)} errors\n"
        f"  {b.throttled} of {b.calls:,} calls throttled; of another caller {b.neighbour_answered} of "
        f"{b.neighbour_made} calls went through\n  {b.invocations:,} invocations, {b.billed_seconds:,.0f} s billed, "
        f"{b.queue_requests:,} SQS requests"
    )


if __name__ == "__main__":
    main()
