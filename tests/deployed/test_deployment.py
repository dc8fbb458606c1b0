"""What is deployed, and what becomes of messages that cannot be handled."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import boto3
import pytest
from pytest_terraform.tf import TerraformTestApi

from tests.deployed.stops import Stops
from tests.local_aws.client import LocalAws


@pytest.mark.usefixtures("stopped")
def test_another_plan_finds_nothing_to_change(complete: TerraformTestApi) -> None:
    runner = complete.terraform
    plan = ["terraform", "plan", "-no-color", "-input=false", "-detailed-exitcode", f"-state={runner.state_path}"]
    environment = {"TF_DATA_DIR": str(runner.work_dir)}
    done = _run(plan, Path(str(runner.module_dir)), environment)
    assert done.returncode == 0, done.stdout


def _run(arguments: list[str], folder: Path, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        arguments, cwd=folder, env=os.environ | environment, capture_output=True, text=True, check=False
    )


def test_every_output_says_something(outputs: dict[str, Any]) -> None:
    assert all(outputs.values())
    statements = json.loads(outputs["start_policy_json"])["Statement"]
    assert {s["Action"] for s in statements} == {"lambda:InvokeFunction", "lambda:InvokeFunctionUrl"}


def test_both_functions_run_the_deployed_zip_and_log_json(stopped: Stops, outputs: dict[str, Any]) -> None:
    for name in ("park_function_name", "start_function_name"):
        lines = [json.loads(line) for line in stopped.aws.logs(outputs[name]) if line.startswith("{")]
        assert any(line.get("service") == "park-volumes" and line.get("level") == "INFO" for line in lines)
        assert not [line for line in lines if line.get("level") == "CRITICAL"]


def test_a_broken_message_goes_to_the_dead_letter_queue_and_stops_no_other(
    stopped: Stops, aws: LocalAws, outputs: dict[str, Any]
) -> None:
    sqs = boto3.client("sqs", **aws.boto3_arguments())  # type: ignore[call-overload]  # the arguments are a mapping
    good = {
        "source": "park-volumes",
        "detail-type": "Look Again",
        "detail": {"instance-ids": [stopped.ids["twin 1"]]},
    }
    before = len(aws.invocations(outputs["park_function_name"]))
    for body in ("this is no JSON", json.dumps(good), json.dumps({"detail-type": "Unknown", "detail": {}})):
        sqs.send_message(QueueUrl=outputs["park_queue_url"], MessageBody=body)
    dead = outputs["dead_letter_queue_url"].rsplit("/", 1)[-1]
    aws.wait_for(lambda: len(aws.messages(dead)) == 2, 120, "both broken messages in the dead-letter queue")
    assert {m["body"] for m in aws.messages(dead)} == {"this is no JSON", '{"detail-type": "Unknown", "detail": {}}'}
    batches = [json.loads(i["event"])["Records"] for i in aws.invocations(outputs["park_function_name"])[before:]]
    tries = [record["body"] for batch in batches for record in batch if record["body"] == json.dumps(good)]
    assert len(tries) == 1
