"""Where reports go: an event each to the default bus, one message a pass to a topic, numbers into the log as metrics.

A report that can not be sent is an error in the log and stops nothing: what it is about has already happened.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

import boto3
from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit
from botocore.exceptions import BotoCoreError, ClientError

from park_volumes.report import Kind, Report

if TYPE_CHECKING:
    from mypy_boto3_events import EventBridgeClient
    from mypy_boto3_events.type_defs import PutEventsRequestEntryTypeDef
    from mypy_boto3_sns import SNSClient

SOURCE = "park-volumes"
VERSION = "1"
VALUES_PER_METRIC = 99
"""With one more, Powertools would write them by itself, without the name of the deployment."""
ENTRIES_PER_CALL = 10
"""The most that PutEvents takes."""
SUBJECT_LENGTH = 99
"""A subject of SNS has less than 100 characters, all ASCII (SNS API, Publish)."""
CONSOLES = {
    "aws": "console.aws.amazon.com",
    "aws-cn": "console.amazonaws.cn",
    "aws-us-gov": "console.amazonaws-us-gov.com",
}
COUNTED = {
    Kind.PARKING_REFUSED: "Refusals",
    Kind.START_REFUSED: "Refusals",
    Kind.PARKING_FAILED: "Failures",
    Kind.START_FAILED: "Failures",
}
TIMED = {Kind.PARKED: "ParkDuration", Kind.STARTED: "StartDuration"}
UNITS = {
    "ParkedGiB": MetricUnit.Gigabytes,
    "MonthlySaving": MetricUnit.Count,
    "TransitAge": MetricUnit.Seconds,
    "StartAge": MetricUnit.Seconds,
}


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where the function runs, read from its ARN."""

    partition: str
    region: str
    account: str

    @classmethod
    def of_function(cls, arn: str) -> Place:
        _, partition, _, region, account, *_ = arn.split(":")
        return cls(partition=partition, region=region, account=account)

    def console(self, instance_id: str) -> str:
        """The address of an instance in the console."""
        host = CONSOLES.get(self.partition, CONSOLES["aws"])
        return f"https://{self.region}.{host}/ec2/home?region={self.region}#InstanceDetails:instanceId={instance_id}"

    def arn(self, instance_id: str) -> str:
        return f"arn:{self.partition}:ec2:{self.region}:{self.account}:instance/{instance_id}"


class Notices:
    """Sends the reports of one deployment. Clients are made when they are first needed: most passes report nothing."""

    def __init__(self, *, deployment: str, topic_arn: str, client: Callable[..., Any], logger: Logger) -> None:
        """``topic_arn`` is empty where nobody wants messages; ``client`` makes an SDK client of a service."""
        self._deployment, self._topic_arn = deployment, topic_arn
        self._client, self._logger = client, logger
        self._metrics = Metrics()

    @classmethod
    def of_function(cls, deployment: str, logger: Logger) -> Notices:
        """Those of the function that this is, as its environment says."""
        topic_arn = os.environ.get("NOTIFICATION_TOPIC_ARN", "")
        return cls(deployment=deployment, topic_arn=topic_arn, client=boto3.client, logger=logger)

    @cached_property
    def _events(self) -> EventBridgeClient:
        events: EventBridgeClient = self._client("events")
        return events

    @cached_property
    def _sns(self) -> SNSClient:
        """SNS in the topic's region, which need not be this one."""
        sns: SNSClient = self._client("sns", region_name=self._topic_arn.split(":")[3])
        return sns

    def send(self, reports: Iterable[Report | None], place: Place) -> None:
        told = [r for r in reports if r]
        if not told:
            return
        self._count(told)
        self._attempt("PutEvents", lambda: self._put_events(told, place))
        if self._topic_arn:
            self._attempt("Publish", lambda: self._publish(told, place))

    def send_words(self, subject: str, words: str, place: Place) -> None:
        """A message for people only: it is about no instance."""
        if self._topic_arn:
            message = f"{words}\n\n{self._origin(place)}"
            publish = partial(self._sns.publish, TopicArn=self._topic_arn, Subject=subject, Message=message)
            self._attempt("Publish", publish)

    def _attempt(self, action: str, call: Callable[[], object]) -> None:
        try:
            call()
        except (ClientError, BotoCoreError) as error:
            self._logger.error(f"{action} failed, and something was not told that should have been: {error}")

    def _put_events(self, reports: Sequence[Report], place: Place) -> None:
        entries: list[PutEventsRequestEntryTypeDef] = [
            {
                "Source": SOURCE,
                "DetailType": r.kind.value,
                "Resources": [place.arn(r.seen.instance.id)],
                "Detail": json.dumps(detail(r, self._deployment, place)),
            }
            for r in reports
        ]
        for n in range(0, len(entries), ENTRIES_PER_CALL):
            answer = self._events.put_events(Entries=entries[n : n + ENTRIES_PER_CALL])
            for entry in answer["Entries"]:
                if "ErrorCode" in entry:
                    self._logger.error(f"EventBridge did not take an event: {entry['ErrorCode']}.", entry=entry)

    def _publish(self, reports: Sequence[Report], place: Place) -> None:
        """One message for all of them: a thousand instances that stop together are not a thousand mails."""
        self._sns.publish(
            TopicArn=self._topic_arn,
            Subject=subject(reports),
            Message="\n\n".join([*(paragraph(r, place) for r in reports), self._origin(place)]),
        )

    def _origin(self, place: Place) -> str:
        return f"ParkVolumes, deployment {self._deployment}, {place.region}, account {place.account}."

    def _count(self, reports: Sequence[Report]) -> None:
        for n in range(0, len(reports), VALUES_PER_METRIC):
            for r in reports[n : n + VALUES_PER_METRIC]:
                if r.kind in COUNTED:
                    self._metrics.add_metric(COUNTED[r.kind], MetricUnit.Count, 1)
                if r.kind in TIMED and r.seconds is not None:
                    self._metrics.add_metric(TIMED[r.kind], MetricUnit.Seconds, r.seconds)
            self._flush()

    def measure(self, gauges: Mapping[str, float]) -> None:
        """What a sweep found, by the names of ``UNITS``."""
        for name, value in gauges.items():
            self._metrics.add_metric(name, UNITS[name], value)
        self._flush()

    def _flush(self) -> None:
        """Powertools warns of an empty flush."""
        if self._metrics.metric_set:
            self._metrics.add_dimension("deployment", self._deployment)
            self._metrics.flush_metrics()


def detail(report: Report, deployment: str, place: Place) -> dict[str, Any]:
    """The detail of an event; a change that takes anything away or gives it another meaning raises its version."""
    instance = report.seen.instance
    return {
        "version": VERSION,
        "deployment": deployment,
        "instance-id": instance.id,
        "name": instance.name,
        "launch-time": instance.launch_time.isoformat(),
        "what": report.what,
        "advice": report.advice,
        "console": place.console(instance.id),
        "snapshot-ids": list(report.snapshot_ids),
        "gib": report.gib,
        "seconds": report.seconds,
        "usd-a-month": None if report.saves is None else round(report.saves, 2),
    }


def subject(reports: Sequence[Report]) -> str:
    """The subject of a message; what is not ASCII in a Name becomes a question mark."""
    first, others = reports[0], len(reports) - 1
    words = f"ParkVolumes: {first.kind.value}: {first.seen.instance.label}".encode("ascii", "replace").decode()
    more = f", and {others} more" if others else ""
    printable = "".join(c if c.isprintable() else "?" for c in words)
    return printable[: SUBJECT_LENGTH - len(more)] + more


def paragraph(report: Report, place: Place) -> str:
    """One report, for people."""
    return "\n".join(
        (
            f"{report.seen.instance.label}: {report.kind.value}",
            report.what,
            report.advice,
            place.console(report.seen.instance.id),
        )
    )
