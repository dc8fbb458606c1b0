"""Deliberate faults of the product, each a few words replaced in one function: the explorer must find every one.

A fault whose words are no longer in the product raises: the list cannot fall behind unnoticed.
"""

import inspect
import sys
import textwrap
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property, partial
from importlib import import_module
from typing import Any, NamedTuple

from park_volumes.core.phase import PHASES
from tests.explore.crashes import crashes, suffer
from tests.explore.memory import remembering
from tests.explore.races import PAIRS, Race, races, schedules
from tests.explore.scenarios import MOMENTS, SHAPES, at
from tests.explore.stage import Finding
from tests.explore.stories import STORIES
from tests.explore.walks import tell


class Edit(NamedTuple):
    """In the function ``where`` ("park:_copy", "settings:Settings.lock_period") the words ``old`` become ``new``."""

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
        ("retention:kept_until", "or not r.delete_on_termination", ""),
    ),
    mutant(
        "discards at once what a terminated instance leaves",
        ("retention:kept_until", " + settings.orphan_retention", ""),
    ),
    mutant(
        "takes an instance that it does not see for one that was terminated",
        ("retention:kept_until", "if r.terminated is None or", "if"),
        ("retention:kept_until", "r.terminated + settings", "(r.terminated or r.launch_time) + 0 * settings"),
    ),
    # Copy and lock.
    mutant("locks before a snapshot is completed", ("park:_Part.completed", 'state == "completed"', 'state != "gone"')),
    mutant(
        "waits for the first snapshot only",
        (
            "park:_take_snapshots",
            "if not part.completed]",
            "if not part.completed and not (parts[0].completed and part.snapshots)]",
        ),
    ),
    mutant(
        "counts a snapshot from before the attachment",
        ("evidence:is_copy", "max(a.attach_time, instance.launch_time)", "instance.launch_time"),
        ("evidence:is_copy", "place and not", "not"),
        ("park:_as_it_is", ", a.delete_on_termination, a.attach_time.isoformat())", ")"),
    ),
    mutant("does not lock the snapshots", ("park:_locks", "in copies if", "in () if")),
    mutant(
        "gives volumes up for snapshots that are not locked",
        ("park:_lock", "stages(_locks(seen, settings, copies), marks,", "stages(marks,"),
        ("park:_unlocked", "if locks else None", "if () else None"),
    ),
    mutant(
        "locks what somebody has locked for good",
        ("park:_locks", "if r.snapshot_id not in seen.locked and not", "if not"),
    ),
    mutant("ignores an excluded volume", ("choice:why_it_stays", "in tags.NO", "in ()")),
    mutant("excludes only what is spelt as it would itself", ("tags:opt_in_word", "value.strip().lower()", "value")),
    mutant("parks what something else knows by its id", ("choice:_why_it_is_not_ours", "fnmatchcase(k, pattern)", "0")),
    mutant("takes a word that nobody understands for a yes", ("refusals:_by_unknown_word", "if unknown", "if False")),
    mutant(
        "parks all volumes where only the root volume may go", ("choice:volumes_to_park", "or not root_only", "or 1")
    ),
    mutant("parks while a start is pending", ("phase:start_pending", "return asked", "return False and asked")),
    mutant("parks after a failed start", ("refusals:_by_stop", "if stopped_on_purpose(i):", "if True:")),
    mutant("parks without being asked", ("tags:opted_in", "return tags", "return True or tags")),
    mutant(
        "parks what has not been settled",
        ("park:_unsettled", "return v.attachment is None or", "return v.attachment is None #"),
    ),
    mutant(
        "detaches the data volumes with the root volume",
        (
            "park:_lock",
            "(_detach(root.volume, root.attachment),)",
            "tuple(_detach(p.volume, p.attachment) for p in parts)",
        ),
    ),
    mutant(
        "confirms the lock before it is taken",
        (
            "park:_lock",
            "marks, tries, detach, confirm)",
            "marks, tries, confirm, detach)",
        ),
    ),
    mutant(
        "does not ask which attachment it ended",
        ("writes:Ec2Writes._detach_volume", "if at and ", "if False and "),
    ),
    # Commit and dismantle.
    mutant(
        "keeps no quiet period",
        ("settings:Settings.lock_period", "self.function_timeout + self.quiet_period", "timedelta(0)"),
        ("settings:Settings.settle_period", "2 * self.quiet_period", "timedelta(0)"),
        ("park:_hold", " + settings.quiet_period", ""),
    ),
    mutant(
        "takes no second look",
        ("park:_lock", "detach, confirm)", "detach, confirm, (steps.DeleteVolume(volume_id=root.volume.id),))"),
    ),
    mutant(
        "the launch time is no fence",
        ("facts:Observation.generation", "self.of_this_stop", "self.records"),
        ("phase:_lock_void", " or root.mark.launch_time != seen.instance.launch_time", ""),
        ("park:_proven", "v.mark.launch_time == seen.instance.launch_time", "True"),
    ),
    mutant(
        "takes the newest generation, of whichever launch",
        ("facts:Observation.generation", "self.of_this_stop", "self.records"),
    ),
    mutant(
        "deletes volumes that moved since their snapshot",
        ("park:_stayed", "return a is not None and", "return True or a is not None and"),
    ),
    mutant(
        "deletes volumes that bear no mark",
        (
            "park:_give_up",
            "proven = [v for v in seen.in_transit if _proven(v, seen)]",
            """proven = [
                VolumeInTransit(
                    volume=v,
                    mark=TransitMark(
                        deployment=r.deployment, instance_id=r.instance_id, generation=r.generation,
                        launch_time=r.launch_time, at=r.confirmed_at,
                    ),
                    record=r,
                    attachment=v.attached_to(instance.id),
                )
                for v in seen.left_of(generation) for r in generation.parts if r.volume_id == v.id
            ]""",
        ),
    ),
    mutant(
        "discards the smallest of the snapshots once parked",
        (
            "park:park",
            "archive(seen, settings, now)",
            'Decision(reason="", steps=((discard(seen.given_up.parts[0], seen),),))',
        ),
    ),
    mutant("keeps volumes that could not be created", ("park:park", 'v.state == "error"', 'v.state == "never"')),
    # Discard.
    mutant("discards at once", ("retention:_due", " and now >= since + settings.snapshot_retention", "")),
    mutant(
        "discards while the instance starts",
        (
            "park:park",
            "        case Phase.CHANGING:\n",
            """        case Phase.CHANGING if instance.state == "pending":
            return discard_superseded(seen, settings, now)
        case Phase.CHANGING:\n""",
        ),
        (
            "retention:discard_superseded",
            "if not seen.descriptions_agree or seen.in_transit:",
            "if False:",
        ),
        ("retention:_due", " and now >= since + settings.snapshot_retention", ""),
    ),
    mutant(
        "discards what nothing supersedes",
        ("retention:discard_superseded", "_due_of(superseded, ", "_due_of(seen.records, "),
    ),
    mutant(
        "discards the newest link first",
        ("retention:_superseded", "in reversed(links.values())", "in links.values()"),
        ("retention:_superseded", "r.snapshot_id == last.snapshot_id", "r.snapshot_id != last.snapshot_id"),
    ),
    mutant("never discards", ("retention:_due", "return since is not None", "return False and since is not None")),
    mutant("does not see the chain", ("retention:_superseded", "while link and ", "while False and ")),
    # Start.
    mutant(
        "restores while an original volume exists",
        ("start:start", "wish.await_deletion()", "(wish.restore() if wish.wanted else wish.stay_parked())"),
    ),
    mutant(
        "takes the marks off at once",
        ("settle:unmark", " and abs(now - v.mark.at) > settings.settle_period", ""),
    ),
    mutant(
        "sets the flag of a volume that never left",
        ("facts:VolumeInTransit.flag_differs", " or self.never_left", ""),
    ),
    mutant("gives a volume up though its flag was switched", ("evidence:says", "same_flag and ", "")),
    mutant("does not repair DeleteOnTermination", ("settle:set_flags", "if flags else ()", "if not flags else ()")),
    mutant(
        "attaches the root volume first",
        ("start:_Wish.restoration", "if device != root_device", "if device is root_device"),
        ("start:_Wish.restoration", "if device == root_device", "if device != root_device"),
        ("start:_Wish.restoration", "if device is root_device", "if device == root_device"),
    ),
    mutant("starts with a part missing", ("facts:Observation.generation", "missing=tuple(missing)", "missing=()")),
    mutant(
        "makes a volume anew without a client token",
        ("writes:Ec2Writes.create_volume", "ClientToken=step.token,\n", "\n"),
    ),
    mutant(
        "counts no attempts",
        ("start:_Wish.create", "1 + dead[r.snapshot_id]", "1"),
        ("execute:_Execution._create", "if created", "if False and created"),
    ),
    mutant(
        "counts an attempt for every sight of a dead volume",
        ("start:_Wish.create", "max(r.attempt, 1 + dead[r.snapshot_id])", "r.attempt + (r.snapshot_id in dead)"),
    ),
    mutant("restores over another volume", ("refusals:_part_obstacle", "if there and", "if False and")),
    mutant(
        "makes volumes from archived snapshots",
        ("start:_Wish.restore", "if r.archived and", "if False and"),
    ),
    mutant(
        "forgets a start while its snapshots come back from the archive",
        ("start:_Wish.from_archive", "remembering(self.seen, self.now) if", "() if"),
    ),
    mutant(
        "starts over another volume",
        ("refusals:device_taken", "in seen.in_transit:", "in seen.in_transit[:0]:"),
    ),
    mutant(
        "attaches to a running instance",
        ("settle:complete", 'missing = free if instance.state == "stopped" else []', "missing = free"),
    ),
    mutant(
        "drops a restoration that is no longer wanted",
        (
            "start:start",
            "case Phase.RESTORING:\n            return wish.restore()",
            "case Phase.RESTORING:\n            return wish.restore() if wish.wanted else wish.stay_parked()",
        ),
    ),
    mutant("leaves a void lock as it is", ("start:_Wish.put_back", "(void and", "(False and")),
    mutant(
        "forgets the request to start",
        ("queue:remembering", "return (RememberStart(", "return () and (RememberStart("),
    ),
    # What no tag can forge.
    mutant(
        "believes the tags of a snapshot, whatever it was created with",
        ("tags:_sealed_owner_tags", "raise ValueError(", "return now or print("),
    ),
    mutant(
        "counts a backup that bears our tags as the copy of a volume",
        ("tags:_sealed_owner_tags", "raise ValueError(", "return now or print("),
        ("evidence:is_copy", " and after_stop", ""),
    ),
    mutant(
        "gives a restored volume every tag that its snapshot bears by then",
        ("tags:_sealed_owner_tags", "if _digest((key, value), 3) in known", "if known is not None"),
    ),
    mutant(
        "takes a mark for proof that a volume belongs to the instance",
        ("facts:_record_of", "if r.volume_id == v.id or r.snapshot_id == v.snapshot_id", "if True"),
    ),
    mutant(
        "believes the place that is written on a volume",
        (
            "facts:VolumeInTransit.target",
            "return self.record.target",
            """return AttachmentTarget(
            device=self.volume.tags.get("park-volumes:place", self.record.device).split(" ")[0],
            card=self.record.card,
            snapshot_id=self.record.snapshot_id,
            delete_on_termination=self.record.delete_on_termination,
        )""",
        ),
    ),
    mutant(
        "believes DeleteOnTermination as it is written on a volume",
        (
            "facts:VolumeInTransit.target",
            "return self.record.target",
            """return AttachmentTarget(
            device=self.record.device,
            card=self.record.card,
            snapshot_id=self.record.snapshot_id,
            delete_on_termination=self.volume.tags.get("park-volumes:place", "false").endswith("true"),
        )""",
        ),
    ),
    mutant(
        "leaves a mark without proof on an attached volume",
        ("settle:settle", "[*transit, *(v for v in seen.unproven if v.attached_to(instance.id))]", "[*transit]"),
    ),
    mutant(
        "keeps a mark of the future for ever",
        ("settle:unmark", "abs(now - v.mark.at) > settings", "now - v.mark.at > settings"),
    ),
    # What is true now.
    mutant(
        "does not ask whether a volume is still what its record says",
        ("evidence:is_current", " and r.spec == volume.spec and r.user_tags == owner_tags(volume.tags)", ""),
        ("park:_as_it_is", "v.spec.words(), v.spec.kms_key, sorted(tags.owner_tags(v.tags).items())", "0"),
    ),
    mutant(
        "does not ask for the owner's tags of now",
        ("evidence:is_current", " and r.user_tags == owner_tags(volume.tags)", ""),
        ("park:_as_it_is", ", sorted(tags.owner_tags(v.tags).items())", ""),
    ),
    mutant("does not look at the volumes again before the commit", ("phase:_lock_void", " or bool(stale)", "")),
    mutant(
        "does not look at the data volumes again after the commit",
        ("park:_give_up", "copy := _copy_again(seen, settings, now, data)", "copy := None"),
    ),
    mutant(
        "copies again a volume that is being deleted",
        ("park:_copy_again", """[v for v in changed(data) if v.state != "deleting"]""", "changed(data)"),
    ),
    mutant(
        "follows the first of two snapshots of one part",
        (
            "facts:Observation.generation",
            "sorted(whole, key=lambda r: r.order)",
            "sorted(whole, key=lambda r: r.order)[::-1]",
        ),
    ),
    mutant(
        "takes the place of a record with one that is older",
        ("park:_copy_since", " and r.order > v.record.order", ""),
    ),
    mutant("does not wait for a modification", ("park:_busy", "ids & seen.modifying", "ids & set()")),
    mutant("does not wait for somebody else's snapshot", ("park:_busy", "ids & seen.being_copied", "ids & set()")),
    mutant(
        "takes for ours whatever pending snapshot bears our tags",
        (
            "reads:Ec2Reads.being_copied",
            'if s["SnapshotId"] not in ours',
            'if s["SnapshotId"] not in ours and our_tags.DEPLOYMENT not in _tag_map(s)',
        ),
    ),
    mutant(
        "compares the time of an attachment to the fraction of a second",
        ("writes:Ec2Writes._detach_volume", ".replace(microsecond=0)", ""),
    ),
    mutant(
        "names the snapshots whose locks it reads",
        (
            "reads:Ec2Reads.locked",
            "_by_token(self._client.describe_locked_snapshots, Filters=[LOCKED], MaxResults=PAGE)",
            "[self._client.describe_locked_snapshots(SnapshotIds=sorted(wanted))]",
        ),
    ),
    mutant(
        "takes the denial of a tag that was just written for one that lasts",
        ("execute:_Execution._refused", "(age := self._age_of_tag(error.resource)) < TAGS_COUNT", "False"),
    ),
    mutant("looks for the card where only instances tell it", ("observe:_with_cards", "if m.card", "if False")),
    # What a record says.
    mutant(
        "forgets DeleteOnTermination", ("tags:tags_of_record", "_word(attachment.delete_on_termination)", '"false"')
    ),
    mutant(
        "forgets the throughput",
        ("volume_spec:VolumeSpec.words", "if value is not None", "if value is not None and name != 'throughput'"),
    ),
    mutant(
        "forgets the iops",
        ("volume_parameters:parameters_of", "if p.is_taken(spec)", "if p.is_taken(spec) and p.name != 'Iops'"),
    ),
    mutant("forgets the EBS card", ("tags:tags_of_record", '"card": str(attachment.card)', '"card": "0"')),
    mutant(
        "forgets the key",
        ("volume_parameters:parameters_of", "if p.is_taken(spec)", "if p.is_taken(spec) and p.name != 'KmsKeyId'"),
    ),
    mutant("forgets the owner's tags", ("tags:tags_of_restored_volume", "dict(r.user_tags) | ", "")),
    mutant("forgets where a volume came from", ("tags:tags_of_record", "if volume.snapshot_id:", "if False:")),
    # Look and do.
    mutant(
        "trusts the event instead of looking",
        (
            "observe:observe",
            "ec2.instances(ids)",
            '[replace(i, state="stopped") for i in ec2.instances(ids)]',
        ),
    ),
    mutant("treats every error as done", ("errors:errors_of.__exit__", "if code in self._done:", "if True:")),
    mutant(
        "touches the snapshots of other deployments",
        ("described:Described.snapshots", "ours | dict(filters)", "dict(filters)"),
    ),
    mutant("the sweep of park overlooks what is marked", ("park:needs_park_pass", "return ", "return False and ")),
    mutant(
        "the sweep of start overlooks what is marked",
        ("fleet:start_sweep", "if i.id in marked and i.state", "if i.id in () and i.state"),
    ),
    # EC2 has no room.
    mutant(
        "knows one code of those that say that there is no room",
        ("capacity:lacks_capacity", ".startswith(FAMILY)", ' == "InsufficientInstanceCapacity"'),
        ("capacity:lacks_capacity", "== FULL_RESERVATION", 'in ("",)'),
    ),
    mutant("tries in every sweep a start that finds no room", ("capacity:next_try", "min(tried + wait,", "min(tried,")),
    mutant("waits as long as it likes for room", ("capacity:next_try", "LONGEST_WAIT)", "timedelta(hours=9))")),
    mutant(
        "does not remember that a start has found no room",
        ("execute:_Execution._refused", "lacks_capacity(error.code)", "False"),
    ),
    mutant(
        "does not try again a start that is taken back for want of room",
        ("phase:_try_without_capacity", "fell_back and not", "fell_back or not"),
    ),
    # Each phase mistaken for its neighbour.
    mutant(
        "takes a terminated instance for one that changes", ("phase:_ended", "(TERMINATED, NOT_SHOWN)", "(NOT_SHOWN,)")
    ),
    mutant(
        "takes an instance that starts for a whole one",
        ("phase:_changing", '("running", "stopped")', '("running", "stopped", "pending")'),
    ),
    mutant("takes a running instance for a whole one", ("phase:_running", "return ", "return False and ")),
    mutant(
        "takes an instance that was put back for a locked one",
        (
            "phase:_whole",
            "return not seen.root_detached",
            "return seen.marked_root is None and not seen.root_detached",
        ),
    ),
    mutant("takes a void lock for a good one", ("phase:_lock_void", "return not confirmed or", "return False and")),
    mutant("takes a good lock for a void one", ("phase:_lock_void", "return not confirmed or", "return True or")),
    mutant("takes a broken instance for a parked one", ("phase:_broken", "return ", "return False and ")),
    mutant("takes a committed instance for a parked one", ("phase:_committed", "return ", "return False and ")),
    mutant("takes a restoration for a parked instance", ("phase:_restoring", "return ", "return False and ")),
    mutant("takes a parked instance for a restoration", ("phase:_restoring", "return ", "return True or ")),
    # What is in the way of discarding.
    mutant(
        "discards nothing after a snapshot that something uses",
        ("discard:discard", "or not error.refused", "or True"),
    ),
    mutant(
        "leaves a snapshot unlocked that something uses",
        ("discard:discard", "_lock_again(this_pass, step)", "pass"),
    ),
    mutant(
        "discards what is shared with others",
        ("discard:discard", "if accounts := ", "if accounts := () and "),
    ),
    mutant(
        "keeps for ever what EC2 did not delete in that moment",
        ("discard:discard", "isinstance(error, Raced) or not error.refused", "False"),
    ),
    mutant(
        "discards nothing while parked",
        ("park:park", "discard_while_parked(seen, settings, now)", "None"),
    ),
    mutant(
        "discards while parked what the latest snapshots do not continue",
        (
            "retention:superseded_while_parked",
            "_superseded(seen, (*((r.volume_id, r.source, r.device) for r in parts), *staying))",
            "list(seen.records)",
        ),
        ("retention:superseded_while_parked", "r.launch_time < seen.instance.launch_time and r not in parts", "True"),
        ("retention:_due", "since is not None and now >= since + settings.snapshot_retention", "True"),
    ),
    mutant(
        "creates nothing with a token that EC2 knows with other parameters",
        ("execute:_is_spent", "return ", "return False and "),
    ),
    # Who wakes the start side.
    mutant(
        "wakes nobody for volumes that are on their way",
        ("fleet:_fleet", "bool(marked) or", "False or"),
    ),
    mutant("wakes nobody for a start that was asked for", ("fleet:_any_asked", "bool(chosen(", "bool(() and chosen(")),
    # What lasts too long.
    mutant("tells nobody of what takes too long", ("overdue:overdue", "if by is None", "if True")),
    mutant(
        "waits for a lock that moves without a word",
        ("due:locked", "root.mark.at + settings.lock_period + PATIENCE", "root.mark.at + 99 * PATIENCE"),
    ),
    mutant(
        "waits for snapshots without a word",
        ("due:copying", "since + settings.grace_period", "since + 99 * PATIENCE"),
    ),
    mutant(
        "waits for the last volumes to go without a word",
        ("due:dismantling", "settings.lock_period + PATIENCE", "99 * PATIENCE"),
    ),
    mutant("waits for new volumes without a word", ("due:restoring", "loading + PATIENCE", "99 * PATIENCE")),
)

ROOMS = {
    "aws": ("described", "errors", "reads", "volume_parameters", "writes"),
    "run": ("discard", "execute", "fleet", "observe"),
}
"""The rooms of the files above; every other file is in core."""


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
    file, name = where.split(":")
    room = next((room for room, files in ROOMS.items() if file in files), "core")
    module = import_module(f"park_volumes.{room}.{file}")
    owner: Any = module
    *path, last = name.split(".")
    for part in path:
        owner = getattr(owner, part)
    old = vars(owner)[last]
    match old:
        case property(fget=get):
            new: Any = property(_edited(get, last, edits, module))
        case cached_property(func=get):
            new = cached_property(_edited(get, last, edits, module))
            new.__set_name__(owner, last)
        case _:
            new = _edited(old, last, edits, module)
    if path:
        setattr(owner, last, new)
        return partial(setattr, owner, last, old)
    rooms = [m for key, m in sys.modules.items() if key.startswith(("park_volumes", "tests.explore"))]
    users = [m for m in rooms if vars(m).get(last) is old]
    rows = [(row, field) for row in PHASES for field in ("holds", "due") if getattr(row, field) is old]

    def put(function: Any) -> None:
        for user in users:
            setattr(user, last, function)
        for row, field in rows:
            object.__setattr__(row, field, function)

    put(new)
    return partial(put, old)


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
            with remembering():
                run(seen)
        except Finding as finding:
            return part, str(finding)
        except Exception as error:  # a fault may make the product stumble, and that shows too
            return part, repr(error)
    return None


def prepare() -> None:
    """Bring every instance into every moment with the product as it is, before a fault is let loose on them."""
    for shape in SHAPES:
        for moment in MOMENTS:
            at(shape, moment)


def _stories(seen: Counter[str]) -> None:
    for story in STORIES.values():
        tell(story, seen)


def _crashes(seen: Counter[str]) -> None:
    for shape, lag, moments in CRASHES:
        known: set[int] = set()
        for crash in crashes(shape, lag, moments):
            suffer(crash, seen, known)


def _races(seen: Counter[str]) -> None:
    for race in RACES:
        known: set[int] = set()
        for _ in schedules(race, seen, known):
            pass


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
    if race.moment in ("copied", "locked", "rootless")
    and race.actors in (("park", "park"), ("park", "start"), ("park", "settle"), ("park", "starts, stops"))
)
QUICK = (("a story", _stories), ("a crash", _crashes), ("a race", _races))
