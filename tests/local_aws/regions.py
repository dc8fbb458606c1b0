"""The regions of the account: which there are, and which are enabled.

https://docs.aws.amazon.com/accounts/latest/reference/manage-acct-regions.html
"""

from __future__ import annotations

from typing import Any

from moto.ec2.models.availability_zones_and_regions import RegionsAndZonesBackend

from tests.local_aws.filters import matches

ENABLED_BY_DEFAULT = frozenset(
    f"{area}-{number}"
    for area, numbers in {
        "ap-northeast": (1, 2, 3),
        "ap-south": (1,),
        "ap-southeast": (1, 2),
        "ca-central": (1,),
        "eu-central": (1,),
        "eu-north": (1,),
        "eu-west": (1, 2, 3),
        "sa-east": (1,),
        "us-east": (1, 2),
        "us-west": (1, 2),
    }.items()
    for number in numbers
)
"""The seventeen that nobody has to opt in to."""
NOT_ENABLED = {
    "code": "AuthFailure",
    "message": "AWS was not able to validate the provided access credentials",
    "status": 401,
}
"""What EC2 answers in a region that is not enabled."""


class Regions:
    """Those that are enabled; somebody may enable or disable some."""

    def __init__(self) -> None:
        self._enabled = set(ENABLED_BY_DEFAULT)

    def enable(self, name: str, *, enabled: bool) -> None:
        """Raises ValueError for a region that does not exist, or that cannot be disabled."""
        if name not in _names():
            raise ValueError(f"There is no region {name!r}.")
        if name in ENABLED_BY_DEFAULT and not enabled:
            raise ValueError(f"AWS lets nobody disable {name}.")
        (self._enabled.add if enabled else self._enabled.discard)(name)

    def is_enabled(self, name: str) -> bool:
        return name in self._enabled

    def described(
        self, *, named: list[str], also_disabled: bool, filters: dict[str, list[str]]
    ) -> list[dict[str, str]]:
        """DescribeRegions: the enabled ones, or all; moto always answers with all."""
        found = [self._one(name) for name in sorted(_names()) if also_disabled or name in self._enabled]
        return [
            region
            for region in found
            if (not named or region["RegionName"] in named) and matches(filters, {}, _fields(region))
        ]

    def _one(self, name: str) -> dict[str, str]:
        status = "opt-in-not-required" if name in ENABLED_BY_DEFAULT else "opted-in"
        return {
            "RegionName": name,
            "Endpoint": f"ec2.{name}.amazonaws.com",
            "OptInStatus": status if name in self._enabled else "not-opted-in",
        }


def _names() -> set[str]:
    """Those of the account's partition; moto knows some of others, too."""
    return {r.name for r in RegionsAndZonesBackend.regions if not r.name.startswith(("us-gov-", "cn-"))}


def _fields(region: dict[str, str]) -> dict[str, Any]:
    names = {"region-name": "RegionName", "endpoint": "Endpoint", "opt-in-status": "OptInStatus"}
    return {filter_name: lambda key=key: [region[key]] for filter_name, key in names.items()}
