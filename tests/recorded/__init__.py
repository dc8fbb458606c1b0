"""What AWS has really answered: recordings that public projects keep, reduced to the facts that we read.

`answers.json` has the facts, and `README.md` says whose each is. `python -m tests.recorded` makes both of checkouts."""

import json
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

HERE = Path(__file__).parent
ANSWERS, TABLE = HERE / "answers.json", HERE / "README.md"
TIMES = frozenset({"LaunchTime", "AttachTime", "CreateTime", "StartTime"})


class Recorded(NamedTuple):
    """One recorded instance, volume, snapshot or answer of a call, and the file of the repository that holds it."""

    operation: str
    repository: str
    path: str
    facts: Any

    @property
    def resource(self) -> str:
        kind = {"DescribeInstances": "InstanceId", "DescribeSnapshots": "SnapshotId", "CreateSnapshot": "SnapshotId"}
        return str(self.facts[kind.get(self.operation, "VolumeId")])


def recorded(operation: str) -> list[Recorded]:
    """All recordings of an operation, with times as the SDK gives them."""
    return [
        Recorded(operation, repository, path, with_times(facts))
        for repository, files in json.loads(ANSWERS.read_text())[operation].items()
        for path, found in files.items()
        for facts in found
    ]


def with_times(facts: Any) -> Any:
    if isinstance(facts, dict):
        return {k: datetime.fromisoformat(v) if k in TIMES else with_times(v) for k, v in facts.items()}
    return [with_times(one) for one in facts] if isinstance(facts, list) else facts
