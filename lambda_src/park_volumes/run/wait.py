"""Waits for the seconds that EC2 takes to create and to attach volumes."""

from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from itertools import chain, count

from park_volumes.aws.errors import Ec2Error
from park_volumes.core.facts import Volume
from park_volumes.run.context import NotYet, Pass

POLL, PART = 0.4, 0.04
"""Seconds between two looks at volumes, or this part of the time waited so far, if that is longer."""
LONGEST_POLL = 5.0


def wait_until(
    this_pass: Pass,
    ids: Sequence[str],
    ready: Callable[[Volume], bool],
    *,
    usual: float,
    crowd: bool,
    carried_on: bool,
) -> list[Volume]:
    """The volumes, once all are ready. ``usual`` are the seconds that EC2 usually takes. In a ``crowd`` nobody looks
    before they have passed (docs/performance.md), and after each look the pause doubles.
    Raises NotYet once the time of the pass is over, and Ec2Error if a volume could not be created."""
    clock, deadline = this_pass.clock, this_pass.deadline
    pauses = _rarely(this_pass, usual) if crowd else _often(this_pass, usual)
    while True:
        pause = next(pauses)
        if clock.now() + timedelta(seconds=pause) >= deadline:
            follows = "; the start continues by itself." if carried_on else "."
            raise NotYet(f"EC2 is still preparing the volumes{follows}")
        clock.sleep(pause)
        found = {v.id: v for v in this_pass.ec2.reads.volumes(ids)}
        if failed := [v.id for v in found.values() if v.state == "error"]:
            words = "the volume could not be created: check its KMS key and the volume quota."
            raise Ec2Error("CreateVolume", ", ".join(failed), "error", words)
        if all(i in found and ready(found[i]) for i in ids):
            return list(found.values())


def _often(this_pass: Pass, usual: float) -> Iterator[float]:
    """Pauses so short that volumes are seen almost as soon as they are ready, however fast EC2 is: describing is
    cheap. What needs no time as a rule is looked at at once."""
    clock, began = this_pass.clock, this_pass.clock.now()
    if not usual:
        yield 0.0
    while True:
        yield max(POLL, PART * (clock.now() - began).total_seconds())


def _rarely(this_pass: Pass, usual: float) -> Iterator[float]:
    """The first look comes after the usual time, or after a quarter of the time left if that is shorter; then the
    pauses grow."""
    left = (this_pass.deadline - this_pass.clock.now()).total_seconds()
    return chain((min(usual, left / 4),), (min(POLL * 2**n, LONGEST_POLL) for n in count()))
