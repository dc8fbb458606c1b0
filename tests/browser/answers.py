"""Answers of the API for pages that no small deployment fills: every state at once, and a thousand instances."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from park_volumes.core.prices import BY_REGION, snapshot_price, volume_price
from park_volumes.core.volume_spec import VolumeSpec

PRICES = BY_REGION["ap-northeast-2"]
STATES = ("running", "parked", "parking", "needs attention", "stopped", "starting")
SHOWN: dict[str, tuple[str, tuple[tuple[int, str, int], ...]]] = {
    "analytics": ("parked", ((64, "gp3", 18), (1000, "gp3", 210))),
    "build agent": ("parking", ((100, "gp3", 22),)),
    "licence server": ("needs attention", ((16, "gp3", 5), (64, "gp3", 12))),
    "shop": ("running", ((32, "gp3", 9), (500, "gp3", 120))),
    "staging": ("starting", ((100, "gp3", 22),)),
    "wiki": ("parked", ((32, "gp2", 11),)),
    "데이터 분석": ("parked", ((64, "gp3", 20), (2000, "gp3", 320))),
}
"""Name to state and disks: GiB, type, GiB written."""
WRONG = (
    "The device /dev/sdf of i-00000000000000003 is taken by vol-0a1b2c3d, which was not created from its snapshot. "
    "Nothing was changed; detach that volume and try again."
)

PROGRESS: dict[str, dict[str, Any]] = {
    "parking": {"step": "copying", "done": 0, "disks": 1, "seconds_left": 230},
    "starting": {"step": "booting", "done": 1, "disks": 1, "seconds_left": None},
}
"""How far an instance is, by its state."""


def a_few() -> dict[str, Any]:
    """Seven instances as people have them."""
    return _answer([_instance(n, name, *SHOWN[name]) for n, name in enumerate(SHOWN, 1)])


def thousand() -> dict[str, Any]:
    """1,000 instances in every state by turns."""
    disks = ((8, "gp3", 2),)
    return _answer([_instance(n, f"machine {n:04}", STATES[n % len(STATES)], disks) for n in range(1000)])


def of_unknown_price() -> dict[str, Any]:
    """One instance, in a region whose prices nobody knows."""
    found = _answer([_instance(1, "wiki", *SHOWN["wiki"])])
    unknown = {"as_volumes": None, "now": None, "saved": None, "as_snapshots": None, "at_most": False}
    found["instances"][0]["usd_per_month"] = found["total"]["usd_per_month"] = unknown
    return found


def coming_back() -> dict[str, Any]:
    """One instance of which one disk of two is back, and one that runs while both disks still load."""
    found = _answer([_instance(1, "restored", *SHOWN["shop"]), _instance(2, "half", "starting", SHOWN["shop"][1])])
    small, large = found["instances"][0]["devices"]
    small["loading"] = {"percent": 90, "seconds_left": 5}
    large["loading"] = {"percent": 40, "seconds_left": 1500}
    found["instances"][1]["devices"][1] |= {"volume_id": None, "state": "parked"}
    found["instances"][1]["progress"] = {"step": "attaching", "done": 1, "disks": 2, "seconds_left": None}
    return found


def waiting() -> dict[str, Any]:
    """Starts that are not begun yet: without capacity, before the end of a parking, and from the archive."""
    waits = {"no room": ("waiting", 230), "not yet": ("waiting", None), "archive": ("thawing", 47 * 3600)}
    found = _answer([_instance(n, name, "starting", SHOWN["wiki"][1]) for n, name in enumerate(waits)])
    for one in found["instances"]:
        step, left = waits[one["name"]]
        one["progress"] = {"step": step, "done": 0, "disks": 1, "seconds_left": left}
    return found


def dearer() -> dict[str, Any]:
    """One instance that has its disks, and copies of them on top."""
    return _answer([_instance(1, "staging", *SHOWN["staging"])])


def starting() -> Iterator[dict[str, Any]]:
    """What the server says by and by of an instance that somebody starts."""
    disks = SHOWN["shop"][1]
    yield _answer([_instance(1, "wiki", "parked", disks)])
    for step, done in (("making", 0), ("making", 1), ("attaching", 1), ("booting", 2)):
        found = _instance(1, "wiki", "starting", disks)
        found["progress"] = {"step": step, "done": done, "disks": 2, "seconds_left": None}
        yield _answer([found])
    yield _answer([_instance(1, "wiki", "running", disks)])


def in_several_regions() -> dict[str, Any]:
    """One instance in another region than the deployment's, and a third region that does not answer."""
    found = _answer([_instance(1, "wiki", *SHOWN["wiki"]), _instance(2, "shop", *SHOWN["shop"])])
    found["instances"][1]["region"] = "eu-central-1"
    return found | {"regions_unavailable": [{"region": "us-east-1", "why": "DescribeInstances failed."}]}


def nothing() -> dict[str, Any]:
    return _answer([])


def body(answer: dict[str, Any]) -> str:
    return json.dumps(answer)


def _answer(instances: list[dict[str, Any]]) -> dict[str, Any]:
    costs = [i["usd_per_month"] for i in instances]
    total = {key: round(sum(c[key] for c in costs), 2) for key in ("as_volumes", "now", "saved", "as_snapshots")}
    total |= {"at_most": any(c["at_most"] for c in costs)}
    size = sum(i["size_gib"] for i in instances)
    place = {"account": "123456789012", "region": "ap-northeast-2"}
    return {
        "instances": instances,
        "total": {"size_gib": size, "usd_per_month": total},
        "place": place,
        "caller": "ada",
        "regions_unavailable": [],
    }


def _instance(n: int, name: str, state: str, disks: tuple[tuple[int, str, int], ...]) -> dict[str, Any]:
    away = state in ("parked", "needs attention")
    address = f"ec2-203-0-113-{n % 250}.ap-northeast-2.compute.amazonaws.com" if state == "running" else ""
    return {
        "id": f"i-{n:017x}",
        "name": name,
        "region": "ap-northeast-2",
        "state": state,
        "detail": WRONG if state == "needs attention" else "It is as it is.",
        "address": address,
        "link": f"https://{address}" if address else "",
        "size_gib": sum(size for size, *_ in disks),
        "progress": PROGRESS.get(state),
        "usd_per_month": _costs(disks, away=away, copied=state not in ("running", "parking")),
        "devices": [_device(n, k, state, disk, away=away) for k, disk in enumerate(disks)],
    }


def _device(n: int, k: int, state: str, disk: tuple[int, str, int], *, away: bool) -> dict[str, Any]:
    number = f"{n:012x}{k:05x}"
    return {
        "device": "/dev/sda1" if k == 0 else f"/dev/sd{'fghij'[k - 1]}",
        "volume_id": None if away else f"vol-{number}",
        "snapshot_id": None if state == "running" else f"snap-{number}",
        "size_gib": disk[0],
        "type": disk[1],
        "state": "parked" if away else "attached",
        "progress": "62%" if state == "parking" else None,
        "loading": None,
    }


def _costs(disks: tuple[tuple[int, str, int], ...], *, away: bool, copied: bool) -> dict[str, Any]:
    specs = [VolumeSpec(zone="ap-northeast-2a", type=kind, size=size) for size, kind, _ in disks]
    before = sum(volume_price(PRICES, spec) or 0 for spec in specs)
    written = [written if copied else size for size, _, written in disks]
    after = sum(snapshot_price(PRICES, gib * 2**30) or 0 for gib in written)
    now = after if away else before + (after if copied else 0)
    return {
        "as_volumes": round(before, 2),
        "now": round(now, 2),
        "saved": round(before - now, 2),
        "as_snapshots": round(after, 2),
        "at_most": not copied,
    }
