"""The instances that are explored, and the moments of their life in which an exploration begins."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from park_volumes.core import tags
from park_volumes.core.facts import Attachment, Volume
from park_volumes.core.volume_spec import VolumeSpec
from tests.explore.stage import LAG, OPT_IN, TIMEOUT, Finding, Stage
from tests.model.records import AttachTimes, Disk, Durations, Rules
from tests.model.world import World

KEY = "arn:aws:kms:us-east-1:123456789012:key/11111111-2222-3333-4444-555555555555"
ROOT = Disk(device="/dev/xvda", size=8, type="gp3", iops=4000, throughput=250, tags={"Name": "root of db"})
DATA = (
    Disk(device="/dev/sdf", size=20, type="io2", iops=5000, key=KEY, delete_on_termination=False, tags={"a": "1"}),
    Disk(device="/dev/sdg", size=30, type="gp2", card=1),
    Disk(device="/dev/sdh", size=500, type="st1", delete_on_termination=False),
)
ENCRYPTED = (ROOT._replace(key=KEY), DATA[0])
EXCLUDED = Disk(device="/dev/sdz", size=5, tags={OPT_IN: " Off"})
KNOWN = Disk(device="/dev/sdy", size=6, tags={"kubernetes.io/created-for/pvc/name": "db"})
STAYING = (EXCLUDED.device, KNOWN.device)

QUICK = Durations(
    start=2, fall_back=2, stop=3, terminate=2, snapshot=10, create=2, attach=1, detach=1, delete=1, archive=20, thaw=100
)
SLOW = Durations(snapshot=400, snapshot_per_gib=2)


@dataclass(frozen=True, kw_only=True)
class Shape:
    """An instance: its disks, its opt-in, and how fast its EC2 is, and how it tells the time of an attachment."""

    name: str
    disks: tuple[Disk, ...]
    opt_in: str = "true"
    durations: Durations = QUICK
    default_key: str | None = None
    attach_times: AttachTimes = "whole seconds"


SHAPES: Mapping[str, Shape] = {
    s.name: s
    for s in (
        Shape(name="one volume", disks=(ROOT,)),
        Shape(name="two volumes", disks=(ROOT, DATA[0])),
        Shape(name="four volumes", disks=(ROOT, *DATA), attach_times="milliseconds"),
        Shape(name="root only", disks=(ROOT, DATA[0]), opt_in=" Root"),
        Shape(name="an excluded volume", disks=(ROOT, DATA[0], EXCLUDED, KNOWN), attach_times="missing"),
        Shape(name="two encrypted volumes, slowly", disks=ENCRYPTED, durations=SLOW, default_key=KEY[:-1] + "6"),
    )
}

MOMENTS = (
    "running",
    "stopped",
    "copied",
    "asked",
    "tried",
    "just locked",
    "locked",
    "committed",
    "parked",
    "archived",
    "coming back from the archive",
    "half restored",
    "rootless",
    "started",
    "running again",
    "superseded",
    "parked again",
)
"""What an instance can be found in, from one running to one running again; each is reached from the one before, but for
those in BEFORE."""
BEFORE = {"half restored": "parked"}


def launch(shape: Shape) -> Stage:
    """The instance, running for an hour; beside it one that is not opted in, and a snapshot of another deployment."""
    rules = Rules(hydration=1800, default_key=shape.default_key, attach_times=shape.attach_times)
    world = World(durations=shape.durations, rules=rules)
    instance_id = world.launch(*shape.disks, tags={OPT_IN: shape.opt_in, "Name": "db"})
    other = world.launch(Disk(device="/dev/xvda"), state="stopped")
    instance = world.instances.get(other)
    volume_id = instance.devices[0].volume_id if instance else ""
    spec = VolumeSpec(zone=world.rules.zones[0], type="gp3", size=8)
    volume = Volume(id=volume_id, state="in-use", spec=spec)
    launched = world.instances.get(instance_id)
    since = launched.launch_time if launched else world.clock.time()
    there = Attachment(
        instance_id=instance_id, device="/dev/xvda", state="attached", attach_time=since, delete_on_termination=True
    )
    foreign_tags = tags.tags_of_record(
        volume, there, deployment="another", launch_time=since, generation="another", part="1/1"
    )
    foreign = world.add_snapshot(volume_id, tags=foreign_tags, description=tags.description_of(foreign_tags))
    stage = Stage(world, instance_id, (other, volume_id, foreign), Counter())
    for item in launched.devices if launched else ():
        if item.device in STAYING or (shape.name == "root only" and item.device != ROOT.device):
            stage.fixed[item.device] = item.volume_id
    return stage


@cache
def at(shape: str, moment: str) -> Stage:
    """The instance of that shape in that moment, where passes undisturbed have brought it. Clone it before use."""
    if moment == MOMENTS[0]:
        stage = launch(SHAPES[shape])
        stage.wait(600)
        return stage
    before = BEFORE.get(moment, MOMENTS[MOMENTS.index(moment) - 1])
    stage = at(shape, before).clone()
    _STEPS[moment](stage)
    return stage


def _stop(stage: Stage) -> None:
    stage.person.stop_instances(InstanceIds=[stage.instance_id])
    stage.wait(300)


def _copy(stage: Stage) -> None:
    stage.run("park")
    stage.wait(LAG + stage.world.durations.snapshot + 70)


def _ask(stage: Stage) -> None:
    stage.run("park")
    stage.wait(6)


def _try(stage: Stage) -> None:
    stage.run("settle")
    stage.wait(6)


def _lock(stage: Stage) -> None:
    """Where a key had to be tried, the pass before deletes the volume that was created for that; and some minutes have
    to pass until none can appear any more."""
    for _ in range(2):
        stage.run("park")
        stage.wait(6)
        if stage.instance and not stage.instance.root:
            break
        stage.wait(2 * (TIMEOUT + LAG) + 1)


def _outwait(stage: Stage) -> None:
    stage.wait(180)


def _commit(stage: Stage) -> None:
    stage.run("park")
    stage.wait(10)


def _dismantle(stage: Stage) -> None:
    for _ in range(3):
        stage.run("park")
        stage.wait(30)
    stage.wait(300)


def _dismantle_only(stage: Stage) -> None:
    """As far as the last volume is deleted: the pass after that discards."""
    for _ in range(3):
        if stage.instance and not any(v.id in stage.homes for v in stage.volumes() if v.id not in stage.theirs):
            break
        stage.run("park")
        stage.wait(30)


def _archive(stage: Stage) -> None:
    stage.wait(3600)
    stage.run("sweep of park")
    stage.wait(LAG + stage.world.durations.archive)


def _thaw(stage: Stage) -> None:
    stage.run("start")
    stage.wait(5)


def _half_restore(stage: Stage) -> None:
    process = stage.begin("start")
    while process.next_call != "AttachVolume" and not process.done:
        process.step()
    process.kill()
    stage.wait(5)


def _all_but_root(stage: Stage) -> None:
    process = stage.begin("start")
    while process.next_call not in ("ModifyInstanceAttribute", "StartInstances") and not process.done:
        process.step()
        instance = stage.instance
        if instance and len(instance.devices) == len(stage.fittings) - 1 and process.next_call == "AttachVolume":
            break
    process.kill()
    stage.wait(5)


def _start(stage: Stage) -> None:
    stage.run("start")
    stage.wait(30)


def _settle(stage: Stage) -> None:
    stage.wait(LAG + 1)
    stage.run("settle")
    stage.wait(LAG + 1)


def _supersede(stage: Stage) -> None:
    stage.wait(24 * 3600)


def _park_again(stage: Stage) -> None:
    """With the snapshots of the first time, which are superseded for long."""
    for step in (_stop, _copy, _ask, _try, _lock, _outwait, _commit, _dismantle_only):
        step(stage)


_STEPS = {
    "stopped": _stop,
    "copied": _copy,
    "asked": _ask,
    "tried": _try,
    "just locked": _lock,
    "locked": _outwait,
    "committed": _commit,
    "parked": _dismantle,
    "archived": _archive,
    "coming back from the archive": _thaw,
    "half restored": _half_restore,
    "rootless": _all_but_root,
    "started": _start,
    "running again": _settle,
    "superseded": _supersede,
    "parked again": _park_again,
}


def story_of_a_day(shape: str) -> Stage:
    """From one running to the next, undisturbed: every moment is what its name says."""
    expected = {"running": "running", "stopped": "stopped", "parked": "stopped", "superseded": "running"}
    for moment, state in expected.items():
        if (found := at(shape, moment).state) != state:
            raise Finding(f"An instance with {shape} is {found} in the moment {moment!r}, not {state}.")
    return at(shape, "superseded")
