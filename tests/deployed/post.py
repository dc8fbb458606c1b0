"""Somebody who listens: a rule for all events of the module, and a subscription to the topic, each with a queue."""

from __future__ import annotations

import json
from typing import Any

import boto3

from tests.local_aws.client import LocalAws

EVENTS, MESSAGES = "told-on-the-bus", "told-to-people"


class Post:
    """What has been told so far, oldest first."""

    def __init__(self, *, aws: LocalAws, topic_arn: str) -> None:
        self._aws = aws
        sqs, events, sns = (self._client(service) for service in ("sqs", "events", "sns"))
        arns = {}
        for name in (EVENTS, MESSAGES):
            anybody = {"Effect": "Allow", "Principal": "*", "Action": "sqs:SendMessage", "Resource": "*"}
            policy = json.dumps({"Version": "2012-10-17", "Statement": [anybody]})
            url = sqs.create_queue(QueueName=name, Attributes={"Policy": policy})["QueueUrl"]
            attributes = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]
            arns[name] = attributes["QueueArn"]
        events.put_rule(Name=EVENTS, EventPattern=json.dumps({"source": ["park-volumes"]}))
        events.put_targets(Rule=EVENTS, Targets=[{"Id": "1", "Arn": arns[EVENTS]}])
        sns.subscribe(TopicArn=topic_arn, Protocol="sqs", Endpoint=arns[MESSAGES])

    def _client(self, service: str) -> Any:
        make: Any = boto3.client
        return make(service, **self._aws.boto3_arguments())

    def events(self, instance_id: str, kind: str = "") -> list[dict[str, Any]]:
        """The events about an instance, of one detail-type if given."""
        every = [json.loads(m["body"]) for m in self._aws.messages(EVENTS)]
        about = [e for e in every if e["detail"]["instance-id"] == instance_id]
        return [e for e in about if kind in ("", e["detail-type"])]

    def messages(self) -> list[dict[str, Any]]:
        """The messages of the topic: Subject, Message and more."""
        return [json.loads(m["body"]) for m in self._aws.messages(MESSAGES)]
