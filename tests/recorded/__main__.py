"""`python -m tests.recorded OWNER/NAME=CHECKOUT ...` reads the recordings in checkouts of public repositories.

It writes the facts of them that we read: no text, no value of a tag, and one number for every account."""

import json
import re
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.recorded import ANSWERS, TABLE, TIMES, Recorded

ACCOUNT = re.compile(r"\d{12}")
ID = re.compile(r"(i|vol|snap)-([0-9a-f]{8}|[0-9a-f]{17})")
"""The ids of others were made up by their project."""
MOST_ALIKE = 3
VARIES = re.compile(r"Id$|Zone$|Device$|DeviceName$|Progress")
"""Members whose value does not make a fact another kind of fact."""
Shape = Mapping[str, Any]
"""The members that are kept; what is a mapping, or a list of one, goes on inside."""
TAGS: Shape = {"Key": None, "Value": None}
OPERATOR: Shape = {"Managed": None, "Principal": None}
ATTACHMENT: Shape = dict.fromkeys(
    ("AttachTime", "DeleteOnTermination", "Device", "EbsCardIndex", "InstanceId", "State", "VolumeId")
)
SNAPSHOT: Shape = dict.fromkeys(
    ("Encrypted", "FullSnapshotSizeInBytes", "KmsKeyId", "OwnerId", "Progress", "SnapshotId", "StartTime", "State")
) | {"StorageTier": None, "Tags": TAGS, "VolumeId": None, "VolumeSize": None}
VOLUME: Shape = (
    dict.fromkeys(
        ("AvailabilityZone", "CreateTime", "Encrypted", "Iops", "KmsKeyId", "MultiAttachEnabled", "Size", "SnapshotId")
    )
    | {"Attachments": ATTACHMENT, "Operator": OPERATOR, "State": None, "Tags": TAGS, "Throughput": None}
    | {
        "VolumeId": None,
        "VolumeType": None,
    }
)
INSTANCE: Shape = {
    **dict.fromkeys(("InstanceId", "InstanceLifecycle", "LaunchTime", "OutpostArn", "Platform", "RootDeviceName")),
    **dict.fromkeys(("RootDeviceType", "StateTransitionReason", "VirtualizationType")),
    "BlockDeviceMappings": {
        "DeviceName": None,
        "Ebs": dict.fromkeys(("AttachTime", "DeleteOnTermination", "EbsCardIndex", "Status", "VolumeId"))
        | {"Operator": OPERATOR},
    },
    "HibernationOptions": {"Configured": None},
    "Operator": OPERATOR,
    "Placement": {"AvailabilityZone": None},
    "ProductCodes": {"ProductCodeId": None, "ProductCodeType": None},
    "State": {"Name": None},
    "StateReason": {"Code": None},
    "Tags": TAGS,
}
MODIFICATION: Shape = dict.fromkeys(("ModificationState", "Progress", "StartTime", "VolumeId"))
WHOLE = frozenset({"BlockDeviceMappings", "LaunchTime", "Placement", "State"})
"""Instances without these were cut down by their project: nothing is known of what EC2 answered."""


def _instances(answer: Any) -> Iterator[Any]:
    every = (i for r in answer.get("Reservations", ()) for i in r["Instances"])
    yield from (i for i in every if i.keys() >= WHOLE)


KEPT: Mapping[str, tuple[Shape, Callable[[Any], Iterable[Any]]]] = {
    "DescribeInstances": (INSTANCE, _instances),
    "DescribeVolumes": (VOLUME, lambda answer: answer.get("Volumes", ())),
    "DescribeSnapshots": (SNAPSHOT, lambda answer: answer.get("Snapshots", ())),
    "DescribeVolumesModifications": (MODIFICATION, lambda answer: answer.get("VolumesModifications", ())),
    "CreateSnapshot": (SNAPSHOT, lambda answer: [answer]),
    "CreateVolume": (VOLUME, lambda answer: [answer]),
    "AttachVolume": (ATTACHMENT, lambda answer: [answer]),
    "DetachVolume": (ATTACHMENT, lambda answer: [answer]),
}
OPERATIONS = {
    "attach": "AttachVolume",
    "create-snapshot": "CreateSnapshot",
    "create-volume": "CreateVolume",
    "describe-instances": "DescribeInstances",
    "describe-volumes": "DescribeVolumes",
    "detach": "DetachVolume",
}
FILES: tuple[tuple[re.Pattern[str], Callable[[Any], Any]], ...] = (
    # cloud-custodian: what placebo writes.
    (re.compile(r"tests/data/placebo/[^/]+/ec2\.(\w+?)_\d+\.json"), lambda kept: kept["data"]),
    # dwmkerr/terminal-ai: what the AWS CLI prints.
    (re.compile(r"src/fixtures/[a-z-]*?(describe-instances|describe-volumes)[a-z-]*\.json"), lambda kept: kept),
    (
        re.compile(r"src/fixtures/volumes-(create-snapshot|create-volume|attach|detach)-?volume\d\.json"),
        lambda kept: kept,
    ),
)
"""Which files are recordings of which operation, and where in them the answer is."""


def _reduced(facts: Any, shape: Any) -> Any:
    if shape is TAGS:
        return _tags(facts)
    if isinstance(facts, list):
        return [_reduced(one, shape) for one in facts]
    if not isinstance(shape, Mapping):
        return ACCOUNT.sub("123456789012", facts) if isinstance(facts, str) else facts
    kept = {k: facts[k] for k in sorted(shape) if facts.get(k) is not None}
    return {k: _time(v) if k in TIMES else _reduced(v, shape[k]) for k, v in kept.items()}


def _tags(told: list[dict[str, str]]) -> list[dict[str, str]]:
    """The keys of AWS, and one in the place of all others."""
    keys = {tag["Key"] if tag["Key"].startswith("aws:") else "a" for tag in told}
    return [{"Key": key, "Value": ""} for key in sorted(keys)]


def _time(told: Any) -> str:
    if isinstance(told, str):
        return told
    return datetime(**{k: v for k, v in told.items() if k != "__class__"}, tzinfo=UTC).isoformat()


def _read(repository: str, checkout: Path) -> Iterator[Recorded]:
    for file in sorted(checkout.rglob("*.json")):
        path = file.relative_to(checkout).as_posix()
        for pattern, answer_in in FILES:
            found = pattern.fullmatch(path)
            operation = OPERATIONS.get(found[1], found[1]) if found else ""
            if operation in KEPT:
                shape, parts = KEPT[operation]
                answer = answer_in(json.loads(file.read_text()))
                every = (Recorded(operation, repository, path, _reduced(one, shape)) for one in parts(answer))
                yield from (one for one in every if ID.fullmatch(one.resource))


def _chosen(every: Iterable[Recorded]) -> dict[str, list[Recorded]]:
    """Each fact once, and of facts that differ in ids, times and numbers only, a few: many files repeat each other.
    All of a volume that was attached or detached are kept."""
    found: dict[str, list[Recorded]] = defaultdict(list)
    known: set[str] = set()
    alike: Counter[str] = Counter()
    all_of = sorted(every, key=lambda r: not r.operation.endswith("tachVolume"))
    moved = [r.facts["VolumeId"] for r in all_of if r.operation.endswith("tachVolume")]
    for one in all_of:
        said = one.operation + json.dumps(one.facts, sort_keys=True)
        kind = one.operation + str(_kind(one.facts))
        if said not in known and (alike[kind] < MOST_ALIKE or any(volume_id in said for volume_id in moved)):
            known.add(said)
            alike[kind] += 1
            found[one.operation].append(one)
    return found


def _kind(facts: Any, name: str = "") -> Any:
    if isinstance(facts, dict):
        return {k: _kind(v, k) for k, v in facts.items()}
    if isinstance(facts, list):
        return [_kind(one) for one in facts]
    if name in TIMES:
        return "." in facts
    return (
        facts[:4] if name == "StateTransitionReason" else None if VARIES.search(name) or type(facts) is int else facts
    )


def main(arguments: list[str]) -> None:
    sources = dict(argument.split("=", 1) for argument in arguments)
    every = _chosen(one for name, checkout in sources.items() for one in _read(name, Path(checkout)))
    by_file: dict[str, dict[str, dict[str, list[Any]]]] = {}
    for operation, found in sorted(every.items()):
        for r in found:
            by_file.setdefault(operation, {}).setdefault(r.repository, {}).setdefault(r.path, []).append(r.facts)
    ANSWERS.write_text(json.dumps(by_file, indent=0, separators=(",", ":"), sort_keys=True) + "\n")
    counted = Counter((r.repository, r.path, r.operation) for found in every.values() for r in found)
    rows = "\n".join(
        f"| {repo} | `{path}` | {operation} | {n} |" for (repo, path, operation), n in sorted(counted.items())
    )
    before = TABLE.read_text().partition("| repository |")[0]
    TABLE.write_text(f"{before}| repository | file | answer of | facts kept |\n|---|---|---|---|\n{rows}\n")


if __name__ == "__main__":
    main(sys.argv[1:])
