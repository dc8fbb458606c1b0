"""One instance on the strict EC2 model, and the passes of both Lambdas that act on it, one API call at a time.

A pass is the product's own code in a greenlet that stops before every call; whoever holds the stage says who goes on.
The judge looks after every call that changes something, and after every moment that passes.
"""

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Literal

from greenlet import getcurrent, greenlet

from park_volumes.aws import Ec2
from park_volumes.aws.errors import Ec2Error
from park_volumes.aws.reads import Ec2Reads
from park_volumes.core import tags
from park_volumes.core.facts import Observation
from park_volumes.core.park import park
from park_volumes.core.phase import Phase, phase_of
from park_volumes.core.retention import TRIED_AGAIN
from park_volumes.core.settings import Settings
from park_volumes.core.start import Intent, start
from park_volumes.core.status import NEEDS_ATTENTION, status
from park_volumes.core.steps import Decision, Outcome
from park_volumes.run.context import Pass, one_by_one
from park_volumes.run.execute import Result
from park_volumes.run.fleet import Fleet, observe_fleet, observe_moving
from park_volumes.run.observe import not_shown, observe
from park_volumes.run.park_pass import ParkPass, park_sweep
from park_volumes.run.start_pass import StartPass
from tests.explore.fittings import Change, Fittings
from tests.explore.transitions import Actor, Witness, in_words, is_in_table
from tests.model import judge
from tests.model.ec2_model import EC2Client
from tests.model.faults import FALLS_BACK, Call, Fault, ProcessDied
from tests.model.judge import Fitting
from tests.model.records import Content, Instance, Snapshot, Volume
from tests.model.world import World

DEPLOYMENT = "pv"
OPT_IN = "ParkVolumes"
TIMEOUT = 60.0
"""Seconds that a pass lives."""
LAG = 60.0
"""Seconds that describe calls lag behind, at most."""
MARGIN = 3.0
REMEMBERED = 3_600.0
"""Seconds for which a start that somebody has asked for is remembered."""
STUCK = 43_200.0
"""Seconds that something stays stuck: longer than anything here may take before it is told."""
RETENTION = timedelta(hours=24)
ROUNDED = 3.0
"""Seconds that EC2 cuts off in its times."""

SETTINGS = Settings(
    deployment=DEPLOYMENT,
    opt_in_tag_key=OPT_IN,
    function_timeout=timedelta(seconds=TIMEOUT),
    quiet_period=timedelta(seconds=TIMEOUT + LAG),
    grace_period=timedelta(0),
    snapshot_retention=RETENTION,
    lock_snapshots=True,
    archive_after=timedelta(hours=1),
    prices={"snapshot": 0.05, "archive": 0.0125, "archive-restore": 0.03},
)

Kind = Literal["park", "sweep of park", "sweep of what moves", "start", "settle", "sweep of start"]
KINDS: Mapping[Kind, Callable[["Process", Pass], Sequence[Result | None]]] = {
    "park": lambda process, p: ParkPass(this_pass=p).park(process.named),
    "sweep of park": lambda process, p: process.hand_on(p, observe_fleet(p.ec2.reads, p.settings, p.began)),
    "sweep of what moves": lambda process, p: process.hand_on(p, observe_moving(p.ec2.reads, p.settings, p.began)),
    "start": lambda process, p: [StartPass(this_pass=p).start(process.named[0])],
    "settle": lambda process, p: StartPass(this_pass=p).settle(process.named),
    "sweep of start": lambda _, p: StartPass(this_pass=p).sweep(),
}
PARK_SIDE = ("park", "sweep of park", "sweep of what moves")

DESCRIBES = frozenset(
    [
        "DescribeInstances",
        "DescribeVolumes",
        "DescribeSnapshots",
        "DescribeLockedSnapshots",
        "DescribeSnapshotAttribute",
        "DescribeSnapshotTierStatus",
        "DescribeVolumesModifications",
        "ListVolumesInRecycleBin",
        "DescribeVolumeStatus",
    ]
)

_ID = re.compile(r"\b(?:i|vol|snap)-[0-9a-f]{8}\b")
_TICK = re.compile(r"written=\d+")

EXCUSES: dict[Fault, tuple[str, ...]] = {
    **dict.fromkeys(FALLS_BACK, ("a start fell back",)),
    Fault.VOLUME_FAILS: ("a volume failed, perhaps the one that tried a key",),
}
"""The faults after which an instance may be refused for a while."""
MORE = 16
"""Rounds of sweeps, so many more, until a start is over for which EC2 had no room."""
DEADLY = (Fault.DIES_BEFORE, Fault.DIES_AFTER)


class Finding(BaseException):
    """What must never be so, and was. No Exception: no product code may catch it."""


class Process:
    """One pass: it stops before each of its calls, until it is told to go on; killed once it has lived TIMEOUT."""

    named: tuple[str, ...]

    def __init__(self, stage: "Stage", kind: Kind, name: str) -> None:
        self.stage, self.kind, self.name = stage, kind, name
        self.named = stage.named
        self.began = stage.world.clock.now
        self.wakes = self.began
        self.results: Sequence[Result] = ()
        self.error = ""
        self.done = False
        self.alone = False
        self.wants_start = False
        """A sweep of the park side has found something for the start side."""
        self.calls = 0
        self.wrote = 0
        self.next_call = ""
        self.faults: list[Fault] = []
        self.client = EC2Client(stage.world, name, faults=self._fault)
        self.memory = stage.warm_memory(self.function)
        self._thread = Thread(self)

    # The clock of the pass.

    def now(self) -> datetime:
        return self.stage.world.clock.time()

    def sleep(self, seconds: float) -> None:
        self.wakes = self.stage.world.clock.now + seconds
        if self.alone:
            self.stage.wait(seconds)
        else:
            self.next_call = "sleep"
            self._pause()

    # What the stage tells it.

    @property
    def function(self) -> str:
        """The Lambda function of which this pass is a run."""
        return "park" if self.kind in PARK_SIDE else "start"

    @property
    def dies(self) -> float:
        return self.began + TIMEOUT

    def step(self) -> None:
        """On to its next call, or its next sleep; a sleeper first lets the time pass that it sleeps."""
        if self.stage.world.clock.now < self.wakes:
            self.stage.wait(self.wakes - self.stage.world.clock.now)
        if self.stage.world.clock.now >= self.dies:
            self.kill()
            return
        self._thread.switch()

    def finish(self) -> None:
        """On to its end, alone."""
        self.alone = True
        if not self.done:
            self.step()

    def kill(self) -> None:
        if not self.done:
            self.stage.seen["a pass killed at its time limit" if self._overdue() else "a pass that dies"] += 1
            self.client.dead = True
            self.done = True
            if self._thread:  # begun, and not ended
                self._thread.throw(ProcessDied("killed"))

    # Inside.

    def hand_on(self, this: Pass, fleet: Fleet) -> Sequence[Result]:
        self.wants_start = fleet.start_side
        return ParkPass(this_pass=this).park(park_sweep(fleet.observations, this.settings, this.began))

    def _live(self) -> None:
        clock = self.stage.world.clock
        began = clock.time()
        this = Pass(
            ec2=Ec2(self.client, deployment=DEPLOYMENT),  # type: ignore[arg-type]  # shaped like boto3's
            settings=SETTINGS,
            clock=self,
            began=began,
            deadline=began + timedelta(seconds=TIMEOUT - MARGIN),
            each=one_by_one,
            known=self.memory,
        )
        try:
            self.results = [r for r in KINDS[self.kind](self, this) if r]
            self.error = " ".join(str(r.error) for r in self.results if r.error and not r.lack)
        except ProcessDied:
            self.error = "It died."
        except Ec2Error as error:  # the handler lets it through, and the event comes back or the sweep does
            self.error = str(error)
        self.done = True
        if not self.client.dead:
            self.stage.memories[self.function].append(self.memory)

    def before_call(self, operation: str) -> None:
        self.next_call = operation
        if not self.alone:
            self._pause()
        if self._overdue():
            self.client.dead = True

    def _pause(self) -> None:
        main = getcurrent().parent
        if main is None:
            raise RuntimeError("A pass runs in its greenlet only.")
        main.switch()

    def _overdue(self) -> bool:
        return self.stage.world.clock.now >= self.dies

    def _fault(self, call: Call) -> Fault | None:
        self.calls += 1
        for fault in self.faults:
            if call.may_have(fault):
                self.faults.remove(fault)
                self.stage.seen[f"fault: {fault.value}"] += 1
                return fault
        return self.stage.lack(self, call)


class Thread(greenlet):
    """Where a pass lives."""

    def __init__(self, process: Process) -> None:
        super().__init__(process._live)
        self.process = process


class Stage:
    """A world with the instance under test, its bystanders, and whoever acts on it.

    ``fittings`` is what each device must be like after a start. ``excuses`` are the deeds after which the product may
    refuse to go on; without one, it must come to a rest in which nothing is refused. ``fixed`` are the volumes that are
    not to be parked, by device; ``protected`` since when a volume has a word that protects it. ``in_the_way`` are the
    snapshots that an AMI, a lock or another account ever kept; ``shared`` since when one is shared. ``homes`` are the
    devices at which volumes were last, and ``places`` those at which passes marked them. ``strangers`` are the
    snapshots and volumes that people made, with our tags on them or not: nobody may touch them. ``taken_off`` are the
    volumes that their owner detached beside the root volume, or with it, before any pass did. ``forged`` are our
    snapshots whose tags somebody has changed. ``shortage`` is how EC2 lacks room for a start, and until when; ``tries``
    are the calls and the launches that have found none since the start was asked for, ``trying`` is the pass of the
    last one, and ``remembered_try`` the last that is written down, or that EC2 shows. ``memories`` is what the
    functions know that are idle and warm: two that run at once share nothing. ``seen`` counts what was covered.
    """

    def __init__(self, world: World, instance_id: str, bystanders: Sequence[str], seen: Counter[str]) -> None:
        self.world = world
        self.instance_id = instance_id
        self.bystanders = bystanders
        self.named = (instance_id, *(b for b in bystanders if b.startswith("i-")))
        self.before = {i: world.find(i) for i in bystanders}
        self.fittings = Fittings(judge.fittings(world, instance_id))
        self.homes: dict[str, str] = {}
        self.places: dict[str, str] = {}
        self.strangers: dict[str, Any] = {}
        self.forged: set[str] = set()
        self.excuses: list[str] = []
        self.free_to_change: set[str] = set()
        self.fixed: dict[str, str] = {}
        self.protected: dict[str, float] = {}
        self.in_the_way: set[str] = set()
        self.shared: dict[str, float] = {}
        self.asked: tuple[float, str] | None = None
        self.shortage: tuple[Fault, float] | None = None
        self.tries: tuple[float, ...] = ()
        self.remembered_try: float | None = None
        self.trying: Process | None = None
        self.theirs: set[str] = {v.id for v in world.volumes.current() if v.id in bystanders}
        self.taken_off: set[str] = set()
        self.laid_aside: tuple[dict[str, Content], dict[str, Content]] = ({}, {})
        self.withdrawn: float | None = None
        self.seen = seen
        self.meddled = False
        self.processes: list[Process] = []
        self.memories: dict[str, list[dict[str, datetime]]] = {"park": [], "start": []}
        self.log: list[str] | None = None
        self.judged_before = False
        self.person = EC2Client(world, "person", owner=True)
        self.hand = EC2Client(world, "person")
        self.witness = Witness(world, instance_id, DEPLOYMENT)
        self.listen()

    def clone(self, seen: Counter[str] | None = None) -> "Stage":
        """A copy that goes its own way. No pass may be under way."""
        if any(not p.done for p in self.processes):
            raise RuntimeError("A pass under way cannot be copied.")
        other: Stage = Stage.__new__(Stage)
        other.world = self.world.clone()
        other.instance_id, other.bystanders, other.before = self.instance_id, self.bystanders, self.before
        other.named = self.named
        other.fittings, other.excuses = self.fittings.clone(), self.excuses.copy()
        other.homes, other.places = self.homes.copy(), self.places.copy()
        other.strangers, other.forged = self.strangers.copy(), self.forged.copy()
        other.free_to_change, other.theirs = self.free_to_change.copy(), self.theirs.copy()
        other.taken_off, other.laid_aside = self.taken_off.copy(), self.laid_aside
        other.withdrawn, other.fixed, other.asked = self.withdrawn, self.fixed, self.asked
        other.shortage, other.tries, other.remembered_try = self.shortage, self.tries, self.remembered_try
        other.trying = None
        other.protected = self.protected.copy()
        other.in_the_way, other.shared = self.in_the_way.copy(), self.shared.copy()
        other.seen = self.seen if seen is None else seen
        other.meddled = other.judged_before = False
        other.processes = []
        other.memories = {function: [known.copy() for known in warm] for function, warm in self.memories.items()}
        other.log = None if self.log is None else []
        other.person = EC2Client(other.world, "person", owner=True)
        other.hand = EC2Client(other.world, "person")
        other.witness = self.witness.of(other.world)
        other.listen()
        return other

    def listen(self) -> None:
        self.world.on_call, self.world.on_answer = self._before_call, self._after_call
        self.world.on_change = self._after_change

    def warm_memory(self, function: str) -> dict[str, datetime]:
        """What an earlier pass has left to the next one. Nothing if the function starts cold."""
        warm = self.memories[function]
        return warm.pop() if warm else {}

    # What there is.

    @property
    def instance(self) -> Instance | None:
        return self.world.instances.get(self.instance_id)

    @property
    def state(self) -> str:
        return self.instance.state if self.instance else "terminated"

    @property
    def opted_in(self) -> bool:
        return self.instance is not None and self.instance.tags.get(OPT_IN, "").strip().lower() in ("true", "root")

    @property
    def live(self) -> list[Process]:
        return [p for p in self.processes if not p.done]

    def volumes(self) -> list[Volume]:
        return list(self.world.volumes.current())

    # What happens.

    def begin(self, kind: Kind) -> Process:
        process = Process(self, kind, f"{kind} {len(self.processes) + 1}")
        self.processes.append(process)
        self.seen[f"actor: {kind}"] += 1
        return process

    def run(self, kind: Kind, *faults: Fault) -> Process:
        """A whole pass, undisturbed but for these faults."""
        process = self.begin(kind)
        process.faults += faults
        process.finish()
        return process

    def wait(self, seconds: float) -> None:
        self.world.clock.advance(seconds)
        self.world.outbox.clear()
        self.judge()

    def tell(self, sentence: str) -> None:
        if self.log is not None:
            self.log.append(f"{self.world.clock.time():%d. %H:%M:%S} {sentence}")

    def _before_call(self, operation: str, params: Mapping[str, Any]) -> None:
        process = self._acting()
        if process is not None:
            process.before_call(operation)
        if operation == "StartInstances" and not _reads(operation, params):
            self._take_up()
        if process is None:
            return
        if not _reads(operation, params) and not process.client.dead:
            self._check_consent(process, operation, params)
            self._check_protection(process, operation, params)
            self._check_start_request(process, operation, params)
            self._check_place(process, operation, params)
            if operation == "DeleteSnapshot" and process.began > self.shared.get(params["SnapshotId"], process.began):
                raise Finding(f"{process.name} discards {params['SnapshotId']}, which others share.")
            if operation == "DetachVolume":
                self.homes[params["VolumeId"]] = params["Device"]
                self.taken_off.discard(params["VolumeId"])
            if operation == "DeleteVolume":
                self._check_deletion(process, params["VolumeId"])

    def _after_call(self, operation: str, params: Mapping[str, Any]) -> None:
        if _reads(operation, params):
            return
        if operation == "StartInstances" and self.state == "stopped":
            self._lay_back()
        process = self._acting()
        if process is not None:
            process.wrote += 1
            if self.log is not None:
                self.tell(f"{process.name}: {operation} {_brief(params)}")
        self.meddled |= process is None
        self.judge_transition("the functions" if process else "people")
        self.judge()

    def _after_change(self) -> None:
        self.judge_transition("people" if self.meddled else "the functions")

    def judge_transition(self, actor: Actor) -> None:
        """What time brings about was begun by somebody: by the functions, unless people have done anything at all."""
        if self.judged_before:
            return
        before, after = self.witness.phase, self.witness.look()
        if before is after:
            return
        self.seen[in_words(before, after)] += 1
        if not is_in_table(before, after, actor):
            raise Finding(f"{self.instance_id} goes from {before} to {after} by {actor}: that is not in the table.")

    def _acting(self) -> Process | None:
        this = getcurrent()
        return this.process if isinstance(this, Thread) else None

    def _check_consent(self, process: Process, operation: str, params: Mapping[str, Any]) -> None:
        """No pass that began after everybody could know that the instance is not opted in may change anything of it.

        Of a terminated one, which is not opted in or out any more, only our own snapshots are left.
        """
        if self.state == "terminated" and all(i.startswith("snap-") for i in _resources(params)):
            return
        if self.withdrawn is not None and process.began > self.withdrawn + LAG:
            raise Finding(f"{process.name} calls {operation} for an instance that is not opted in: {_brief(params)}.")

    def _check_protection(self, process: Process, operation: str, params: Mapping[str, Any]) -> None:
        """No pass copies or marks a volume that began after everybody could read on it a word that protects it.
        After the commit such a word is too late."""
        if self.witness.phase is Phase.COMMITTED:
            return
        for volume_id in _resources(params) if operation in ("CreateSnapshot", "CreateTags") else ():
            if process.began > self.protected.get(volume_id, process.began) + LAG:
                raise Finding(f"{process.name} calls {operation} for {volume_id}, which a word protects.")

    def _check_start_request(self, process: Process, operation: str, params: Mapping[str, Any]) -> None:
        """For an hour after a start was asked for, or until there was one, nobody takes the root volume away."""
        instance = self.instance
        if instance is None:
            return
        if operation == "CreateTags":
            self._note_request(params)
        if operation == "DetachVolume" and params["Device"] == instance.root_device and self.asked:
            asked, launch_time = self.asked
            remembered = asked + LAG < process.began < asked + REMEMBERED
            if remembered and instance.launch_time.isoformat() == launch_time and not self.excuses:
                raise Finding(f"{process.name} parks {instance.id}, which was asked to start and did not yet.")

    def _note_request(self, params: Mapping[str, Any]) -> None:
        """A request that is written down, for the first time or again with a try that has found no room."""
        written = [t["Value"] for t in params["Tags"] if t["Key"] == tags.START_REQUESTED]
        snapshot = self.world.snapshots.get(params["Resources"][0])
        for value in written:
            at, *tried = (datetime.fromisoformat(time).timestamp() for time in value.split(" "))
            if self.asked is None or at > self.asked[0]:
                self.tries, self.remembered_try = (), None
            self.remembered_try = max((*tried, self.remembered_try or 0.0)) or None
            self.asked = (at, snapshot.tags[tags.LAUNCH_TIME]) if snapshot else None

    # EC2 has no room.

    def fall_short(self, fault: Fault, seconds: float) -> None:
        """For so long EC2 has no room for any start, and says so in this way."""
        self.shortage = fault, self.world.clock.now + seconds

    def lack(self, process: Process, call: Call) -> Fault | None:
        """How EC2 has no room for this start; None where it has, or the call is none."""
        now = self.world.clock.now
        if self.shortage is None or call.operation != "StartInstances" or call.params.get("DryRun"):
            return None
        fault, until = self.shortage
        if now >= until:
            return None
        self._check_try(process)
        self.tries, self.trying = (*self.tries, now), process
        if fault in FALLS_BACK:
            self.remembered_try = now
            if self.asked is None:
                self.excuses.append("a start was taken back that no snapshot remembers")
        if self.asked and until > self.asked[0] + 3000:
            self.excuses.append("there was no room for too long")
        self.seen[f"no room: {fault.value}"] += 1
        return fault

    def _check_try(self, process: Process) -> None:
        """Sweeps try again after as long as has been waited, from one minute to ten; people try when they like."""
        last = self._known_try()
        if process.kind == "start" or self.asked is None or last is None:
            return
        asked = self.asked[0]
        due = last + min(max(60, last - asked), 600)
        last_chance = asked + REMEMBERED - 60
        if process.began + ROUNDED < min(due, last_chance) and process.began > last + LAG:
            raise Finding(f"{process.name} tries again {process.began - last:.0f} s after EC2 had no room for a start.")

    def _known_try(self) -> float | None:
        """The last try. Where its pass did not live to write it down, and EC2 does not show it, the one before."""
        lived = self.trying is not None and self.trying.done and not self.trying.client.dead
        return self.tries[-1] if self.tries and lived else self.remembered_try

    def judge_patience(self, since: float, pause: float) -> None:
        """Sweeps that have gone on ``since`` then have tried within the last ten minutes, as long as the start is
        remembered."""
        now = self.world.clock.now
        if not self.tries or self.asked is None or self.state != "stopped" or self.excuses or self.meddled:
            return
        if now < self.asked[0] + REMEMBERED and now - max(self.tries[-1], since) > 600 + 2 * pause:
            raise Finding(f"There may be room, and for {now - self.tries[-1]:.0f} s nobody has tried to start it.")

    def _check_place(self, process: Process, operation: str, params: Mapping[str, Any]) -> None:
        """A volume is attached again only where a pass found it when it marked it."""
        written = {t["Key"]: t["Value"] for t in params["Tags"]} if operation == "CreateTags" else {}
        if tags.TARGET in written:
            self.places |= {i: written[tags.TARGET].split(" ")[0] for i in params["Resources"]}
        place = self.places.get(params.get("VolumeId", ""))
        if operation == "AttachVolume" and place and place != params["Device"]:
            raise Finding(f"{process.name} attaches {params['VolumeId']} at {params['Device']}, and not at {place}.")

    def _check_deletion(self, process: Process, volume_id: str) -> None:
        """Nobody deletes a volume at which others are known to be at work, and it comes back as it was seen."""
        now, seen_since = self.world.clock.now, process.began - (LAG if self.world.lag else 0)
        copied = [s for s in self.world.snapshots_of(volume_id) if s.id in self.strangers and s.state == "pending"]
        if any(s.started < seen_since for s in copied):
            raise Finding(f"{process.name} deletes {volume_id}, of which somebody's snapshot is pending.")
        modification = self.world.modifications.get(volume_id)
        if modification and modification.ended is None and modification.started < seen_since:
            raise Finding(f"{process.name} deletes {volume_id}, which is being modified.")
        volume, device = self.world.volumes.get(volume_id), self.homes.get(volume_id)
        if volume and not volume.attachments and volume.state == "available" and device in self.fittings.devices:
            self.fittings.deleted(device, now, seen_since)

    # What people change, and lay aside.

    def change(self, volume: Volume, change: Change, *, after: float = 0.0) -> None:
        """The owner is about to change a volume of the instance, and expects that to come back."""
        device = self.homes.get(volume.id)
        if device in self.fittings.devices and device not in self.free_to_change:
            self.fittings.restored_as(device, lambda look: _as_it_is(look, volume))
            self.fittings.change(device, change, self.world.clock.now, after=after)

    def lay_aside(self, device: str, content: Content) -> None:
        """The device may be there at the next start, with exactly these bytes, or not; they must be kept anyway.

        So may a volume that a person has just taken off, or deleted too, if a pass still marks it that looked before.
        """
        self.world.ledger.latest[self.instance_id].pop(device, None)
        self.world.ledger.kept[f"{device}, laid aside"] = content
        self.free_to_change.add(device)

    def _lay_back(self) -> None:
        """EC2 has not started it: what was laid aside still is."""
        latest, kept = self.laid_aside
        self.world.ledger.latest[self.instance_id] = latest
        self.world.ledger.kept = kept

    def _take_up(self) -> None:
        ledger = self.world.ledger
        self.laid_aside = (ledger.latest[self.instance_id].copy(), ledger.kept.copy())
        for item in self.instance.devices if self.instance and self.state == "stopped" else ():
            volume = self.world.volumes.get(item.volume_id)
            content = self.world.content(volume) if volume and item.state != "detaching" else None
            if content is not None and content == ledger.kept.get(f"{item.device}, laid aside"):
                ledger.latest[self.instance_id][item.device] = ledger.kept.pop(f"{item.device}, laid aside")
                ledger.kept.pop(item.volume_id, None)
            elif content is not None and item.device not in ledger.latest[self.instance_id]:
                if content in ledger.deleted:
                    ledger.latest[self.instance_id][item.device] = content
                for name in [n for n, kept in ledger.kept.items() if kept == content]:
                    ledger.latest[self.instance_id][item.device] = ledger.kept.pop(name)

    # What must be so.

    def judge(self) -> None:
        if not self.judged_before and (problems := judge.problems(self.world)):
            raise Finding(" ".join(problems))

    def judge_from_here(self) -> None:
        """What has happened so far was judged before."""
        self.judged_before = False
        self.witness.look()

    def judge_bystanders(self) -> None:
        for resource_id, before in self.before.items():
            if (after := self.world.find(resource_id)) != before:
                raise Finding(f"{resource_id} is nobody's business, and yet {before} has become {after}.")
        for resource_id, before in self.strangers.items():
            if (after := self.of_stranger(resource_id)) != before:
                raise Finding(f"{resource_id} is a stranger's, and yet {before} has become {after}.")

    def of_stranger(self, resource_id: str) -> Any:
        """What of a stranger's snapshot or volume may not change."""
        record = self.world.find(resource_id)
        return record and (record.tags, getattr(record, "lock", None), getattr(record, "attachments", ()))

    def ours(self) -> list[Snapshot]:
        """Our snapshots, whatever else bears our tags."""
        every = self.world.snapshots.current()
        return [s for s in every if s.id not in self.bystanders and s.id not in self.strangers]

    def decisions(self) -> tuple[Decision, Decision]:
        """What each side would decide, seeing everything as it is."""
        seen, now = self.observed(), self.world.clock.time()
        return park(seen, SETTINGS, now), start(seen, SETTINGS, now, intent=Intent.START)

    def observed(self) -> Observation:
        """The instance as it is, without any lag."""
        lag, self.world.lag = self.world.lag, None
        hooks, self.world.on_call, self.world.on_answer = (self.world.on_call, self.world.on_answer), None, None
        now, reads = self.world.clock.time(), Ec2Reads(self.hand, names=[DEPLOYMENT])  # type: ignore[arg-type]
        every = observe(reads, [self.instance_id], now=now, locks=True)
        self.world.lag = lag
        self.world.on_call, self.world.on_answer = hooks
        return every.get(self.instance_id) or Observation(instance=not_shown(self.instance_id))

    def converge(self, *, most: int = 14, pause: float = 245.0) -> None:
        """The sweeps alone lead to a rest: a round in which nothing is done, and nothing is left to be done. Only every
        other one looks at everything while something moves, and the start side is asked only where one wants it."""
        for process in self.live:
            process.kill()
        since, busy = self.world.clock.now, False
        for n in range(most + (MORE if self.shortage else 0)):
            self.wait(pause)
            everything = not busy or n % 2 == 0
            sweep = self.run("sweep of park" if everything else "sweep of what moves")
            passes = [sweep, self.run("sweep of start")] if sweep.wants_start else [sweep]
            self.judge_patience(since, pause)
            if errors := [p.error for p in passes if p.error]:
                raise Finding(f"A sweep fails though nothing disturbs it: {' '.join(errors)}")
            busy = any(p.wrote for p in passes) or any(
                r.decision.look_again or r.decision.outcome is Outcome.GOING_ON for p in passes for r in p.results
            )
            moving = self.state not in ("running", "stopped", "terminated")
            if everything and not busy and not moving:
                break
        else:
            raise Finding(f"The sweeps come to no rest. {self._situation()}")
        self.judge_rest()

    def outwait_the_stuck(self) -> None:
        """What EC2 does not end for half a day is told, whatever it is; then it ends."""
        if self.world.held:
            for process in self.live:
                process.kill()
            for _ in range(4):
                self.wait(STUCK / 4)
                self.run("sweep of park")
                self.run("sweep of start")
            self._judge_silence()
            self.world.release()
            self._leave_untried()

    def wait_out(self, seconds: float) -> None:
        """Let time pass in which no sweep comes."""
        self.wait(seconds)
        if seconds > REMEMBERED:
            self._leave_untried()

    def _leave_untried(self) -> None:
        if self.shortage:
            self.excuses.append("no sweep tried again within the hour")

    def _judge_silence(self) -> None:
        """Where something is stuck, and a pass waits for it, people are told that it takes too long, or why not."""
        ours = {s.id for s in self.ours()} | set(self.homes) | {v.id for v in self.volumes() if tags.MARK in v.tags}
        ours -= set(self.fixed.values())
        stuck = [resource_id for _, resource_id, _ in self.world.stuck if resource_id in ours]
        seen, now = self.observed(), self.world.clock.time()
        phase = phase_of(seen)
        if not stuck or not self.opted_in or phase in (Phase.ENDED, Phase.BROKEN, Phase.RUNNING, Phase.PARKED):
            return
        decision = park(seen, SETTINGS, now)
        if phase is Phase.WHOLE and decision.outcome is not Outcome.GOING_ON:
            return
        shown = status(seen, SETTINGS, now)
        self.seen["stuck, and told"] += 1
        if shown["state"] != NEEDS_ATTENTION:
            raise Finding(f"{', '.join(stuck)} is stuck, and nobody is told: {shown['detail']} {self._situation()}")

    def judge_rest(self) -> None:
        """At rest: running whole, parked whole, or refused in words with an excuse; nothing left over."""
        self.judge_bystanders()
        self._judge_fixed()
        self._judge_ended()
        if not self.opted_in or self.state == "terminated":
            self.seen["rest: terminated" if self.state == "terminated" else "rest: not opted in"] += 1
            return
        if "a snapshot was unlocked" in self.excuses:  # the sweep does not see that of a parked instance; any pass does
            self.run("park")
        to_park, to_start = self.decisions()
        rootless = self.instance is not None and self.state == "stopped" and self.instance.root is None
        refusals = [d.reason for d in (to_park, to_start)[: 1 + rootless] if d.outcome is Outcome.REFUSED]
        refused = bool(refusals)
        if refused and not self.excuses:
            raise Finding(f"Refused without a reason: {' '.join(refusals)} {self._situation()}")
        self.seen["rest: refused" if refused else f"rest: {self._rest()}"] += 1
        if rootless and not refused and not self.excuses:
            self._judge_superseded()
        if not refused:
            self._judge_leftovers()
        if self.state == "running" and not refused:
            self._judge_fittings()

    def _rest(self) -> str:
        instance = self.instance
        if instance is None or instance.state == "running":
            return "running"
        if instance.root is not None:
            raise Finding(f"Neither parked, nor running, nor refused. {self._situation()}")
        if instance.state_reason == "Client.InternalError":
            raise Finding(f"It is parked though its start failed. {self._situation()}")
        safe = {s.content for s in self.world.snapshots.current() if s.state == "completed" and s.lock}
        there = {item.device for item in instance.devices}
        for device, content in judge.latest(self.world, instance.id).items():
            if device not in there and content not in safe and content not in self.world.ledger.waived:
                raise Finding(f"{device} is parked, and no locked snapshot holds {content}. {self._situation()}")
        return "parked"

    def _judge_fixed(self) -> None:
        devices = {item.device: item.volume_id for item in self.instance.devices} if self.instance else {}
        for device, volume_id in self.fixed.items():
            if device not in self.free_to_change and self.state != "terminated" and devices.get(device) != volume_id:
                raise Finding(f"{volume_id} at {device} is not to be parked, and is gone: {devices.get(device)}.")

    def _judge_ended(self) -> None:
        """While EC2 shows that the instance was terminated, that is written on every snapshot of it."""
        if self.instance is None or self.state != "terminated":
            return
        if forgotten := [s.id for s in self.ours() if tags.TERMINATED not in s.tags and s.id not in self.forged]:
            raise Finding(f"{self.instance.id} was terminated, and {', '.join(forgotten)} does not say so.")

    def _judge_leftovers(self) -> None:
        kept = self.world.ledger.kept.values()
        for v in self.volumes():
            if v.id in self.theirs or self.world.content(v) in kept:
                continue
            if tags.REHEARSAL in v.tags and {"a snapshot was deleted", "a record was forged"} & set(self.excuses):
                continue  # nothing proves any more what it was created for
            if not v.attachments:
                raise Finding(f"{v.id} ({v.state}) is left over, and nothing will clean it. {self._situation()}")
            if "park-volumes:mark" in v.tags:
                raise Finding(f"{v.id} keeps its mark for ever. {self._situation()}")

    def _judge_fittings(self) -> None:
        there = judge.fittings(self.world, self.instance_id)
        without_record = {"a snapshot was deleted", "a record was forged"} & set(self.excuses)
        for device in self.fittings.devices:
            allowed = self.fittings.allowed(device, self.world.clock.now)
            if without_record:  # nothing else proves that it may end with the instance
                allowed += [fitting._replace(delete_on_termination=False) for fitting in allowed]
            if device not in self.free_to_change and there.get(device) not in allowed:
                raise Finding(f"{device} comes back as {there.get(device)}, and was {allowed[0]}.")

    def start_up(self) -> None:
        """Somebody asks for a start: it brings everything back, or refuses in words and changes nothing."""
        if self.shortage and self.world.clock.now < self.shortage[1]:
            self.wait(self.shortage[1] - self.world.clock.now)
        before = self.world.clone()
        process = self.run("start")
        result = process.results[0] if process.results else None
        if result is None or process.error:
            raise Finding(f"The start fails though nothing disturbs it: {process.error}")
        if result.decision.outcome is Outcome.REFUSED:
            if not self.excuses:
                raise Finding(f"The start is refused without a reason: {result.decision.reason} {self._situation()}")
            self._judge_unchanged(before, result.decision.reason)
            self.seen["start: refused"] += 1
            return
        self.converge()
        if self.state != "running":
            raise Finding(f"It was started, and is {self.state}. {self._situation()}")
        self.seen["start: running"] += 1

    def _judge_unchanged(self, before: World, reason: str) -> None:
        ids = [r.id for table in (self.world.instances, self.world.volumes) for r in table.current()]
        if found := judge.differences(before, self.world, ids):
            raise Finding(f"The start was refused ({reason}), and yet {' '.join(found)}")

    def retire(self) -> None:
        """A day later the superseded snapshots are discarded, and with that the traces are gone."""
        self.wait(RETENTION.total_seconds() + LAG)
        self.converge()
        ours = ", ".join(s.id for s in self.ours() if s.id not in self.in_the_way)
        if ours and not self.excuses and self.state == "running":
            raise Finding(f"{ours} is superseded and never discarded. {self._situation()}")
        self._judge_kept()

    def _judge_superseded(self) -> None:
        """While it is parked, what an earlier stop left is discarded in time, too."""
        if self.instance is None or self.world.clock.time() < self.instance.launch_time + RETENTION:
            return
        launched = self.instance.launch_time.isoformat()
        earlier = [s for s in self.ours() if s.tags[tags.LAUNCH_TIME] < launched and s.id not in self.in_the_way]
        if earlier:
            ids = ", ".join(s.id for s in earlier)
            raise Finding(f"{ids} is superseded and not discarded while parked. {self._situation()}")
        self._judge_kept()

    def _judge_kept(self) -> None:
        """What could not be discarded is locked again: a day later, if a pass died that had just unlocked it."""
        if self._bare() and any(process.client.dead for process in self.processes):
            self.wait(TRIED_AGAIN.total_seconds() + LAG)
            self.run("park")
        if bare := self._bare():
            raise Finding(f"{', '.join(bare)} could not be discarded, and is left without its lock.")

    def _bare(self) -> list[str]:
        """The snapshots that were kept, and have no lock that no person took. EC2 locks none that failed."""
        if "a snapshot was unlocked" in self.excuses:
            return []
        kept = (s for s in self.ours() if tags.KEPT in s.tags and s.state != "error" and s.id not in self.forged)
        return [s.id for s in kept if s.lock is None]

    def fingerprint(self) -> int:
        """A hash of all that the future depends on, where no pass is under way. Ids and fingerprints of content count
        by their order only."""
        text = self._all_that_counts()
        ids = {found: f"#{n}" for n, found in enumerate(sorted(set(_ID.findall(text))))}
        return hash(_ID.sub(lambda m: ids[m.group()], text))

    def situation(self) -> int:
        """The same where passes are under way: what they hold are ids, and what the stage knows of them counts too."""
        known = (self.asked, self.homes, self.places, sorted(self.taken_off), self.meddled, self.fittings.told)
        return hash((self._all_that_counts(), repr(known)))

    def _all_that_counts(self) -> str:
        world = self.world
        kept = world.ledger
        text = repr(
            (
                world.clock.now,
                list(world.instances.current()),
                sorted(world.volumes.current()),
                sorted(world.snapshots.current()),
                sorted((at, step, a, b) for at, _, step, a, b in world._due if step != "forget"),
                sorted(world.tokens),
                list(world.modifications.current()),
                world.denials,
                sorted(world.held),
                sorted(world.stuck),
                sorted(world.rules.broken_keys),
                sorted(kept.latest.items()),
                sorted(kept.kept.items()),
                sorted(kept.waived),
                self.excuses,
                [(function, sorted(map(sorted, warm))) for function, warm in self.memories.items()],
            )
        )
        ticks = {found: f"@{n}" for n, found in enumerate(sorted(set(_TICK.findall(text)), key=lambda t: int(t[8:])))}
        return _TICK.sub(lambda m: ticks[m.group()], text)

    def _situation(self) -> str:
        if self.instance is None:
            return "The instance is gone."
        to_park, to_start = self.decisions()
        volumes = ", ".join(f"{v.id} {v.state} {v.tags.get('park-volumes:mark', '')}" for v in self.volumes())
        return (
            f"{self.state}; park: {to_park.reason} {[len(s) for s in to_park.steps]}; "
            f"start: {to_start.reason}; volumes: {volumes}; excuses: {self.excuses}"
        )


def _as_it_is(look: Fitting, volume: Volume) -> Fitting:
    """The look of a volume now, but for how it is attached."""
    v, own = volume, tags.owner_tags(volume.tags)
    now = look._replace(size=v.size, type=v.type, iops=v.iops, throughput=v.throughput)
    return now._replace(tags=tuple(sorted(own.items())))


def _reads(operation: str, params: Mapping[str, Any]) -> bool:
    """Whether a call changes nothing, as no dry run does."""
    return operation in DESCRIBES or bool(params.get("DryRun"))


def _resources(params: Mapping[str, Any]) -> list[str]:
    """The ids that a call is about."""
    return _ID.findall(_brief(params))


def _brief(params: Mapping[str, Any]) -> str:
    """What a call is about, without the filters and tags."""
    return " ".join(
        " ".join(map(str, value)) if isinstance(value, list) else str(value)
        for name, value in params.items()
        if name in ("InstanceId", "InstanceIds", "VolumeId", "SnapshotId", "SnapshotIds", "Resources", "Device")
    )
