"""Removes whatever bears the tag of a run, from any state. What others made is never named in a call that changes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from functools import partial
from typing import Any

from botocore.exceptions import ClientError

from tests.live.lab import EVERY, PATIENCE, PREFIX, TAG, Aws

NOT_THERE = ("NotFound", "NonExistent", "NoSuch", "DoesNotExist")
"""What the codes of AWS say of what is gone: the list of tagged resources is late."""
GONE = ("terminated", "shutting-down")
OUR_ROLES = ("park-volumes-", PREFIX)
"""How the names of roles and policies begin that may be a run's: IAM finds nothing by its tags."""


class Cleaning:
    """One account and region, and the run whose resources go."""

    def __init__(self, aws: Aws, run: str, say: Callable[[str], object] = print) -> None:
        self.aws, self.run, self.say = aws, run, say
        self._gone: set[str] = set()
        self.ec2, self.iam = aws.client("ec2"), aws.client("iam")

    def clean(self, patience: float = PATIENCE) -> list[str]:
        """Removes everything, again and again until nothing is left; answers what is left all the same."""
        waited = 0.0
        told = 0
        while left := self.left():
            if len(left) != told:
                told = len(left)
                self.say(f"  still there: {told}")
            problems = self._remove(left)
            if waited > patience:
                return [f"{name}: {problems.get(name, 'still there')}" for name in sorted(left)]
            self.aws.wait(EVERY)
            waited += EVERY
        return []

    def left(self) -> dict[str, Callable[[], object]]:
        """What there is: a name for people, and how to remove it."""
        found = {**self._elsewhere(), **self._roles(), **self._instances(), **self._storage()}
        return {name: remove for name, remove in found.items() if name not in self._gone}

    def _remove(self, left: Mapping[str, Callable[[], object]]) -> dict[str, str]:
        """What AWS refuses for now is tried again; what it does not find, although it lists it, is gone."""
        problems = {}
        for name, remove in left.items():
            try:
                remove()
            except ClientError as error:
                problems[name] = str(error)
                if any(word in error.response["Error"]["Code"] for word in NOT_THERE):
                    self._gone.add(name)
        return problems

    # EC2

    @property
    def _mine(self) -> list[dict[str, Any]]:
        return [{"Name": f"tag:{TAG}", "Values": [self.run, f"{self.run}/*"]}]

    def _pages(self, operation: str, key: str, **more: Any) -> Iterable[Any]:
        for page in self.ec2.get_paginator(operation).paginate(Filters=self._mine, **more):
            yield from page[key]

    def _instances(self) -> dict[str, Callable[[], object]]:
        reservations = self._pages("describe_instances", "Reservations")
        there = [i for r in reservations for i in r["Instances"] if i["State"]["Name"] != "terminated"]
        return {i["InstanceId"]: partial(self._terminate, i) for i in there}

    def _terminate(self, instance: Mapping[str, Any]) -> None:
        if instance["State"]["Name"] not in GONE:
            self.ec2.terminate_instances(InstanceIds=[instance["InstanceId"]])

    def _storage(self) -> dict[str, Callable[[], object]]:
        images = self.ec2.describe_images(Owners=["self"], Filters=self._mine)["Images"]
        snapshots = self._pages("describe_snapshots", "Snapshots", OwnerIds=["self"])
        volumes = [v for v in self._pages("describe_volumes", "Volumes") if v["State"] != "deleting"]
        return {
            **{i["ImageId"]: partial(self.ec2.deregister_image, ImageId=i["ImageId"]) for i in images},
            **{s["SnapshotId"]: partial(self._delete_snapshot, s["SnapshotId"]) for s in snapshots},
            **{v["VolumeId"]: partial(self.ec2.delete_volume, VolumeId=v["VolumeId"]) for v in volumes},
        }

    def _delete_snapshot(self, snapshot_id: str) -> None:
        """Unlocking what is not locked is refused, and that is all right."""
        with suppress(ClientError):
            self.ec2.unlock_snapshot(SnapshotId=snapshot_id)
        self.ec2.delete_snapshot(SnapshotId=snapshot_id)

    # Other services

    def _elsewhere(self) -> dict[str, Callable[[], object]]:
        """What bears the tag outside of EC2 and IAM, by its ARN."""
        found: dict[str, Callable[[], object]] = {}
        pages = self.aws.client("resourcegroupstaggingapi").get_paginator("get_resources")
        for page in pages.paginate(TagFilters=[{"Key": TAG, "Values": [self.run]}]):
            for one in page["ResourceTagMappingList"]:
                arn = one["ResourceARN"]
                service = arn.split(":")[2]
                if service in REMOVERS:
                    found[arn] = partial(REMOVERS[service], self.aws.client(service), arn)
        for service, arn in [*self._rules(), *self._trails()]:
            found[arn] = partial(REMOVERS[service], self.aws.client(service), arn)
        return {**self._untagged(found), **found}

    def _rules(self) -> Iterable[tuple[str, str]]:
        events = self.aws.client("events")
        for page in events.get_paginator("list_rules").paginate(NamePrefix="park-volumes"):
            for rule in page["Rules"]:
                if self._tagged(events.list_tags_for_resource, ResourceARN=rule["Arn"]):
                    yield "events", rule["Arn"]

    def _trails(self) -> Iterable[tuple[str, str]]:
        trails = self.aws.client("cloudtrail").describe_trails(includeShadowTrails=False)["trailList"]
        return [("cloudtrail", t["TrailARN"]) for t in trails if t["Name"].startswith(f"{PREFIX}-{self.run}")]

    def _untagged(self, found: Mapping[str, object]) -> dict[str, Callable[[], object]]:
        """A dashboard has no tags. It is the run's if alarms of its name are: one `terraform apply` makes both."""
        if not any(arn.split(":")[5:6] == ["alarm"] for arn in found):
            return {}
        cloudwatch = self.aws.client("cloudwatch")
        there = cloudwatch.list_dashboards(DashboardNamePrefix="park-volumes")["DashboardEntries"]
        named = [d["DashboardName"] for d in there if d["DashboardName"] == "park-volumes"]
        return {f"dashboard {n}": partial(cloudwatch.delete_dashboards, DashboardNames=[n]) for n in named}

    def _roles(self) -> dict[str, Callable[[], object]]:
        roles = [r for page in self.iam.get_paginator("list_roles").paginate() for r in page["Roles"]]
        policies = [
            p for page in self.iam.get_paginator("list_policies").paginate(Scope="Local") for p in page["Policies"]
        ]
        mine: dict[str, Callable[[], object]] = {
            f"role {r['RoleName']}": partial(self._delete_role, r["RoleName"])
            for r in roles
            if r["RoleName"].startswith(OUR_ROLES) and self._tagged(self.iam.list_role_tags, RoleName=r["RoleName"])
        }
        mine |= {
            f"policy {p['PolicyName']}": partial(self._delete_policy, p["Arn"])
            for p in policies
            if p["PolicyName"].startswith(OUR_ROLES) and self._tagged(self.iam.list_policy_tags, PolicyArn=p["Arn"])
        }
        return mine

    def _tagged(self, ask: Callable[..., Any], **named: str) -> bool:
        return {"Key": TAG, "Value": self.run} in ask(**named)["Tags"]

    def _delete_role(self, name: str) -> None:
        for policy in self.iam.list_role_policies(RoleName=name)["PolicyNames"]:
            self.iam.delete_role_policy(RoleName=name, PolicyName=policy)
        for attached in self.iam.list_attached_role_policies(RoleName=name)["AttachedPolicies"]:
            self.iam.detach_role_policy(RoleName=name, PolicyArn=attached["PolicyArn"])
        self.iam.delete_role(RoleName=name)

    def _delete_policy(self, arn: str) -> None:
        for version in self.iam.list_policy_versions(PolicyArn=arn)["Versions"]:
            if not version["IsDefaultVersion"]:
                self.iam.delete_policy_version(PolicyArn=arn, VersionId=version["VersionId"])
        self.iam.delete_policy(PolicyArn=arn)


def _last(arn: str) -> str:
    return arn.rsplit(":", 1)[-1].rsplit("/", 1)[-1]


def _function(client: Any, arn: str) -> None:
    if ":event-source-mapping:" in arn:
        client.delete_event_source_mapping(UUID=_last(arn))
        return
    for mapping in client.list_event_source_mappings(FunctionName=_last(arn))["EventSourceMappings"]:
        client.delete_event_source_mapping(UUID=mapping["UUID"])
    client.delete_function(FunctionName=_last(arn))


def _rule(client: Any, arn: str) -> None:
    ids = [target["Id"] for target in client.list_targets_by_rule(Rule=_last(arn))["Targets"]]
    if ids:
        client.remove_targets(Rule=_last(arn), Ids=ids)
    client.delete_rule(Name=_last(arn))


def _queue(client: Any, arn: str) -> None:
    client.delete_queue(QueueUrl=client.get_queue_url(QueueName=_last(arn))["QueueUrl"])


def _bucket(client: Any, arn: str) -> None:
    name = arn.split(":::", 1)[1]
    for page in client.get_paginator("list_objects_v2").paginate(Bucket=name):
        for item in page.get("Contents", []):
            client.delete_object(Bucket=name, Key=item["Key"])
    client.delete_bucket(Bucket=name)


REMOVERS: Mapping[str, Callable[[Any, str], object]] = {
    "lambda": _function,
    "events": _rule,
    "sqs": _queue,
    "s3": _bucket,
    "cloudtrail": lambda client, arn: client.delete_trail(Name=_last(arn)),
    "sns": lambda client, arn: client.delete_topic(TopicArn=arn),
    "cloudwatch": lambda client, arn: client.delete_alarms(AlarmNames=[arn.split(":alarm:", 1)[1]]),
    "logs": lambda client, arn: client.delete_log_group(logGroupName=arn.split(":log-group:", 1)[1].removesuffix(":*")),
}
"""By the service in the ARN."""
