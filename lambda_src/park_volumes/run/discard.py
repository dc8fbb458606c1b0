"""Discards snapshots that others may still use. One that something uses holds up no other: it is locked again, and
kept."""

from park_volumes.aws.errors import Ec2Error, Raced
from park_volumes.core import steps
from park_volumes.core.facts import Kept, Observation
from park_volumes.core.retention import TRIED_AGAIN
from park_volumes.core.tags import says_the_same
from park_volumes.run.context import Pass, log


def discard(this_pass: Pass, step: steps.DiscardSnapshot) -> str:
    """Why the snapshot is kept: it is shared, or EC2 does not delete it because something uses it. Empty if it is gone,
    or if that was found out lately. Any other error ends the pass, so that no link is lost that may still be
    discarded."""
    if this_pass.knows(f"kept {step.snapshot_id}", TRIED_AGAIN):
        return ""
    try:
        if accounts := this_pass.ec2.reads.shared_with(step.snapshot_id):
            if not step.locked:
                _lock_again(this_pass, step)
            return f"it is shared with {', '.join(accounts)}"
        this_pass.ec2.writes.do(step)
    except Ec2Error as error:
        _lock_again(this_pass, step)
        if isinstance(error, Raced) or not error.refused:
            raise
        return error.message
    return ""


def _lock_again(this_pass: Pass, step: steps.DiscardSnapshot) -> None:
    """Also one that an earlier pass has unlocked. One that is gone or cannot be locked, such as one with a lock of
    somebody else, stays as it is."""
    if not this_pass.settings.lock_snapshots:
        return
    try:
        this_pass.ec2.writes.do(steps.LockSnapshot(snapshot_id=step.snapshot_id))
    except Ec2Error as error:
        log.warning("%s was not discarded, and is not locked again: %s", step.snapshot_id, error)


def remember_kept(this_pass: Pass, observation: Observation, snapshot_id: str, why: str) -> bool:
    """Write on a snapshot why it is kept. Whether that is new."""
    kept = Kept(at=this_pass.clock.now(), words=why)
    this_pass.learns(f"kept {snapshot_id}")
    known = next((r.kept for r in observation.records if r.snapshot_id == snapshot_id), None)
    try:
        this_pass.ec2.writes.do(steps.RememberKept(snapshot_id=snapshot_id, kept=kept))
    except Ec2Error as error:
        log.warning("Why %s is kept is not written on it: %s", snapshot_id, error)
    return not says_the_same(known, kept)
