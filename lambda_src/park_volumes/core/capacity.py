"""EC2 has no capacity for a start: the family of the codes that say so, when to try again, and what a person can do.

EC2 refuses the call with such a code, or it accepts the call and lets the instance fall back to stopped, with the same
code as its StateReason. Nothing is wrong with the instance, and capacity may come at any moment."""

from datetime import datetime, timedelta

SHORTEST_WAIT = timedelta(minutes=1)
LONGEST_WAIT = timedelta(minutes=10)
"""Before each new try, a start waits as long as it has waited so far, within these limits."""
FAMILY = "Insufficient"
"""How the code of a lack begins, as the error code of a call (EC2 API Reference, "Error codes")."""
FULL_RESERVATION = "ReservationCapacityExceeded"
"""The one code of the family that begins otherwise."""
TRIED_AGAIN = "ParkVolumes tries again for an hour: after a minute, then less often, and finally every ten minutes."
FULL_HOST = "Its Dedicated Host has no room: stop another instance there, or let this one run on another host."
REMEDIES = {
    "InsufficientInstanceCapacity": "Another instance type may start at once.",
    "InsufficientHostCapacity": FULL_HOST,
    "InsufficientCapacityOnHost": FULL_HOST,
    FULL_RESERVATION: "Its Capacity Reservation is used up: enlarge it, or let the instance run outside of it.",
    "InsufficientVolumeCapacity": "EBS has no room for a volume of this type in this zone: only waiting helps.",
}
OTHERWISE = "EC2 says above what it lacks."


def lacks_capacity(code: str) -> bool:
    """Whether this error code of a call, or this code of a StateReason, says that EC2 has no capacity."""
    return _bare(code).startswith(FAMILY) or _bare(code) == FULL_RESERVATION


def remedy(code: str) -> str:
    """What a person can do meanwhile."""
    return REMEDIES.get(_bare(code), OTHERWISE)


def next_try(asked: datetime, tried: datetime, until: datetime) -> datetime:
    """When to try again a start that was asked for and last tried at these times. The last try comes just before it is
    given up, ``until`` then."""
    wait = min(max(SHORTEST_WAIT, tried - asked), LONGEST_WAIT)
    return min(tried + wait, until - SHORTEST_WAIT)


def _bare(code: str) -> str:
    """The codes of StateReasons say whose fault it is: Server.InsufficientInstanceCapacity."""
    return code.rpartition(".")[2]
