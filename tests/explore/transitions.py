"""The phases that an instance really goes through, seen without any lag, against the table of phases."""

from collections.abc import Callable, Sequence
from copy import copy
from typing import Any, Literal

from park_volumes.aws.described import Snapshots, instance_of, records_in, volume_of
from park_volumes.core import facts, tags
from park_volumes.core.phase import PHASES, Phase, phase_of
from park_volumes.run.observe import assemble
from tests.model.answers import instance_answer, snapshot_answer, volume_answer
from tests.model.records import Snapshot
from tests.model.world import World

Actor = Literal["the functions", "people"]
BY_FUNCTIONS = {(row.phase, after) for row in PHASES for after in row.leads_to}
BY_PEOPLE = {(row.phase, after) for row in PHASES for after in row.people}
"""The transitions that only people cause."""


def in_words(before: Phase, after: Phase) -> str:
    return f"transition: {before.value} -> {after.value}"


def is_in_table(before: Phase, after: Phase, actor: Actor) -> bool:
    """Whether this actor may cause this transition. People may do all that the functions do."""
    return (before, after) in BY_FUNCTIONS or (actor == "people" and (before, after) in BY_PEOPLE)


class Witness:
    """Tells the phase of one instance as the world is. What did not change since is not read again."""

    def __init__(self, world: World, instance_id: str, deployment: str) -> None:
        self._world, self._instance_id, self._deployment = world, instance_id, deployment
        self._read: dict[int, tuple[Any, Any]] = {}
        self._seen: list[Any] = []
        self.phase = Phase.ENDED
        self.look()

    def of(self, world: World) -> "Witness":
        """The witness of a copy of this world. What this one has read, it has read too."""
        other = copy(self)
        other._world, other._read = world, self._read.copy()
        return other

    def look(self) -> Phase:
        """The phase now."""
        instance = self._world.instances.get(self._instance_id)
        if instance is None:
            self.phase = Phase.ENDED
            return self.phase
        volumes, snapshots = self._world.volumes.current(), self._world.snapshots.current()
        seen: list[Any] = [instance, *volumes, *snapshots]
        if len(seen) != len(self._seen) or any(a is not b for a, b in zip(seen, self._seen, strict=True)):
            self._seen = seen
            ours = [s for s in snapshots if s.tags.get(tags.DEPLOYMENT) == self._deployment]
            fact: facts.Instance = self._once(instance, lambda i: instance_of(instance_answer(i)))
            found = assemble(
                [fact],
                Snapshots(records=tuple(r for s in ours for r in self._once(s, self._record)), damaged={}),
                [self._once(v, lambda v: volume_of(volume_answer(v))) for v in volumes],
                now=self._world.clock.time(),
            )
            self.phase = phase_of(found[self._instance_id])
        return self.phase

    def _record(self, snapshot: Snapshot) -> Sequence[facts.SnapshotRecord]:
        return records_in([snapshot_answer(self._world, snapshot)]).records

    def _once(self, record: Any, read: Callable[[Any], Any]) -> Any:
        """Read a record, which nobody ever changes, once. Holding on to it keeps its id from being used again."""
        if id(record) not in self._read:
            self._read[id(record)] = (record, read(record))
        return self._read[id(record)][1]
