"""The instances that must not be parked, each with the reason in words (the facts: docs/safety.md)."""

from __future__ import annotations

import re
from collections.abc import Iterable

from park_volumes import records
from park_volumes.decide.situation import STOPPED_ON_PURPOSE
from park_volumes.model import LEAVE_ATTACHED, Instance, Settings, Volume
from park_volumes.prices import GIB, snapshot_price, volume_price

REGION_ZONE = re.compile(r"[a-z]{2}(-[a-z]+)+-\d[a-z]")
"""The zones of a region itself: not Local Zones (us-west-2-lax-1a), not Wavelength (us-east-1-wl1-bos-wlz-1)."""


def refusal(instance: Instance, volumes: Iterable[Volume], settings: Settings) -> str:
    """Why this stopped instance, with these volumes to be parked, must not be, as a sentence; empty where it may."""
    of_instance = _by_kind(instance) or _by_place(instance) or _by_product(instance, settings) or _by_owner(instance)
    return of_instance or _by_stop(instance) or next((words for v in volumes if (words := _of_volume(v))), "")


def dearer(volumes: Iterable[Volume], settings: Settings) -> str:
    """Why these volumes must not become snapshots for what that costs, with the figures; empty where it pays.

    What is written shows only in a finished snapshot, which costs too: so every block counts. Where a price is not
    known, nothing is refused.
    """
    every = list(volumes)
    before = [volume_price(settings.prices, v.type, v.size, iops=v.iops, throughput=v.throughput) for v in every]
    after = [snapshot_price(settings.prices, v.size * GIB) for v in every]
    costs = [(v, b, a) for v, b, a in zip(every, before, after, strict=True) if b is not None and a is not None]
    volumes_cost, snapshots_cost = sum(b for _, b, _ in costs), sum(a for _, _, a in costs)
    if settings.park_even_if_dearer or len(costs) < len(every) or snapshots_cost <= volumes_cost:
        return ""
    cheap = ", ".join(f"{v.id} ({v.size} GiB {v.type})" for v, b, a in costs if a > b)
    return (
        f"Its volumes cost {volumes_cost:.2f} USD a month, and as snapshots up to {snapshots_cost:.2f} USD, because of "
        f"{cheap}. Leave it attached by its tag {settings.opt_in_tag_key}={LEAVE_ATTACHED}, or set park_even_if_dearer "
        "if little is written on it."
    )


def _by_kind(i: Instance) -> str:
    if i.lifecycle == "spot":
        return "It is a Spot Instance, which EC2 terminates when its root volume is detached."
    if i.lifecycle and i.lifecycle != "scheduled":
        return f"Its lifecycle is {i.lifecycle}, for which detaching the root volume is not supported."
    if i.hibernation:
        return "Hibernation is enabled for it, and a hibernated memory lives on its root volume."
    if i.root_device_type != "ebs":
        return f"Its root device is of the type {i.root_device_type}, not ebs: it can not be stopped and started."
    return ""


def _by_product(i: Instance, settings: Settings) -> str:
    for code in i.product_codes:
        if code not in settings.allowed_product_codes:
            return (
                f"It bears the Marketplace product code {code}, and such a volume may never attach again. If you have "
                "tried that this product's does, add the code to allowed_product_codes."
            )
    return ""


def _by_place(i: Instance) -> str:
    if i.outpost_arn or not REGION_ZONE.fullmatch(i.zone):
        return f"It runs in {i.outpost_arn or i.zone}: Outposts, Local Zones and Wavelength Zones are not supported."
    return ""


def _by_owner(i: Instance) -> str:
    if "aws:autoscaling:groupName" in i.tags:
        return f"It belongs to the Auto Scaling group {i.tags['aws:autoscaling:groupName']}, which replaces it."
    if "aws:ec2:fleet-id" in i.tags or "aws:ec2spot:fleet-request-id" in i.tags:
        return "It belongs to an EC2 Fleet, which replaces it."
    if i.managed_by:
        return f"It is managed by {i.managed_by}, which alone may change it."
    return ""


def _by_stop(i: Instance) -> str:
    if i.state_reason in STOPPED_ON_PURPOSE:
        return ""
    return f"It stopped because of {i.state_reason}, not because somebody asked for it: start it to see what is wrong."


def _of_volume(v: Volume) -> str:
    if v.multi_attach or len(v.attachments) > 1:
        return f"Its volume {v.id} is one that several instances can share (Multi-Attach)."
    if records.too_many_tags(v):
        most = records.TAGS_PER_RESOURCE - records.OUR_TAGS
        return (
            f"Its volume {v.id} has more than {most} tags, which do not fit on a snapshot beside those of ParkVolumes."
        )
    return ""
