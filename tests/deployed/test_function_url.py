"""How the Function URL answers those who ask wrongly, or for what is not there."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from typing import Any
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest

from tests.deployed.abroad import Abroad
from tests.deployed.stops import Stops
from tests.local_aws.client import LocalAws
from tests.support.terraform import ROOT
from tests.support.url import FunctionUrl


def test_a_request_without_a_signature_gets_nowhere(url: FunctionUrl) -> None:
    answer = url.send("GET", "instances", signed=False)
    assert answer.status == 403
    assert "instances" not in answer.body


def test_the_command_open_shows_the_page_and_signs_what_it_asks(aws: LocalAws, outputs: dict[str, Any]) -> None:
    """As a browser would: it finds the Function URL, and asks relative to the address that the command says."""
    options = ("-m", "park_volumes", "open", "--no-browser")
    environment = aws.environment() | {"PYTHONPATH": str(ROOT / "lambda_src")}
    with subprocess.Popen([sys.executable, *options], env=environment, stdout=subprocess.PIPE, text=True) as command:
        assert command.stdout is not None
        address = command.stdout.readline().split()[0]
        try:
            with urlopen(address) as page:
                assert b"<html" in page.read()
            with urlopen(f"{address}instances") as listed:
                names = {i["name"] for i in json.load(listed)["instances"]}
            with pytest.raises(HTTPError, match="403"):
                urlopen(f"{address[:-5]}/instances")
        finally:
            command.terminate()  # Ctrl-C is ignored where the tests run in the background
    assert command.returncode == -signal.SIGTERM
    assert "shop" in names
    assert outputs["function_url"]


def test_every_opted_in_instance_is_listed_and_no_other(stopped: Stops, abroad: Abroad, url: FunctionUrl) -> None:
    opted_in = {stopped.ids[name] for name, kind in stopped.kinds.items() if kind.is_opted_in}
    assert {i["id"] for i in url.instances()} == opted_in | set(abroad.ids.values())


def test_an_instance_is_shown_with_every_device(stopped: Stops, url: FunctionUrl) -> None:
    shown = url.show(stopped.ids["twin 1"]).body
    assert shown["state"] == "parked"
    assert [(d["device"], d["state"], d["size_gib"]) for d in shown["devices"]] == [("/dev/sda1", "parked", 8)]


@pytest.mark.usefixtures("stopped")
def test_an_unknown_name_is_answered_with_the_closest(url: FunctionUrl) -> None:
    answer = url.start("schop")
    assert answer.status == 404
    assert answer.body["error"]["code"] == "unknown_instance"
    assert "Did you mean shop?" in answer.body["error"]["message"]


def test_a_name_that_two_instances_have_is_answered_with_both_ids(stopped: Stops, url: FunctionUrl) -> None:
    answer = url.start("twin")
    assert answer.status == 409
    assert all(stopped.ids[name] in answer.body["error"]["message"] for name in ("twin 1", "twin 2"))


def test_an_instance_that_is_not_opted_in_is_unknown_here(stopped: Stops, url: FunctionUrl) -> None:
    assert url.start(stopped.ids["stranger"]).status == 404


def test_an_instance_that_is_still_stopping_is_asked_to_wait_for(stopped: Stops) -> None:
    answer = stopped.asked_too_early
    assert answer is not None
    assert answer.status == 409
    assert "still stopping" in answer.body["error"]["message"]


def test_a_terminated_instance_is_gone(stopped: Stops, url: FunctionUrl) -> None:
    stopped.fleet.ec2.terminate_instances(InstanceIds=[stopped.ids["twin 2"]])
    stopped.fleet.wait_for_state(stopped.ids["twin 2"], "terminated")
    answer = url.start(stopped.ids["twin 2"])
    assert answer.status == 410
    assert "terminated" in answer.body["error"]["message"]


def test_an_unknown_address_is_answered_with_what_there_is(url: FunctionUrl) -> None:
    answer = url.get("volumes")
    assert answer.status == 404
    assert "GET /instances" in answer.body["error"]["message"]


def test_getting_where_posting_is_meant_starts_nothing(stopped: Stops, url: FunctionUrl) -> None:
    before = len(stopped.aws.calls())
    assert url.get(f"instances/{stopped.ids['twin 1']}/start").status in (404, 405)
    assert not [c for c in stopped.aws.calls(since=before) if c["operation"] == "StartInstances"]
