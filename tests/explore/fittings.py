"""What each device must be like after a start: as its volume was when a pass deleted it, whatever its owner had made of
it by then."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from tests.model.judge import Fitting

Change = Callable[[Fitting], Fitting]


class Version(NamedTuple):
    since: float
    look: Fitting


class Fittings:
    """By device what it was like since when. ``may_lack`` are tags, by device and key, that somebody wrote over on a
    snapshot: they may be missing."""

    def __init__(self, first: Mapping[str, Fitting]) -> None:
        self._versions: dict[str, tuple[Version, ...]] = {d: (Version(0.0, look),) for d, look in first.items()}
        self._deleted: frozenset[str] = frozenset()
        self.may_lack: frozenset[tuple[str, str]] = frozenset()

    def clone(self) -> "Fittings":
        other = Fittings({})
        other._versions, other._deleted, other.may_lack = self._versions.copy(), self._deleted, self.may_lack
        return other

    @property
    def told(self) -> tuple[object, ...]:
        """All that is known."""
        return sorted(self._versions.items()), sorted(self._deleted), sorted(self.may_lack)

    def __len__(self) -> int:
        return len(self._versions)

    @property
    def devices(self) -> list[str]:
        return list(self._versions)

    def change(self, device: str, change: Change, now: float, *, after: float = 0.0) -> None:
        """The owner changes the volume; it takes effect after so many seconds."""
        past = [v for v in self._versions[device] if v.since <= now + after]
        future = [v for v in self._versions[device] if v.since > now + after]
        past.append(Version(now + after, past[-1].look))
        self._versions[device] = (*past[:-1], *(v._replace(look=change(v.look)) for v in (past[-1], *future)))

    def restored_as(self, device: str, change: Change) -> None:
        """The owner is about to change a volume that took the place of one that was deleted: it is what it is."""
        if device in self._deleted:
            self._versions[device] = (Version(0.0, change(self._versions[device][-1].look)),)
            self._deleted -= {device}

    def deleted(self, device: str, now: float, seen_since: float) -> None:
        """A pass deletes the volume, as it saw it at any moment since then."""
        told = [v for v in self._versions[device] if v.since <= now]
        older = [v for v in told if v.since < seen_since]
        self._versions[device] = tuple(told[max(0, len(older) - 1) :])
        self._deleted |= {device}

    def allowed(self, device: str, now: float) -> list[Fitting]:
        told = [v.look for v in self._versions[device] if v.since <= now]
        every = told if device in self._deleted else told[-1:]
        without = [self._without(device, look) for look in every]
        return [*every, *without]

    def _without(self, device: str, look: Fitting) -> Fitting:
        return look._replace(tags=tuple((k, v) for k, v in look.tags if (device, k) not in self.may_lack))
