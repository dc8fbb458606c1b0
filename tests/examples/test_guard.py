"""The policies of ``examples/guard``, read back from where they are applied: they keep our tags for the two roles."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

import pytest

from tests.examples.applied import REGIONS, RESTORERS, Example
from tests.iam.evaluate import Request, Statement, deciding, statements
from tests.iam.judge import OF_A_FUNCTION, Role, decidable
from tests.iam.requests import ACCOUNT, requests
from tests.local_aws.client import LocalAws
from tests.support.fleet import Picture

REGION: Final = REGIONS["office-hours"]
"""Where the roles stand that are judged; those of ``minimal`` go."""
INSTANCE, VOLUME, SNAPSHOT = "i-0123456789abcdef0", "vol-0123456789abcdef0", "snap-0123456789abcdef0"
ALICE: Final = f"arn:aws:iam::{ACCOUNT}:user/alice"
PARK, START = (f"arn:aws:iam::{ACCOUNT}:role/park-volumes-{side}-{REGION}" for side in ("park", "start"))
EVERYTHING: Final = statements(
    {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
)
"""What a bearer's own policies allow at the most, and what is attached where a service control policy is."""
MARKED: Final = {"Name": "data", "park-volumes:mark": f"park-volumes {INSTANCE} and more"}
RECORD: Final = {"Name": "data", "park-volumes:deployment": "park-volumes"}

Tags = Mapping[str, str]
Policy = tuple[Statement, ...]


def _made(operation: str, resources: Mapping[str, Tags], **parameters: Any) -> list[Request]:
    call = {"service": "ec2", "operation": operation, "region": REGION, "parameters": parameters}
    return requests(call | {"resources": resources, "attached": {}, "kms_keys": {}})


def _of_ours(keys: Sequence[str]) -> list[dict[str, str]]:
    """Tags with these keys; the values begin as those of this deployment, as the roles demand."""
    whole = {"park-volumes:deployment": "park-volumes"}
    return [{"Key": key, "Value": whole.get(key, f"park-volumes {INSTANCE}")} for key in keys]


def _tagged(resource: str, before: Tags, *keys: str) -> list[Request]:
    return _made("CreateTags", {resource: before}, Resources=[resource], Tags=_of_ours(keys))


def _untagged(resource: str, before: Tags, *keys: str) -> list[Request]:
    return _made("DeleteTags", {resource: before}, Resources=[resource], Tags=[{"Key": key} for key in keys])


def _copied(*keys: str) -> list[Request]:
    tags = [{"ResourceType": "snapshot", "Tags": _of_ours(keys)}]
    return _made("CreateSnapshot", {VOLUME: {}}, VolumeId=VOLUME, TagSpecifications=tags if keys else [])


def _restored(*keys: str) -> list[Request]:
    tags = [{"ResourceType": "volume", "Tags": _of_ours(keys)}]
    return _made("CreateVolume", {SNAPSHOT: RECORD}, SnapshotId=SNAPSHOT, TagSpecifications=tags if keys else [])


FORGERIES: Final = {
    "marks a volume": _tagged(VOLUME, {}, "park-volumes:mark"),
    "marks a volume among other tags": _tagged(VOLUME, {}, "Name", "park-volumes:mark"),
    "says that a volume only tried a key": _tagged(VOLUME, {}, "park-volumes:rehearsal"),
    "takes a snapshot for a record": _tagged(SNAPSHOT, {}, "park-volumes:deployment"),
    "confirms an attempt": _tagged(SNAPSHOT, RECORD, "park-volumes:mark"),
    "asks for a start": _tagged(SNAPSHOT, RECORD, "park-volumes:start-requested"),
    "says that the way back is allowed": _tagged(SNAPSHOT, RECORD, "park-volumes:way-back"),
    "says that an instance is terminated": _tagged(SNAPSHOT, RECORD, "park-volumes:terminated"),
    "takes a mark off": _untagged(VOLUME, MARKED, "park-volumes:mark"),
    "takes a confirmation off": _untagged(SNAPSHOT, RECORD, "park-volumes:mark"),
    "takes all tags off a marked volume": _untagged(VOLUME, MARKED),
    "takes all tags off a record": _untagged(SNAPSHOT, RECORD),
    "makes a snapshot that looks like a record": _copied("park-volumes:deployment", "park-volumes:instance"),
    "makes a volume that is marked": _restored("park-volumes:mark"),
}
EVERYDAY: Final = {
    "tags a volume": _tagged(VOLUME, MARKED, "Name", "ParkVolumes"),
    "tags a snapshot": _tagged(SNAPSHOT, RECORD, "Name"),
    "opts an instance in": _tagged(INSTANCE, {}, "ParkVolumes"),
    "sets the rate of an instance": _tagged(INSTANCE, {}, "park-volumes:initialization-rate"),
    "takes a tag off a marked volume": _untagged(VOLUME, MARKED, "Name"),
    "takes all tags off a volume": _untagged(VOLUME, {"Name": "data"}),
    "takes all tags off a snapshot": _untagged(SNAPSHOT, {"Name": "data"}),
    "backs a volume up": _copied("Name"),
    "backs a volume up without tags": _copied(),
    "makes a volume": _restored("Name"),
}
NEEDED: Final = [
    (PARK, _tagged(VOLUME, {"Name": "data"}, "park-volumes:mark", "park-volumes:place")),
    (PARK, _tagged(SNAPSHOT, RECORD, "park-volumes:mark", "park-volumes:terminated", "park-volumes:way-back")),
    (PARK, _copied("Name", "park-volumes:deployment", "park-volumes:instance")),
    (START, _tagged(SNAPSHOT, RECORD, "park-volumes:attempt", "park-volumes:start-requested", "park-volumes:way-back")),
    (START, _untagged(VOLUME, MARKED, "park-volumes:mark", "park-volumes:place")),
    (START, _restored("Name", "park-volumes:mark", "park-volumes:place")),
    (START, _restored("Name", "park-volumes:rehearsal")),
]


@pytest.fixture(scope="session")
def scp(aws: LocalAws, examples: Mapping[str, Example]) -> Policy:
    """All service control policies of the root."""
    assert examples["guard"].outputs
    organizations = aws.client("organizations", REGIONS["guard"])
    (root,) = organizations.list_roots()["Roots"]
    attached = organizations.list_policies_for_target(TargetId=root["Id"], Filter="SERVICE_CONTROL_POLICY")["Policies"]
    assert "park-volumes-guard" in {policy["Name"] for policy in attached}
    contents = (organizations.describe_policy(PolicyId=p["Id"])["Policy"]["Content"] for p in attached)
    return tuple(s for content in contents for s in statements(json.loads(content)))


@pytest.fixture(scope="session")
def boundary(aws: LocalAws, examples: Mapping[str, Example]) -> Policy:
    iam, arn = aws.client("iam", REGIONS["guard"]), examples["guard"].outputs["boundary_arn"]
    version = iam.get_policy(PolicyArn=arn)["Policy"]["DefaultVersionId"]
    document: Any = iam.get_policy_version(PolicyArn=arn, VersionId=version)["PolicyVersion"]["Document"]
    return statements(document)


@pytest.fixture(params=["scp", "boundary"])
def guard(request: pytest.FixtureRequest) -> Policy:
    policy: Policy = request.getfixturevalue(request.param)
    return policy


def _by(who: str, asked: Request) -> Request:
    return replace(asked, context={**asked.context, "aws:PrincipalArn": [who]})


def _may(who: str, guard: Policy, asked: list[Request]) -> bool:
    """Whether somebody whose own policies allow everything gets a call through."""
    bearer = Role(arn=who, policy=EVERYTHING, boundary=guard)
    return all(bearer.allowing(_by(who, one)) for one in asked)


@pytest.mark.parametrize("forgery", FORGERIES)
def test_nobody_else_writes_our_tags(guard: Policy, forgery: str) -> None:
    assert not _may(ALICE, guard, FORGERIES[forgery])
    assert deciding(EVERYTHING, FORGERIES[forgery][0]), "it is the guard that denies it"


@pytest.mark.parametrize(
    "who",
    [
        f"arn:aws:iam::{ACCOUNT}:role/admin",
        f"arn:aws:iam::999999999999:role/park-volumes-park-{REGION}",
        f"arn:aws:iam::{ACCOUNT}:role/park-volumes-park-{REGION}-2",
        f"arn:aws:iam::{ACCOUNT}:role/mine/park-volumes-park-{REGION}",
        f"arn:aws:iam::{ACCOUNT}:user/park-volumes-park-{REGION}",
    ],
)
def test_a_name_that_is_like_that_of_a_role_is_not_enough(guard: Policy, who: str) -> None:
    assert not any(_may(who, guard, asked) for asked in FORGERIES.values())


def test_those_who_restore_by_hand_write_our_tags_where_they_are_named(guard: Policy) -> None:
    assert all(_may(RESTORERS, guard, asked) for asked in FORGERIES.values())


@pytest.mark.parametrize("deed", EVERYDAY)
def test_everybody_else_goes_on_as_before(guard: Policy, deed: str) -> None:
    assert _may(ALICE, guard, EVERYDAY[deed])


@pytest.mark.parametrize(("who", "asked"), NEEDED)
def test_both_roles_write_what_they_have_to(aws: LocalAws, guard: Policy, who: str, asked: list[Request]) -> None:
    """A snapshot or a volume that somebody makes takes more than its tags: what the roles may do anyway."""
    role = replace(Role.deployed(aws.client("iam", REGION), who), boundary=guard)
    assert [one for one in asked if not role.allowing(_by(who, one))] == []


def test_neither_role_is_denied_anything_that_it_did(aws: LocalAws, guard: Policy, evening: dict[str, Picture]) -> None:
    assert evening
    calls = [call for call in aws.calls() if OF_A_FUNCTION.search(call["role"] or "") and decidable(call)]
    asked = [_by(call["role"], one) for call in calls for one in requests(call)]
    assert [one for one in asked if not deciding(guard, one)] == []
    written = {(one.context["aws:PrincipalArn"][0].split("-")[2], one.action) for one in asked}
    assert written >= {("park", "ec2:CreateTags"), ("park", "ec2:CreateSnapshot"), ("start", "ec2:CreateTags")}
