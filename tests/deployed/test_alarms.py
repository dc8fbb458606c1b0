"""The alarms as CloudWatch has them: each watches a metric that something here really writes."""

from __future__ import annotations

import json
from typing import Any

import boto3
import pytest

from tests.deployed.stops import Stops
from tests.local_aws.client import LocalAws


@pytest.fixture(scope="module")
def alarms(aws: LocalAws, outputs: dict[str, Any]) -> list[dict[str, Any]]:
    make: Any = boto3.client
    found = make("cloudwatch", **aws.boto3_arguments()).describe_alarms()["MetricAlarms"]
    assert outputs["notification_topic_arn"]
    return [dict(alarm) for alarm in found]


def test_there_are_few_enough_to_be_free_and_each_tells_the_topic(
    alarms: list[dict[str, Any]], outputs: dict[str, Any]
) -> None:
    assert 0 < len(alarms) <= 10
    topic = [outputs["notification_topic_arn"]]
    assert all((a["AlarmActions"], a["OKActions"]) == (topic, topic) for a in alarms)


def test_those_on_our_own_metrics_watch_what_the_sweep_writes(
    stopped: Stops, alarms: list[dict[str, Any]], outputs: dict[str, Any]
) -> None:
    lines = [json.loads(line) for line in stopped.aws.logs(outputs["park_function_name"]) if '"_aws"' in line]
    written = {
        (metric["Name"], *sorted((d, line[d]) for d in directive["Dimensions"][0]))
        for line in lines
        for directive in line["_aws"]["CloudWatchMetrics"]
        for metric in directive["Metrics"]
    }
    watched = {
        (a["MetricName"], *sorted((d["Name"], d["Value"]) for d in a["Dimensions"]))
        for a in alarms
        if a["Namespace"] == "ParkVolumes"
    }
    assert len(watched) == 3
    assert watched <= written


def test_those_on_metrics_of_aws_name_what_is_deployed(alarms: list[dict[str, Any]], outputs: dict[str, Any]) -> None:
    named = {
        (a["Namespace"], d["Name"], d["Value"]) for a in alarms for d in a["Dimensions"] if "AWS/" in a["Namespace"]
    }
    assert named == {
        ("AWS/SQS", "QueueName", outputs["dead_letter_queue_url"].rsplit("/", 1)[-1]),
        ("AWS/Lambda", "FunctionName", outputs["park_function_name"]),
        ("AWS/Lambda", "FunctionName", outputs["start_function_name"]),
    }
