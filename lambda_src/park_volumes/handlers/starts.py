"""The start side in every covered region: where an instance is, and the passes that start it there."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from park_volumes.aws.errors import Ec2Error
from park_volumes.handlers.region import Lost, Region, Run, Visited
from park_volumes.run.context import Pass
from park_volumes.run.execute import Result, ids_of
from park_volumes.run.start_pass import Queue, StartPass

ELSEWHERE_HOURS = 6
"""The hourly sweep, which nobody asks for, looks at other regions only in every sixth hour: the park side asks for one
when it sees something there."""
T = TypeVar("T")


@dataclass(kw_only=True)
class StartRegion(Region):
    """``queue``: the line of starts, as EC2 starts only a few a second in each region."""

    queue: Queue = field(default_factory=Queue)


@dataclass(frozen=True, kw_only=True)
class Starts:
    """The passes of one run of the start function."""

    run: Run[StartRegion]

    @property
    def home(self) -> StartPass:
        return self.at(self.run.regions.home)

    def at(self, region: StartRegion) -> StartPass:
        return StartPass(this_pass=self.run.there(region), queue=region.queue)

    def named(self, name: str) -> StartPass | None:
        """The pass in this region; None if the deployment does not cover it. No name stands for the home region."""
        region = self.run.regions.named(name, self.run.home.began)
        return self.at(region) if region else None

    def is_busy(self, starts: StartPass) -> bool:
        """Whether the run before this one has made changes there just now."""
        return starts.this_pass.region in self.run.busy

    def visit(
        self, regions: Sequence[StartRegion], look: Callable[[StartPass], T], *, insist: bool = False
    ) -> list[Visited[StartRegion, T]]:
        def there(region: StartRegion, this_pass: Pass) -> T:
            return look(StartPass(this_pass=this_pass, queue=region.queue))

        return self.run.visit(regions, there, insist=insist)

    def find(
        self, regions: Sequence[StartRegion], look: Callable[[StartPass], list[T]]
    ) -> list[Visited[StartRegion, list[T]]]:
        """Look for something that is in one of these regions. Those that could not be reached a moment ago are asked
        only if it is in none of the others."""
        visited = self.visit(regions, look)
        resting = [one.region for one in visited if isinstance(one.error, Lost)]
        if any(one.found for one in visited) or not resting:
            return visited
        return [one for one in visited if one.region not in resting] + self.visit(resting, look, insist=True)

    def sweep(self, *, everywhere: bool) -> list[tuple[StartPass, list[Result]]]:
        """Sweep the home region, and the others where it is their hour. Raises what kept the home region from it."""
        now = self.run.home.began
        covered = self.run.covered() if everywhere or now.hour % ELSEWHERE_HOURS == 0 else [self.run.regions.home]
        return self._found(self.visit(covered, StartPass.sweep))

    def in_one(self, name: str, do: Callable[[StartPass], list[Result]]) -> list[tuple[StartPass, list[Result]]]:
        """The results in the region of this name. A region that cannot be reached is left to the next sweep; whatever
        else fails there is raised."""
        region = self.run.regions.named(name, self.run.home.began)
        visited = self.visit([region], do) if region else []
        for one in visited:
            if one.failure:
                raise one.failure
        return self._found(visited)

    def request(self, ids: Collection[str]) -> tuple[list[tuple[StartPass, list[Result]]], list[str]]:
        """Start these instances, wherever they are. Other regions are asked for what is not in the home region. Returns
        also what is to be said of regions that could not be asked."""
        try:
            at_home, failed = self.home.request(ids), None
        except Ec2Error as error:
            at_home, failed = [], error
        left = set(ids) - ids_of(at_home)
        others = self.run.covered()[1:] if left else []
        visited = self.find(others, lambda starts: starts.request(left))
        found = self._found(visited)
        if failed and left - {i for _, results in found for i in ids_of(results)}:
            raise failed
        return [(self.home, at_home), *found], not_asked(visited)

    def _found(self, visited: Sequence[Visited[StartRegion, T]]) -> list[tuple[StartPass, T]]:
        for one in visited:
            if one.error and one.region.is_home:
                raise one.error
        return [(self.at(one.region), one.found) for one in visited if one.found is not None]


def not_asked(visited: Sequence[Visited[StartRegion, T]]) -> list[str]:
    """A sentence for each region that could not be asked."""
    return [f"{one.region.name} could not be asked: {one.error}" for one in visited if one.error]
