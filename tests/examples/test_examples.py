"""What the examples promise, seen on the local AWS."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import replace

import pytest

from tests.examples.applied import ANY_INSTANCE, REGIONS, Example, command, commands, fleet_in
from tests.iam.judge import denials
from tests.local_aws.client import ADMIN_KEY, ADMIN_SECRET, ControlError, LocalAws
from tests.support.fleet import Picture, differences
from tests.support.readme import blocks
from tests.support.terraform import ROOT
from tests.support.url import FunctionUrl

GROUP = "park-volumes-office-hours"
MARKS = "park-volumes:"


def test_every_example_is_applied_by_some_test() -> None:
    there = {path.name for path in (ROOT / "examples").iterdir() if path.is_dir()}
    assert there == {*REGIONS, "complete", "organization"}


@pytest.mark.parametrize("name", REGIONS)
def test_another_plan_finds_nothing_to_change(examples: Mapping[str, Example], name: str) -> None:
    assert examples[name].terraform.plan() == {}


@pytest.mark.parametrize("name", REGIONS)
def test_every_output_says_something(examples: Mapping[str, Example], name: str) -> None:
    assert examples[name].outputs
    assert all(examples[name].outputs.values())


def test_the_hours_are_those_of_weekdays_in_the_time_zone(
    aws: LocalAws, examples: Mapping[str, Example], office: str
) -> None:
    scheduler = aws.client("scheduler", REGIONS["office-hours"])
    names = examples["office-hours"].outputs["schedules"][office]
    found = {what: scheduler.get_schedule(GroupName=GROUP, Name=name) for what, name in names.items()}
    assert {what: (s["ScheduleExpression"], s["ScheduleExpressionTimezone"]) for what, s in found.items()} == {
        "start": ("cron(0 9 ? * MON-FRI *)", "Asia/Seoul"),
        "stop": ("cron(0 19 ? * MON-FRI *)", "Asia/Seoul"),
    }


def test_the_evening_schedule_parks_and_the_morning_schedule_brings_everything_back(
    aws: LocalAws, examples: Mapping[str, Example], office: str, evening: dict[str, Picture]
) -> None:
    fleet = fleet_in(aws, REGIONS["office-hours"])
    assert fleet.picture(office) == {}
    start = examples["office-hours"].outputs["schedules"][office]["start"]
    aws.fire_schedule(start, group=GROUP, region=REGIONS["office-hours"])
    fleet.wait_until_running(office)
    assert differences(evening[office], _without_marks(fleet.picture(office))) == []


def _without_marks(picture: Picture) -> Picture:
    """What comes back bears our marks for some minutes, as tests/deployed shows."""
    return {
        device: replace(disk, tags={key: value for key, value in disk.tags.items() if not key.startswith(MARKS)})
        for device, disk in picture.items()
    }


def test_the_role_of_the_schedules_may_stop_no_other_instance(
    aws: LocalAws, examples: Mapping[str, Example], office: str
) -> None:
    scheduler = aws.client("scheduler", REGIONS["office-hours"])
    stop = scheduler.get_schedule(GroupName=GROUP, Name=examples["office-hours"].outputs["schedules"][office]["stop"])
    other = {"InstanceIds": ["i-0123456789abcdef0"]}
    scheduler.create_schedule(
        Name="other",
        GroupName=GROUP,
        ScheduleExpression=stop["ScheduleExpression"],
        FlexibleTimeWindow={"Mode": "OFF"},
        Target={"Arn": stop["Target"]["Arn"], "RoleArn": stop["Target"]["RoleArn"], "Input": json.dumps(other)},
    )
    with pytest.raises(ControlError, match=r"may not ec2:StopInstances on .*i-0123456789abcdef0"):
        aws.fire_schedule("other", group=GROUP, region=REGIONS["office-hours"])
    scheduler.delete_schedule(Name="other", GroupName=GROUP)


def test_a_stack_plans_nothing_while_its_instances_are_parked_and_after_their_start(
    aws: LocalAws, examples: Mapping[str, Example], existing: dict[str, str], evening: dict[str, Picture]
) -> None:
    stack = examples["existing-instances"]
    assert stack.terraform.plan() == {}
    url = FunctionUrl(url=stack.outputs["function_url"], region=stack.region, key=ADMIN_KEY, secret=ADMIN_SECRET)
    fleet = fleet_in(aws, stack.region)
    for name, instance_id in existing.items():
        assert url.start(name).status in (200, 202)
        fleet.wait_until_running(instance_id)
        assert differences(evening[instance_id], _without_marks(fleet.picture(instance_id))) == []
    assert stack.terraform.plan() == {}


def test_one_command_starts_the_instances_of_both_regions(examples: Mapping[str, Example]) -> None:
    outputs = examples["multi-region"].outputs
    assert outputs["function_url"] in outputs["start_command"].replace("instances/INSTANCE/start", "")
    assert "ap-northeast-2" in outputs["start_command"], "the address is in the region of the deployment"
    assert outputs["forwarding_regions"] == ["eu-central-1"]


def test_the_page_is_shown_to_everybody_and_the_instances_to_holders_of_a_token(
    aws: LocalAws, examples: Mapping[str, Example]
) -> None:
    page = examples["token-page"].outputs["page"]
    with urllib.request.urlopen(page) as answer:
        assert "text/html" in answer.headers["Content-Type"]
    with pytest.raises(urllib.error.HTTPError, match="401"):
        urllib.request.urlopen(f"{page}instances")
    ssm = aws.client("ssm", REGIONS["token-page"])
    lines = ssm.get_parameter(Name="/park-volumes/tokens", WithDecryption=True)["Parameter"]["Value"].splitlines()
    for line in lines:
        signed = urllib.request.Request(f"{page}instances", headers={"Authorization": f"Bearer {line.split(':')[1]}"})
        with urllib.request.urlopen(signed) as answer:
            assert json.load(answer)["instances"] == []
    assert len(lines) == 2


def test_every_command_of_the_readme_and_of_the_api_is_run_here(examples: Mapping[str, Example]) -> None:
    run = ["stop-instances", "start_command", "put-parameter"]
    assert [block for block in commands() if not any(word in block for word in ["make demo", *run])] == []
    printed = examples["minimal"].terraform.shell(command("start_command"))
    assert printed == examples["minimal"].outputs["start_command"]


def test_every_call_of_a_function_is_allowed_by_its_role(
    aws: LocalAws, examples: Mapping[str, Example], evening: dict[str, Picture]
) -> None:
    """As in tests/deployed, in every example. It stands after what the functions do, and before a role is gone."""
    assert examples
    assert evening
    found = denials(aws.client("iam", REGIONS["minimal"]), aws.calls())
    busy = {f"park-volumes-park-{REGIONS[name]}" for name in ("minimal", "existing-instances", "office-hours")}
    busy |= {f"park-volumes-start-{REGIONS[name]}" for name in ("existing-instances", "office-hours", "token-page")}
    assert busy <= {arn.rsplit("/", 1)[-1] for arn in found}
    assert [denied for denied_ones in found.values() for denied in denied_ones] == []


def test_without_the_module_an_instance_is_restored_by_hand(
    aws: LocalAws, examples: Mapping[str, Example], orphan: str, evening: dict[str, Picture]
) -> None:
    fleet, here = fleet_in(aws, REGIONS["minimal"]), examples["minimal"].terraform
    here.destroy()
    fleet.archive(orphan)
    page = (ROOT / "docs" / "by-hand.md").read_text(encoding="utf-8")
    find, look, bring_back, restore, delete = blocks(page, "sh")
    listed = here.shell(find)
    assert all(snapshot["SnapshotId"] in listed for snapshot in fleet.snapshots(orphan))
    look = look.replace(ANY_INSTANCE, orphan)
    here.shell(look + bring_back)
    aws.wait_for(lambda: fleet.tiers(orphan) == {"standard"}, 30, "the snapshots to come back from the archive")
    here.shell(look + restore)
    fleet.wait_until_running(orphan)
    assert differences(evening[orphan], fleet.picture(orphan)) == []
    here.shell(delete)
    assert fleet.snapshots(orphan) == []
