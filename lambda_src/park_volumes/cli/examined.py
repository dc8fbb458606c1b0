"""The facts about an account and region that the doctor judges. What could not be read is a fact too."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias, TypeVar

from park_volumes.aws.errors import DENIALS
from park_volumes.core.facts import BinnedVolume, Observation

T = TypeVar("T")
SNAPSHOTS = "snapshots"
"""The name of their quota; those of storage are called like the types of volumes."""
MANAGED_KEY = "alias/aws/ebs"
"""The key that AWS manages for EBS: the default key of an account that has chosen none."""
ENABLED = "Enabled"
Condition = tuple[str, str, tuple[str, ...]]
"""A field of an event, an operator of CloudTrail, and its values."""
Selector = tuple[Condition, ...]
"""The events that a trail logs: those for which every condition holds."""


@dataclass(frozen=True, kw_only=True)
class Unread:
    """What could not be read: the ``action`` of IAM that it takes, and AWS's ``code`` and ``words``."""

    action: str
    code: str
    words: str

    @property
    def denied(self) -> bool:
        return self.code in DENIALS


Fact: TypeAlias = T | Unread


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where we are. ``listed``: whether the SDK knows the region."""

    region: str
    partition: str
    account: str
    listed: bool


@dataclass(frozen=True, kw_only=True)
class Layer:
    """A layer version. ``arn`` is empty where no public one is known."""

    arn: str
    there: Fact[bool]


@dataclass(frozen=True, kw_only=True)
class Event:
    """A call of EC2 as CloudTrail records it."""

    name: str
    reads: bool

    @property
    def fields(self) -> Mapping[str, str]:
        """What the selectors of a trail can ask for."""
        return {
            "eventCategory": "Management",
            "readOnly": str(self.reads).lower(),
            "eventSource": "ec2.amazonaws.com",
            "eventName": self.name,
        }


@dataclass(frozen=True, kw_only=True)
class Trail:
    """A trail that covers the region. What an organization's trail logs may be hidden from its members."""

    name: str
    logging: Fact[bool]
    selectors: Fact[tuple[Selector, ...]]

    def logs(self, event: Event) -> bool | None:
        """Whether it logs such an event; None if that is hidden."""
        if self.logging is False:
            return False
        if isinstance(self.logging, Unread) or isinstance(self.selectors, Unread):
            return None
        return any(all(_holds(c, event.fields) for c in selector) for selector in self.selectors)


def _holds(condition: Condition, event: Mapping[str, str]) -> bool:
    """Whether a condition holds for an event with these fields; one on another field counts as if it did."""
    name, operator, values = condition
    if name not in event:
        return True
    found = {
        "Equals": event[name] in values,
        "StartsWith": event[name].startswith(values),
        "EndsWith": event[name].endswith(values),
    }
    return not found[operator.removeprefix("Not")] if operator.startswith("Not") else found[operator]


@dataclass(frozen=True, kw_only=True)
class Key:
    """A KMS key, its state in the words of KMS, and the account that owns it."""

    arn: str
    state: str
    account: str


@dataclass(frozen=True, kw_only=True)
class Encryption:
    """Encryption by default, and the key that it uses."""

    by_default: bool
    key: str


@dataclass(frozen=True, kw_only=True)
class Rule:
    """A retention rule of the Recycle Bin for volumes, or else for snapshots. It keeps what has one of its ``tags``;
    without any, everything but what has one of the ``excluded`` tags. A tag without a value stands for every value."""

    id: str
    of_volumes: bool
    days: int
    tags: tuple[tuple[str, str], ...] = ()
    excluded: tuple[tuple[str, str], ...] = ()

    def keeps(self, tags: Mapping[str, str]) -> bool:
        """Whether it keeps something with these tags that is deleted."""
        return _has_one(tags, self.tags) if self.tags else not _has_one(tags, self.excluded)


def _has_one(tags: Mapping[str, str], wanted: Sequence[tuple[str, str]]) -> bool:
    return any(key in tags and value in ("", tags[key]) for key, value in wanted)


@dataclass(frozen=True, kw_only=True)
class Examined:
    """What was read of an account and region.

    - ``keys``: the default key and those of the fleet, without those that AWS manages.
    - ``quotas``: of snapshots their number, of each type of volume its storage in TiB.
    - ``used``: by type, the GiB of all volumes that exist; ``snapshots`` how many there are.
    - ``fleet``: the instances with the opt-in tag or with snapshots of the deployment, and those that are stopped."""

    place: Place
    layer: Layer
    trails: Fact[tuple[Trail, ...]]
    encryption: Fact[Encryption]
    keys: tuple[Fact[Key], ...]
    rules: Fact[tuple[Rule, ...]]
    quotas: Fact[Mapping[str, float]]
    used: Fact[Mapping[str, int]]
    snapshots: Fact[int]
    binned: Fact[tuple[BinnedVolume, ...]]
    fleet: Fact[tuple[Observation, ...]]
