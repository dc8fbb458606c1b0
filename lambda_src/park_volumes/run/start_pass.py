"""A pass of the start side: requested starts, queued starts, and settling what came back."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial

from park_volumes.aws.errors import Ec2Error
from park_volumes.core.facts import NEVER, Instance, Observation
from park_volumes.core.phase import blocked_by_parking, last_request, start_pending
from park_volumes.core.queue import AT_ONCE, ahead, may_wait, queue_message, remembering, with_request
from park_volumes.core.start import Intent, start
from park_volumes.core.steps import RememberStart, going_on
from park_volumes.core.tags import opted_in
from park_volumes.run.context import Pass
from park_volumes.run.execute import Ending, Result, execute, ids_of
from park_volumes.run.observe import assemble, observe, observe_instances, start_sweep

QUEUE_LASTS = timedelta(seconds=30)
"""How long a function relies on a long queue that it has seen: not every new start asks EC2 about it."""


@dataclass(kw_only=True)
class Queue:
    """When starts were requested in the last hour, as ``seen`` at that time."""

    requests: Sequence[datetime] = ()
    seen: datetime = NEVER


@dataclass(frozen=True, kw_only=True)
class StartPass:
    this_pass: Pass
    queue: Queue = field(default_factory=Queue)

    # One instance, for a caller who waits.

    def start(self, instance_id: str) -> Result | None:
        """Start an instance, as far as this pass gets; None if there is no such instance."""
        return self._bring(instance_id, Intent.START)

    def restore(self, instance_id: str) -> Result | None:
        """Bring the volumes of an instance back, and leave it as it is; None if there is no such instance."""
        return self._bring(instance_id, Intent.RESTORE)

    def start_observed(self, observation: Observation) -> Result:
        """Start an instance that was observed just now, as far as this pass gets."""
        return self._go_on(observation, Intent.START)

    def _bring(self, instance_id: str, intent: Intent) -> Result | None:
        found = self._observe([instance_id])
        return self._go_on(found[0], intent) if found else None

    # Many instances, with no caller waiting.

    def settle(self, ids: Iterable[str]) -> list[Result]:
        """Settle what came back, and continue the starts requested earlier, in the order of the requests."""
        return self._go_on_with_all(self._longest_waiting_first(ids), Intent.SWEEP)

    def sweep(self) -> list[Result]:
        """The same for all instances. Running ones come first: they are settled at once, as the sweep has seen them."""
        running, others = start_sweep(self.this_pass.ec2.reads, self.this_pass.settings, self.this_pass.began)
        return self._go_on_with_all([*running, *self._longest_waiting_first(others)], Intent.SWEEP)

    def request(self, ids: Iterable[str]) -> list[Result]:
        """Start these instances with no caller waiting: at once, or when it is their turn."""
        instances = self.this_pass.ec2.reads.instances(ids)
        queued = self.enqueue(instances)
        others = [i for i in instances if i.id not in ids_of(queued)]
        return self._begin(observe_instances(self.this_pass.ec2.reads, others, locks=False).values()) + queued

    def start_after_failed_call(self, ids: Iterable[str], tried: datetime) -> list[Result]:
        """Start the instances that EC2 refused to start at the time ``tried`` because their volumes are parked."""
        blocked = [o for o in self._observe(ids) if blocked_by_parking(o, tried)]
        queued = self._enqueue(blocked)
        return self._begin(o for o in blocked if o.instance.id not in ids_of(queued)) + queued

    def _observe(self, ids: Iterable[str]) -> list[Observation]:
        return list(observe(self.this_pass.ec2.reads, ids, locks=False).values())

    def _longest_waiting_first(self, ids: Iterable[str]) -> list[Observation]:
        return sorted(self._observe(ids), key=lambda o: last_request(o) or self.this_pass.began)

    def _begin(self, every: Iterable[Observation]) -> list[Result]:
        """Remember every request first, so later requests see it ahead of them."""
        return self._go_on_with_all(self._remember_all(list(every)), Intent.START)

    def _go_on_with_all(self, every: Sequence[Observation], intent: Intent) -> list[Result]:
        results: dict[str, Result] = {}

        def one(observation: Observation) -> None:
            results[observation.instance.id] = self._go_on(observation, intent)

        self.this_pass.each([partial(one, o) for o in every])
        return [results[o.instance.id] for o in every]

    def _go_on(self, observation: Observation, intent: Intent) -> Result:
        """Decide and do, again and again while others interfere or EC2 needs seconds, until the time is over.
        If EC2 has no request tokens left, others are using them: a remembered request then waits for its turn."""
        this_pass = self.this_pass
        while True:
            decision = start(observation, this_pass.settings, this_pass.began, intent=intent)
            result = execute(this_pass, observation, decision)
            again = result.decision.look_again
            later = result.ending in (Ending.THROTTLED, Ending.OUT_OF_TIME)
            if again is None or later or this_pass.clock.now() + again >= this_pass.deadline:
                return result
            this_pass.clock.sleep(again.total_seconds())
            found = self._observe([observation.instance.id])
            if not found:
                return result
            observation = found[0]

    # The queue of starts.

    def enqueue(self, instances: Sequence[Instance]) -> list[Result]:
        """Remember the requests of the instances that can wait and have others ahead of them, without looking at their
        volumes. The sweep starts them later, in the order of the requests; the caller starts the rest now."""
        snapshots = self.this_pass.ec2.reads.snapshots_of(i.id for i in instances)
        return self._enqueue(assemble(instances, snapshots, ()).values())

    def _enqueue(self, every: Iterable[Observation]) -> list[Result]:
        candidates = [o for o in every if may_wait(o, self.this_pass.settings)]
        before = self.ahead() if candidates else 0
        positions = {o.instance.id: self._position(o, before + n) for n, o in enumerate(candidates)}
        results = []
        for o in self._remember_all([o for o in candidates if positions[o.instance.id] >= AT_ONCE]):
            decision = going_on(queue_message(o.instance.id, positions[o.instance.id]))
            results.append(Result(observation=o, decision=decision))
        return results

    def _position(self, observation: Observation, new: int) -> int:
        """How many starts are ahead: ``new`` for a new request; for a remembered one those requested before it."""
        asked, began = last_request(observation), self.this_pass.began
        if asked and start_pending(observation, self.this_pass.settings, began):
            return ahead(self.queue.requests, asked, began)
        return new

    def ahead(self) -> int:
        """How many starts are ahead of one requested now. A long queue is not read again for each start."""
        queue, began = self.queue, self.this_pass.began
        known = ahead(queue.requests, began, began)
        if known >= AT_ONCE and began <= queue.seen + QUEUE_LASTS:
            return known
        hours = {f"{at:%Y-%m-%dT%H}" for at in (began - self.this_pass.settings.start_hold, began)}
        queue.requests, queue.seen = self.this_pass.ec2.reads.requests(sorted(hours)), began
        return ahead(queue.requests, began, began)

    def _remember_all(self, every: Sequence[Observation]) -> list[Observation]:
        """Remember all of these requests with one call. Returns the observations with the requests in them.
        EC2 tags all snapshots or none: if it refuses, each instance gets its own call."""
        writes, settings, began = self.this_pass.ec2.writes, self.this_pass.settings, self.this_pass.began
        allowed = [o for o in every if opted_in(o.instance.tags, settings) and not settings.observe_only]
        steps = {o.instance.id: step for o in allowed for step in remembering(o, began)}
        ids = tuple(i for step in steps.values() for i in step.snapshot_ids)
        try:
            writes.do(RememberStart(snapshot_ids=ids, at=began))
        except Ec2Error:
            self.this_pass.each([partial(writes.do, step) for step in steps.values()])
        self.queue.requests = [*self.queue.requests, *([began] * len(steps))]
        return [with_request(o, began) if o.instance.id in steps else o for o in every]
