"""What questions need beside EC2: a role with a policy, a function of one's own, and what a trail tells of a call."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from botocore.exceptions import ClientError

from park_volumes.handlers.failed_start import read
from tests.live.lab import PATIENCE, Lab

ROLE_SECONDS = 60.0
"""Until IAM knows a new role everywhere, as a rule in seconds."""
RUNTIME = "python3.13"
"""That of the module (main.tf)."""
CODE = """
import boto3

def handler(event, context):
    return {"boto3": boto3.__version__, "knows": hasattr(boto3.client("ec2"), "list_volumes_in_recycle_bin")}
"""
PATTERN = {
    "source": ["aws.ec2"],
    "detail-type": ["AWS API Call via CloudTrail"],
    "detail": {"eventName": ["StartInstances"]},
}


def trusting(principal: dict[str, str]) -> str:
    statement = {"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def until_it_works(lab: Lab, call: Callable[[], Any], seconds: float = ROLE_SECONDS) -> Any:
    """The answer of a call that AWS refuses before it knows a new role. Raises the last refusal."""
    answers: list[Any] = []
    refusals: list[ClientError] = []

    def works() -> bool:
        try:
            answers.append(call())
        except ClientError as error:
            refusals.append(error)
        return bool(answers)

    with suppress(AssertionError):
        lab.settle(works, "a new role", seconds)
    if not answers:
        raise refusals[-1]
    return answers[0]


class Probe:
    """Roles and a function that bear the tag of the run."""

    def __init__(self, lab: Lab, step: str) -> None:
        self.lab, self.name = lab, f"{lab.name}-{step}"
        self.iam = lab.client("iam")

    def role(self, principal: dict[str, str], policy: str = "") -> str:
        made = self.iam.create_role(
            RoleName=self.name, AssumeRolePolicyDocument=trusting(principal), Tags=self.lab.tags
        )
        if policy:
            self.iam.put_role_policy(RoleName=self.name, PolicyName=self.name, PolicyDocument=policy)
        return str(made["Role"]["Arn"])

    def ec2_under(self, policy: str) -> Any:
        """EC2 for whoever has this policy and no other."""
        partition = self.lab.identity["Arn"].split(":")[1]
        arn = self.role({"AWS": f"arn:{partition}:iam::{self.lab.identity['Account']}:root"}, policy)
        sts = self.lab.client("sts")
        session = {"RoleArn": arn, "RoleSessionName": "park-volumes-live"}
        keys = until_it_works(self.lab, lambda: sts.assume_role(**session))["Credentials"]
        return self.lab.client(
            "ec2",
            aws_access_key_id=keys["AccessKeyId"],
            aws_secret_access_key=keys["SecretAccessKey"],
            aws_session_token=keys["SessionToken"],
        )

    def ask_lambda(self) -> dict[str, Any]:
        """What the SDK in Lambda's runtime is, and whether it knows a new call of EC2."""
        role, functions = self.role({"Service": "lambda.amazonaws.com"}), self.lab.client("lambda")
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w") as archive:
            archive.writestr(zipfile.ZipInfo("probe.py"), CODE)  # readable for Lambda's user, and of no date
        asked = {
            "FunctionName": self.name,
            "Runtime": RUNTIME,
            "Architectures": ["arm64"],
            "Handler": "probe.handler",
            "Timeout": 30,
            "Role": role,
            "Code": {"ZipFile": packed.getvalue()},
            "Tags": {tag["Key"]: tag["Value"] for tag in self.lab.tags},
        }
        until_it_works(self.lab, lambda: functions.create_function(**asked))
        answer = until_it_works(self.lab, lambda: functions.invoke(FunctionName=self.name), PATIENCE)
        return dict(json.load(answer["Payload"]))


class Trail:
    """EventBridge's events of StartInstances in a queue; with a trail of its own where the account has none."""

    def __init__(self, lab: Lab, step: str) -> None:
        self.lab, self.name = lab, f"{lab.name}-{step}"
        self.sqs, self.events = lab.client("sqs"), lab.client("events")
        self._queue = ""

    def listen(self) -> None:
        tags = {tag["Key"]: tag["Value"] for tag in self.lab.tags}
        self._queue = self.sqs.create_queue(QueueName=self.name, tags=tags)["QueueUrl"]
        arn = self.sqs.get_queue_attributes(QueueUrl=self._queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        rule = self.events.put_rule(Name=self.name, EventPattern=json.dumps(PATTERN), Tags=self.lab.tags)["RuleArn"]
        statement = {
            "Effect": "Allow",
            "Principal": {"Service": "events.amazonaws.com"},
            "Action": "sqs:SendMessage",
            "Resource": arn,
            "Condition": {"ArnEquals": {"aws:SourceArn": rule}},
        }
        policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        self.sqs.set_queue_attributes(QueueUrl=self._queue, Attributes={"Policy": policy})
        self.events.put_targets(Rule=self.name, Targets=[{"Id": "queue", "Arn": arn}])
        self.ensure()

    def ensure(self) -> None:
        """There is a trail that logs."""
        if not self._there_is_one():
            self._make_one()

    def _there_is_one(self) -> bool:
        """Whether a trail logs here. What those of an organization log is not told; they count."""
        trails = self.lab.client("cloudtrail")
        found = trails.describe_trails(includeShadowTrails=True)["trailList"]
        return any(t.get("IsOrganizationTrail") or self._logs(trails, t["TrailARN"]) for t in found)

    @staticmethod
    def _logs(trails: Any, arn: str) -> bool:
        with suppress(ClientError):
            return bool(trails.get_trail_status(Name=arn)["IsLogging"])
        return False

    def _make_one(self) -> None:
        s3, trails, region = self.lab.client("s3"), self.lab.client("cloudtrail"), self.lab.aws.region
        elsewhere = {} if region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": region}}
        s3.create_bucket(Bucket=self.name, **elsewhere)
        s3.put_bucket_tagging(Bucket=self.name, Tagging={"TagSet": self.lab.tags})
        partition = self.lab.identity["Arn"].split(":")[1]
        bucket = f"arn:{partition}:s3:::{self.name}"
        who = {"Effect": "Allow", "Principal": {"Service": "cloudtrail.amazonaws.com"}}
        statements = [
            {**who, "Action": "s3:GetBucketAcl", "Resource": bucket},
            {**who, "Action": "s3:PutObject", "Resource": f"{bucket}/AWSLogs/{self.lab.identity['Account']}/*"},
        ]
        policy = json.dumps({"Version": "2012-10-17", "Statement": statements})
        s3.put_bucket_policy(Bucket=self.name, Policy=policy)
        made = {"Name": self.name, "S3BucketName": self.name, "TagsList": self.lab.tags}
        until_it_works(self.lab, lambda: trails.create_trail(**made))  # the bucket's policy may not count yet
        trails.start_logging(Name=self.name)

    def event(self, instance_id: str, seconds: float) -> dict[str, Any]:
        """The event of a call that named the instance."""
        found: list[dict[str, Any]] = []

        def delivered() -> bool:
            for message in self.sqs.receive_message(QueueUrl=self._queue, MaxNumberOfMessages=10).get("Messages", []):
                if instance_id in message["Body"]:
                    found.append(json.loads(message["Body"]))
            return bool(found)

        self.lab.settle(delivered, "the event of the refused start", seconds)
        return found[0]


def is_understood(event: dict[str, Any], instance_id: str) -> bool:
    """Whether the start function would start the instance because of it."""
    told = read(event, our_role="")
    return told is not None and instance_id in told.instance_ids
