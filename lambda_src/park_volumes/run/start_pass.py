"""A pass of the start side: requested starts, queued starts, and settling what came back."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial

from park_volumes.aws.errors import Ec2Error
from park_volumes.core.facts import NEVER, Instance, Observation
from park_volumes.core.phase import blocked_by_parking, last_request, start_pending
from park_volumes.core.queue import AT_ONCE, ahead, may_wait, queue_message, remembering, with_request
from park_volumes.core.start import Intent, start
from park_volumes.core.steps import RememberStart, going_on
from park_volumes.core.tags import opted_in
from park_volumes.run.context import Pass, alone
from park_volumes.run.execute import Ending, NotRemembered, Result, execute, ids_of, unforeseen
from park_volumes.run.observe import assemble, chosen, observe, observe_instances

QUEUE_LASTS = timedelta(seconds=30)
"""How long a function relies on a long queue that it has seen: not every new start asks EC2 about it."""

NOT_REMEMBERED = (
    "The request could not be written down, so nothing carries it on by itself; ask again if it has to go on."
)


@dataclass(kw_only=True)
class Queue:
    """When starts were requested in the last hour, as ``seen`` at that time."""

    requests: Sequence[datetime] = ()
    seen: datetime = NEVER

    def ahead(self, asked: datetime) -> int:
        """How many starts were requested before ``asked`` that are not done by then."""
        return ahead(self.requests, asked, asked)

    def length(self, this_pass: Pass) -> int:
        """How many starts are ahead of one requested now. A long queue is not read again for each start, and none
        twice in one pass."""
        began, known = this_pass.began, self.ahead(this_pass.began)
        if self.seen == began or (known >= AT_ONCE and began <= self.seen + QUEUE_LASTS):
            return known
        self._read(this_pass)
        return self.ahead(began)

    def is_first(self, this_pass: Pass) -> bool:
        """Whether no start was requested before this pass that was not done when it began. All passes that ask in the
        same moment agree on who that is, once each has written its requests down."""
        if self.ahead(this_pass.began):
            return False
        self._read(this_pass)
        return not self.ahead(this_pass.began)

    def _read(self, this_pass: Pass) -> None:
        began = this_pass.began
        read = this_pass.ec2.reads.requests(began - this_pass.settings.start_hold, began)
        self.requests, self.seen = list(read.values()), began


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
        from park_volumes.run.fleet import start_sweep  # noqa: PLC0415  # every cold start would wait for it

        this_pass = self.this_pass
        running, others = start_sweep(this_pass.ec2.reads, this_pass.settings, this_pass.clock.now())
        return self._go_on_with_all([*running, *self._longest_waiting_first(others)], Intent.SWEEP)

    def request(self, ids: Iterable[str]) -> list[Result]:
        """Start these instances with no caller waiting: at once, or when it is their turn."""
        reads = self.this_pass.ec2.reads
        instances = reads.instances(ids)
        queued = self.enqueue(instances)
        others = [i for i in instances if i.id not in ids_of(queued)]
        now = self.this_pass.clock.now()
        return self._begin(observe_instances(reads, others, now=now, locks=False).values()) + queued

    def start_after_failed_call(self, ids: Iterable[str], tried: datetime) -> list[Result]:
        """Start the instances that EC2 refused to start at the time ``tried`` because their volumes are parked."""
        blocked = chosen(self._observe(ids), lambda o: blocked_by_parking(o, tried), unclear=True)
        queued = self._enqueue(blocked)
        return self._begin(o for o in blocked if o.instance.id not in ids_of(queued)) + queued

    def _observe(self, ids: Iterable[str]) -> list[Observation]:
        this_pass = self.this_pass
        return list(observe(this_pass.ec2.reads, ids, now=this_pass.clock.now(), locks=False).values())

    def _longest_waiting_first(self, ids: Iterable[str]) -> list[Observation]:
        return sorted(self._observe(ids), key=lambda o: last_request(o) or self.this_pass.began)

    def _begin(self, every: Iterable[Observation]) -> list[Result]:
        """Remember every request first, so later requests see it ahead of them."""
        return self._go_on_with_all(self._remember_all(list(every)), Intent.START)

    def _go_on_with_all(self, every: Sequence[Observation], intent: Intent) -> list[Result]:
        results: dict[str, Result] = {}
        many = len(every) > AT_ONCE

        def one(observation: Observation) -> None:
            results[observation.instance.id] = self._go_on(observation, intent, many=many)

        self.this_pass.each([partial(one, o) for o in every])
        return [results[o.instance.id] for o in every]

    def _go_on(self, observation: Observation, intent: Intent, *, many: bool = False) -> Result:
        do = partial(self._go_on_until_done, observation, intent, many=many)
        return alone(observation.instance.id, do, partial(unforeseen, observation))

    def _go_on_until_done(self, observation: Observation, intent: Intent, *, many: bool) -> Result:
        """Decide and do, again and again while others interfere or EC2 needs seconds, until the time is over.
        If EC2 has no request tokens left, others are using them: a remembered request then waits for its turn."""
        this_pass, not_remembered = self.this_pass, ""
        crowd = partial(self._is_crowd, many=many)
        while True:
            decision = start(observation, this_pass.settings, this_pass.began, intent=intent)
            result = execute(this_pass, observation, decision, carried_on=not not_remembered, crowd=crowd)
            if result.ending is Ending.NOT_REMEMBERED:
                intent, not_remembered = Intent.START_NOW, f"{NOT_REMEMBERED} {result.note}"
                continue
            result = replace(result, not_remembered=not_remembered)
            again = result.decision.look_again
            later = result.ending in (Ending.THROTTLED, Ending.OUT_OF_TIME)
            if again is None or later or this_pass.clock.now() + again >= this_pass.deadline:
                return _lost_if_unwritten(result)
            this_pass.clock.sleep(again.total_seconds())
            found = self._observe([observation.instance.id])
            if not found:
                return result
            observation = found[0]

    def _is_crowd(self, *, many: bool) -> bool:
        """Whether this pass starts many, or others do. If EC2 does not even answer that, it is busy."""
        try:
            return many or self.queue.length(self.this_pass) >= AT_ONCE
        except Ec2Error:
            return True

    # The queue of starts.

    def enqueue(self, instances: Sequence[Instance]) -> list[Result]:
        """Remember the requests of the instances that can wait and have others ahead of them, without looking at their
        volumes. The sweep starts them later, in the order of the requests; the caller starts the rest now."""
        snapshots = self.this_pass.ec2.reads.snapshots_of(i.id for i in instances)
        return self._enqueue(assemble(instances, snapshots, (), now=self.this_pass.clock.now()).values())

    def _enqueue(self, every: Iterable[Observation]) -> list[Result]:
        candidates = chosen(every, lambda o: may_wait(o, self.this_pass.settings), unclear=False)
        before = self.queue.length(self.this_pass) if candidates else 0
        positions = {o.instance.id: self._position(o, before + n) for n, o in enumerate(candidates)}
        remembered = self._remember_all([o for o in candidates if positions[o.instance.id] >= AT_ONCE])
        return [
            Result(observation=o, decision=going_on(queue_message(o.instance.id, positions[o.instance.id])))
            for o in remembered
            if start_pending(o, self.this_pass.settings, self.this_pass.began)
        ]

    def _position(self, observation: Observation, new: int) -> int:
        """How many starts are ahead: ``new`` for a new request; for a remembered one those requested before it."""
        asked, began = last_request(observation), self.this_pass.began
        if asked and start_pending(observation, self.this_pass.settings, began):
            return ahead(self.queue.requests, asked, began)
        return new

    def _remember_all(self, every: Sequence[Observation]) -> list[Observation]:
        """Remember all of these requests with one call. Returns the observations with the remembered requests in
        them."""
        settings, began = self.this_pass.settings, self.this_pass.began
        allowed = [o for o in every if opted_in(o.instance.tags, settings) and not settings.observe_only]
        steps = {o.instance.id: step for o in allowed for step in remembering(o, began)}
        written = self._write_down(steps)
        self.queue.requests = [*self.queue.requests, *([began] * len(written))]
        return [with_request(o, began) if o.instance.id in written else o for o in every]

    def _write_down(self, requests: Mapping[str, RememberStart]) -> Collection[str]:
        """Returns the ids of the instances whose requests could be written down.
        EC2 tags all snapshots or none: if it refuses, each instance gets its own call."""
        writes, written = self.this_pass.ec2.writes, set[str]()
        ids = tuple(i for step in requests.values() for i in step.snapshot_ids)

        def one(instance_id: str, step: RememberStart) -> None:
            with suppress(Ec2Error):
                writes.do(step)
                written.add(instance_id)

        try:
            writes.do(RememberStart(snapshot_ids=ids, at=self.this_pass.began))
        except Ec2Error:
            self.this_pass.each([partial(one, i, step) for i, step in requests.items()])
            return written
        return requests.keys()


def _lost_if_unwritten(result: Result) -> Result:
    """A start that is neither done nor written down has failed: nothing carries it on."""
    if not result.unwritten:
        return result
    error = NotRemembered(f"The start of {result.instance_id} was not even begun. {result.note}")
    return replace(result, ending=Ending.FAILED, error=error, not_remembered=NOT_REMEMBERED)
