"""The world the model describes: instances, volumes, snapshots, and the clock that moves them.

Every record is immutable; a change puts a new one into its table. What takes time is a transition on a heap, and runs
when the test moves the clock past it. Nothing here judges: see `judge`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from heapq import heappop, heappush
from typing import Any

from tests.model.faults import Lag, Throttle
from tests.model.judge import WRITING, Ledger
from tests.model.policies import Deny
from tests.model.records import (
    INSTANCE_VALUES,
    MODIFICATION_VALUES,
    NO_FACTS,
    ROOT,
    SNAPSHOT_VALUES,
    VOLUME_VALUES,
    Attachment,
    Content,
    Disk,
    Durations,
    Event,
    Instance,
    Message,
    Modification,
    Rules,
    Snapshot,
    Volume,
    default_iops,
    spot,
    zulu,
)
from tests.model.table import MEMORY_SECONDS, Table, last_at

START = datetime(2026, 1, 1, tzinfo=UTC).timestamp()

Hook = Callable[[str, dict[str, Any]], None]
"""Called with an operation ("CreateSnapshot") and its parameters."""


class Clock:
    """Seconds since the epoch. Only `advance` moves it."""

    __slots__ = ("_run", "now")

    def __init__(self, now: float, run: Callable[[float], None]) -> None:
        self.now = now
        self._run = run

    def advance(self, seconds: float) -> None:
        if seconds < 0:
            raise ValueError(f"Time does not run backwards: {seconds} seconds.")
        self._run(self.now + seconds)

    def advance_to(self, moment: float) -> None:
        """To that moment exactly; a sum of seconds may miss it by a rounding."""
        if moment > self.now:
            self._run(moment)

    def time(self) -> datetime:
        return datetime.fromtimestamp(self.now, UTC)


class World:
    """One account in one region.

    Arrange with `launch`, `add_volume`, `add_snapshot`; act through an `EC2Client` or `SQSClient` of this world; move
    `clock`; read `outbox` and `messages`; judge with the functions of `judge`.

    on_call is called before each call takes effect, on_answer after it and before the caller has the answer: there an
    explorer may switch to another pass. on_change is called after everything that happens by itself as time passes,
    and after a call whose process dies before it can be told.
    """

    def __init__(self, *, rules: Rules | None = None, durations: Durations | None = None) -> None:
        self.rules = rules or Rules()
        self.durations = durations or Durations()
        self.clock = Clock(START, self._run_to)
        self.instances: Table[Instance] = Table(INSTANCE_VALUES)
        self.volumes: Table[Volume] = Table(VOLUME_VALUES)
        self.snapshots: Table[Snapshot] = Table(SNAPSHOT_VALUES)
        self.modifications: Table[Modification] = Table(MODIFICATION_VALUES)
        self.outbox: list[Event] = []
        self.messages: list[Message] = []
        self.bin: dict[str, tuple[Volume, float]] = {}  # deleted volumes, and since when
        self.tokens: dict[str, tuple[Any, Volume]] = {}  # ClientToken -> parameters, volume
        self.pages: dict[str, tuple[str, tuple[str, ...], int]] = {}  # NextToken -> kind of ids, ids, position
        self.ledger = Ledger()
        self.lag: Lag | None = None
        self.throttle: Throttle | None = None
        self.denials: tuple[Deny, ...] = ()
        self.held: set[str] = set()
        self.stuck: list[tuple[str, str, str]] = []
        self.on_call: Hook | None = None
        self.on_answer: Hook | None = None
        self.on_change: Callable[[], None] | None = None
        self.calls = 0
        self.tick = 0
        self._serial = 0
        self._due: list[tuple[float, int, str, str, str]] = []

    def clone(self) -> "World":
        """A copy that goes its own way, without the hooks. Records are shared: nobody changes a record."""
        other: World = World.__new__(World)
        other.rules, other.durations, other.lag = self.rules, self.durations, self.lag
        other.denials = self.denials
        other.clock = Clock(self.clock.now, other._run_to)
        other.instances = self.instances.clone()
        other.volumes = self.volumes.clone()
        other.snapshots = self.snapshots.clone()
        other.modifications = self.modifications.clone()
        other.outbox = self.outbox.copy()
        other.messages = self.messages.copy()
        other.bin = self.bin.copy()
        other.tokens = self.tokens.copy()
        other.pages = self.pages.copy()
        other.ledger = self.ledger.clone()
        other.throttle = self.throttle.clone() if self.throttle is not None else None
        other.held, other.stuck = self.held.copy(), self.stuck.copy()
        other.on_call = other.on_answer = other.on_change = None
        other.calls, other.tick, other._serial = self.calls, self.tick, self._serial
        other._due = self._due.copy()
        return other

    # ---- what comes out

    def take_events(self) -> list[Event]:
        """Empties the outbox."""
        events, self.outbox = self.outbox, []
        return events

    def take_messages(self) -> list[Message]:
        """Takes the messages whose delay is over."""
        now = self.clock.now
        due = [message for message in self.messages if message.due <= now]
        self.messages = [message for message in self.messages if message.due > now]
        return due

    # ---- arranging

    def launch(
        self,
        *disks: Disk,
        name: str = "",
        tags: Mapping[str, str] = NO_FACTS,
        state: str = "running",
        zone: str | None = None,
        age_seconds: int = 3600,
        root_device: str = "/dev/xvda",
        facts: Mapping[str, Any] = NO_FACTS,
    ) -> str:
        """An instance that has been there for `age_seconds`, running or stopped. Without disks: one root of 8 GiB."""
        zone = zone or self.rules.zones[0]
        instance_id = self.new_id("i")
        since = datetime.fromtimestamp(int(self.clock.now) - age_seconds, UTC)
        devices = []
        for disk in disks or (ROOT,):
            attached = (disk.device, since, "attached", disk.delete_on_termination, disk.card)
            volume_id = self.add_volume(disk, zone=zone, attached=[(instance_id, *attached)])
            devices.append(Attachment(volume_id, instance_id, *attached))
        stopped = state == "stopped"
        record = Instance(
            id=instance_id,
            zone=zone,
            state=state,
            launch_time=since,
            root_device=root_device,
            devices=tuple(devices),
            tags={**tags, **({"Name": name} if name else {})},
            state_reason="Client.UserInitiatedShutdown" if stopped else "",
            transition=self._user_initiated() if stopped else "",
            facts=facts,
        )
        self.instances.put(record, 0)
        self.ledger.launched(self, record)
        return instance_id

    def add_volume(
        self, disk: Disk = ROOT, *, zone: str | None = None, attached: Sequence[tuple[Any, ...]] = (), state: str = ""
    ) -> str:
        """A volume that has long been there; free unless `attached` says otherwise."""
        volume_id = self.new_id("vol")
        gp3 = disk.type == "gp3"
        record = Volume(
            id=volume_id,
            zone=zone or self.rules.zones[0],
            size=disk.size,
            type=disk.type,
            state=state or ("in-use" if attached else "available"),
            created=datetime.fromtimestamp(self.clock.now - 3600, UTC),
            content=Content(volume_id, self.tick),
            tags=dict(disk.tags),
            iops=disk.iops or default_iops(disk.type, disk.size),
            throughput=disk.throughput or (125 if gp3 else None),
            encrypted=disk.key is not None,
            key=disk.key,
            multi_attach=disk.multi_attach,
            attachments=tuple(Attachment(volume_id, *item) for item in attached),
            facts=disk.facts,
        )
        self.volumes.put(record, 0)
        return volume_id

    def add_snapshot(
        self,
        volume_id: str = "",
        *,
        size: int = 8,
        tags: Mapping[str, str] = NO_FACTS,
        description: str = "",
        state: str = "completed",
        owner: str = "",
        facts: Mapping[str, Any] = NO_FACTS,
    ) -> str:
        """A snapshot that has long been there, of a volume that may be gone."""
        snapshot_id = self.new_id("snap")
        volume = self.volumes.get(volume_id)
        content = self.content(volume) if volume is not None else Content(volume_id or snapshot_id, self.tick)
        began = self.clock.now - 3600
        record = Snapshot(
            id=snapshot_id,
            volume_id=volume_id or self.new_id("vol"),
            size=volume.size if volume is not None else size,
            state=state,
            started=began,
            completes=began + 60,
            content=content,
            tags=tags,
            encrypted=volume.encrypted if volume is not None else False,
            key=volume.key if volume is not None else None,
            owner=owner or self.rules.account,
            description=description,
            facts=facts,
        )
        self.snapshots.put(record, 0)
        return snapshot_id

    def write(self, instance_id: str) -> None:
        """The instance changes all its disks. A running one does so at every step of the world anyway."""
        instance = self.instances.get(instance_id)
        if instance is None or instance.state not in WRITING:
            raise ValueError(f"{instance_id} is not running, so it cannot write.")
        self.tick += 1

    def shut_down(self, instance_id: str, reason: str = "Client.InstanceInitiatedShutdown") -> None:
        """`shutdown` in the guest; or whatever else stops an instance, named by its StateReason."""
        instance = self.instances.get(instance_id)
        if instance is None or instance.state != "running":
            raise ValueError(f"{instance_id} is not running, so it cannot be shut down.")
        self.stop(instance, reason, "")

    def break_key(self, key: str) -> None:
        """From now on EC2 cannot use the key: it was disabled, or the other account that it is of does not share it."""
        self.rules = replace(self.rules, broken_keys=self.rules.broken_keys | {key})

    def mend_key(self, key: str) -> None:
        self.rules = replace(self.rules, broken_keys=self.rules.broken_keys - {key})

    def hold(self, resource_id: str) -> None:
        """From now on nothing that takes time comes to its end for this volume or snapshot."""
        self.held.add(resource_id)

    def make_busy(self, volume_id: str) -> None:
        """Its attachment is busy: EC2 says so where a volume does not leave, and where it does not know."""
        volume = self.volumes.get(volume_id)
        for attachment in volume.attachments if volume else ():
            self._set_attachment(attachment, attachment._replace(state="busy"))

    def release(self) -> None:
        """Whatever is held comes to its end now."""
        stuck, self.stuck, self.held = self.stuck, [], set()
        for step, resource_id, other_id in stuck:
            self.later(0, step, resource_id, other_id)
        self.settle()

    def new_id(self, prefix: str) -> str:
        """Ids in no order of age, as in EC2: nothing may rely on the smallest being the oldest."""
        self._serial += 1
        return f"{prefix}-{self._serial * 2654435761 & 0xFFFFFFFF:08x}"

    # ---- what is so

    def find(self, resource_id: str) -> Instance | Volume | Snapshot | None:
        return self.instances.get(resource_id) or self.volumes.get(resource_id) or self.snapshots.get(resource_id)

    def find_at(self, resource_id: str, moment: float) -> Instance | Volume | Snapshot | None:
        """The same as it was at that moment, or last if it is no more; None if it was not there yet."""
        volume, instance = self.volumes.rows.get(resource_id), self.instances.rows.get(resource_id)
        snapshot = self.snapshots.rows.get(resource_id)
        return last_at(volume, moment) or last_at(instance, moment) or last_at(snapshot, moment)

    def content(self, volume: Volume) -> Content:
        """What the volume holds at this moment."""
        for attachment in volume.attachments:
            if attachment.state != "attaching":
                instance = self.instances.get(attachment.instance_id)
                if instance is not None and instance.state in WRITING:
                    return Content(volume.content.origin, self.tick)
        return volume.content

    def arn(self, kind: str, resource_id: str) -> str:
        account = "" if kind == "snapshot" else self.rules.account
        return f"arn:aws:ec2:{self.rules.region}:{account}:{kind}/{resource_id}"

    @property
    def next_due(self) -> float | None:
        """When the next transition runs; None if the world is at rest."""
        return min((item[0] for item in self._due if item[2] not in ("forget", "instance-gone")), default=None)

    @property
    def next_step(self) -> float:
        """When the clock has to stop next, so that nothing that happens is noticed late; infinity if never."""
        return self._due[0][0] if self._due else float("inf")

    # ---- the steps of instances

    def begin_start(self, instance: Instance, falls_back: str) -> Instance:
        """Pending, with a new LaunchTime (whole seconds, as EC2 gives it). falls_back: the StateReason, if it will."""
        now = max(int(self.clock.now), int(instance.launch_time.timestamp()) + 1)
        self.ledger.booting(self, instance)
        started = instance._replace(
            state="pending", launch_time=datetime.fromtimestamp(now, UTC), state_reason="pending", transition=""
        )
        self.instances.put(started, self.clock.now)
        self._emit_state(started)
        if falls_back:
            self.later(self.durations.fall_back, "fallen-back", instance.id, falls_back)
        else:
            self.later(self.durations.start, "running", instance.id)
        return started

    def stop(self, instance: Instance, reason: str, transition: str | None = None) -> Instance:
        stopping = instance._replace(
            state="stopping",
            state_reason=reason,
            transition=self._user_initiated() if transition is None else transition,
        )
        self.instances.put(stopping, self.clock.now)
        self._emit_state(stopping)
        self.later(self.durations.stop, "stopped", instance.id)
        return stopping

    def terminate(self, instance: Instance, reason: str = "Client.UserInitiatedShutdown") -> Instance:
        if instance.state in WRITING:
            self._freeze(instance)
        going = instance._replace(state="shutting-down", state_reason=reason, transition=self._user_initiated())
        self.instances.put(going, self.clock.now)
        self._emit_state(going)
        self.later(self.durations.terminate, "terminated", instance.id)
        return going

    # ---- the steps of volumes

    def attach(self, volume: Volume, instance: Instance, device: str, card: int) -> Attachment:
        """Attached after launch, so EC2 sets DeleteOnTermination=false."""
        since = datetime.fromtimestamp(int(self.clock.now), UTC)
        attachment = Attachment(volume.id, instance.id, device, since, "attaching", False, card)
        self.volumes.put(volume._replace(state="in-use", attachments=(*volume.attachments, attachment)), self.clock.now)
        self.instances.put(instance._replace(devices=(*instance.devices, attachment)), self.clock.now)
        self.later(self.durations.attach, "attached", volume.id, instance.id)
        return attachment

    def detach(self, attachment: Attachment) -> Attachment:
        leaving = attachment._replace(state="detaching")
        self._set_attachment(attachment, leaving)
        self.later(self.durations.detach, "detached", attachment.volume_id, attachment.instance_id)
        return leaving

    def delete_volume(self, volume: Volume) -> None:
        """A pending snapshot of the volume fails: what EC2 does is undocumented, so the model does the worst."""
        self.volumes.put(volume._replace(state="deleting"), self.clock.now)
        for snapshot in self.snapshots_of(volume.id):
            if snapshot.state == "pending":
                self.snapshots.put(snapshot._replace(fails=True), self.clock.now)
        self.later(self.durations.delete, "deleted", volume.id)

    def snapshots_of(self, volume_id: str) -> list[Snapshot]:
        ids = self.snapshots.candidates([("volume-id", frozenset([volume_id]), ())])
        found = map(self.snapshots.get, ids)
        return [snapshot for snapshot in found if snapshot is not None and snapshot.volume_id == volume_id]

    def set_delete_on_termination(self, attachment: Attachment, value: bool) -> None:
        self._set_attachment(attachment, attachment._replace(delete_on_termination=value))

    def modify(self, modification: Modification) -> None:
        self.modifications.put(modification, self.clock.now)
        self.later(self.durations.modify, "optimizing", modification.id)

    # ---- the steps of snapshots

    def drop_snapshot(self, snapshot_id: str) -> None:
        self.snapshots.drop(snapshot_id, self.clock.now)
        self.later(MEMORY_SECONDS, "forget", snapshot_id)

    # ---- time

    def later(self, seconds: float, step: str, resource_id: str, other_id: str = "") -> None:
        self._serial += 1
        heappush(self._due, (self.clock.now + seconds, self._serial, step, resource_id, other_id))

    def settle(self) -> None:
        """Runs what is already due, such as transitions that take no time."""
        if self._due and self._due[0][0] <= self.clock.now:
            self._run_to(self.clock.now)

    def _run_to(self, moment: float) -> None:
        due, clock = self._due, self.clock
        while due and due[0][0] <= moment:
            clock.now, _, step, resource_id, other_id = heappop(due)
            if resource_id in self.held and step not in ("forget", "modified"):
                self.stuck.append((step, resource_id, other_id))
                continue
            STEPS[step](self, resource_id, other_id)
            if self.on_change is not None:
                self.on_change()
        clock.now = moment
        self.tick += 1

    def _running(self, instance_id: str, _: str) -> None:
        instance = self.instances.get(instance_id)
        if instance is not None and instance.state == "pending":
            self._emit_state(self._put_instance(instance._replace(state="running", state_reason="")))

    def _fallen_back(self, instance_id: str, reason: str) -> None:
        instance = self.instances.get(instance_id)
        if instance is not None and instance.state == "pending":
            self._freeze(instance)
            transition = reason.replace("Client.", "Server.")
            stopped = instance._replace(state="stopped", state_reason=reason, transition=transition)
            self._emit_state(self._put_instance(stopped))

    def _stopped(self, instance_id: str, _: str) -> None:
        instance = self.instances.get(instance_id)
        if instance is not None and instance.state == "stopping":
            self._freeze(instance)
            self._emit_state(self._put_instance(instance._replace(state="stopped")))

    def _terminated(self, instance_id: str, _: str) -> None:
        instance = self.instances.get(instance_id)
        if instance is None or instance.state != "shutting-down":
            return
        self.ledger.terminating(self, instance)
        for attachment in instance.devices:
            self._let_go(attachment)
            volume = self.volumes.get(attachment.volume_id)
            if volume is not None and attachment.delete_on_termination and not volume.attachments:
                self.delete_volume(volume)
        gone = self._put_instance(instance._replace(state="terminated", devices=()))
        self._emit_state(gone)
        self.later(3600, "instance-gone", instance_id)

    def _instance_gone(self, instance_id: str, _: str) -> None:
        self.instances.drop(instance_id, self.clock.now)
        self.later(MEMORY_SECONDS, "forget", instance_id)

    def _attached(self, volume_id: str, instance_id: str) -> None:
        attachment = self._attachment(volume_id, instance_id)
        if attachment is not None and attachment.state == "attaching":
            self._set_attachment(attachment, attachment._replace(state="attached"))

    def _detached(self, volume_id: str, instance_id: str) -> None:
        attachment = self._attachment(volume_id, instance_id)
        if attachment is not None and attachment.state == "detaching":
            self._let_go(attachment)
            instance = self.instances.get(instance_id)
            if instance is not None and attachment.device == instance.root_device and spot(instance):
                self.terminate(instance, "Server.SpotInstanceTermination")

    def _available(self, volume_id: str, _: str) -> None:
        volume = self.volumes.get(volume_id)
        if volume is not None and volume.state == "creating":
            self.volumes.put(volume._replace(state="available"), self.clock.now)
            self._emit("EBS Volume Notification", "volume", volume_id, {"event": "createVolume", "result": "available"})

    def _failed(self, volume_id: str, _: str) -> None:
        volume = self.volumes.get(volume_id)
        if volume is not None and volume.state == "creating":
            self.volumes.put(volume._replace(state="error"), self.clock.now)
            cause = f"{volume.key} is disabled." if volume.key in self.rules.broken_keys else "Internal error."
            detail = {"event": "createVolume", "result": "failed", "cause": cause}
            self._emit("EBS Volume Notification", "volume", volume_id, detail)

    def _deleted(self, volume_id: str, _: str) -> None:
        volume = self.volumes.get(volume_id)
        if volume is not None and self.rules.volume_bin:
            self.bin[volume_id] = (volume, self.clock.now)
        self.volumes.drop(volume_id, self.clock.now)
        if self.modifications.get(volume_id) is not None:
            self.modifications.drop(volume_id, self.clock.now)
        self._emit("EBS Volume Notification", "volume", volume_id, {"event": "deleteVolume", "result": "deleted"})
        self.later(MEMORY_SECONDS, "forget", volume_id)

    def _optimizing(self, volume_id: str, _: str) -> None:
        """The volume is what it is to be, and only slower for a while. How a failed one is left, no page says."""
        volume, modification = self.volumes.get(volume_id), self.modifications.get(volume_id)
        if volume is None or modification is None:
            return
        now = self.clock.now
        if modification.fails:
            self.modifications.put(modification._replace(state="failed", ended=now), now)
            return
        self.volumes.put(volume._replace(**modification.target._asdict()), now)
        self.modifications.put(modification._replace(state="optimizing"), now)
        self.later(self.durations.optimize, "modified", volume_id)

    def _modified(self, volume_id: str, _: str) -> None:
        modification = self.modifications.get(volume_id)
        if modification is not None:
            done = modification._replace(state="completed", ended=self.clock.now)
            self.modifications.put(done, self.clock.now)

    def _snapshot_done(self, snapshot_id: str, _: str) -> None:
        snapshot = self.snapshots.get(snapshot_id)
        if snapshot is None or snapshot.state != "pending":
            return
        done = snapshot._replace(state="error" if snapshot.fails else "completed", completes=self.clock.now)
        self.snapshots.put(done, self.clock.now)
        region = self.rules.region
        detail = {
            "event": "createSnapshot",
            "result": "failed" if done.fails else "succeeded",
            "cause": "Internal error." if done.fails else "",
            "snapshot_id": f"arn:aws:ec2::{region}:snapshot/{snapshot_id}",
            "source": f"arn:aws:ec2::{region}:volume/{done.volume_id}",
            "startTime": zulu(done.started),
            "endTime": zulu(done.completes),
        }
        self._emit("EBS Snapshot Notification", "snapshot", snapshot_id, detail)
        if done.doomed:
            self.drop_snapshot(snapshot_id)

    def _tiered(self, snapshot_id: str, tier: str) -> None:
        snapshot = self.snapshots.get(snapshot_id)
        if snapshot is not None:
            status = snapshot.tiering.replace("-in-progress", "-completed")
            self.snapshots.put(snapshot._replace(tier=tier, tiering=status), self.clock.now)

    def _forget(self, resource_id: str, _: str) -> None:
        self.instances.forget(resource_id)
        self.volumes.forget(resource_id)
        self.snapshots.forget(resource_id)
        self.modifications.forget(resource_id)

    # ---- the small parts

    def _put_instance(self, instance: Instance) -> Instance:
        self.instances.put(instance, self.clock.now)
        return instance

    def _attachment(self, volume_id: str, instance_id: str) -> Attachment | None:
        volume = self.volumes.get(volume_id)
        items = volume.attachments if volume is not None else ()
        return next((item for item in items if item.instance_id == instance_id), None)

    def _set_attachment(self, old: Attachment, new: Attachment) -> None:
        volume, instance = self.volumes.get(old.volume_id), self.instances.get(old.instance_id)
        if volume is not None:
            items = tuple(new if item.instance_id == old.instance_id else item for item in volume.attachments)
            self.volumes.put(volume._replace(attachments=items), self.clock.now)
        if instance is not None:
            items = tuple(new if item.volume_id == old.volume_id else item for item in instance.devices)
            self.instances.put(instance._replace(devices=items), self.clock.now)

    def _let_go(self, attachment: Attachment) -> None:
        """The attachment is no more; the volume keeps what was last written."""
        volume, instance = self.volumes.get(attachment.volume_id), self.instances.get(attachment.instance_id)
        if volume is not None:
            items = tuple(item for item in volume.attachments if item.instance_id != attachment.instance_id)
            state = "in-use" if items else "available"
            content = self.content(volume)
            self.volumes.put(volume._replace(attachments=items, state=state, content=content), self.clock.now)
            self.ledger.released(volume.id, content)
        if instance is not None:
            items = tuple(item for item in instance.devices if item.volume_id != attachment.volume_id)
            self.instances.put(instance._replace(devices=items), self.clock.now)

    def _freeze(self, instance: Instance) -> None:
        """The instance stops writing: its volumes keep what they hold now."""
        self.tick += 1
        for attachment in instance.devices:
            volume = self.volumes.get(attachment.volume_id)
            if volume is not None and attachment.state != "attaching":
                self.volumes.put(volume._replace(content=self.content(volume)), self.clock.now)
        self.ledger.stopped(self, instance)

    def _user_initiated(self) -> str:
        return f"User initiated ({self.clock.time():%Y-%m-%d %H:%M:%S} GMT)"

    def _emit_state(self, instance: Instance) -> None:
        detail = {"instance-id": instance.id, "state": instance.state}
        self._emit("EC2 Instance State-change Notification", "instance", instance.id, detail)

    def _emit(self, detail_type: str, kind: str, resource_id: str, detail: dict[str, Any]) -> None:
        self._serial += 1
        event_id = f"{self._serial:032x}"
        if kind != "instance":
            detail = {"cause": "", "request-id": "", **detail}
        body = {
            "version": "0",
            "id": f"{event_id[:8]}-{event_id[8:12]}-{event_id[12:16]}-{event_id[16:20]}-{event_id[20:]}",
            "detail-type": detail_type,
            "source": "aws.ec2",
            "account": self.rules.account,
            "time": zulu(self.clock.now),
            "region": self.rules.region,
            "resources": [self.arn(kind, resource_id)],
            "detail": detail,
        }
        self.outbox.append(Event(self.clock.now, body))


STEPS: Mapping[str, Callable[[World, str, str], None]] = {
    "running": World._running,
    "fallen-back": World._fallen_back,
    "stopped": World._stopped,
    "terminated": World._terminated,
    "instance-gone": World._instance_gone,
    "attached": World._attached,
    "detached": World._detached,
    "available": World._available,
    "failed": World._failed,
    "deleted": World._deleted,
    "optimizing": World._optimizing,
    "modified": World._modified,
    "snapshot-done": World._snapshot_done,
    "tiered": World._tiered,
    "forget": World._forget,
}
