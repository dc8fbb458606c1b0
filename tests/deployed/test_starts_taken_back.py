"""What becomes of a start that EC2 accepts and then takes back."""

from __future__ import annotations

from tests.deployed.post import Post
from tests.deployed.stops import Stops
from tests.local_aws.client import LocalAws
from tests.support.fleet import PATIENCE, differences
from tests.support.url import FunctionUrl

REASON = "Server.InsufficientInstanceCapacity: There is not enough capacity to fulfill your request."


def test_for_want_of_capacity_is_told_to_the_caller_and_everybody_and_tried_again_until_it_runs(
    stopped: Stops, post: Post, url: FunctionUrl, aws: LocalAws
) -> None:
    instance_id = stopped.ids["crowded out"]
    aws.fail_start(instance=instance_id, message=REASON)

    answer = url.start("crowded out", wait=6)
    assert (answer.status, answer.body["error"]["code"]) == (502, "start_taken_back")
    assert REASON in answer.body["error"]["message"]

    shown = stopped.show(url, "crowded out")
    assert shown["state"] == "starting"
    assert "its start is retried at" in shown["detail"]
    aws.wait_for(lambda: post.events(instance_id, "Start Failed"), PATIENCE, "the failed start to be told")
    assert REASON in post.events(instance_id, "Start Failed")[0]["detail"]["what"]

    stopped.fleet.wait_until_running(instance_id)
    stopped.wait_until_settled("crowded out")
    assert differences(stopped.before["crowded out"], stopped.fleet.picture(instance_id)) == []
    assert len(post.events(instance_id, "Start Failed")) == 1
    aws.wait_for(lambda: post.events(instance_id, "Instance Started"), PATIENCE, "the start to be told")
