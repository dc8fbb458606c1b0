"""Every pattern, applied, parked by one deployment of ``examples/complete``, and started; plans are read on the way."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from tests.drift.patterns import APPLIED, AS_IT_IS, INSTANCE_MODULE, PUT_BACK, breaking_configuration, configuration
from tests.drift.table import FAILS
from tests.local_aws.client import ADMIN_KEY, ADMIN_SECRET, LocalAws
from tests.local_aws.settings import QUICK
from tests.support.ahead import Ahead
from tests.support.fleet import PATIENCE, Fleet, Picture
from tests.support.terraform import LAMBDA_PYTHON, QUICK_INPUTS, RootModule, Terraform, TerraformError
from tests.support.url import Answer, FunctionUrl

REGION = "ap-northeast-2"
VARIABLES = {**QUICK_INPUTS, "snapshot_retention_hours": 24}
EVERY = 5
"""Seconds from one look at all instances to the next. Each takes a second of the processor that the functions need."""
OURS = ["park-volumes:"]
MISTAKEN = f"separate_{APPLIED.name}"
RETYPED = f"type_{AS_IT_IS.name}"
WANTED_TYPE = "t3.large"

Plan = dict[str, list[str]]


@dataclass(kw_only=True)
class Story:
    """One deployment and all stacks, and what was seen stage by stage.

    Plans are by address, without what stays as it is; ``pictures`` are the devices of the instances before the stop.
    """

    aws: LocalAws
    fleet: Fleet
    url: FunctionUrl
    stack: RootModule
    breaking: RootModule
    """The stack of which no plan succeeds while its instances are parked."""
    ids: dict[str, str] = field(default_factory=dict)
    pictures: dict[str, Picture] = field(default_factory=dict)
    plans: dict[str, Plan] = field(default_factory=dict)
    answers: dict[str, Answer] = field(default_factory=dict)
    empty_volume: str = ""
    retyping: str = ""
    """What the apply of another instance type ended with."""
    marked_when_read: bool = False
    """Whether volumes that were put back still bore our marks when the plan of the transit had been read."""

    def read(self, stage: str, **variables: object) -> None:
        with self.aws.standing_still():
            self.plans[stage] = self.stack.plan(**variables) | self._plan_of_breaking()

    def _plan_of_breaking(self) -> Plan:
        try:
            return self.breaking.plan()
        except TerraformError as error:
            return {address: [FAILS] for address in re.findall(r" with ([\w.]+),", str(error))}

    def others(self, *but: str) -> dict[str, str]:
        return {name: i for name, i in self.ids.items() if not name.endswith(but)}

    def wait_for(self, state: str, names: dict[str, str]) -> None:
        def open_ends() -> dict[str, str]:
            seen = {i["id"]: i for i in self.url.instances()}
            return {name: seen[i]["detail"] for name, i in names.items() if seen[i]["state"] != state}

        self.aws.wait_for(lambda: not open_ends(), PATIENCE, f"every instance to be {state}", open_ends, EVERY)

    def marked(self) -> int:
        """How many volumes are in transit."""
        marks = [{"Name": "tag-key", "Values": ["park-volumes:mark"]}]
        return len(self.fleet.ec2.describe_volumes(Filters=marks)["Volumes"])  # type: ignore[arg-type]


def begin(ahead: Ahead) -> Story:
    """All stacks and one deployment, applied side by side."""
    aws = ahead.enter(LocalAws(settings=QUICK, region=REGION, lambda_python=LAMBDA_PYTHON))
    workspace = Path(ahead.enter(tempfile.TemporaryDirectory(prefix="drift-")))
    ec2 = aws.client("ec2")
    fleet = Fleet(aws=aws, ec2=ec2, zone=f"{REGION}a")
    variables = {"ami": ec2.describe_images(Owners=["amazon"])["Images"][0]["ImageId"], "zone": fleet.zone}
    stack, breaking = (
        _stack(workspace / name, text, aws, variables)
        for name, text in (("stacks", configuration()), ("breaking", breaking_configuration()))
    )
    module = Terraform("complete", workspace, aws.environment(), VARIABLES)
    with ThreadPoolExecutor() as pool:
        applied = [
            pool.submit(stack.apply, lambda _: None, "-parallelism=50"),
            pool.submit(breaking.apply),
        ]
        address = module.apply()["function_url"]
        for one in applied:
            one.result()
    url = FunctionUrl(url=address, region=REGION, key=ADMIN_KEY, secret=ADMIN_SECRET)
    return Story(aws=aws, fleet=fleet, url=url, stack=stack, breaking=breaking)


def _stack(folder: Path, text: str, aws: LocalAws, variables: dict[str, str]) -> RootModule:
    (folder / "ec2-instance").mkdir(parents=True)
    (folder / "ec2-instance" / "main.tf").write_text(INSTANCE_MODULE, encoding="utf-8")
    (folder / "main.tf").write_text(text, encoding="utf-8")
    return RootModule(folder, aws.environment(), variables)


def tell(story: Story) -> None:
    """The whole of it. What an owner does by mistake, and how Terraform waits, goes on while the others start."""
    _stop(story)
    _read_in_transit(story)
    _read_while_parked(story)
    with ThreadPoolExecutor() as pool:
        mistaken = pool.submit(_apply_by_mistake, story)
        _start(story)
        mistaken.result()
    _settle(story)


def _stop(story: Story) -> None:
    story.read("before")
    story.ids = {i["name"]: i["id"] for i in story.url.instances()}
    for name, instance_id in story.ids.items():
        story.aws.write(instance_id)
        story.pictures[name] = story.fleet.picture(instance_id)
    story.fleet.ec2.stop_instances(InstanceIds=list(story.ids.values()))


def _read_in_transit(story: Story) -> None:
    """The root volumes are detached, and the others still attached, with our marks; some are put back, with theirs."""
    back = {name: i for name, i in story.ids.items() if name.endswith(PUT_BACK.name)}
    for instance_id in back.values():
        detached = partial(_no_volumes, story, instance_id)
        story.aws.wait_for(detached, PATIENCE, f"the root volume of {instance_id} to be detached")
        story.url.start(instance_id)
    story.wait_for("running", back)
    story.read("in_transit")
    story.marked_when_read = all(story.fleet.is_marked(instance_id) for instance_id in back.values())
    story.read("in_transit_with_ignore_tags", ignored_tags=OURS)


def _no_volumes(story: Story, instance_id: str) -> bool:
    return not story.fleet.volume_ids(instance_id)


def _read_while_parked(story: Story) -> None:
    """Twice: also with what Terraform then remembers, as after an apply of something else."""
    story.wait_for("parked", story.others(PUT_BACK.name))
    story.read("parked", wanted_type=WANTED_TYPE)
    story.stack.apply(lambda _: None, "-refresh-only")
    story.read("parked_and_refreshed", wanted_type=WANTED_TYPE)
    _apply_another_type(story)


def _apply_another_type(story: Story) -> None:
    """An owner applies the plan that changes the instance type. The provider then starts the instance."""
    try:
        story.stack.apply(lambda _: None, f"-target=aws_instance.{RETYPED}", f"-var=wanted_type={WANTED_TYPE}")
    except TerraformError as error:
        story.retyping = str(error)


def _apply_by_mistake(story: Story) -> None:
    """An owner applies the plan that makes a new, empty volume and attaches it."""
    targets = (f"aws_ebs_volume.{MISTAKEN}", f"aws_volume_attachment.{MISTAKEN}")
    story.stack.apply(lambda _: None, *(f"-target={target}" for target in targets))
    story.empty_volume = str(story.stack.state()[targets[0]]["id"])
    story.answers["mistaken"] = story.url.start(story.ids[MISTAKEN])


def _start(story: Story) -> None:
    names = story.others(PUT_BACK.name, MISTAKEN)
    with ThreadPoolExecutor(4) as pool:
        start: Callable[[str], Answer] = story.url.start
        story.answers |= zip(names, pool.map(start, names.values()), strict=True)
    story.wait_for("running", names)


def _settle(story: Story) -> None:
    story.aws.wait_for(lambda: not story.marked(), PATIENCE, "the marks to be taken off", story.marked)
    story.read("started", wanted_type=WANTED_TYPE)
