"""The phases that an instance really goes through, seen without any lag, against the table of phases."""

from copy import copy
from typing import Any, Literal

from park_volumes.aws import described
from park_volumes.core import tags
from park_volumes.core.phase import PHASES, Phase, phase_of
from park_volumes.run.observe import assemble
from tests.model.answers import Answer, instance_answer, snapshot_answer, sparse, volume_answer
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
    """Tells the phase of one instance as the world is, and looks again when it has changed."""

    def __init__(self, world: World, instance_id: str, deployment: str) -> None:
        self._world, self._instance_id, self._deployment = world, instance_id, deployment
        self._seen: list[Any] = []
        self.phase = Phase.ENDED
        self.look()

    def of(self, world: World) -> "Witness":
        """The witness of a copy of this world."""
        other = copy(self)
        other._world = world
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
            found = assemble(
                [described.instance_of(self._as_told(instance_answer(instance)))],
                described.records_in(self._as_told(snapshot_answer(self._world, s)) for s in ours),
                [described.volume_of(self._as_told(volume_answer(v))) for v in volumes],
                now=self._world.clock.time(),
            )
            self.phase = phase_of(found[self._instance_id])
        return self.phase

    def _as_told(self, answer: Answer) -> Answer:
        """As the passes are told it, so that both read it once."""
        return sparse(answer) if self._world.rules.sparse else answer
