"""What belongs to one region, and the regions that a deployment covers.

The functions run in the home region. EC2 is called in each covered region, with a client of its own. A region that does
not answer, or that a policy closes, costs no other its turn: each is looked at alone."""

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Generic, TypeVar

from botocore.config import Config

from park_volumes.aws import Ec2
from park_volumes.aws.errors import Ec2Error
from park_volumes.core import environment
from park_volumes.core.facts import NEVER
from park_volumes.core.prices import prices_of
from park_volumes.core.settings import Settings
from park_volumes.handlers.pace import Pace
from park_volumes.run.context import Clock, Pass, in_parallel

NAMES_LAST = timedelta(hours=1)
"""How long the list of the account's enabled regions counts."""
REST = timedelta(minutes=4)
"""How long a region that could not be reached is left alone: less than the time between two sweeps, so every sweep asks
it again."""
log = logging.getLogger(__name__)
T = TypeVar("T")


@dataclass(kw_only=True, eq=False, repr=False)
class Region:
    """A region as one function knows it. ``known`` is what its runs have learned there, each with the time.
    ``lost``: why the region could not be reached, empty if it could; ``lost_at``: when. ``loss_is_news``: a loss is
    still to be reported, since the region has answered after the last report."""

    name: str
    is_home: bool
    settings: Settings
    ec2: Ec2
    pace: Pace
    known: dict[str, datetime] = field(default_factory=dict)
    lost: str = ""
    lost_at: datetime = NEVER
    loss_is_news: bool = False

    @property
    def is_lost(self) -> bool:
        return bool(self.lost)

    def is_closed_by(self, error: Exception) -> bool:
        """Whether the error says that this region cannot be reached. The home region never counts as lost."""
        return isinstance(error, Ec2Error) and error.out_of_reach and not self.is_home

    def is_resting(self, now: datetime) -> bool:
        return self.is_lost and now < self.lost_at + REST

    def answers(self) -> None:
        self.lost, self.loss_is_news = "", True

    def loses(self, why: str, now: datetime) -> None:
        if not self.is_lost:
            log.warning("%s cannot be reached: %s", self.name, why)
        self.lost, self.lost_at = why, now


R = TypeVar("R", bound=Region)


@dataclass(frozen=True, kw_only=True)
class Visited(Generic[R, T]):
    """What was found in a region, or the error that kept it from being found."""

    region: R
    found: T | None = None
    error: Exception | None = None

    @property
    def failure(self) -> Exception | None:
        """The error, unless the region cannot be reached: the next sweep looks at such a region again."""
        return None if self.region.is_lost else self.error


class Lost(Exception):
    """A region was not asked, because it could not be reached a moment ago."""


class Regions(Generic[R]):
    """The regions that a deployment covers, as one function sees them. Each is made when it is first needed."""

    def __init__(
        self,
        kind: Callable[..., R],
        variables: Mapping[str, str],
        *,
        client: Callable[..., Any],
        clock: Clock,
        config: Config,
        functions: int,
        retries: bool = False,
    ) -> None:
        """``client`` creates the SDK client of a service, with ``config`` in the home region. ``functions``: how many
        run at once and share the rates.
        ``retries``: whether a throttled call may be repeated for as long as there is time."""
        self._kind, self._client, self._clock = kind, client, clock
        self._config = config
        self._functions, self._retries = functions, retries
        self._settings = environment.from_environment(variables)
        self._elsewhere = config_elsewhere(config, self._settings.function_timeout)
        self._wanted = environment.regions(variables)
        self._enabled: Sequence[str] = ()
        self._asked = NEVER
        self._lock = threading.Lock()
        self.home = self._made(environment.text(variables, "AWS_REGION"), home=True)
        self._made_before: dict[str, R] = {self.home.name: self.home}
        self.problem = ""
        """Why it is not known which regions the account has enabled; empty if it is."""

    @property
    def are_several(self) -> bool:
        return self._wanted == environment.ALL or any(name != self.home.name for name in self._wanted)

    def elsewhere(self, name: str) -> dict[str, str]:
        """What a message says of the region that it is about; nothing if that is the home region."""
        return {} if name == self.home.name else {"region": name}

    def covered(self, now: datetime) -> list[R]:
        """The home region first."""
        others = dict.fromkeys(name for name in self._names(now) if name != self.home.name)
        return [self.home, *map(self._region, others)]

    def named(self, name: str, now: datetime) -> R | None:
        """The covered region of this name; None if it is not covered. No name stands for the home region."""
        if name in ("", self.home.name):
            return self.home
        return self._region(name) if name in self._names(now) else None

    def _names(self, now: datetime) -> Sequence[str]:
        if self._wanted != environment.ALL:
            return self._wanted
        if now >= self._asked + NAMES_LAST:
            self._asked = now
            try:
                self._enabled, self.problem = self.home.ec2.enabled_regions(), ""
            except Ec2Error as error:
                self.problem = (
                    f"It is not known which regions the account has enabled, so {self._instead()} looked at: {error}"
                )
                log.warning(self.problem)
        return self._enabled

    def _instead(self) -> str:
        return "those that were enabled before are" if self._enabled else "only the home region is"

    def _region(self, name: str) -> R:
        with self._lock:
            if name not in self._made_before:
                self._made_before[name] = self._made(name)
            return self._made_before[name]

    def _made(self, name: str, *, home: bool = False) -> R:
        settings = self._settings if home else replace(self._settings, home=self.home.name, prices=prices_of(name, {}))
        pace = Pace(self._clock, functions=self._functions)
        where = {"config": self._config} if home else {"config": self._elsewhere, "region_name": name}
        client = self._client("ec2", **where)
        client.meta.events.register("before-call.ec2", pace)
        if self._retries:
            client.meta.events.register("needs-retry.ec2", pace.again)
        ec2 = Ec2(client, deployment=settings.deployment, previous_names=settings.previous_names)
        return self._kind(name=name, is_home=home, settings=settings, ec2=ec2, pace=pace)


def config_elsewhere(config: Config, time_limit: timedelta) -> Config:
    """The same SDK settings for other regions than the home region. They are asked at once, and one that is silent must
    not use up the time of all: the tries together take less than a run may."""
    given: Any = config.retries  # type: ignore[attr-defined]  # botocore sets what it was given
    most = 3 if time_limit >= timedelta(minutes=1) else 1 if time_limit >= timedelta(seconds=30) else 0
    retries: Any = {"mode": given["mode"], "max_attempts": min(given["max_attempts"], most)}
    return config.merge(
        Config(retries=retries, connect_timeout=2, read_timeout=min(10, time_limit.total_seconds() / 2))
    )


@dataclass(kw_only=True, eq=False, repr=False)
class Run(Generic[R]):
    """One run of a function: a pass in the home region, and one in each other region that it comes to.
    ``turn``: when its turn ends. ``busy``: in which regions the run before made changes just now."""

    regions: Regions[R]
    home: Pass
    turn: datetime
    _passes: dict[str, Pass] = field(default_factory=dict)
    busy: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.there(self.regions.home)

    def covered(self) -> list[R]:
        return self.regions.covered(self.home.began)

    def there(self, region: R) -> Pass:
        """The pass in a region."""
        if region.name not in self._passes:
            if region.pace.begin(turn=self.turn, deadline=self.home.deadline):
                self.busy.add(region.name)
            ec2, settings, known = region.ec2, region.settings, region.known
            self._passes[region.name] = replace(self.home, ec2=ec2, settings=settings, known=known, region=region.name)
        return self._passes[region.name]

    def visit(self, every: Sequence[R], look: Callable[[R, Pass], T], *, insist: bool = False) -> list[Visited[R, T]]:
        """Look at these regions, all at once. Where there is only the home region, its error is raised.
        ``insist``: also at those that could not be reached a moment ago."""
        passes = {region.name: self.there(region) for region in every}
        if not self.regions.are_several:
            return [Visited(region=region, found=look(region, passes[region.name])) for region in every]
        found: dict[str, Visited[R, T]] = {}

        def one(region: R) -> None:
            look_there = partial(look, region, passes[region.name])
            found[region.name] = self._alone(region, look_there, insist=insist)

        in_parallel([partial(one, region) for region in every])
        return [found[region.name] for region in every]

    def _alone(self, region: R, look: Callable[[], T], *, insist: bool) -> Visited[R, T]:
        if not insist and region.is_resting(self.home.began):
            return Visited(region=region, error=Lost(region.lost))
        try:
            found = look()
        except Ec2Error as error:
            if region.is_closed_by(error):
                region.loses(str(error), self.home.began)
            else:
                log.warning("%s could not be looked at: %s", region.name, error)
            return Visited(region=region, error=error)
        except Exception as error:
            log.exception("%s could not be handled.", region.name)
            return Visited(region=region, error=error)
        region.answers()
        return Visited(region=region, found=found)
