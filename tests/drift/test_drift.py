"""What owners' Terraform plans say while their instances are parked and after the start."""

from __future__ import annotations

import json
import os

from tests.drift import table
from tests.drift.patterns import AS_IT_IS, OF_DISKS, PUT_BACK, every_way
from tests.drift.story import MISTAKEN, RETYPED, WANTED_TYPE, Plan, Story
from tests.support.fleet import differences
from tests.support.readme import blocks, sections
from tests.support.terraform import ROOT

GUIDE = ROOT / "docs" / "terraform.md"


def test_every_stack_plans_nothing_before_it_is_parked(story: Story) -> None:
    assert story.plans["before"] == {}


def test_the_tables_say_what_the_plans_say(story: Story) -> None:
    """With RECORD=1 the plans of this run become those of the tables; ``make docs`` then writes them."""
    seen = table.findings(
        parked=[story.plans["parked"], story.plans["parked_and_refreshed"]], started=story.plans["started"]
    )
    if os.environ.get("RECORD"):
        table.FINDINGS.write_text(json.dumps(seen, indent=2) + "\n", encoding="utf-8")
    assert seen == table.recorded(), "RECORD=1 pytest tests/drift, then make docs"


def test_what_terraform_remembers_of_a_parked_instance_changes_no_plan(story: Story) -> None:
    assert _of_parked(story.plans["parked"]) == _of_parked(story.plans["parked_and_refreshed"])


def _of_parked(plan: Plan) -> Plan:
    return {address: actions for address, actions in plan.items() if not address.endswith(PUT_BACK.name)}


def test_of_volumes_in_transit_the_plan_of_a_safe_pattern_shows_our_tags_and_nothing_else(story: Story) -> None:
    seen = table.recorded()
    safe = {pattern.name_with(way) for pattern, way in every_way() if table.quiet(seen, pattern, way)}
    safe |= {pattern.name_with(PUT_BACK) for pattern in OF_DISKS if table.quiet(seen, pattern, AS_IT_IS)}
    plan = story.plans["in_transit"]
    shown = {a: actions for a, actions in plan.items() if any(table.is_of(a, name) for name in safe)}
    assert shown or not story.marked_when_read
    tags = {f"update {attribute}" for attribute in ("root_block_device", "volume_tags", "tags", "tags_all")}
    assert {action for actions in shown.values() for action in actions} <= tags


def test_with_ignore_tags_not_even_volumes_in_transit_show_our_tags(story: Story) -> None:
    """What is left is what a plan says while parked: not all that is parked is gone yet."""
    assert story.plans["in_transit_with_ignore_tags"].items() <= story.plans["parked"].items()


def test_every_start_gives_everything_back(story: Story) -> None:
    for name, instance_id in story.others(MISTAKEN).items():
        assert differences(story.pictures[name], story.fleet.picture(instance_id)) == [], name


def test_another_type_is_applied_while_it_is_parked_but_terraform_cannot_start_it(story: Story) -> None:
    assert "does not have a volume attached at root" in story.retyping
    (reservation,) = story.fleet.ec2.describe_instances(InstanceIds=[story.ids[RETYPED]])["Reservations"]
    assert reservation["Instances"][0]["InstanceType"] == WANTED_TYPE


def test_an_empty_volume_on_the_device_is_refused_with_the_way_out(story: Story) -> None:
    answer = story.answers["mistaken"]
    assert answer.status == 409
    message = answer.body["error"]["message"]
    assert f"/dev/sdf of {story.ids[MISTAKEN]} is taken by {story.empty_volume}" in message
    assert f"aws ec2 detach-volume --volume-id {story.empty_volume}" in message


def test_the_way_out_that_the_guide_describes_leads_out(story: Story) -> None:
    instance_id, guide = story.ids[MISTAKEN], sections(GUIDE.read_text(encoding="utf-8"))
    (way_out,) = (text for _, title, text in guide if title == "Somebody applied while it was parked")
    detach, adopt = blocks(way_out, "sh")
    there = {"vol-0fedcba9876543210": story.empty_volume, "i-0123456789abcdef0": instance_id}
    story.stack.shell(_with(there, detach))
    assert story.url.start(MISTAKEN).status == 202
    story.wait_for("running", {MISTAKEN: instance_id})
    story.fleet.wait_until_settled(instance_id)
    assert differences(story.pictures[MISTAKEN], story.fleet.picture(instance_id)) == []
    there |= {"vol-0123456789abcdef0": story.fleet.volume_on(instance_id, "/dev/sdf"), ".data": f".{MISTAKEN}"}
    story.stack.shell(_with(there, adopt))
    assert not [address for address in story.stack.plan() if address.endswith(MISTAKEN)]
    assert story.aws.resources()["volumes"].count(story.empty_volume) == 0


def _with(real: dict[str, str], commands: str) -> str:
    """The commands of the guide with real names in the place of its examples."""
    for example, name in real.items():
        commands = commands.replace(example, name)
    return commands
