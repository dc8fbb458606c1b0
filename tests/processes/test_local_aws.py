"""The local AWS is AWS where moto is not. EC2's refusals are in test_ec2_rules.py; what is alive is here."""

import hashlib
import io
import itertools
import json
import subprocess
import sys
import threading
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from tests.local_aws.client import ADMIN_KEY, ADMIN_SECRET, CAPACITY, ControlError, LocalAws
from tests.local_aws.dial import Dial
from tests.local_aws.filters import matches
from tests.local_aws.policies import service_may
from tests.local_aws.queues import Mapped
from tests.local_aws.repeated import PROVIDER, Repeated
from tests.local_aws.settings import QUICK, Settings
from tests.model.policies import Deny, asked_with, born_without, tagged
from tests.support.terraform import ROOT

REGION = "us-east-1"
ACCOUNT = "123456789012"
QUEUE_ARN = f"arn:aws:sqs:{REGION}:{ACCOUNT}:"
FUNCTION_ARN = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:"
PLACE: dict[str, Any] = {"Size": 1, "AvailabilityZone": f"{REGION}a"}

HANDLERS = """
import importlib, json, os, time
from datetime import UTC, datetime
import boto3

def batch(event, context):
    print("batch of", len(event["Records"]))
    failed = [r["messageId"] for r in event["Records"] if json.loads(r["body"]).get("fail")]
    return {"batchItemFailures": [{"itemIdentifier": i} for i in failed]}

def act(event, context):
    if "import" in event:
        return importlib.import_module(event["import"]).__name__
    if "raise" in event:
        raise ValueError(event["raise"])
    if "sleep" in event:
        time.sleep(event["sleep"])
    if "exit" in event:
        os._exit(event["exit"])
    if "requestContext" in event:
        answer = {"event": event, "remaining": context.get_remaining_time_in_millis()}
        return {"statusCode": 201, "headers": {"X-Kind": "made"}, "cookies": ["a=1"], "body": json.dumps(answer)}
    if "tell" in event:
        return {"now": datetime.now(UTC).isoformat()}
    print("seen", json.dumps(event.get("detail", event)))
    return {"who": boto3.client("sts").get_caller_identity()["Arn"], "set": os.environ["SET"]}
"""


class Deployment:
    """Two functions, a queue with a dead-letter queue, and clients for all of it."""

    def __init__(self, aws: LocalAws) -> None:
        self.aws = aws
        self.ec2, self.sqs, self.events = self.client("ec2"), self.client("sqs"), self.client("events")
        self.functions, self.iam, self.logs = self.client("lambda"), self.client("iam"), self.client("logs")
        self.role_arn = self.iam.create_role(RoleName="role", AssumeRolePolicyDocument="{}")["Role"]["Arn"]
        self.sqs.create_queue(QueueName="dead", Attributes={"Policy": self.open_policy("dead")})
        redrive = json.dumps({"deadLetterTargetArn": f"{QUEUE_ARN}dead", "maxReceiveCount": 2})
        attributes = {"Policy": self.open_policy("work"), "RedrivePolicy": redrive, "VisibilityTimeout": "30"}
        self.queue_url = self.sqs.create_queue(QueueName="work", Attributes=attributes)["QueueUrl"]
        archive = io.BytesIO()
        with zipfile.ZipFile(archive, "w") as file:
            file.writestr("toy.py", HANDLERS)
        for name, handler in (("batch", "toy.batch"), ("act", "toy.act")):
            self.logs.create_log_group(logGroupName=f"/aws/lambda/{name}")
            self.functions.create_function(
                FunctionName=name,
                Role=self.role_arn,
                Runtime="python3.13",
                Handler=handler,
                Timeout=2,
                Code={"ZipFile": archive.getvalue()},
                Environment={"Variables": {"SET": "by the deployment"}},
                Layers=[f"arn:aws:lambda:{REGION}:017000801446:layer:AWSLambdaPowertoolsPythonV3-python313-arm64:27"],
            )
        destination = {"OnFailure": {"Destination": f"{QUEUE_ARN}dead"}}
        self.functions.put_function_event_invoke_config(FunctionName="act", DestinationConfig=destination)
        self.functions.create_event_source_mapping(
            EventSourceArn=f"{QUEUE_ARN}work",
            FunctionName="batch",
            BatchSize=10,
            FunctionResponseTypes=["ReportBatchItemFailures"],
            ScalingConfig={"MaximumConcurrency": 2},
        )

    def client(self, service: str) -> Any:
        make: Any = boto3.client
        return make(service, **self.aws.boto3_arguments())

    @staticmethod
    def open_policy(queue: str) -> str:
        statement = {
            "Effect": "Allow",
            "Principal": {"Service": "events.amazonaws.com"},
            "Action": "sqs:SendMessage",
            "Resource": f"{QUEUE_ARN}{queue}",
        }
        return json.dumps({"Version": "2012-10-17", "Statement": [statement]})

    def rule(self, name: str, target_arn: str, pattern: dict[str, Any], *, allowed: bool = True) -> None:
        made = self.events.put_rule(Name=name, EventPattern=json.dumps({"source": ["aws.ec2"], **pattern}))
        target = {"Id": "1", "Arn": target_arn, "DeadLetterConfig": {"Arn": f"{QUEUE_ARN}dead"}}
        self.events.put_targets(Rule=name, Targets=[target])
        if allowed and ":lambda:" in target_arn:
            self.functions.add_permission(
                FunctionName=target_arn,
                StatementId=name,
                Action="lambda:InvokeFunction",
                Principal="events.amazonaws.com",
                SourceArn=made["RuleArn"],
            )

    def drop_rule(self, name: str) -> None:
        self.events.remove_targets(Rule=name, Ids=["1"])
        self.events.delete_rule(Name=name)

    def invoke(self, **event: Any) -> tuple[str | None, Any]:
        answer = self.functions.invoke(FunctionName="act", Payload=json.dumps(event))
        return answer.get("FunctionError"), json.loads(answer["Payload"].read())

    def launch(self) -> str:
        made = self.ec2.run_instances(ImageId="ami-12c6146b", MinCount=1, MaxCount=1)
        self.aws.wait_until_quiet()
        return str(made["Instances"][0]["InstanceId"])

    def root_of(self, instance_id: str) -> str:
        found = self.ec2.describe_volumes(Filters=[{"Name": "attachment.instance-id", "Values": [instance_id]}])
        return str(found["Volumes"][0]["VolumeId"])

    def instance(self, instance_id: str) -> Any:
        return self.ec2.describe_instances(InstanceIds=[instance_id])["Reservations"][0]["Instances"][0]

    def dead_letters(self) -> list[Any]:
        return self.aws.messages("dead")

    def request(
        self, url: str, *, method: str = "GET", body: bytes | None = None, secret: str | None = ADMIN_SECRET
    ) -> tuple[int, Any, Any]:
        """Status, JSON and headers of a Function URL's answer; unsigned without a secret."""
        headers = {"content-type": "application/json"}
        request = AWSRequest(method=method, url=url, data=body, headers=headers)
        if secret:
            SigV4Auth(Credentials(ADMIN_KEY, secret), "lambda", REGION).add_auth(request)
        asked = urllib.request.Request(url, data=body, headers=dict(request.headers), method=method)
        try:
            with urllib.request.urlopen(asked) as answer:
                return answer.status, json.load(answer), answer.headers
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.load(error), error.headers


@pytest.fixture(scope="module")
def deployed() -> Iterator[Deployment]:
    with LocalAws(settings=QUICK, region=REGION) as aws, aws.standing_still():
        yield Deployment(aws)


# Function


def test_a_function_runs_with_its_environment_and_its_role(deployed: Deployment) -> None:
    error, answer = deployed.invoke(hello=1)
    assert error is None
    assert answer == {"who": f"arn:aws:sts::{ACCOUNT}:assumed-role/role/act", "set": "by the deployment"}
    assert any(call["operation"] == "GetCallerIdentity" for call in deployed.aws.calls(role=deployed.role_arn))


def test_what_lambda_does_with_the_role_of_a_function_is_logged_as_done_by_the_role(deployed: Deployment) -> None:
    before = max(call["number"] for call in deployed.aws.calls())
    deployed.sqs.send_message(QueueUrl=deployed.queue_url, MessageBody="{}")
    deployed.aws.wait_until_quiet()
    done = [(c["service"], c["operation"]) for c in deployed.aws.calls(since=before, role=deployed.role_arn)]
    assert {operation for service, operation in done if service == "sqs"} >= {"ReceiveMessage", "DeleteMessage"}
    assert {operation for service, operation in done if service == "logs"} == {"CreateLogStream", "PutLogEvents"}


def test_a_call_is_logged_with_the_customer_keys_and_the_disks_that_iam_asks_for(deployed: Deployment) -> None:
    key = deployed.client("kms").create_key()["KeyMetadata"]["Arn"]
    disk = {"DeviceName": "/dev/sdf", "Ebs": {"VolumeSize": 1, "Encrypted": True, "KmsKeyId": key}}
    made = deployed.ec2.run_instances(ImageId="ami-12c6146b", MinCount=1, MaxCount=1, BlockDeviceMappings=[disk])
    instance_id = made["Instances"][0]["InstanceId"]
    deployed.aws.wait_until_quiet()
    deployed.ec2.stop_instances(InstanceIds=[instance_id])
    stopped = [call for call in deployed.aws.calls() if call["operation"] == "StopInstances"][-1]
    disks = stopped["attached"][instance_id]
    assert {device: d["kms_key"] for device, d in disks.items() if device == "/dev/sdf"} == {"/dev/sdf": key}
    assert [d["kms_key"] for device, d in disks.items() if device != "/dev/sdf"] == [None]
    deployed.ec2.describe_volumes(VolumeIds=[disks["/dev/sdf"]["volume"]])
    assert deployed.aws.calls()[-1]["kms_keys"] == {disks["/dev/sdf"]["volume"]: key}


def test_a_call_is_logged_with_the_licenses_and_the_origins_that_iam_asks_for(deployed: Deployment) -> None:
    license_arn = f"arn:aws:license-manager:{REGION}:{ACCOUNT}:license-configuration:lic-0123456789abcdef"
    instance_id = deployed.launch()
    root = deployed.root_of(instance_id)
    snapshot_id = deployed.ec2.create_snapshot(VolumeId=root)["SnapshotId"]
    deployed.aws.set_instance(instance_id, licenses=[license_arn])
    assert deployed.instance(instance_id)["Licenses"] == [{"LicenseConfigurationArn": license_arn}]
    assert deployed.aws.calls()[-1]["licenses"] == {instance_id: [license_arn]}
    deployed.aws.wait_until_quiet()
    copied = deployed.ec2.create_volume(**PLACE | {"Size": 8}, SnapshotId=snapshot_id)["VolumeId"]
    deployed.ec2.create_tags(Resources=[copied, snapshot_id], Tags=[{"Key": "a", "Value": "b"}])
    assert deployed.aws.calls()[-1]["facts"] == {
        copied: {"ec2:ParentSnapshot": f"arn:aws:ec2:{REGION}::snapshot/{snapshot_id}"},
        snapshot_id: {"ec2:Owner": ACCOUNT, "ec2:ParentVolume": f"arn:aws:ec2:{REGION}:{ACCOUNT}:volume/{root}"},
    }


def test_a_parameter_is_logged_with_the_key_that_a_customer_made(deployed: Deployment) -> None:
    ssm, key = deployed.client("ssm"), deployed.client("kms").create_key()["KeyMetadata"]["Arn"]
    for name, facts in {"/own": {"KeyId": key}, "/theirs": {}}.items():
        ssm.put_parameter(Name=name, Type="SecureString", Value="x", **facts)
        ssm.get_parameter(Name=name, WithDecryption=True)
    read = [call["kms_keys"] for call in deployed.aws.calls() if call["operation"] == "GetParameter"]
    assert read[-2:] == [{"/own": key}, {}]


@pytest.mark.parametrize("name", ["moto", "flask", "pytest", "tests.local_aws"])
def test_a_function_sees_no_package_that_lambda_would_not_have(deployed: Deployment, name: str) -> None:
    error, answer = deployed.invoke(**{"import": name})
    assert (error, answer["errorType"]) == ("Unhandled", "ModuleNotFoundError")


def test_an_exception_is_answered_as_lambda_answers_it(deployed: Deployment) -> None:
    error, answer = deployed.invoke(**{"raise": "no luck"})
    assert error == "Unhandled"
    assert (answer["errorType"], answer["errorMessage"]) == ("ValueError", "no luck")
    assert 'raise ValueError(event["raise"])' in answer["stackTrace"][0]


def test_a_function_is_killed_at_its_timeout(deployed: Deployment) -> None:
    error, answer = deployed.invoke(sleep=20)
    assert (error, answer["errorType"]) == ("Unhandled", "Sandbox.Timedout")
    assert answer["errorMessage"].endswith("Task timed out after 2.00 seconds")


def test_a_function_that_ends_its_process_is_an_error_and_the_next_call_works(deployed: Deployment) -> None:
    error, answer = deployed.invoke(exit=3)
    assert (error, answer["errorType"]) == ("Unhandled", "Runtime.ExitError")
    assert deployed.invoke()[0] is None


def test_what_a_function_prints_is_in_its_log_group(deployed: Deployment) -> None:
    deployed.invoke(word="findable")
    events = deployed.logs.filter_log_events(logGroupName="/aws/lambda/act")["events"]
    assert 'seen {"word": "findable"}' in [event["message"] for event in events]
    assert 'seen {"word": "findable"}' in deployed.aws.logs("act")


def test_an_asynchronous_failure_is_tried_three_times_and_then_goes_to_the_destination(deployed: Deployment) -> None:
    deployed.functions.invoke(FunctionName="act", InvocationType="Event", Payload='{"raise": "again and again"}')
    deployed.aws.wait_until_quiet()
    tried = [i["attempt"] for i in deployed.aws.invocations("act") if "again and again" in i["event"]]
    assert tried == [1, 2, 3]
    record = json.loads(deployed.dead_letters()[-1]["body"])
    assert record["requestContext"]["condition"] == "RetriesExhausted"
    assert record["requestPayload"] == {"raise": "again and again"}
    assert record["responsePayload"]["errorMessage"] == "again and again"


# Queue


def test_only_the_failed_messages_of_a_batch_are_tried_again_and_then_redriven(deployed: Deployment) -> None:
    entries = [{"Id": str(n), "MessageBody": json.dumps({"n": n, "fail": n == 2})} for n in range(4)]
    deployed.sqs.send_message_batch(QueueUrl=deployed.queue_url, Entries=entries)
    deployed.aws.wait_until_quiet()
    bodies = [json.loads(message["body"]) for message in deployed.dead_letters()]
    assert [body["n"] for body in bodies if "n" in body] == [2]


def test_a_delayed_message_comes_when_its_delay_is_over(deployed: Deployment) -> None:
    before = len(deployed.aws.invocations("batch"))
    deployed.sqs.send_message(QueueUrl=deployed.queue_url, MessageBody="{}", DelaySeconds=1)
    assert deployed.aws.queues()["work"] == {"visible": 0, "delayed": 1, "in_flight": 0}
    deployed.aws.wait_until_quiet()
    assert len(deployed.aws.invocations("batch")) == before
    deployed.aws.wait_for(lambda: len(deployed.aws.invocations("batch")) == before + 1, 10, "the delayed message")


def test_setting_one_attribute_of_a_queue_keeps_its_policy(deployed: Deployment) -> None:
    url = deployed.sqs.create_queue(QueueName="kept", Attributes={"Policy": deployed.open_policy("kept")})["QueueUrl"]
    deployed.sqs.set_queue_attributes(
        QueueUrl=url, Attributes={"RedriveAllowPolicy": '{"redrivePermission": "denyAll"}'}
    )
    attributes = deployed.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    assert json.loads(attributes["Policy"]) == json.loads(deployed.open_policy("kept"))
    assert attributes["RedriveAllowPolicy"] == '{"redrivePermission": "denyAll"}'
    deployed.sqs.delete_queue(QueueUrl=url)


@pytest.mark.parametrize(
    ("payload", "failed"),
    [
        ("null", set()),
        ("{}", set()),
        ('{"batchItemFailures": []}', set()),
        ('{"batchItemFailures": [{"itemIdentifier": "a"}]}', {"a"}),
        ('{"batchItemFailures": [{"itemIdentifier": "unknown"}]}', {"a", "b"}),
        ('{"batchItemFailures": [{"wrong": "a"}]}', {"a", "b"}),
        ('"text"', {"a", "b"}),
    ],
)
def test_a_batch_answer_names_the_failed_messages(payload: str, failed: set[str]) -> None:
    assert Mapped.reported_failures(payload, {"a", "b"}) == failed


# Events


def test_a_stop_goes_through_a_rule_to_the_queue_and_a_start_to_the_function(deployed: Deployment) -> None:
    kind = {"detail-type": ["EC2 Instance State-change Notification"]}
    deployed.rule("stopped", f"{QUEUE_ARN}work", {**kind, "detail": {"state": ["stopped"]}})
    deployed.rule("running", f"{FUNCTION_ARN}act", {**kind, "detail": {"state": ["running"]}})
    instance_id = deployed.launch()
    deployed.ec2.stop_instances(InstanceIds=[instance_id])
    deployed.aws.wait_until_quiet()
    deployed.drop_rule("stopped")
    deployed.drop_rule("running")
    where = {
        entry["event"]["detail"]["state"]: entry["delivered"]
        for entry in deployed.aws.events()
        if entry["event"]["detail"].get("instance-id") == instance_id
    }
    assert where == {
        "pending": [],
        "running": [f"{FUNCTION_ARN}act"],
        "stopping": [],
        "stopped": [f"{QUEUE_ARN}work"],
    }
    assert f'seen {{"instance-id": "{instance_id}", "state": "running"}}' in deployed.aws.logs("act")
    received = [json.loads(i["event"])["Records"] for i in deployed.aws.invocations("batch")]
    bodies = [json.loads(record["body"]) for records in received for record in records]
    assert {"instance-id": instance_id, "state": "stopped"} in [body.get("detail") for body in bodies]


HOME, AWAY = REGION, "eu-west-1"
HOME_BUS = f"arn:aws:events:{HOME}:{ACCOUNT}:event-bus/default"


@pytest.fixture
def away(deployed: Deployment) -> Iterator[Any]:
    """EventBridge in another region, with a rule for the stopped instances there."""
    events = deployed.aws.client("events", AWAY)
    state = {"source": ["aws.ec2"], "detail": {"state": ["stopped"]}}
    events.put_rule(Name="forward", EventPattern=json.dumps(state))
    deployed.rule("stopped", f"{QUEUE_ARN}work", {"detail": {"state": ["stopped"]}})
    yield events
    deployed.drop_rule("stopped")
    events.remove_targets(Rule="forward", Ids=["home"])
    events.delete_rule(Name="forward")


def _forwarding_role(deployed: Deployment, name: str, *, trusted: str, bus: str) -> str:
    trust = {
        "Effect": "Allow",
        "Principal": {"Service": "events.amazonaws.com"},
        "Action": "sts:AssumeRole",
        "Condition": {"ArnLike": {"aws:SourceArn": f"arn:aws:events:{AWAY}:{ACCOUNT}:rule/{trusted}"}},
    }
    allow = {"Effect": "Allow", "Action": "events:PutEvents", "Resource": bus}
    trusted_by, allowed = (json.dumps({"Version": "2012-10-17", "Statement": [one]}) for one in (trust, allow))
    arn = deployed.iam.create_role(RoleName=name, AssumeRolePolicyDocument=trusted_by)["Role"]["Arn"]
    deployed.iam.put_role_policy(RoleName=name, PolicyName="forward", PolicyDocument=allowed)
    return str(arn)


def _stopped_away(deployed: Deployment) -> list[dict[str, Any]]:
    """What became of the event of an instance that stops in the other region: there, and on the bus at home."""
    ec2 = deployed.aws.client("ec2", AWAY)
    image = ec2.describe_images(Owners=["amazon"])["Images"][0]["ImageId"]
    instance_id = ec2.run_instances(ImageId=image, MinCount=1, MaxCount=1)["Instances"][0]["InstanceId"]
    deployed.aws.wait_until_quiet()
    ec2.stop_instances(InstanceIds=[instance_id])
    deployed.aws.wait_until_quiet()
    stopped = {"instance-id": instance_id, "state": "stopped"}
    return [entry for entry in deployed.aws.events() if entry["event"]["detail"] == stopped]


def test_a_rule_puts_the_events_of_its_region_on_the_bus_of_another(deployed: Deployment, away: Any) -> None:
    role = _forwarding_role(deployed, "forward", trusted="for*", bus=HOME_BUS)
    away.put_targets(Rule="forward", Targets=[{"Id": "home", "Arn": HOME_BUS, "RoleArn": role}])
    there, at_home = _stopped_away(deployed)
    assert there["event"] == at_home["event"]
    assert at_home["event"]["region"] == AWAY
    assert (there["delivered"], at_home["delivered"]) == ([HOME_BUS], [f"{QUEUE_ARN}work"])


@pytest.mark.parametrize(
    ("trusted", "bus"),
    [("other", HOME_BUS), ("forward", HOME_BUS.replace("default", "orders"))],
    ids=["a role that does not trust the rule", "a role that may not put events there"],
)
def test_an_event_goes_to_no_other_bus_without_a_role_for_it(
    deployed: Deployment, away: Any, trusted: str, bus: str
) -> None:
    role = _forwarding_role(deployed, f"{trusted}-to-{bus.rsplit('/', 1)[1]}", trusted=trusted, bus=bus)
    away.put_targets(Rule="forward", Targets=[{"Id": "home", "Arn": HOME_BUS, "RoleArn": role}])
    (there,) = _stopped_away(deployed)
    assert (there["delivered"], there["failed"]) == ([], [HOME_BUS])


def test_an_event_goes_to_no_third_bus(deployed: Deployment, away: Any) -> None:
    role = _forwarding_role(deployed, "third", trusted="*", bus="*")
    away.put_targets(Rule="forward", Targets=[{"Id": "home", "Arn": HOME_BUS, "RoleArn": role}])
    third = HOME_BUS.replace(HOME, "us-west-2")
    deployed.events.put_targets(Rule="stopped", Targets=[{"Id": "third", "Arn": third, "RoleArn": role}])
    _, at_home = _stopped_away(deployed)
    deployed.events.remove_targets(Rule="stopped", Ids=["third"])
    assert at_home["failed"] == [third]


def test_every_region_has_instances_of_its_own(deployed: Deployment) -> None:
    instance_id = deployed.launch()
    elsewhere = deployed.aws.client("ec2", AWAY)
    with pytest.raises(ClientError, match=r"InvalidInstanceID\.NotFound"):
        elsewhere.describe_instances(InstanceIds=[instance_id])
    assert deployed.ec2.describe_instances(InstanceIds=[instance_id])["Reservations"]


def test_ec2_answers_in_the_enabled_regions_only_and_says_which_they_are(deployed: Deployment) -> None:
    def enabled() -> set[str]:
        return {region["RegionName"] for region in deployed.ec2.describe_regions()["Regions"]}

    there = {region["RegionName"] for region in deployed.ec2.describe_regions(AllRegions=True)["Regions"]}
    usual = enabled()
    assert len(usual) == 17
    assert usual < there
    milan = deployed.aws.client("ec2", "eu-south-1")
    with pytest.raises(ClientError, match="AuthFailure"):
        milan.describe_instances()
    deployed.aws.enable_region("eu-south-1")
    assert enabled() == usual | {"eu-south-1"}
    assert milan.describe_instances()["Reservations"] == []
    deployed.aws.enable_region("eu-south-1", enabled=False)
    assert enabled() == usual
    with pytest.raises(ControlError, match="lets nobody disable us-east-1"):
        deployed.aws.enable_region("us-east-1", enabled=False)


def test_a_rule_that_may_not_invoke_its_target_uses_the_dead_letter_queue(deployed: Deployment) -> None:
    deployed.rule("unwelcome", f"{FUNCTION_ARN}act", {"detail": {"test": ["permission"]}}, allowed=False)
    event = {"source": "aws.ec2", "detail-type": "Test", "detail": {"test": "permission"}}
    entry = deployed.aws.emit(event)
    deployed.drop_rule("unwelcome")
    assert (entry["delivered"], entry["failed"]) == ([], [f"{FUNCTION_ARN}act"])
    assert deployed.dead_letters()[-1]["attributes"]["ERROR_CODE"] == "NO_PERMISSIONS"


def test_a_schedule_matches_no_event_fires_on_demand_and_by_its_rate(deployed: Deployment) -> None:
    deployed.events.put_rule(Name="sweep", ScheduleExpression="rate(1 minute)")
    deployed.events.put_targets(Rule="sweep", Targets=[{"Id": "1", "Arn": f"{QUEUE_ARN}work"}])
    assert deployed.aws.emit({"source": "aws.ec2", "detail-type": "Test", "detail": {}})["delivered"] == []
    assert deployed.aws.fire_rule("sweep")["delivered"] == [f"{QUEUE_ARN}work"]
    fired = len(deployed.aws.events())
    deployed.aws.configure(schedule_factor=0.01)
    deployed.aws.wait_for(lambda: len(deployed.aws.events()) > fired, 10, "the schedule to fire")
    deployed.aws.configure(schedule_factor=1)
    deployed.events.disable_rule(Name="sweep")
    assert deployed.aws.fire_rule("sweep")["delivered"] == []
    deployed.drop_rule("sweep")
    deployed.aws.wait_until_quiet()


def test_a_refused_start_is_told_only_where_a_trail_logs_it(deployed: Deployment) -> None:
    instance_id = deployed.launch()
    deployed.ec2.stop_instances(InstanceIds=[instance_id])
    deployed.aws.wait_until_quiet()
    deployed.ec2.detach_volume(VolumeId=deployed.root_of(instance_id), InstanceId=instance_id)
    deployed.aws.wait_until_quiet()
    whole = deployed.launch()

    def refused() -> list[Any]:
        with pytest.raises(ClientError, match="does not have a volume attached at root"):
            deployed.ec2.start_instances(InstanceIds=[whole, instance_id])
        deployed.aws.wait_until_quiet()
        events = [entry["event"] for entry in deployed.aws.events()]
        return [e for e in events if e["detail-type"] == "AWS API Call via CloudTrail" and "errorCode" in e["detail"]]

    assert refused() == []
    deployed.client("s3").create_bucket(Bucket="trail")
    trail = deployed.client("cloudtrail")
    trail.create_trail(Name="management", S3BucketName="trail")
    assert refused() == []
    trail.start_logging(Name="management")
    (told,) = refused()
    deployed.aws.configure(bare_trail_codes=True)
    _, bare = refused()
    deployed.aws.configure(bare_trail_codes=False)
    trail.delete_trail(Name="management")

    assert bare["detail"]["errorCode"] == "InvalidParameterValue"
    detail = told["detail"]
    assert (told["source"], detail["eventSource"]) == ("aws.ec2", "ec2.amazonaws.com")
    assert (detail["eventName"], detail["errorCode"]) == ("StartInstances", "Client.InvalidParameterValue")
    assert f"Invalid value '{instance_id}' for instanceId. Instance does not have a volume" in detail["errorMessage"]
    named = [item["instanceId"] for item in detail["requestParameters"]["instancesSet"]["items"]]
    assert named == [whole, instance_id]
    assert detail["userIdentity"]["arn"] == f"arn:aws:iam::{ACCOUNT}:user/admin"


def test_events_can_be_lost_and_doubled(deployed: Deployment) -> None:
    instance_id = deployed.launch()
    deployed.aws.drop_events(event="stopping", resource=instance_id)
    deployed.aws.double_events(event="stopped", resource=instance_id)
    deployed.ec2.stop_instances(InstanceIds=[instance_id])
    deployed.aws.wait_until_quiet()
    entries = [e for e in deployed.aws.events() if e["event"]["detail"].get("instance-id") == instance_id]
    assert [(e["event"]["detail"]["state"], e["fault"]) for e in entries][2:] == [
        ("stopping", "drop"),
        ("stopped", None),
        ("stopped", None),
    ]


# Content


def test_content_travels_from_a_volume_through_a_snapshot_as_it_was_when_the_snapshot_began(
    deployed: Deployment,
) -> None:
    instance_id = deployed.launch()
    root = deployed.root_of(instance_id)
    at_snapshot = deployed.aws.fingerprint(root)
    snapshot_id = deployed.ec2.create_snapshot(VolumeId=root)["SnapshotId"]
    written = deployed.aws.write(instance_id, written_gib=3)["/dev/sda1"]
    deployed.aws.wait_until_quiet()
    copy = deployed.ec2.create_volume(SnapshotId=snapshot_id, AvailabilityZone=f"{REGION}a")["VolumeId"]
    assert written != at_snapshot
    assert deployed.aws.fingerprint(snapshot_id) == deployed.aws.fingerprint(copy) == at_snapshot
    assert deployed.aws.fingerprint(root) == written
    assert deployed.aws.lineage(root)[-2:] == [at_snapshot, written]
    assert (
        deployed.aws.fingerprint(deployed.ec2.create_volume(Size=1, AvailabilityZone=f"{REGION}a")["VolumeId"])
        == "empty"
    )


def test_two_instances_of_one_image_have_different_disks(deployed: Deployment) -> None:
    first, second = deployed.launch(), deployed.launch()
    assert deployed.aws.fingerprints(first) != deployed.aws.fingerprints(second)


def test_only_a_running_instance_writes(deployed: Deployment) -> None:
    instance_id = deployed.launch()
    deployed.ec2.stop_instances(InstanceIds=[instance_id])
    with pytest.raises(ControlError, match="only a running one writes"):
        deployed.aws.write(instance_id)


# Failures on order


def test_a_snapshot_can_be_made_to_end_in_error(deployed: Deployment) -> None:
    root = deployed.root_of(deployed.launch())
    deployed.aws.fail_snapshot(volume=root)
    snapshot_id = deployed.ec2.create_snapshot(VolumeId=root)["SnapshotId"]
    deployed.aws.wait_until_quiet()
    found = deployed.ec2.describe_snapshots(SnapshotIds=[snapshot_id])["Snapshots"][0]
    last = [
        e["event"]["detail"] for e in deployed.aws.events() if e["event"]["detail"].get("event") == "createSnapshot"
    ]
    assert found["State"] == "error"
    assert (last[-1]["result"], last[-1]["snapshot_id"].split("/")[-1]) == ("failed", snapshot_id)


def test_a_volume_with_a_key_that_does_not_exist_ends_in_error(deployed: Deployment) -> None:
    key = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/nowhere"
    made = deployed.ec2.create_volume(Size=1, AvailabilityZone=f"{REGION}a", Encrypted=True, KmsKeyId=key)
    deployed.aws.wait_until_quiet()
    found = deployed.ec2.describe_volumes(VolumeIds=[made["VolumeId"]])["Volumes"][0]
    last = [e["event"]["detail"] for e in deployed.aws.events() if e["event"]["detail"].get("event") == "createVolume"]
    assert (found["State"], found["KmsKeyId"]) == ("error", key)
    assert last[-1]["result"] == "failed"
    assert "KMS" in last[-1]["cause"]


def test_of_each_key_a_test_can_say_whether_ec2_can_use_it(deployed: Deployment) -> None:
    kms = deployed.client("kms")
    mine, disabled = (kms.create_key()["KeyMetadata"]["Arn"] for _ in range(2))
    foreign, shared = (f"arn:aws:kms:{REGION}:999999999999:key/{name}" for name in ("foreign", "shared"))
    kms.disable_key(KeyId=disabled.rsplit("/", 1)[-1])
    deployed.aws.set_key(shared, usable=True)

    def made_under(key: str) -> str:
        made = deployed.ec2.create_volume(**PLACE, Encrypted=True, KmsKeyId=key)
        deployed.aws.wait_until_quiet()
        return str(deployed.ec2.describe_volumes(VolumeIds=[made["VolumeId"]])["Volumes"][0]["State"])

    assert [made_under(key) for key in (mine, shared, disabled, foreign)] == [
        "available",
        "available",
        "error",
        "error",
    ]
    deployed.aws.set_key(mine, usable=False)
    assert made_under(mine) == "error"


def test_a_key_of_another_account_is_logged_as_a_customers(deployed: Deployment) -> None:
    foreign = f"arn:aws:kms:{REGION}:999999999999:key/foreign"
    volume_id = deployed.ec2.create_volume(**PLACE, Encrypted=True, KmsKeyId=foreign)["VolumeId"]
    deployed.ec2.describe_volumes(VolumeIds=[volume_id])
    assert deployed.aws.calls()[-1]["kms_keys"] == {volume_id: foreign}


def test_a_modification_can_be_made_to_fail_and_leaves_the_volume_as_it_was(deployed: Deployment) -> None:
    volume_id = deployed.ec2.create_volume(**PLACE)["VolumeId"]
    deployed.aws.wait_until_quiet()
    deployed.aws.fail_modification(volume=volume_id)
    deployed.ec2.modify_volume(VolumeId=volume_id, Size=2)
    deployed.aws.wait_until_quiet()
    [found] = deployed.ec2.describe_volumes_modifications(VolumeIds=[volume_id])["VolumesModifications"]
    assert found["ModificationState"] == "failed"
    assert deployed.ec2.describe_volumes(VolumeIds=[volume_id])["Volumes"][0]["Size"] == 1


def test_after_six_hours_a_volume_can_be_modified_again(deployed: Deployment) -> None:
    volume_id = deployed.ec2.create_volume(**PLACE)["VolumeId"]
    deployed.aws.wait_until_quiet()
    deployed.ec2.modify_volume(VolumeId=volume_id, Size=2)
    deployed.aws.run(6 * 3600)
    assert deployed.ec2.modify_volume(VolumeId=volume_id, Size=3)["VolumeModification"]["OriginalSize"] == 2


def test_a_start_can_be_made_to_fall_back_to_stopped(deployed: Deployment) -> None:
    instance_id = deployed.launch()
    deployed.ec2.stop_instances(InstanceIds=[instance_id])
    deployed.aws.wait_until_quiet()
    deployed.aws.fail_start(instance=instance_id)
    deployed.ec2.start_instances(InstanceIds=[instance_id])
    deployed.aws.wait_until_quiet()
    found = deployed.instance(instance_id)
    states = [
        e["event"]["detail"]["state"]
        for e in deployed.aws.events()
        if e["event"]["detail"].get("instance-id") == instance_id
    ]
    assert (found["State"]["Name"], found["StateReason"]["Code"]) == ("stopped", "Client.InternalError")
    assert states[-2:] == ["pending", "stopped"]


@pytest.mark.parametrize(("code", "status"), [(code, status) for code, (status, _) in CAPACITY.items()])
def test_a_start_can_be_refused_for_want_of_capacity(deployed: Deployment, code: str, status: int) -> None:
    instance_id = deployed.launch()
    deployed.ec2.stop_instances(InstanceIds=[instance_id])
    deployed.aws.wait_until_quiet()
    deployed.aws.refuse_start_for_capacity(code, count=99)
    with pytest.raises(ClientError) as refused:
        deployed.ec2.start_instances(InstanceIds=[instance_id])
    answer = refused.value.response
    assert (answer["Error"]["Code"], answer["ResponseMetadata"]["HTTPStatusCode"]) == (code, status)
    with pytest.raises(ClientError, match="DryRunOperation"):
        deployed.ec2.start_instances(InstanceIds=[instance_id], DryRun=True)
    deployed.aws.clear_faults()
    assert deployed.instance(instance_id)["State"]["Name"] == "stopped"


def test_a_start_that_falls_back_can_say_that_there_was_no_host(deployed: Deployment) -> None:
    instance_id = deployed.launch()
    deployed.ec2.stop_instances(InstanceIds=[instance_id])
    deployed.aws.wait_until_quiet()
    deployed.aws.fail_start(instance=instance_id, message="Server.InsufficientHostCapacity: Insufficient host capacity")
    deployed.ec2.start_instances(InstanceIds=[instance_id])
    deployed.aws.wait_until_quiet()
    assert deployed.instance(instance_id)["StateReason"] == {
        "Code": "Server.InsufficientHostCapacity",
        "Message": "Server.InsufficientHostCapacity: Insufficient host capacity",
    }


def test_a_call_can_be_refused_or_lose_its_answer(deployed: Deployment) -> None:
    deployed.aws.fail_call("DescribeVolumes", "UnauthorizedOperation")
    with pytest.raises(ClientError, match="UnauthorizedOperation"):
        deployed.ec2.describe_volumes()
    deployed.ec2.describe_volumes()
    before = len(deployed.ec2.describe_volumes()["Volumes"])
    deployed.aws.fail_call("CreateVolume", "InvalidRequest", after=True)
    with pytest.raises(ClientError, match="InvalidRequest"):
        deployed.ec2.create_volume(Size=1, AvailabilityZone=f"{REGION}a")
    assert len(deployed.ec2.describe_volumes()["Volumes"]) == before + 1
    refused = [call for call in deployed.aws.calls() if call["operation"] == "CreateVolume" and call["error"]]
    assert refused[-1]["error"] == "InvalidRequest"


def test_what_is_ordered_for_a_call_does_not_befall_its_dry_run(deployed: Deployment) -> None:
    deployed.aws.fail_call("CreateVolume", "InvalidRequest")
    with pytest.raises(ClientError, match="DryRunOperation"):
        deployed.ec2.create_volume(**PLACE, DryRun=True)
    with pytest.raises(ClientError, match="InvalidRequest"):
        deployed.ec2.create_volume(**PLACE)
    deployed.aws.fail_call("CreateVolume", "InternalError", dry_run=True)
    deployed.ec2.create_volume(**PLACE)
    with pytest.raises(ClientError, match="InternalError"):
        deployed.ec2.create_volume(**PLACE, DryRun=True)


def test_a_dry_run_checks_states_where_that_is_wished(deployed: Deployment) -> None:
    instance_id = deployed.launch()
    root = deployed.root_of(instance_id)
    with pytest.raises(ClientError, match="DryRunOperation"):
        deployed.ec2.detach_volume(VolumeId=root, DryRun=True)
    deployed.aws.configure(dry_run_checks=True)
    with pytest.raises(ClientError, match="Unable to detach root volume"):
        deployed.ec2.detach_volume(VolumeId=root, DryRun=True)
    with pytest.raises(ClientError, match="DryRunOperation"):
        deployed.ec2.stop_instances(InstanceIds=[instance_id], DryRun=True)
    deployed.aws.configure(dry_run_checks=False)
    assert deployed.instance(instance_id)["State"]["Name"] == "running"


def test_a_dry_run_is_logged_as_one(deployed: Deployment) -> None:
    with pytest.raises(ClientError, match="DryRunOperation"):
        deployed.ec2.delete_volume(VolumeId="vol-0123456789abcdef0", DryRun=True)
    logged = deployed.aws.calls()[-1]
    assert (logged["operation"], logged["error"], logged["status"]) == ("DeleteVolume", "DryRunOperation", 412)
    assert logged["parameters"]["DryRun"] is True


def test_recorded_answers_can_be_given_that_disagree_about_attach_times(deployed: Deployment) -> None:
    instance_id = deployed.launch()
    described = deployed.instance(instance_id)["BlockDeviceMappings"][0]["Ebs"]["AttachTime"]

    def told() -> Any:
        volume_id = deployed.ec2.create_volume(**PLACE)["VolumeId"]
        deployed.aws.wait_until_quiet()
        deployed.ec2.attach_volume(VolumeId=volume_id, InstanceId=instance_id, Device="/dev/sdp")
        deployed.aws.wait_until_quiet()
        answer = deployed.ec2.detach_volume(VolumeId=volume_id)
        deployed.aws.wait_until_quiet()
        return answer.get("AttachTime")

    assert described.microsecond == told().microsecond == 0
    deployed.aws.configure(attach_milliseconds=True)
    assert told().microsecond == 432_000
    deployed.aws.configure(attach_milliseconds=False, attach_times_hidden=True)
    assert told() is None
    deployed.aws.configure(attach_times_hidden=False)


def test_naming_a_snapshot_that_is_not_locked_can_be_an_error(deployed: Deployment) -> None:
    root = deployed.root_of(deployed.launch())
    snapshot_id = deployed.ec2.create_snapshot(VolumeId=root)["SnapshotId"]
    assert deployed.ec2.describe_locked_snapshots(SnapshotIds=[snapshot_id])["Snapshots"] == []
    deployed.aws.configure(unlocked_ids_refused=True)
    with pytest.raises(ClientError, match="is not locked"):
        deployed.ec2.describe_locked_snapshots(SnapshotIds=[snapshot_id])
    deployed.ec2.lock_snapshot(SnapshotId=snapshot_id, LockMode="governance", LockDuration=1)
    assert len(deployed.ec2.describe_locked_snapshots(SnapshotIds=[snapshot_id])["Snapshots"]) == 1
    deployed.aws.configure(unlocked_ids_refused=False)


def test_a_recycle_bin_keeps_deleted_volumes_for_days(deployed: Deployment) -> None:
    def in_bin() -> list[str]:
        return [v["VolumeId"] for v in deployed.ec2.list_volumes_in_recycle_bin(MaxResults=5)["Volumes"]]

    made = [deployed.ec2.create_volume(AvailabilityZone="us-east-1a", Size=1)["VolumeId"] for _ in range(2)]
    deployed.aws.wait_until_quiet()
    for volume_id, days in zip(made, (0, 7), strict=True):
        deployed.aws.configure(volume_bin_days=days)
        deployed.ec2.delete_volume(VolumeId=volume_id)
        deployed.aws.wait_until_quiet()

    assert in_bin() == [made[1]]
    deployed.aws.configure(volume_bin_days=0)
    assert in_bin() == []


# Policies that deny


@pytest.fixture
def of_role(deployed: Deployment) -> Iterator[Any]:
    """EC2 as a function has it, and afterwards no more denials."""
    session = deployed.client("sts").assume_role(RoleArn=deployed.role_arn, RoleSessionName="act")["Credentials"]
    make: Any = boto3.client
    keys = {"aws_access_key_id": session["AccessKeyId"], "aws_secret_access_key": session["SecretAccessKey"]}
    yield make("ec2", **{**deployed.aws.boto3_arguments(), **keys, "aws_session_token": session["SessionToken"]})
    deployed.aws.clear_denials()


def code_of(call: Callable[..., Any], **params: Any) -> str:
    try:
        call(**params)
    except ClientError as error:
        return str(error.response["Error"]["Code"])
    return "none"


DENIED, DRY = "UnauthorizedOperation", "DryRunOperation"


def test_a_policy_denies_by_a_tag_what_roles_do_and_try_dry(deployed: Deployment, of_role: Any) -> None:
    free, kept = (deployed.ec2.create_volume(**PLACE)["VolumeId"] for _ in range(2))
    deployed.ec2.create_tags(Resources=[kept], Tags=[{"Key": "DoNotDelete", "Value": "yes"}])
    deployed.aws.wait_until_quiet()
    deployed.aws.deny(Deny(actions=("DeleteVolume",), when=tagged("DoNotDelete")))
    assert [code_of(of_role.delete_volume, VolumeId=kept, DryRun=dry) for dry in (True, False)] == [DENIED, DENIED]
    assert [code_of(of_role.delete_volume, VolumeId=free, DryRun=dry) for dry in (True, False)] == [DRY, "none"]
    with pytest.raises(ClientError) as refused:
        of_role.delete_volume(VolumeId=kept)
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403
    assert (
        f"User: arn:aws:sts::{ACCOUNT}:assumed-role/role/act is not authorized to perform: ec2:DeleteVolume "
        f"on resource: arn:aws:ec2:{REGION}:{ACCOUNT}:volume/{kept} with an explicit deny in a service control policy."
    ) in refused.value.response["Error"]["Message"]
    assert deployed.aws.calls()[-1]["error"] == DENIED


def test_a_policy_denies_by_what_is_asked_for(deployed: Deployment, of_role: Any) -> None:
    tags = [{"ResourceType": "volume", "Tags": [{"Key": "cost-center", "Value": "42"}]}]
    deployed.aws.deny(Deny(actions=("CreateVolume",), when=born_without("cost-center")))
    deployed.aws.deny(Deny(actions=("CreateVolume",), when=asked_with("Encrypted", "false")))
    assert code_of(of_role.create_volume, **PLACE) == DENIED
    assert code_of(of_role.create_volume, **PLACE, TagSpecifications=tags) == "none"
    assert code_of(of_role.create_volume, **PLACE, TagSpecifications=tags, Encrypted=False) == DENIED


def test_a_policy_denies_one_action_on_an_instance(deployed: Deployment, of_role: Any) -> None:
    instance_id = deployed.launch()
    root = deployed.root_of(instance_id)
    mapping = [{"DeviceName": "/dev/sda1", "Ebs": {"DeleteOnTermination": True}}]
    free = deployed.ec2.create_volume(**PLACE)["VolumeId"]
    calls: dict[str, tuple[Callable[..., Any], dict[str, Any]]] = {
        "DetachVolume": (of_role.detach_volume, {"VolumeId": root}),
        "AttachVolume": (of_role.attach_volume, {"VolumeId": free, "InstanceId": instance_id, "Device": "/dev/sdp"}),
        "ModifyInstanceAttribute": (
            of_role.modify_instance_attribute,
            {"InstanceId": instance_id, "BlockDeviceMappings": mapping},
        ),
        "StartInstances": (of_role.start_instances, {"InstanceIds": [instance_id]}),
    }
    for action in calls:
        deployed.aws.deny(Deny(actions=(action,)))
        assert [name for name, (call, params) in calls.items() if code_of(call, **params, DryRun=True) == DENIED] == [
            action
        ]
        deployed.aws.clear_denials()


def test_a_policy_binds_the_roles_that_it_names_and_no_owner(deployed: Deployment, of_role: Any) -> None:
    deployed.aws.deny(Deny(actions=("CreateVolume",), callers=("*/act",)))
    assert code_of(of_role.create_volume, **PLACE) == DENIED
    assert code_of(deployed.ec2.create_volume, **PLACE) == "none"
    deployed.aws.clear_denials()
    deployed.aws.deny(Deny(actions=("CreateVolume",), callers=("*/batch",)))
    assert code_of(of_role.create_volume, **PLACE) == "none"


def test_a_policy_denies_the_use_of_a_license(deployed: Deployment, of_role: Any) -> None:
    licensed, free = deployed.launch(), deployed.launch()
    arn = f"arn:aws:license-manager:{REGION}:{ACCOUNT}:license-configuration:lic-0123456789abcdef"
    deployed.aws.set_instance(licensed, licenses=[arn])
    deployed.aws.deny(Deny(actions=("StartInstances",), on="license-configuration"))
    assert [code_of(of_role.start_instances, InstanceIds=[i], DryRun=True) for i in (licensed, free)] == [DENIED, DRY]


def test_a_policy_ends_when_it_is_to_end(deployed: Deployment, of_role: Any) -> None:
    until = deployed.aws.now().timestamp() + 60
    deployed.aws.deny(Deny(actions=("CreateVolume",), until=until))
    assert code_of(of_role.create_volume, **PLACE) == DENIED
    deployed.aws.run(61)
    assert code_of(of_role.create_volume, **PLACE) == "none"


def test_facts_that_no_call_can_set_are_described(deployed: Deployment) -> None:
    instance_id = deployed.launch()
    deployed.aws.set_instance(
        instance_id,
        lifecycle="spot",
        hibernation_configured=True,
        product_codes=["abc"],
        operator="eks.amazonaws.com",
        attach_time="2020-01-02T03:04:05+00:00",
        tags={"aws:autoscaling:groupName": "group"},
    )
    found = deployed.instance(instance_id)
    assert found["InstanceLifecycle"] == "spot"
    assert found["HibernationOptions"] == {"Configured": True}
    assert found["ProductCodes"] == [{"ProductCodeId": "abc", "ProductCodeType": "marketplace"}]
    assert found["Operator"] == {"Managed": True, "Principal": "eks.amazonaws.com"}
    assert found["BlockDeviceMappings"][0]["Ebs"]["AttachTime"].year == 2020
    assert found["Tags"] == [{"Key": "aws:autoscaling:groupName", "Value": "group"}]


def test_a_shutdown_in_the_guest_has_its_own_reason_and_tells_no_time(deployed: Deployment) -> None:
    instance_id = deployed.launch()
    deployed.aws.guest_shutdown(instance_id)
    deployed.aws.wait_until_quiet()
    found = deployed.instance(instance_id)
    assert found["StateReason"]["Code"] == "Client.InstanceInitiatedShutdown"
    assert found.get("StateTransitionReason", "") == ""


def test_a_stop_is_of_the_second_in_which_it_was_asked_for(deployed: Deployment) -> None:
    instance_id = deployed.launch()
    deployed.aws.run(90)
    asked = deployed.aws.now()
    deployed.ec2.stop_instances(InstanceIds=[instance_id])
    deployed.aws.run(90)
    assert deployed.instance(instance_id)["StateTransitionReason"] == f"User initiated ({asked:%Y-%m-%d %H:%M:%S} GMT)"


# Function URL


def test_a_function_url_takes_signed_requests_only(deployed: Deployment) -> None:
    url = deployed.functions.create_function_url_config(FunctionName="act", AuthType="AWS_IAM")["FunctionUrl"]
    status, answer, headers = deployed.request(f"{url}a%20b?x=1&x=2&y=%2F", method="POST", body=b'{"n": 1}')
    event = answer["event"]
    assert (status, headers["x-kind"], headers["set-cookie"]) == (201, "made", "a=1")
    assert (event["version"], event["rawPath"], event["rawQueryString"]) == ("2.0", "/a%20b", "x=1&x=2&y=%2F")
    assert event["queryStringParameters"] == {"x": "1,2", "y": "/"}
    assert (event["body"], event["isBase64Encoded"]) == ('{"n": 1}', False)
    assert event["requestContext"]["http"]["method"] == "POST"
    assert event["requestContext"]["authorizer"]["iam"]["userArn"] == f"arn:aws:iam::{ACCOUNT}:user/admin"
    assert 0 < answer["remaining"] <= 2000
    assert deployed.request(url, secret=None)[:2] == (403, {"Message": "Forbidden"})
    assert deployed.request(url, secret="somebody else's")[0] == 403
    deployed.functions.delete_function_url_config(FunctionName="act")
    with pytest.raises(urllib.error.URLError):
        deployed.request(url)


def test_a_second_permission_of_an_id_is_refused_unless_the_provider_asks_again(deployed: Deployment) -> None:
    """By the id of the invocation a call is known of which its SDK got no answer."""
    functions = deployed.aws.client("lambda")
    asked = itertools.chain(["first", "first"], itertools.repeat("another"))

    def ask_as(request: Any, **_: Any) -> None:
        request.headers["amz-sdk-invocation-id"] = next(asked)
        request.headers["User-Agent"] = PROVIDER

    functions.meta.events.register("before-send.lambda.AddPermission", ask_as)
    permission = {"StatementId": "again", "Action": "lambda:InvokeFunction", "Principal": "sns.amazonaws.com"}
    for _ in range(2):
        functions.add_permission(FunctionName="act", **permission)
    with pytest.raises(ClientError, match=r"The statement id \(again\) provided already exists"):
        functions.add_permission(FunctionName="act", **permission)
    statements = json.loads(functions.get_policy(FunctionName="act")["Policy"])["Statement"]
    assert [s["Sid"] for s in statements if s["Sid"] == "again"] == ["again"]


def test_the_recycle_bin_keeps_deleted_snapshots_by_one_of_their_tags_until_their_time_is_over(
    deployed: Deployment,
) -> None:
    rbin, ec2 = deployed.aws.client("rbin"), deployed.aws.client("ec2")
    rule = rbin.create_rule(
        ResourceType="EBS_SNAPSHOT",
        RetentionPeriod={"RetentionPeriodValue": 1, "RetentionPeriodUnit": "DAYS"},
        ResourceTags=[{"ResourceTagKey": "Team", "ResourceTagValue": team} for team in ("data", "web")],
    )
    volume = ec2.create_volume(AvailabilityZone=f"{deployed.aws.region}a", Size=1)["VolumeId"]
    deployed.aws.wait_until_quiet()
    ids = {}
    for team in ("web", "shop"):
        tags = [{"ResourceType": "snapshot", "Tags": [{"Key": "Team", "Value": team}]}]
        ids[team] = ec2.create_snapshot(VolumeId=volume, TagSpecifications=tags)["SnapshotId"]
    deployed.aws.wait_until_quiet()
    for snapshot_id in ids.values():
        ec2.delete_snapshot(SnapshotId=snapshot_id)

    (binned,) = ec2.list_snapshots_in_recycle_bin()["Snapshots"]
    assert (binned["SnapshotId"], binned["VolumeId"]) == (ids["web"], volume)
    ec2.restore_snapshot_from_recycle_bin(SnapshotId=ids["web"])
    (back,) = ec2.describe_snapshots(SnapshotIds=[ids["web"]])["Snapshots"]
    assert back["Tags"] == [{"Key": "Team", "Value": "web"}]
    ec2.delete_snapshot(SnapshotId=ids["web"])
    deployed.aws.run(25 * 3600)
    assert ec2.list_snapshots_in_recycle_bin()["Snapshots"] == []
    rbin.delete_rule(Identifier=rule["Identifier"])
    with pytest.raises(ClientError, match="Rule not found"):
        rbin.get_rule(Identifier=rule["Identifier"])


def test_a_public_function_url_needs_its_permission_too(deployed: Deployment) -> None:
    url = deployed.functions.create_function_url_config(FunctionName="act", AuthType="NONE")["FunctionUrl"]
    assert deployed.request(url, secret=None)[0] == 403
    deployed.functions.add_permission(
        FunctionName="act",
        StatementId="public",
        Action="lambda:InvokeFunctionUrl",
        Principal="*",
        FunctionUrlAuthType="NONE",
    )
    status, answer, _ = deployed.request(url, secret=None)
    assert status == 201
    assert "authorizer" not in answer["event"]["requestContext"]
    deployed.functions.delete_function_url_config(FunctionName="act")


# The rooms on their own


def test_filters_follow_ec2s_wildcards() -> None:
    tags = {"park-volumes:mark": "name i-abc 1", "literal": "a*b"}
    assert matches({"tag:park-volumes:mark": ["name i-abc *"]}, tags, {})
    assert not matches({"tag:park-volumes:mark": ["name i-ab *"]}, tags, {})
    assert matches({"tag:literal": [r"a\*b"]}, tags, {})
    assert not matches({"tag:literal": [r"a\*c"]}, tags, {})
    assert matches({"tag-key": ["liter??", "none"], "state": ["x", "up"]}, tags, {"state": lambda: ["up"]})
    assert not matches({"tag-key": ["Literal"]}, tags, {})
    assert matches({"encrypted": ["true"]}, {}, {"encrypted": lambda: [True]})


def test_a_policy_lets_in_only_the_service_and_source_it_names() -> None:
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "events.amazonaws.com"},
        "Action": ["sqs:*"],
        "Condition": {"ArnLike": {"aws:SourceArn": "arn:aws:events:*:*:rule/mine-*"}},
    }
    mine, other = "arn:aws:events:us-east-1:1:rule/mine-a", "arn:aws:events:us-east-1:1:rule/other"
    assert service_may([statement], "events.amazonaws.com", "sqs:SendMessage", mine)
    assert not service_may([statement], "events.amazonaws.com", "sqs:SendMessage", other)
    assert not service_may([statement], "sns.amazonaws.com", "sqs:SendMessage", mine)
    assert not service_may([{**statement, "Effect": "Deny"}], "events.amazonaws.com", "sqs:SendMessage", mine)


def test_a_setting_that_does_not_exist_is_refused_by_name() -> None:
    assert Settings().changed({"lambda_concurrency": 3.0}).lambda_concurrency == 3
    with pytest.raises(ValueError, match="There is no setting 'speed'"):
        Settings().changed({"speed": 2})
    with pytest.raises(ValueError, match="cannot be negative"):
        Settings().changed({"stop_seconds": -1})


def test_what_exists_is_listed_until_it_is_gone(deployed: Deployment) -> None:
    name = hashlib.sha256(b"a queue").hexdigest()[:12]
    url = deployed.sqs.create_queue(QueueName=name)["QueueUrl"]
    assert name in deployed.aws.resources()["queues"]
    deployed.sqs.delete_queue(QueueUrl=url)
    assert name not in deployed.aws.resources()["queues"]


# The clock

SCRIPT = """
import email.utils, sys, time
from pathlib import Path
from tests.local_aws.dial import Dial
Dial(Path(sys.argv[1])).lead(lambda seconds: print("asked to sleep", seconds))
import datetime
from datetime import UTC, date
now = datetime.datetime.now(UTC)
print(now.year, datetime.datetime.today().year, datetime.datetime.utcnow().year, time.gmtime(time.time()).tm_year)
print(isinstance(email.utils.parsedate_to_datetime("Fri, 01 Jan 2038 00:00:00 GMT"), datetime.datetime))
tomorrow = now + datetime.timedelta(1)
print(isinstance(tomorrow, datetime.datetime), isinstance(now, date), isinstance(1, datetime.datetime))
time.sleep(3)
"""


def test_another_process_lives_by_the_clock_of_the_local_aws(tmp_path: Path) -> None:
    dial = Dial.make(tmp_path / "dial")
    dial.set(2_146_003_200.0, goes=False)  # 2 January 2038
    command = [sys.executable, "-c", SCRIPT, str(dial.path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["2038 2038 2038 2038", "True", "True True False", "asked to sleep 3"]


def test_a_function_and_what_it_calls_live_by_that_clock_too(deployed: Deployment) -> None:
    deployed.aws.run(7 * 86_400)
    began = deployed.aws.now()
    error, answer = deployed.invoke(sleep=1.5, tell="the time")
    assert error is None
    assert datetime.fromisoformat(answer["now"]) == began + timedelta(seconds=1.5)
    launched = deployed.instance(deployed.launch())["LaunchTime"]
    assert launched - began < timedelta(minutes=1)
    assert deployed.aws.now() - datetime.now(UTC) > timedelta(days=6)


class TestACallThatIsRepeated:
    """A machine may be so slow that an SDK does not get the answer of a call that was done."""

    def answers(self, agent: str, *asked: str, status: str = "200 OK") -> list[bytes]:
        """Of an application that counts its calls, and that refuses with this status."""
        calls: list[str] = []

        def application(_: dict[str, Any], start_response: Any) -> list[bytes]:
            calls.append("")
            start_response(status, [])
            return [str(len(calls)).encode()]

        once = Repeated(application)
        every = [{"HTTP_AMZ_SDK_INVOCATION_ID": one, "HTTP_USER_AGENT": agent} for one in asked]
        return [b"".join(once(environ, lambda *_: None)) for environ in every]

    def test_by_the_provider_is_answered_as_the_first_time(self) -> None:
        agent = "APN/1.0 HashiCorp/1.0 Terraform/1.9.0 terraform-provider-aws/6.1.0 aws-sdk-go-v2/1.36.5"

        assert self.answers(agent, "a", "b", "a", "") == [b"1", b"2", b"1", b"3"]

    def test_by_the_provider_waits_for_the_answer_of_the_first_time(self) -> None:
        began, may_end, calls = threading.Event(), threading.Event(), list[str]()

        def application(_: dict[str, Any], start_response: Any) -> list[bytes]:
            calls.append("")
            began.set()
            may_end.wait()
            start_response("200 OK", [])
            return [b"done"]

        once, environ = Repeated(application), {"HTTP_AMZ_SDK_INVOCATION_ID": "a", "HTTP_USER_AGENT": PROVIDER}
        with ThreadPoolExecutor() as pool:
            first = pool.submit(once, environ, lambda *_: None)
            began.wait()
            second = pool.submit(once, environ, lambda *_: None)
            may_end.set()
            assert [first.result(), second.result()] == [[b"done"], [b"done"]]
        assert len(calls) == 1

    def test_by_the_provider_is_done_again_where_it_was_refused(self) -> None:
        assert self.answers("terraform-provider-aws/6.1.0", "a", "a", status="503 Slow Down") == [b"1", b"2"]

    def test_by_a_function_is_done_again(self) -> None:
        assert self.answers("Boto3/1.40.0", "a", "a") == [b"1", b"2"]
