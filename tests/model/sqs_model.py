"""As much of SQS as the project calls: messages sent with a delay, which the test takes and delivers."""

from collections.abc import Mapping
from functools import partial
from hashlib import md5
from typing import Any

from tests.model.answers import Answer
from tests.model.client import Client, Context, Params, operation
from tests.model.records import Message
from tests.model.validation import Refused
from tests.model.world import World

sqs = partial(operation, "sqs")

LARGEST_BATCH, LONGEST_DELAY = 10, 900


class SQSClient(Client):
    service = "sqs"


@sqs("SendMessage")
def send_message(world: World, params: Params, _: Context) -> Answer:
    return {"MessageId": _send(world, params["QueueUrl"], params), "MD5OfMessageBody": digest(params["MessageBody"])}


@sqs("SendMessageBatch")
def send_message_batch(world: World, params: Params, _: Context) -> Answer:
    entries = params["Entries"]
    if not 1 <= len(entries) <= LARGEST_BATCH:
        raise Refused(
            "AWS.SimpleQueueService.TooManyEntriesInBatchRequest", f"A batch has 1 to {LARGEST_BATCH} entries."
        )
    if len({entry["Id"] for entry in entries}) < len(entries):
        raise Refused("AWS.SimpleQueueService.BatchEntryIdsNotDistinct", "Two entries have the same Id.")
    return {
        "Successful": [
            {
                "Id": entry["Id"],
                "MessageId": _send(world, params["QueueUrl"], entry),
                "MD5OfMessageBody": digest(entry["MessageBody"]),
            }
            for entry in entries
        ]
    }


@sqs("GetQueueAttributes")
def get_queue_attributes(world: World, params: Params, _: Context) -> Answer:
    """The numbers of messages. Nobody but the test has any: none is out of sight."""
    now = world.clock.now
    mine = [m for m in world.messages if m.queue_url == params["QueueUrl"]]
    numbers = {
        "ApproximateNumberOfMessages": sum(m.due <= now for m in mine),
        "ApproximateNumberOfMessagesDelayed": sum(m.due > now for m in mine),
        "ApproximateNumberOfMessagesNotVisible": 0,
    }
    return {"Attributes": {name: str(numbers[name]) for name in params["AttributeNames"]}}


def digest(body: str) -> str:
    return md5(body.encode(), usedforsecurity=False).hexdigest()


def _send(world: World, queue_url: str, entry: Mapping[str, Any]) -> str:
    delay = entry.get("DelaySeconds", 0)
    if not 0 <= delay <= LONGEST_DELAY:
        raise Refused("InvalidParameterValue", f"DelaySeconds is 0 to {LONGEST_DELAY}, not {delay}.")
    message = Message(world.new_id("msg"), queue_url, entry["MessageBody"], world.clock.now + delay)
    world.messages.append(message)
    return message.id
