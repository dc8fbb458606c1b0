"""Where reports go: one event each to the default event bus, one message per pass to a topic, metrics into the log.

A report that cannot be sent is logged as an error and stops nothing: what it reports has already happened."""

import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, cast

import boto3
from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit
from botocore.exceptions import BotoCoreError, ClientError

from park_volumes.handlers.location import FunctionLocation
from park_volumes.report import Kind, Report
from park_volumes.run.context import alone, each_alone

if TYPE_CHECKING:
    from mypy_boto3_events import EventBridgeClient
    from mypy_boto3_events.type_defs import PutEventsRequestEntryTypeDef
    from mypy_boto3_sns import SNSClient

SOURCE = "park-volumes"
VERSION = "1"
VALUES_PER_METRIC = 99
"""With one more, Powertools would write the metrics itself, without the name of the deployment."""
ENTRIES_PER_CALL = 10
BYTES_PER_CALL = 256 * 1024
"""The most entries, and the most bytes of all entries, that a call of PutEvents accepts (EventBridge User Guide,
"Calculating PutEvents event entry size")."""
LONGEST_WORDS = 8_000
MOST_IDS = 4_000
"""Characters of a sentence, and ids, in an event that would be too long otherwise."""
LONGEST_MESSAGE = 256 * 1024
"""Bytes; the longest message that SNS accepts, in UTF-8 (SNS API, Publish)."""
SUBJECT_LENGTH = 99
"""An SNS subject has fewer than 100 characters, all ASCII (SNS API, Publish)."""
COUNTED = {
    Kind.PARKING_REFUSED: "Refusals",
    Kind.START_REFUSED: "Refusals",
    Kind.PARKING_FAILED: "Failures",
    Kind.START_FAILED: "Failures",
    Kind.OVERDUE: "Failures",
}
TIMED = {Kind.PARKED: "ParkDuration", Kind.STARTED: "StartDuration"}
UNITS = {
    "ParkedGiB": MetricUnit.Gigabytes,
    "MonthlySaving": MetricUnit.Count,
    "TransitAge": MetricUnit.Seconds,
    "StartAge": MetricUnit.Seconds,
}


class Notices:
    """Sends the reports of one deployment. Clients are created on first use: most passes report nothing."""

    def __init__(self, *, deployment: str, topic_arn: str, client: Callable[..., Any], logger: Logger) -> None:
        """``topic_arn`` is empty if nobody wants messages; ``client`` creates the SDK client of a service."""
        self._deployment, self._topic_arn = deployment, topic_arn
        self._client, self._logger = client, logger
        self._metrics = Metrics()

    @classmethod
    def of_function(cls, deployment: str, logger: Logger) -> "Notices":
        topic_arn = os.environ.get("NOTIFICATION_TOPIC_ARN", "")
        return cls(deployment=deployment, topic_arn=topic_arn, client=boto3.client, logger=logger)

    @cached_property
    def _events(self) -> "EventBridgeClient":
        return cast("EventBridgeClient", self._client("events"))

    @cached_property
    def _sns(self) -> "SNSClient":
        """SNS in the topic's region, which may differ from this one."""
        return cast("SNSClient", self._client("sns", region_name=self._topic_arn.split(":")[3]))

    def send(self, reports: Sequence[Report], location: FunctionLocation) -> None:
        """One message for all reports: a thousand instances that stop together must not send a thousand emails."""
        if reports:
            self._count(reports)
            entries = each_alone(reports, lambda r: entry(r, self._deployment, location))
            for some in calls(entries):
                self._attempt("PutEvents", partial(self._put_events, some))
            paragraphs = each_alone(reports, lambda r: paragraph(r, location))
            self.send_words(subject(reports), "\n\n".join(paragraphs), location)

    def put(self, entry: "PutEventsRequestEntryTypeDef") -> None:
        """Put one event on the bus."""
        self._attempt("PutEvents", partial(self._put_events, [entry]))

    def send_words(self, subject: str, words: str, location: FunctionLocation) -> None:
        """Send a message for people only, or several if it is too long for one."""
        if self._topic_arn:
            end = f"\n\nParkVolumes, deployment {self._deployment}, {location.region}, account {location.account}."
            every = list(parts(words, LONGEST_MESSAGE - len(end.encode())))
            for n, part in enumerate(every, start=1):
                more = f" ({n} of {len(every)})" if len(every) > 1 else ""
                title = subject[: SUBJECT_LENGTH - len(more)] + more
                self._attempt("Publish", partial(self._publish, title, part + end))

    def _publish(self, subject: str, message: str) -> None:
        self._sns.publish(TopicArn=self._topic_arn, Subject=subject, Message=message)

    def _attempt(self, action: str, call: Callable[[], None]) -> None:
        def unless_refused() -> None:
            try:
                call()
            except (ClientError, BotoCoreError) as error:
                self._logger.error(f"{action} failed, so nobody was told: {error}")

        alone(action, unless_refused, lambda _: None)

    def _put_events(self, entries: Sequence["PutEventsRequestEntryTypeDef"]) -> None:
        for taken in self._events.put_events(Entries=entries)["Entries"]:
            if "ErrorCode" in taken:
                self._logger.error(f"EventBridge did not accept an event: {taken['ErrorCode']}.", entry=taken)

    def _count(self, reports: Sequence[Report]) -> None:
        for n in range(0, len(reports), VALUES_PER_METRIC):
            for r in reports[n : n + VALUES_PER_METRIC]:
                if r.kind in COUNTED:
                    self._metrics.add_metric(COUNTED[r.kind], MetricUnit.Count, 1)
                if r.kind in TIMED and r.seconds is not None:
                    self._metrics.add_metric(TIMED[r.kind], MetricUnit.Seconds, r.seconds)
            self._flush()

    def measure(self, gauges: Mapping[str, float]) -> None:
        """Record what a sweep found, under the names in ``UNITS``."""
        for name, value in gauges.items():
            self._metrics.add_metric(name, UNITS[name], value)
        self._flush()

    def _flush(self) -> None:
        """Powertools warns about an empty flush."""
        if self._metrics.metric_set:
            self._metrics.add_dimension("deployment", self._deployment)
            self._metrics.flush_metrics()


def parts(words: str, room: int) -> Iterator[str]:
    """The paragraphs, in as few messages as have room for their bytes. Only a paragraph that is itself too long for one
    is cut."""
    part = b""
    for paragraph in words.encode("utf-8", "replace").split(b"\n\n"):
        longer = b"\n\n".join((part, paragraph)) if part else paragraph
        if len(longer) <= room:
            part = longer
            continue
        if part:
            yield part.decode()
        part = paragraph
        while len(part) > room:
            head = part[:room].decode("utf-8", "ignore")  # without a character that the cut goes through
            yield head
            part = part[len(head.encode()) :]
    if part:
        yield part.decode()


def calls(entries: Iterable["PutEventsRequestEntryTypeDef"]) -> Iterator[list["PutEventsRequestEntryTypeDef"]]:
    """The entries, in as few calls of PutEvents as take them."""
    some: list[PutEventsRequestEntryTypeDef] = []
    for one in entries:
        if some and (len(some) == ENTRIES_PER_CALL or sum(map(_size, some)) + _size(one) > BYTES_PER_CALL):
            yield some
            some = []
        some.append(one)
    if some:
        yield some


def _size(entry: "PutEventsRequestEntryTypeDef") -> int:
    """In bytes, as EventBridge counts them."""
    return sum(
        len(text.encode()) for text in (entry["Source"], entry["DetailType"], entry["Detail"], *entry["Resources"])
    )


def entry(report: Report, deployment: str, location: FunctionLocation) -> "PutEventsRequestEntryTypeDef":
    """The event of a report. One that would be too long tells the beginning of its sentence and of its list of ids."""
    told = detail(report, deployment, location)
    made: PutEventsRequestEntryTypeDef = {
        "Source": SOURCE,
        "DetailType": report.kind.value,
        "Resources": [location.arn(report.instance_id)],
        "Detail": json.dumps(told),
    }
    if _size(made) > BYTES_PER_CALL:
        told |= {"what": _cut(told["what"]), "snapshot-ids": told["snapshot-ids"][:MOST_IDS]}
        made["Detail"] = json.dumps(told)
    return made


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST_WORDS else f"{text[:LONGEST_WORDS]}..."


def detail(report: Report, deployment: str, location: FunctionLocation) -> dict[str, Any]:
    """The detail of an event. Removing a field or changing its meaning requires a new version."""
    instance = report.observation.instance
    return {
        "version": VERSION,
        "deployment": deployment,
        "instance-id": instance.id,
        "name": instance.name,
        "launch-time": instance.launch_time.isoformat(),
        "what": f"{location.of}{report.what}",
        "advice": report.advice,
        "region": location.region,
        "console": location.console(instance.id),
        "snapshot-ids": list(report.snapshot_ids),
        "gib": report.gib,
        "seconds": report.seconds,
        "usd-a-month": None if report.saves is None else round(report.saves, 2),
    }


def subject(reports: Sequence[Report]) -> str:
    """The subject of a message; non-ASCII characters in a Name become question marks."""
    first, others = reports[0], len(reports) - 1
    words = f"ParkVolumes: {first.kind.value}: {first.observation.instance.label}".encode("ascii", "replace").decode()
    more = f", and {others} more" if others else ""
    printable = "".join(c if c.isprintable() else "?" for c in words)
    return printable[: SUBJECT_LENGTH - len(more)] + more


def paragraph(report: Report, location: FunctionLocation) -> str:
    instance = report.observation.instance
    what = f"{location.of}{report.what}"
    lines = (f"{instance.label}: {report.kind.value}", what, report.advice, location.console(instance.id))
    return "\n".join(filter(None, lines))
