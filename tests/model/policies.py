"""Policies that deny, as organisations have them: whatever else allows a call, one that fits is refused.

    Deny(actions=("DeleteVolume",), when=tagged("DoNotDelete"))
    Deny(actions=("CreateVolume",), when=born_without("cost-center"))
    Deny(actions=("CreateVolume",), when=asked_without("Encrypted", "true"))
    Deny(actions=("StartInstances",), on="license-configuration", callers=("start *",), until=world.clock.now + 600)

Both stand-ins of EC2 ask them, of calls and of dry runs alike. Owners are not bound by them.
"""

from __future__ import annotations

from base64 import urlsafe_b64encode
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from fnmatch import fnmatchcase
from functools import cache
from hashlib import sha512
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

if TYPE_CHECKING:
    from tests.model.world import World


class Subject(NamedTuple):
    """One decision that a call takes: an action on one resource, which may only be about to be made."""

    action: str
    kind: str
    arn: str
    tags: Mapping[str, str]


class When(NamedTuple):
    """What a tag of the resource, a tag in the request, or a parameter is like; unless: where it is not, or absent."""

    what: Literal["tag", "new tag", "parameter"]
    name: str
    like: str = "*"  # with wildcards; booleans are true and false
    unless: bool = False

    def met(self, subject: Subject, params: Mapping[str, Any]) -> bool:
        match self.what:
            case "tag":
                value = subject.tags.get(self.name)
            case "new tag":
                value = _new_tags(params).get(self.name)
            case "parameter":
                value = params.get(self.name)
        text = str(value).lower() if isinstance(value, bool) else str(value)
        return (value is not None and fnmatchcase(text, self.like)) is not self.unless


def tagged(key: str, like: str = "*") -> When:
    """The resource bears the tag."""
    return When("tag", key, like)


def untagged(key: str, like: str = "*") -> When:
    return When("tag", key, like, unless=True)


def born_with(key: str, like: str = "*") -> When:
    """The request gives this tag to what it makes, or to what is there."""
    return When("new tag", key, like)


def born_without(key: str, like: str = "*") -> When:
    return When("new tag", key, like, unless=True)


def asked_with(parameter: str, like: str = "*") -> When:
    """The request has the parameter."""
    return When("parameter", parameter, like)


def asked_without(parameter: str, like: str = "*") -> When:
    return When("parameter", parameter, like, unless=True)


@dataclass(frozen=True, kw_only=True, slots=True)
class Deny:
    """actions, on and callers take wildcards. on: the type of the resource. until: in seconds since the epoch."""

    actions: tuple[str, ...]
    when: When | None = None
    on: str = "*"
    callers: tuple[str, ...] = ("*",)
    until: float | None = None

    def fits(self, caller: str, params: Mapping[str, Any], subject: Subject, now: float) -> bool:
        return (
            (self.until is None or now < self.until)
            and _names(self.actions, subject.action)
            and any(fnmatchcase(caller, wanted) for wanted in self.callers)
            and fnmatchcase(subject.kind, self.on)
            and (self.when is None or self.when.met(subject, params))
        )

    def may_concern(self, call: str) -> bool:
        """Whether it names one of the actions that EC2 asks about before it answers this call."""
        return _names(self.actions, call) or (call in MADE and _names(self.actions, "CreateTags"))

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def of_json(cls, value: Mapping[str, Any]) -> Deny:
        return cls(
            actions=tuple(value["actions"]),
            when=When(*value["when"]) if value["when"] else None,
            on=value["on"],
            callers=tuple(value["callers"]),
            until=value["until"],
        )


@cache
def _names(actions: tuple[str, ...], action: str) -> bool:
    return any(fnmatchcase(action, each) for each in actions)


def denial(
    denials: Iterable[Deny], caller: str, params: Mapping[str, Any], subjects: Iterable[Subject], now: float
) -> tuple[str, str] | None:
    """The action and the ARN that are denied, if any are."""
    for subject in subjects:
        if any(deny.fits(caller, params, subject, now) for deny in denials):
            return subject.action, subject.arn
    return None


def sentence(user: str, action: str, resource: str) -> str:
    """EC2's words. What it has encoded, sts:DecodeAuthorizationMessage tells whoever may call that."""
    encoded = urlsafe_b64encode(sha512(f"{user} {action} {resource}".encode()).digest() * 4).decode()
    return (
        f"You are not authorized to perform this operation. User: {user} is not authorized to perform: ec2:{action} "
        f"on resource: {resource} with an explicit deny in a service control policy. "
        f"Encoded authorization failure message: {encoded}"
    )


# ---- what a call of the model takes

MADE = {"CreateVolume": "volume", "CreateSnapshot": "snapshot"}
KINDS = {"i": "instance", "vol": "volume", "snap": "snapshot"}


def subjects(world: World, action: str, params: Mapping[str, Any]) -> Iterator[Subject]:
    """Everything that EC2 asks the policies about before it answers the call."""
    if made := MADE.get(action):
        arn = world.arn(made, "*")
        yield Subject(action, made, arn, {})
        if _new_tags(params):
            yield Subject("CreateTags", made, arn, {})
    named = [params.get(name) for name in ("InstanceId", "VolumeId", "SnapshotId")]
    for name in ("InstanceIds", "VolumeIds", "SnapshotIds", "Resources"):
        named += params.get(name) or ()
    named += _disks(world, params)
    if not made and not any(named):
        yield Subject(action, "*", "*", {})
    for resource_id in filter(None, named):
        kind, found = KINDS.get(resource_id.partition("-")[0], "*"), world.find(resource_id)
        yield Subject(action, kind, world.arn(kind, resource_id), tags_that_count(world, resource_id))
        if action == "StartInstances" and found is not None:
            yield from (Subject(action, "license-configuration", arn, {}) for arn in _licenses(found.facts))


def tags_that_count(world: World, resource_id: str) -> Mapping[str, str]:
    """The tags of a resource as IAM goes by them: no page says how soon that is after they were written. It still knows
    those of a resource that is gone."""
    late = world.rules.tags_count_after
    seen = world.find_at(resource_id, world.clock.now - late) if late else world.find(resource_id)
    return seen.tags if seen is not None else {}


OF_ROLES = Deny(
    actions=("AttachVolume", "DeleteTags", "DetachVolume", "ModifyInstanceAttribute"),
    on="volume",
    when=untagged("park-volumes:mark"),
    callers=("park*", "start*", "settle*", "sweep*", "function*"),
)
"""What the roles of the functions do not allow: it matters where IAM goes by tags late."""


def _disks(world: World, params: Mapping[str, Any]) -> list[str]:
    """The volumes behind the devices that a call names."""
    instance = world.instances.get(params.get("InstanceId", ""))
    devices = {mapping.get("DeviceName") for mapping in params.get("BlockDeviceMappings") or ()}
    return [item.volume_id for item in instance.devices if item.device in devices] if instance is not None else []


def _licenses(facts: Mapping[str, Any]) -> list[str]:
    return [each["LicenseConfigurationArn"] for each in facts.get("Licenses", ())]


def _new_tags(params: Mapping[str, Any]) -> dict[str, str]:
    specified = [tag for each in params.get("TagSpecifications") or () for tag in each.get("Tags") or ()]
    return {tag["Key"]: tag.get("Value", "") for tag in [*specified, *(params.get("Tags") or ())]}
