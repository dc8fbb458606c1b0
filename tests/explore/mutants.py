"""Deliberate faults of the product, each a few words replaced in one function: the explorer must find every one.

A fault whose words are no longer in the product raises: the list can not fall behind unnoticed.
"""

import inspect
import sys
import textwrap
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import singledispatchmethod
from importlib import import_module
from typing import Any, NamedTuple

from tests.explore.crashes import crashes, suffer
from tests.explore.races import PAIRS, Race, races, schedules
from tests.explore.scenarios import PHASES, SHAPES, at
from tests.explore.stage import Finding
from tests.explore.stories import STORIES
from tests.explore.walks import invent, tell


class Edit(NamedTuple):
    """In the function ``where`` ("park:_copy", "model:Settings.lock_period") the words ``old`` become ``new``."""

    where: str
    old: str
    new: str


class Mutant(NamedTuple):
    name: str
    edits: tuple[Edit, ...]


def mutant(name: str, *edits: tuple[str, str, str]) -> Mutant:
    return Mutant(name, tuple(Edit(*edit) for edit in edits))


MUTANTS = (
    # What a terminated instance leaves.
    mutant(
        "discards what would have outlived a terminated instance",
        ("orphans:kept_until", "or not r.delete_on_termination", ""),
    ),
    mutant(
        "discards at once what a terminated instance leaves", ("orphans:kept_until", " + settings.orphan_retention", "")
    ),
    mutant(
        "takes an instance that it does not see for one that was terminated",
        ("orphans:kept_until", "if r.terminated is None or", "if"),
        ("orphans:kept_until", "r.terminated + settings", "(r.terminated or r.launch_time) + 0 * settings"),
    ),
    # Copy and lock.
    mutant("locks before a snapshot is completed", ("park:_Part.completed", 'state == "completed"', 'state != "gone"')),
    mutant(
        "waits for the first snapshot only",
        ("park:_take_snapshots", "if part.completed:", "if part.completed or (parts[0].completed and part.snapshots):"),
    ),
    mutant(
        "counts a snapshot from before the attachment",
        ("park:_counting", " and r.started > at.attach_time", ""),
        ("park:_name", "{v.id} {at.device} {at.attach_time.isoformat()}", "{v.id} {at.device}"),
    ),
    mutant("does not lock the snapshots", ("park:_lock", "in unlocked)", "in unlocked[:0])")),
    mutant(
        "gives volumes up for snapshots that are not locked",
        ("park:_lock", "in unlocked)", "in unlocked[:0])"),
        ("park:_dismantle", "settings.lock_snapshots and not", "False and not"),
        ("park:_proven", "m.place.snapshot_id in seen.locked or not settings.lock_snapshots", "True"),
    ),
    mutant("ignores an excluded volume", ("park:_volumes_to_park", "!= LEAVE_ATTACHED", "!= 'never'")),
    mutant(
        "parks all volumes where only the root volume may go", ("park:_volumes_to_park", "or not root_only", "or 1")
    ),
    mutant("parks while a start is pending", ("situation:start_pending", "return any(", "return False and any(")),
    mutant("parks after a failed start", ("refusals:_by_stop", "if i.state_reason in STOPPED_ON_PURPOSE:", "if True:")),
    mutant("parks without being asked", ("situation:opted_in", "return instance", "return True or instance")),
    mutant(
        "parks what has not been settled",
        ("park:_in_transit", "return m.at is None or", "return m.at is None #"),
    ),
    mutant(
        "detaches the data volumes with the root volume",
        (
            "park:_lock",
            "(_detach_step(root.volume, root.at),)",
            "tuple(_detach_step(p.volume, p.at) for p in parts)",
        ),
    ),
    mutant(
        "confirms the lock before it is taken",
        (
            "park:_lock",
            "(_detach_step(root.volume, root.at),), (seal,)",
            "(seal,), (_detach_step(root.volume, root.at),)",
        ),
    ),
    mutant(
        "does not ask which attachment it ended",
        ("ec2:Ec2._detach_volume", 'if answer["AttachTime"] != step.attach_time:', "if False:"),
    ),
    # Commit and dismantle.
    mutant(
        "keeps no quiet period",
        ("model:Settings.lock_period", "self.function_timeout + self.quiet_period", "timedelta(0)"),
        ("model:Settings.settle_period", "2 * self.quiet_period", "timedelta(0)"),
        ("park:_hold", " + settings.quiet_period", ""),
    ),
    mutant(
        "takes no second look",
        ("park:_lock", "(seal,)) if", "(seal,), (DeleteVolume(volume_id=root.volume.id),)) if"),
    ),
    mutant(
        "the launch time is no fence",
        ("situation:_of_this_stop", "r.launch_time == instance.launch_time == mark.launch_time and ", ""),
        ("park:_proven", "m.mark.launch_time == seen.instance.launch_time", "True"),
    ),
    mutant(
        "takes the newest generation, of whichever launch",
        ("situation:_of_this_stop", "r.launch_time == instance.launch_time == mark.launch_time and ", ""),
    ),
    mutant(
        "deletes volumes that moved since their snapshot",
        ("park:_stayed", "return m.at is not None and", "return True or"),
    ),
    mutant(
        "deletes volumes that bear no mark",
        (
            "park:_dismantle",
            "proven = [m for m in marked(seen) if m.id in named and _proven(m, seen, settings, generation)]",
            """proven = [
                Marked(volume=v, mark=r.mark, place=records.place_of(r), at=v.attached_to(instance.id))
                for v in left for r in generation.parts if r.volume_id == v.id and r.mark
            ]""",
        ),
    ),
    mutant(
        "discards the smallest of the snapshots once parked",
        (
            "park:_dismantle",
            "return archive(seen, settings, now)",
            'return Decision(reason="", steps=((_discard_step(generation.parts[0], seen),),))',
        ),
    ),
    mutant("keeps volumes that could not be created", ("park:park", 'm.state == "error"', 'm.state == "never"')),
    # Discard.
    mutant("discards at once", ("park:_due", " and now >= since + settings.snapshot_retention", "")),
    mutant(
        "discards while the instance starts",
        ("park:park", 'if instance.state == "running":', 'if instance.state in ("pending", "running"):'),
        ("park:_discard", "if not settled(seen) or marked(seen):", "if False:"),
        ("park:_due", " and now >= since + settings.snapshot_retention", ""),
    ),
    mutant("discards what nothing supersedes", ("park:_discard", "_superseded(seen), ", "list(seen.records), ")),
    mutant(
        "discards the newest link first",
        ("park:_superseded", "in reversed(chain)", "in chain"),
        ("park:_superseded", "r.snapshot_id == snapshot_id", "r.snapshot_id != snapshot_id"),
    ),
    mutant("never discards", ("park:_due", "return since is not None", "return False and since is not None")),
    mutant("does not see the chain", ("park:_superseded", "while link:", "while False:")),
    # Start.
    mutant(
        "restores while an original volume exists",
        ("start:start", "if left := _left(seen):", "if root_in_transit(seen) and (left := _left(seen)):"),
        ("start:_restore", "left = [v for v in seen.volumes if v.id in ids]", "left: list[Volume] = []"),
    ),
    mutant(
        "takes the marks off at once",
        ("start:_unmark", "if now > m.mark.at + settings.settle_period", "if True"),
    ),
    mutant("does not repair DeleteOnTermination", ("start:_set_flags", "if flags else ()", "if not flags else ()")),
    mutant(
        "attaches the root volume first",
        ("start:_restore", "attach if device != instance", "attach if device is instance"),
        ("start:_restore", "attach if device == instance", "attach if device != instance"),
        ("start:_restore", "attach if device is instance", "attach if device == instance"),
    ),
    mutant("starts with a part missing", ("situation:given_up", "missing=tuple(missing)", "missing=()")),
    mutant(
        "makes a volume anew without a client token",
        ("ec2:Ec2.create_volume", "ClientToken=step.token,\n", "\n"),
    ),
    mutant(
        "counts no attempts",
        ("start:_create", "1 + dead[r.snapshot_id]", "1"),
        ("reconcile:Pass._create", "if created", "if False and created"),
    ),
    mutant(
        "counts an attempt for every sight of a dead volume",
        ("start:_create", "max(r.attempt, 1 + dead[r.snapshot_id])", "r.attempt + (r.snapshot_id in dead)"),
    ),
    mutant("restores over another volume", ("start:_in_the_way", "if there and", "if False and")),
    mutant(
        "makes volumes from archived snapshots",
        ("start:_restore", "if r.archived and", "if False and"),
    ),
    mutant(
        "forgets a start while its snapshots come back from the archive",
        ("start:_from_archive", "remembering(seen, now) if wanted else ()", "()"),
    ),
    mutant("starts over another volume", ("situation:displaced", "for m in marked(seen)", "for m in marked(seen)[:0]")),
    mutant(
        "attaches to a running instance",
        ("start:_complete", 'missing = free if seen.instance.state == "stopped" else []', "missing = free"),
    ),
    mutant(
        "drops a restoration that is no longer wanted",
        ("start:start", "if wanted or any(m.restored for m in marked(seen)):", "if wanted:"),
    ),
    mutant("leaves a void lock as it is", ("start:_put_back", "(void and", "(False and")),
    mutant(
        "forgets the request to start", ("start:remembering", "return (RememberStart(", "return () and (RememberStart(")
    ),
    # What a record says.
    mutant(
        "forgets DeleteOnTermination", ("records:tags_of_record", "str(at.delete_on_termination).lower()", '"false"')
    ),
    mutant(
        "forgets the throughput", ("records:tags_of_record", '"throughput": volume.throughput', '"throughput": None')
    ),
    mutant("forgets the iops", ("ec2:Ec2.create_volume", 'optional["Iops"]', 'optional.copy()["Iops"]')),
    mutant("forgets the EBS card", ("records:tags_of_record", '"card": at.card', '"card": 0')),
    mutant("forgets the key", ("ec2:Ec2.create_volume", "if r.kms_key:", "if False:")),
    mutant("forgets the owner's tags", ("records:tags_of_volume", "dict(record.user_tags) | ", "")),
    mutant("forgets where a volume came from", ("records:tags_of_record", "volume.snapshot_id or None", "None")),
    # Look and do.
    mutant(
        "trusts the event instead of looking",
        (
            "survey:look",
            "ec2.instances(ids)",
            '[replace(i, state="stopped") for i in ec2.instances(ids)]',
        ),
    ),
    mutant("treats every error as done", ("ec2:_errors.__exit__", "if code in self._done:", "if True:")),
    mutant(
        "touches the snapshots of other deployments", ("ec2:Ec2._snapshots", "ours | dict(filters)", "dict(filters)")
    ),
    mutant("the sweep of park overlooks what is marked", ("park:worth_a_look", "return ", "return False and ")),
    mutant(
        "the sweep of start overlooks what is marked",
        ("survey:sweep_start", "if i.id in marked and i.state", "if i.id in () and i.state"),
    ),
)

ROOMS = {room: f"decide.{room}" for room in ("park", "start", "situation", "refusals", "orphans")}


@contextmanager
def at_large(fault: Mutant) -> Iterator[None]:
    """The product with this fault, until the end of the block."""
    undo: list[Callable[[], None]] = []
    try:
        for where in dict.fromkeys(edit.where for edit in fault.edits):
            undo.append(_replace(where, [edit for edit in fault.edits if edit.where == where]))
        yield
    finally:
        for step in reversed(undo):
            step()


def _replace(where: str, edits: list[Edit]) -> Callable[[], None]:
    room, name = where.split(":")
    module = import_module(f"park_volumes.{ROOMS.get(room, room)}")
    owner: Any = module
    *path, last = name.split(".")
    for part in path:
        owner = getattr(owner, part)
    old = vars(owner)[last]
    new = _edited(old.fget if isinstance(old, property) else old, last, edits, module)
    if isinstance(old, property):
        new = property(new)
    if path:
        return _replace_method(owner, last, old, new)
    rooms = [m for key, m in sys.modules.items() if key.startswith(("park_volumes", "tests.explore"))]
    users = [m for m in rooms if vars(m).get(last) is old]
    for user in users:
        setattr(user, last, new)

    def undo() -> None:
        for user in users:
            setattr(user, last, old)

    return undo


def _replace_method(owner: Any, name: str, old: Any, new: Any) -> Callable[[], None]:
    """A method, and what dispatches to it by the type of a step."""
    setattr(owner, name, new)
    dispatchers = [d.dispatcher for d in vars(owner).values() if isinstance(d, singledispatchmethod)]
    kinds = [(d, kind) for d in dispatchers for kind, method in d.registry.items() if method is old]
    for dispatcher, kind in kinds:
        dispatcher.register(kind, new)

    def undo() -> None:
        setattr(owner, name, old)
        for dispatcher, kind in kinds:
            dispatcher.register(kind, old)

    return undo


def _edited(function: Any, name: str, edits: list[Edit], module: Any) -> Any:
    source = textwrap.dedent(inspect.getsource(function))
    source = source[source.index("def ") :]  # without its decorators
    for edit in edits:
        if edit.old not in source:
            raise ValueError(f"{edit.where} no longer says {edit.old!r}: this fault has to be told anew.")
        source = source.replace(edit.old, edit.new)
    names: dict[str, Any] = {}
    exec(compile(source, f"<{name}, faulty>", "exec"), vars(module), names)  # the product's own words
    return names[name]


# The schedules in which every fault must show.


def hunt() -> tuple[str, str] | None:
    """How the fault that is at large shows: the part of the quick set, and the finding. None: it does not."""
    seen: Counter[str] = Counter()
    for part, run in QUICK:
        try:
            run(seen)
        except Finding as finding:
            return part, str(finding)
        except Exception as error:  # a fault may make the product stumble, and that shows too
            return part, repr(error)
    return None


def prepare() -> None:
    """Bring every instance into every phase with the product as it is, before a fault is let loose on them."""
    for shape in SHAPES:
        for phase in PHASES:
            at(shape, phase)


def _stories(seen: Counter[str]) -> None:
    for story in STORIES.values():
        tell(story, seen)


def _crashes(seen: Counter[str]) -> None:
    for shape, lag, phases in CRASHES:
        known: set[int] = set()
        for crash in crashes(shape, lag, phases):
            suffer(crash, seen, known)


def _races(seen: Counter[str]) -> None:
    for race in RACES:
        known: set[int] = set()
        for _ in schedules(race, seen, known):
            pass


def _walks(seen: Counter[str]) -> None:
    for seed in range(WALKS):
        tell(invent(seed), seen)


CRASHES = (
    ("two volumes", 0, ("stopped", "copied", "just locked", "committed", "parked", "started", "superseded")),
    ("two encrypted volumes, slowly", 0, ("stopped", "parked")),
    ("root only", 0, ("stopped",)),
    ("an excluded volume", 0, ("stopped",)),
    ("four volumes", 60, ("parked",)),
)
RACES: tuple[Race, ...] = tuple(
    race
    for race in races(("one volume",), PAIRS)
    if race.phase in ("copied", "locked", "rootless")
    and race.actors in (("park", "park"), ("park", "start"), ("park", "settle"), ("park", "starts, stops"))
)
WALKS = 1500
QUICK = (("a story", _stories), ("a crash", _crashes), ("a race", _races), ("a walk", _walks))
