"""EC2: turns describe calls into facts, steps into calls, error codes into our exceptions. Only this talks to EC2."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

from park_volumes.aws.reads import Ec2Reads
from park_volumes.aws.statuses import loading
from park_volumes.aws.writes import Ec2Writes
from park_volumes.core.facts import Loading

if TYPE_CHECKING:
    from mypy_boto3_ec2 import EC2Client


class Ec2:
    """EC2 as one deployment uses it, with one SDK client: its reads, of what bears its name or a previous one, and its
    writes."""

    def __init__(self, client: "EC2Client", *, deployment: str, previous_names: Sequence[str] = ()) -> None:
        self.reads = Ec2Reads(client, names=(deployment, *previous_names))
        self.writes = Ec2Writes(client)
        self.loading: Callable[[Sequence[str]], Mapping[str, Loading]] = partial(loading, client)
        self._client = client

    def enabled_regions(self) -> list[str]:
        from park_volumes.aws.regions import enabled_regions  # noqa: PLC0415  # most deployments never ask

        return enabled_regions(self._client)
