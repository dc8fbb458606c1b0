"""Both Lambdas as they are deployed, with a model of EC2 and SQS behind their SDK."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from itertools import count
from types import ModuleType
from typing import Any
from urllib.parse import quote

import boto3
import pytest

from park_volumes.handlers import runtime, wake
from park_volumes.handlers.messages import LOOK_AGAIN
from tests.model.faults import Call, Fault, FaultPlan
from tests.model.records import Rules
from tests.model.sqs_model import SQSClient
from tests.model.world import World
from tests.unit.passes import OneAtATime, Stand, WorldClock

QUEUE_URL = "https://sqs.us-east-1.amazonaws.com/123456789012/park-volumes"
ENVIRONMENT = {
    "AWS_REGION": "us-east-1",
    "DEPLOYMENT": "park-volumes",
    "OPT_IN_TAG_KEY": "ParkVolumes",
    "QUIET_PERIOD_SECONDS": "120",
    "FUNCTION_TIMEOUT_SECONDS": "60",
    "GRACE_PERIOD_MINUTES": "0",
    "SNAPSHOT_RETENTION_HOURS": "24",
    "LOCK_SNAPSHOTS": "true",
    "PARK_EVEN_IF_DEARER": "false",
    "OBSERVE_ONLY": "false",
    "VOLUME_INITIALIZATION_RATE": "0",
    "ORPHAN_RETENTION_DAYS": "30",
    "ARCHIVE_AFTER_DAYS": "0",
    "PARK_QUEUE_URL": QUEUE_URL,
    "PARK_MAXIMUM_CONCURRENCY": "2",
    "SWEEP_INTERVAL_MINUTES": "5",
    "POWERTOOLS_LOG_LEVEL": "INFO",
    "POWERTOOLS_METRICS_NAMESPACE": "ParkVolumes",
}
START_ROLE = "arn:aws:iam::123456789012:role/park-volumes-start-us-east-1"
START_ENVIRONMENT = {
    "FUNCTION_URL_AUTH": "AWS_IAM",
    "START_ROLE_ARN": START_ROLE,
    "START_ON_FAILED_START": "true",
}
RULES = "arn:aws:events:us-east-1:123456789012:rule/park-volumes"
SWEEP = {
    "source": "aws.events",
    "detail-type": "Scheduled Event",
    "detail": {},
    "resources": [f"{RULES}-sweep"],
}
SWEEP_STARTS = {
    "source": wake.SOURCE,
    "detail-type": wake.SWEEP_STARTS,
    "detail": {"deployment": "park-volumes"},
    "resources": [],
}
REMINDER = SWEEP | {"resources": [f"{RULES}-reminder"]}
CALLER = "arn:aws:iam::123456789012:user/ada"
_serial = count()


@dataclass(frozen=True)
class Context:
    """The context object of a Lambda invocation."""

    remaining_seconds: float = 60
    function_name: str = "park-volumes"
    memory_limit_in_mb: int = 256
    invoked_function_arn: str = "arn:aws:lambda:us-east-1:123456789012:function:park-volumes"
    aws_request_id: str = "5c2a0c3e-0000-4000-8000-000000000000"

    def get_remaining_time_in_millis(self) -> int:
        return int(self.remaining_seconds * 1000)


def start_requested(*ids: str) -> dict[str, Any]:
    detail = {"instance-id": ids[0]} if len(ids) == 1 else {"instance-ids": list(ids)}
    return {"detail-type": "Start Requested", "detail": detail}


def state_change(instance_id: str, state: str) -> dict[str, Any]:
    return {
        "source": "aws.ec2",
        "detail-type": "EC2 Instance State-change Notification",
        "resources": [f"arn:aws:ec2:us-east-1:123456789012:instance/{instance_id}"],
        "detail": {"instance-id": instance_id, "state": state},
    }


def failed_start(*ids: str, at: datetime, role: str | None = None, **changes: Any) -> dict[str, Any]:
    """CloudTrail's record of a StartInstances call, refused because the first of these instances has no root volume."""
    who: dict[str, Any] = {"type": "IAMUser", "arn": CALLER, "accountId": "123456789012", "userName": "ada"}
    if role:
        issuer = {"type": "Role", "arn": role, "accountId": "123456789012"}
        arn = f"arn:aws:sts::123456789012:assumed-role/{role.rsplit('/', 1)[-1]}/session"
        who = {"type": "AssumedRole", "arn": arn, "sessionContext": {"sessionIssuer": issuer}}
    words = f"Invalid value '{ids[0]}' for instanceId. Instance does not have a volume attached at root (/dev/xvda)"
    detail = {
        "eventVersion": "1.11",
        "userIdentity": who,
        "eventTime": at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "eventSource": "ec2.amazonaws.com",
        "eventName": "StartInstances",
        "awsRegion": "us-east-1",
        "errorCode": "Client.InvalidParameterValue",
        "errorMessage": words,
        "requestParameters": {"instancesSet": {"items": [{"instanceId": i} for i in ids]}},
        "responseElements": None,
    }
    kind = "AWS API Call via CloudTrail"
    return {"source": "aws.ec2", "detail-type": kind, "resources": [], "detail": detail | changes}


def sqs_record(message_id: str, body: object) -> dict[str, Any]:
    """A message of the queue; what is no text becomes JSON."""
    return {"messageId": message_id, "body": body if isinstance(body, str) else json.dumps(body)}


def url_event(method: str, path: str, *, caller: str | None = CALLER) -> dict[str, Any]:
    """A request of a Function URL, payload format 2.0. The path is percent-encoded, as it was sent."""
    host = "abcdefghijklmnopqrstuvwxyz012345.lambda-url.us-east-1.on.aws"
    authorizer = {
        "iam": {
            "accessKey": "AKIAEXAMPLE",
            "accountId": "123456789012",
            "callerId": "AIDAEXAMPLE",
            "cognitoIdentity": None,
            "principalOrgId": None,
            "userArn": caller,
            "userId": "AIDAEXAMPLE",
        }
    }
    return {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": "",
        "headers": {"host": host, "accept": "*/*", "x-forwarded-proto": "https", "content-length": "0"},
        "requestContext": {
            "accountId": "123456789012" if caller else "anonymous",
            "apiId": host.partition(".")[0],
            "domainName": host,
            "domainPrefix": host.partition(".")[0],
            "http": {
                "method": method,
                "path": path,
                "protocol": "HTTP/1.1",
                "sourceIp": "203.0.113.9",
                "userAgent": "curl/8.9.1",
            },
            "requestId": "e1506fd5-9e7b-434f-bd42-4f8fa224b599",
            "routeKey": "$default",
            "stage": "$default",
            "time": "02/Mar/2026:12:00:00 +0000",
            "timeEpoch": 1772452800000,
            **({"authorizer": authorizer} if caller else {}),
        },
        "isBase64Encoded": False,
    }


@dataclass(frozen=True)
class Reply:
    status: int
    headers: Mapping[str, str]
    body: Any

    @classmethod
    def of(cls, answer: Mapping[str, Any]) -> Reply:
        """What a function answers to a request of its URL."""
        return cls(answer["statusCode"], answer["headers"], json.loads(answer["body"]))

    @property
    def code(self) -> str:
        """The code of an error."""
        assert self.body.keys() == {"error"}
        assert self.body["error"].keys() == {"code", "message"}
        return str(self.body["error"]["code"])

    @property
    def message(self) -> str:
        return str(self.body["error"]["message"])


class Bus:
    """EventBridge, as far as the functions use it: what they report, and what they ask of each other."""

    def __init__(self, reported: list[dict[str, Any]], asked: list[dict[str, Any]]) -> None:
        self._reported, self._asked = reported, asked

    def put_events(self, *, Entries: list[dict[str, Any]]) -> dict[str, Any]:  # noqa: N803  # the name in the API
        assert 1 <= len(Entries) <= 10
        for entry in Entries:
            (self._asked if entry["Source"] == wake.SOURCE else self._reported).append(entry)
        return {"FailedEntryCount": 0, "Entries": [{"EventId": str(n)} for n, _ in enumerate(Entries)]}


class Topics:
    """SNS of one region, as far as the functions use it."""

    def __init__(self, published: list[dict[str, Any]], region: str) -> None:
        self._published, self._region = published, region

    def publish(self, *, TopicArn: str, Subject: str, Message: str) -> dict[str, Any]:  # noqa: N803  # the same
        assert TopicArn.split(":")[3] == self._region
        assert len(Subject) < 100
        assert Subject.isascii()
        assert Subject.isprintable()
        self._published.append({"topic": TopicArn, "subject": Subject, "message": Message})
        return {"MessageId": "1"}


class Trails:
    """CloudTrail, as far as the functions use it."""

    def __init__(self, names: list[str]) -> None:
        self._names = names

    def describe_trails(self, *, includeShadowTrails: bool) -> dict[str, Any]:  # noqa: N803  # the same
        assert includeShadowTrails
        return {"trailList": [{"Name": name} for name in self._names]}


class Functions:
    """The handlers, loaded anew as a Lambda runtime does, and what one may do with them."""

    def __init__(self, stand: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
        self.stand = stand
        self.stands = {stand.world.rules.region: stand}
        """By region, the home region first."""
        self.denied: set[str] = set()
        """The regions that a policy closes."""
        self.silent: set[str] = set()
        """The regions that do not answer."""
        self.forwarding: set[str] = set()
        """The other regions whose events are forwarded to the home region."""
        self.faults: FaultPlan | None = None
        self.events: list[dict[str, Any]] = []
        """What was reported on the bus, oldest first; the detail as text."""
        self.asked: list[dict[str, Any]] = []
        """What the functions have asked of each other on the bus, and the rules have not delivered yet."""
        self.messages: list[dict[str, Any]] = []
        """What was published to topics."""
        self.trails = ["management-events"]
        """The names of the CloudTrail trails that cover the region."""
        self._monkeypatch = monkeypatch
        for name, value in (ENVIRONMENT | START_ENVIRONMENT).items():
            monkeypatch.setenv(name, value)
        # Powertools keeps one logger per service, which writes to the standard output of its day.
        monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", f"park-volumes-{next(_serial)}")
        monkeypatch.setattr(boto3, "client", self._client)
        monkeypatch.setattr(runtime, "SystemClock", lambda: WorldClock(stand.world))

    def _client(self, service: str, **options: Any) -> Any:
        if service == "sqs":
            return SQSClient(self.stand.world, "park")
        if service == "events":
            return Bus(self.events, self.asked)
        if service == "sns":
            return Topics(self.messages, options["region_name"])
        if service == "cloudtrail":
            return Trails(self.trails)
        region = options.get("region_name", self.stand.world.rules.region)
        return OneAtATime(self.stands[region].world, service, faults=partial(self._fault_in, region))

    def _fault_in(self, region: str, call: Call) -> Fault | None:
        if region in self.denied:
            return Fault.DENIED
        if region in self.silent:
            return Fault.NOT_SENT
        return self.faults(call) if self.faults else None

    def covers(self, *regions: str, every: bool = False) -> tuple[Stand, ...]:
        """From now on the deployment also covers these regions, or ``every`` one of the account. One clock goes in all
        of them."""
        for name in regions:
            world = World(rules=Rules(region=name, zones=tuple(f"{name}{letter}" for letter in "abc")))
            world._serial = 1000 * len(self.stands)
            world.clock.advance_to(self.stand.world.clock.now)
            self.stands[name] = Stand(world, self.stand.settings)
        worlds = [stand.world for stand in self.stands.values()]

        def run(moment: float) -> None:
            for world in worlds:
                world._run_to(moment)

        for world in worlds:
            world.clock._run = run
        home = self.stand.world
        home.rules = replace(home.rules, regions=tuple(self.stands))
        self._monkeypatch.setenv("REGIONS", "all" if every else " ".join(self.stands))
        return tuple(self.stands[name] for name in regions)

    def load(self, name: str) -> ModuleType:
        """The module of a handler as a new runtime loads it."""
        full = f"park_volumes.handlers.{name}"
        self._monkeypatch.delitem(sys.modules, full, raising=False)
        return importlib.import_module(full)

    def stay_warm(self) -> None:
        """From now on both functions remember what they have learned, as those do that run often."""
        loaded = {name: self.load(name) for name in ("park", "start")}
        self._monkeypatch.setattr(self, "load", loaded.__getitem__)

    def park_batch(self, *messages: Mapping[str, Any], seconds: float = 60) -> list[str]:
        """Hand a batch to the park function; the ids of the messages that failed."""
        answer = self.load("park").handler({"Records": list(messages)}, Context(seconds))
        assert answer.keys() == {"batchItemFailures"}
        return [item["itemIdentifier"] for item in answer["batchItemFailures"]]

    def park(self, *bodies: object) -> list[str]:
        """Hand messages to the park function, numbered m0, m1, ...; those that failed."""
        return self.park_batch(*(sqs_record(f"m{n}", body) for n, body in enumerate(bodies)))

    def start(self, event: Mapping[str, Any], seconds: float = 60) -> Any:
        """Invoke the start function with an event."""
        return self.load("start").handler(event, Context(seconds))

    def request(self, method: str, path: str, *, caller: str | None = CALLER, seconds: float = 60) -> Reply:
        """Send a request to the Function URL."""
        answer = self.start(url_event(method, path, caller=caller), seconds)
        return Reply.of(answer)

    def get(self, *words: str) -> Reply:
        return self.request("GET", path_of(*words))

    def post(self, *words: str) -> Reply:
        return self.request("POST", path_of(*words))

    def waiting(self, ref: str, wait: str) -> Reply:
        """Ask for a start, and for the answer to be held."""
        event = url_event("POST", path_of(ref, "start")) | {"queryStringParameters": {"wait": wait}}
        answer = self.start(event)
        return Reply.of(answer)

    def reported(self) -> list[tuple[str, str]]:
        """The events on the bus: what was reported, and of which instance."""
        return [(e["DetailType"], json.loads(e["Detail"])["instance-id"]) for e in self.events]

    def sent(self, kind: str = LOOK_AGAIN) -> list[tuple[float, dict[str, Any]]]:
        """The messages of this kind waiting in the queue: seconds until they come, and what they say."""
        now = self.stand.world.clock.now
        every = [(message.due - now, json.loads(message.body)) for message in self.stand.world.messages]
        return [(due, body) for due, body in every if body["detail-type"] == kind]

    def wakes(self) -> list[float]:
        """The seconds until the park function is to wake the start function."""
        return sorted({due for due, _ in self.sent(wake.WAKE)})

    def sent_ids(self) -> list[str]:
        return sorted(i for _, body in self.sent() for i in body["detail"]["instance-ids"])

    def deliver(self) -> int:
        """Carry events to the functions as the deployed rules do, and due messages; how many there were."""
        events = [event for name in self.stands for event in self._events_of(name)]
        due = [json.loads(message.body) for message in self.stand.world.take_messages()]
        for_park = [
            e for e in events if e["detail"].get("state") in ("stopped", "terminated") or "snapshot_id" in e["detail"]
        ]
        for_start = [
            e for e in events if e["detail-type"] == "EBS Volume Notification" and e["detail"]["result"] == "failed"
        ]
        asked = [as_event(entry) for entry in self.asked]
        self.asked.clear()
        for_park += [e for e in asked if e["detail-type"] == wake.START_GOES_ON]
        for_start += [e for e in asked if e["detail-type"] == wake.SWEEP_STARTS]
        if for_park + due:
            assert self.park(*for_park, *due) == []
        for event in for_start:
            self.start(event)
        return len(for_park + due + for_start)

    def _events_of(self, region: str) -> list[dict[str, Any]]:
        """Those that reach the home region."""
        bodies = [event.body for event in self.stands[region].world.take_events()]
        here = self.stand is self.stands[region] or region in self.forwarding
        return [body | {"region": region} for body in bodies] if here else []

    def live(self, seconds: int) -> None:
        """Let time pass with events and messages, but without the sweeps."""
        for _ in range(5, seconds + 1, 5):
            self.stand.after(5)
            self.deliver()

    def live_with_sweeps(self, minutes: int) -> None:
        """Sweeps at their minutes, and between them whatever the functions ask of each other."""
        for _ in range(minutes):
            clock = self.stand.world.clock
            clock.advance(60 - clock.now % 60)
            if self.stand.clock.now().minute % 5 == 0:
                assert self.park(SWEEP) == []
            while self.deliver():
                pass


def as_event(entry: Mapping[str, Any]) -> dict[str, Any]:
    """What targets get of an entry of PutEvents."""
    detail = json.loads(entry["Detail"])
    return {"source": entry["Source"], "detail-type": entry["DetailType"], "detail": detail, "resources": []}


def path_of(*words: str) -> str:
    return "/".join(["", "instances", *(quote(word, safe="") for word in words)])
