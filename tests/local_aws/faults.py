"""Failures ordered in advance: the next call or event of a kind goes wrong, once or several times."""

import threading
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

KINDS = (
    "api",  # a call is refused: operation, code, message (and `after`: the call takes effect, its answer is lost)
    "create_volume",  # the volume ends in `error`, as with a disabled KMS key
    "modify_volume",  # the modification ends in `failed`, and the volume stays as it was
    "snapshot",  # the snapshot ends in `error`
    "start",  # StartInstances succeeds, the instance falls back to stopped: code, message of the StateReason
    "drop_event",
    "double_event",
    "delay_event",  # seconds
)


@dataclass(kw_only=True)
class Fault:
    """One ordered failure. ``match`` holds wildcards that the occasion's facts must meet."""

    kind: str
    count: int
    match: dict[str, str]
    details: dict[str, Any] = field(default_factory=dict)


class Faults:
    """The list of ordered failures, oldest first."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ordered: list[Fault] = []

    def order(self, fault: Fault) -> None:
        """Raises ValueError for a kind that does not exist."""
        if fault.kind not in KINDS:
            raise ValueError(f"There is no fault {fault.kind!r}. The kinds are: {', '.join(KINDS)}.")
        with self._lock:
            self._ordered.append(fault)

    def clear(self) -> None:
        with self._lock:
            self._ordered.clear()

    def take(self, kind: str, **facts: str) -> dict[str, Any] | None:
        """The details of the first ordered failure that this occasion meets, used up by one; None if there is none."""
        with self._lock:
            for fault in self._ordered:
                if fault.kind == kind and all(fnmatchcase(facts.get(k, ""), v) for k, v in fault.match.items()):
                    fault.count -= 1
                    if fault.count <= 0:
                        self._ordered.remove(fault)
                    return fault.details
        return None
