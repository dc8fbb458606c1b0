"""The strict EC2 model: the rules of the EC2 operations that the project uses.

    world = World()
    instance_id = world.launch(name="db")
    ec2 = EC2Client(world, "park")
    ec2.stop_instances(InstanceIds=[instance_id])
    world.clock.advance(30)

Codes and conditions are those of the EC2 API reference; where it is silent, the model does what is worse for the
caller.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from copy import deepcopy
from datetime import timedelta
from functools import partial
from typing import Any, TypeVar

from botocore.exceptions import OperationNotPageableError

from tests.model.answers import (
    Answer,
    attachment_answer,
    bin_answer,
    change_answer,
    instance_answer,
    lock_answer,
    lock_state,
    modification_answer,
    snapshot_answer,
    status_answer,
    tier_answer,
    volume_answer,
)
from tests.model.client import Client, Context, Paginator, Params, operation
from tests.model.faults import CAPACITY, FALLS_BACK, Fault
from tests.model.records import (
    LOCKED,
    MODIFICATION_VALUES,
    OF_BACKUP,
    SHARED_WITH,
    USED_BY,
    Attachment,
    Content,
    Instance,
    Lock,
    Makeup,
    Modification,
    Snapshot,
    Volume,
    default_iops,
    too_large,
)
from tests.model.table import Filter, Resource, Table, at, make_filter
from tests.model.validation import Refused
from tests.model.world import World

R = TypeVar("R", bound=Resource)

ec2 = partial(operation, "ec2")

MOST_TAGS, LONGEST_KEY, LONGEST_VALUE = 50, 127, 256
MOST_FILTER_VALUES = 200
LONGEST_TOKEN = 64
UNTOLD = ("ClientToken", "DryRun")
"""Parameters that do not tell two calls with the same token apart."""
PAGE = range(5, 1001)
LARGEST_PAGE_OF_MODIFICATIONS = 500
LARGEST_PAGE_OF_BIN = 500
MOST_TOKENS_KEPT = 1000
PAGED = (
    "describe_instances",
    "describe_volumes",
    "describe_snapshots",
    "describe_snapshot_tier_status",
    "describe_volumes_modifications",
)
ARCHIVING, THAWING = "archival-in-progress", "permanent-restore-in-progress"


class EC2Client(Client):
    service = "ec2"

    def can_paginate(self, operation_name: str) -> bool:
        return operation_name in PAGED

    def get_paginator(self, operation_name: str) -> "Paginator":
        if not self.can_paginate(operation_name):
            raise OperationNotPageableError(operation_name=operation_name)
        return Paginator(getattr(self, operation_name))


# ---- describing


@ec2("DescribeInstances")
def describe_instances(world: World, params: Params, _: Context) -> Answer:
    instances, token = _describe(world, world.instances, params, "InstanceIds", _no_instance)
    answer: Answer = {
        "Reservations": [
            {
                "ReservationId": f"r-{instance.id[2:]}",
                "OwnerId": world.rules.account,
                "Groups": [],
                "Instances": [instance_answer(instance)],
            }
            for instance in instances
        ]
    }
    return _with_token(answer, token)


@ec2("DescribeVolumes")
def describe_volumes(world: World, params: Params, _: Context) -> Answer:
    volumes, token = _describe(world, world.volumes, params, "VolumeIds", _no_volume)
    return _with_token({"Volumes": [volume_answer(volume) for volume in volumes]}, token)


@ec2("ListVolumesInRecycleBin")
def list_volumes_in_recycle_bin(world: World, params: Params, _: Context) -> Answer:
    """No tags are told."""
    most = params.get("MaxResults", LARGEST_PAGE_OF_BIN)
    if most not in range(5, LARGEST_PAGE_OF_BIN + 1):
        raise Refused("InvalidParameterValue", f"Value ( {most} ) for parameter maxResults is invalid.")
    kept = {i: (v, at) for i, (v, at) in world.bin.items() if world.clock.now < at + world.rules.volume_bin}
    row_ids, position = _waiting(world, "Bin", params.get("NextToken")) or (tuple(kept), 0)
    page = row_ids[position : position + most]
    found = [bin_answer(*kept[row_id], world.rules.volume_bin) for row_id in page if row_id in kept]
    return _with_token({"Volumes": found}, _next_token(world, "Bin", row_ids, position + len(page)))


@ec2("DescribeRegions")
def describe_regions(world: World, params: Params, _: Context) -> Answer:
    """Those that the account has enabled, unless all are asked for; the model knows no others."""
    wanted = {name: set(item["Values"]) for item in params.get("Filters", ()) for name in [item["Name"]]}
    if wanted.keys() - {"opt-in-status"}:
        raise NotImplementedError(f"The model's DescribeRegions does not know {sorted(wanted)}.")
    status = "opt-in-not-required"
    names = world.rules.regions if status in wanted.get("opt-in-status", {status}) else ()
    every = [{"RegionName": n, "Endpoint": f"ec2.{n}.amazonaws.com", "OptInStatus": status} for n in names]
    return {"Regions": every}


@ec2("GetEbsEncryptionByDefault")
def get_ebs_encryption_by_default(world: World, _params: Params, _: Context) -> Answer:
    return {"EbsEncryptionByDefault": world.rules.default_key is not None}


@ec2("GetEbsDefaultKmsKeyId")
def get_ebs_default_kms_key_id(world: World, _params: Params, _: Context) -> Answer:
    return {"KmsKeyId": world.rules.default_key or "alias/aws/ebs"}


@ec2("DescribeVolumeStatus")
def describe_volume_status(world: World, params: Params, _: Context) -> Answer:
    if params.get("Filters"):
        raise NotImplementedError("The model finds the status of volumes by their ids only.")
    volumes, token = _describe(world, world.volumes, params, "VolumeIds", _no_volume)
    return _with_token({"VolumeStatuses": [status_answer(world, volume) for volume in volumes]}, token)


@ec2("DescribeSnapshots")
def describe_snapshots(world: World, params: Params, _: Context) -> Answer:
    """With OwnerIds a page may hold fewer than MaxResults, or none, and yet not be the last: as in EC2."""
    snapshots, token = _describe(world, world.snapshots, params, "SnapshotIds", _no_snapshot)
    if params.get("OwnerIds"):
        owners = {world.rules.account if owner == "self" else owner for owner in params["OwnerIds"]}
        snapshots = [snapshot for snapshot in snapshots if snapshot.owner in owners]
    return _with_token({"Snapshots": [snapshot_answer(world, snapshot) for snapshot in snapshots]}, token)


@ec2("DescribeLockedSnapshots")
def describe_locked_snapshots(world: World, params: Params, _: Context) -> Answer:
    """Locked snapshots only: one that is named and is not locked is left out, or an error; which, no page says.

    The one filter is lock-state, and a page may hold fewer than MaxResults.
    """
    filters = params.get("Filters") or ()
    if any(item.get("Name") != "lock-state" for item in filters):
        raise Refused("InvalidParameterValue", "The only filter of DescribeLockedSnapshots is 'lock-state'.")
    if world.rules.unlocked_ids_refused:
        for snapshot in (_snapshot(world, snapshot_id) for snapshot_id in params.get("SnapshotIds") or ()):
            if snapshot.lock is None:
                raise Refused("SnapshotNotLocked", f"The snapshot '{snapshot.id}' is not locked.")
    states = {value for item in filters for value in item.get("Values", ())}
    locked_only = {**params, "Filters": [{"Name": LOCKED, "Values": ["true"]}]}
    snapshots, token = _describe(world, world.snapshots, locked_only, "SnapshotIds", _no_snapshot)
    found = [lock_answer(world, snapshot) for snapshot in snapshots]
    return _with_token({"Snapshots": [item for item in found if not states or item["LockState"] in states]}, token)


def _describe(
    world: World, table: Table[R], params: Params, ids_name: str, missing: Callable[[Sequence[str]], Refused]
) -> tuple[list[R], str | None]:
    """The records of one page, each as a lagging read sees it, and the token of the next page."""
    ids = params.get(ids_name)
    most = params.get("MaxResults")
    if most is not None:
        if ids:
            raise Refused("InvalidParameterCombination", f"The parameter {ids_name} cannot be used with MaxResults")
        if most not in PAGE:
            raise Refused("InvalidParameterValue", f"Value ( {most} ) for parameter maxResults is invalid.")
    filters = _filters(table, params.get("Filters"))
    matches = _that_is_shown(world, params, table.matcher(filters) if filters else None)
    if ids:
        found = [(row_id, _seen(world, table, row_id)) for row_id in dict.fromkeys(ids)]
        unknown = [row_id for row_id, record in found if record is None]
        if unknown:
            raise missing(unknown)
        return [record for _, record in found if record is not None and (matches is None or matches(record))], None
    row_ids, position = _waiting(world, ids_name, params.get("NextToken")) or (tuple(table.candidates(filters)), 0)
    records: list[R] = []
    while position < len(row_ids) and (most is None or len(records) < most):
        record = _seen(world, table, row_ids[position])
        position += 1
        if record is not None and (matches is None or matches(record)):
            records.append(record)
    return records, _next_token(world, ids_name, row_ids, position)


def _that_is_shown(world: World, params: Params, matches: Callable[[Any], bool] | None) -> Callable[[Any], bool] | None:
    """Of instances and volumes that another service manages, and that the account hides, only who asks is told."""
    if not world.rules.hides_managed or params.get("IncludeManagedResources"):
        return matches
    return lambda record: not _is_managed(record) and (matches is None or matches(record))


def _is_managed(record: Any) -> bool:
    return bool(getattr(record, "facts", {}).get("Operator", {}).get("Managed"))


def _next_token(world: World, ids_name: str, row_ids: tuple[str, ...], position: int) -> str | None:
    if position == len(row_ids):
        return None
    token = f"page-{world.calls:08x}"
    if len(world.pages) >= MOST_TOKENS_KEPT:
        del world.pages[next(iter(world.pages))]
    world.pages[token] = (ids_name, row_ids, position)
    return token


def _waiting(world: World, ids_name: str, token: str | None) -> tuple[tuple[str, ...], int] | None:
    if not token:
        return None
    kind, row_ids, position = world.pages.get(token, ("", (), 0))
    if kind != ids_name:
        raise Refused("InvalidParameterValue", f"Unable to parse pagination token {token!r}")
    return row_ids, position


def _seen(world: World, table: Table[R], row_id: str) -> R | None:
    version = table.rows.get(row_id)
    if version is None:
        return None
    lag = world.lag
    now = world.clock.now
    if lag is None or version.since <= now - lag.seconds:
        return version.record
    return at(version, now - lag.of(row_id, world.calls))


def _filters(table: Table[R], filters: Sequence[Mapping[str, Any]] | None) -> list[Filter]:
    if not filters:
        return []
    if sum(len(item.get("Values", ())) for item in filters) > MOST_FILTER_VALUES:
        raise Refused("FilterLimitExceeded", "The maximum number of filter values specified on a single call is 200")
    made = []
    for item in filters:
        name, values = item.get("Name"), item.get("Values")
        if not name or not values:
            raise Refused("InvalidParameterValue", f"The filter {name!r} needs a name and at least one value.")
        if not table.knows(name):
            raise Refused("InvalidParameterValue", f"The filter '{name}' is invalid, or new to the model")
        made.append(make_filter(name, tuple(values)))
    return made


def _with_token(answer: Answer, token: str | None) -> Answer:
    if token is not None:
        answer["NextToken"] = token
    return answer


# ---- snapshots


@ec2("CreateSnapshot")
def create_snapshot(world: World, params: Params, context: Context) -> Answer:
    volume = _volume(world, params["VolumeId"])
    tags = _tags_at_creation(params, "snapshot")
    if volume.state not in ("available", "in-use"):
        raise Refused("IncorrectState", f"Volume '{volume.id}' is '{volume.state}'.")
    _check_snapshot_quotas(world, volume)
    now, took = world.clock.now, world.durations
    seconds = took.snapshot + took.snapshot_per_gib * volume.size
    snapshot = Snapshot(
        id=world.new_id("snap"),
        volume_id=volume.id,
        size=volume.size,
        state="pending",
        started=now,
        completes=now + seconds,
        content=world.content(volume),
        tags=tags,
        encrypted=volume.encrypted,
        key=volume.key,
        owner=world.rules.account,
        description=params.get("Description", ""),
        fails=context.fault is Fault.SNAPSHOT_FAILS,
    )
    world.snapshots.put(snapshot, now)
    world.later(seconds, "snapshot-done", snapshot.id)
    return {**snapshot_answer(world, snapshot)}


def _check_snapshot_quotas(world: World, volume: Volume) -> None:
    rules = world.rules
    if rules.snapshots is not None and len(world.snapshots.rows) >= rules.snapshots:
        raise Refused("SnapshotLimitExceeded", "The maximum number of snapshots has been reached.")
    others = [snapshot for snapshot in world.snapshots_of(volume.id) if snapshot.state in ("pending", "error")]
    most = rules.pending_snapshots_hdd if volume.type in ("st1", "sc1") else rules.pending_snapshots
    if len(others) >= most:
        message = "Maximum allowed in-progress snapshots for a single volume exceeded."
        raise Refused("ConcurrentSnapshotLimitExceeded", message)
    since = world.clock.now - rules.seconds_between_snapshots
    if any(snapshot.state == "pending" and snapshot.started > since for snapshot in others):
        message = "The maximum per volume CreateSnapshot request rate has been exceeded."
        raise Refused("SnapshotCreationPerVolumeRateExceeded", message)


@ec2("DeleteSnapshot")
def delete_snapshot(world: World, params: Params, context: Context) -> Answer:
    """A pending snapshot goes once it has completed."""
    snapshot = _snapshot(world, params["SnapshotId"])
    if lock_state(world, snapshot) in ("governance", "compliance"):
        raise Refused("SnapshotLocked", f"The snapshot '{snapshot.id}' is locked and cannot be deleted.")
    if image := snapshot.facts.get(USED_BY):
        raise Refused("InvalidSnapshot.InUse", f"The snapshot {snapshot.id} is currently in use by {image}")
    if snapshot.facts.get(OF_BACKUP):
        message = "This snapshot is managed by the AWS Backup service and cannot be deleted via EC2 APIs."
        raise Refused("InvalidParameterValue", message)
    if context.owner:
        world.ledger.owner_deletes(world, snapshot.id, snapshot.content)
    else:
        world.ledger.discarding(world, snapshot)
    if snapshot.state == "pending":
        world.snapshots.put(snapshot._replace(doomed=True), world.clock.now)
    else:
        world.drop_snapshot(snapshot.id)
    return {}


@ec2("DescribeSnapshotAttribute")
def describe_snapshot_attribute(world: World, params: Params, _: Context) -> Answer:
    """createVolumePermission only: who a snapshot is shared with."""
    if params["Attribute"] != "createVolumePermission":
        raise NotImplementedError(f"The model does not know {params['Attribute']}.")
    snapshot = _snapshot(world, params["SnapshotId"])
    permissions = [{"UserId": account} for account in snapshot.facts.get(SHARED_WITH, ())]
    return {"SnapshotId": snapshot.id, "CreateVolumePermissions": permissions}


@ec2("ModifySnapshotAttribute")
def modify_snapshot_attribute(world: World, params: Params, _: Context) -> Answer:
    """Shares a snapshot with accounts, or ends that."""
    snapshot = _snapshot(world, params["SnapshotId"])
    before, named = set(snapshot.facts.get(SHARED_WITH, ())), set(params["UserIds"])
    after = before | named if params["OperationType"] == "add" else before - named
    _know(world, snapshot, {SHARED_WITH: tuple(sorted(after))})
    return {}


@ec2("RegisterImage")
def register_image(world: World, params: Params, _: Context) -> Answer:
    """An AMI from snapshots, which cannot be deleted while it is registered."""
    image = world.new_id("ami")
    for mapping in params["BlockDeviceMappings"]:
        _know(world, _snapshot(world, mapping["Ebs"]["SnapshotId"]), {USED_BY: image})
    return {"ImageId": image}


@ec2("DeregisterImage")
def deregister_image(world: World, params: Params, _: Context) -> Answer:
    for snapshot in list(world.snapshots.current()):
        if snapshot.facts.get(USED_BY) == params["ImageId"]:
            _know(world, snapshot, {USED_BY: ""})
    return {"Return": True}


def _know(world: World, snapshot: Snapshot, facts: Mapping[str, Any]) -> None:
    world.snapshots.put(snapshot._replace(facts={**snapshot.facts, **facts}), world.clock.now)


@ec2("LockSnapshot")
def lock_snapshot(world: World, params: Params, _: Context) -> Answer:
    """A snapshot that is locked already gets the new duration; nothing loosens a lock in compliance mode."""
    snapshot = _snapshot(world, params["SnapshotId"])
    if "CoolOffPeriod" in params:
        raise NotImplementedError("The model knows no cooling-off period.")
    if lock_state(world, snapshot) == "compliance" and params["LockMode"] != "compliance":
        raise Refused("OperationNotPermitted", f"The snapshot '{snapshot.id}' is locked in compliance mode.")
    days = params.get("LockDuration")
    if days is None:
        raise NotImplementedError("The model needs LockDuration, in days.")
    if snapshot.state not in ("pending", "completed"):
        raise Refused("IncorrectState", f"The snapshot '{snapshot.id}' is in the '{snapshot.state}' state.")
    now = world.clock.time()
    locked = snapshot._replace(lock=Lock(params["LockMode"], days, now, now + timedelta(days=days)))
    world.snapshots.put(locked, world.clock.now)
    return lock_answer(world, locked)


@ec2("UnlockSnapshot")
def unlock_snapshot(world: World, params: Params, _: Context) -> Answer:
    snapshot = _snapshot(world, params["SnapshotId"])
    if snapshot.lock is None:
        raise Refused("SnapshotNotLocked", f"The snapshot '{snapshot.id}' is not locked.")
    if lock_state(world, snapshot) == "compliance":
        raise Refused("OperationNotPermitted", f"The snapshot '{snapshot.id}' is locked in compliance mode.")
    world.snapshots.put(snapshot._replace(lock=None), world.clock.now)
    return {"SnapshotId": snapshot.id}


@ec2("DescribeSnapshotTierStatus")
def describe_snapshot_tier_status(world: World, params: Params, _: Context) -> Answer:
    snapshots, token = _describe(world, world.snapshots, params, "SnapshotIds", _no_snapshot)
    answer = {"SnapshotTierStatuses": [tier_answer(s) for s in snapshots if s.owner == world.rules.account]}
    return _with_token(answer, token)


@ec2("ModifySnapshotTier")
def modify_snapshot_tier(world: World, params: Params, _: Context) -> Answer:
    """To the archive; the snapshot can be used until it is there. What EC2 answers to a second call, no page says."""
    snapshot = _snapshot(world, params["SnapshotId"])
    if snapshot.state != "completed" or snapshot.tier == "archive" or snapshot.tiering == ARCHIVING:
        raise Refused("IncorrectState", f"The snapshot '{snapshot.id}' can't be archived now.")
    _check_tiering_quota(world, ARCHIVING, world.rules.archives)
    world.snapshots.put(snapshot._replace(tiering=ARCHIVING, tiering_since=world.clock.now), world.clock.now)
    world.later(world.durations.archive, "tiered", snapshot.id, "archive")
    return {"SnapshotId": snapshot.id, "TieringStartTime": world.clock.time()}


@ec2("RestoreSnapshotTier")
def restore_snapshot_tier(world: World, params: Params, _: Context) -> Answer:
    """Back to the standard tier, to stay."""
    snapshot = _snapshot(world, params["SnapshotId"])
    if not params.get("PermanentRestore"):
        raise NotImplementedError("The model restores permanently only.")
    if snapshot.tier != "archive" or snapshot.tiering == THAWING:
        raise Refused("IncorrectState", f"The snapshot '{snapshot.id}' can't be restored from the archive now.")
    _check_tiering_quota(world, THAWING, world.rules.thaws)
    world.snapshots.put(snapshot._replace(tiering=THAWING, tiering_since=world.clock.now), world.clock.now)
    world.later(world.durations.thaw, "tiered", snapshot.id, "standard")
    return {"SnapshotId": snapshot.id, "RestoreStartTime": world.clock.time(), "IsPermanentRestore": True}


def _check_tiering_quota(world: World, status: str, most: int) -> None:
    if sum(s.tiering == status for s in world.snapshots.current()) >= most:
        raise Refused("ConcurrentTieringLimitExceeded", "Too many snapshots are on their way between the tiers.")


# ---- volumes


@ec2("CreateVolume")
def create_volume(world: World, params: Params, context: Context) -> Answer:
    """The same ClientToken with the same parameters answers with the first volume for ever, even when that is gone."""
    token = params.get("ClientToken")
    if token is not None:
        wanted = deepcopy({name: value for name, value in params.items() if name not in UNTOLD})
        if not token.isascii() or len(token) > LONGEST_TOKEN:
            raise Refused("InvalidParameterValue", f"A ClientToken has at most {LONGEST_TOKEN} ASCII characters.")
        if token in world.tokens:
            before, volume = world.tokens[token]
            if before != wanted:
                message = "The client token is associated with a resource that was created with other parameters."
                raise Refused("IdempotentParameterMismatch", message)
            return {**volume_answer(world.volumes.get(volume.id) or volume._replace(state="deleted", attachments=()))}
    volume = _new_volume(world, params)
    world.volumes.put(volume, world.clock.now)
    if token is not None:
        world.tokens[token] = (wanted, volume)
    fails = context.fault is Fault.VOLUME_FAILS or volume.key in world.rules.broken_keys
    took = world.durations
    world.later(took.create + took.create_per_gib * volume.size, "failed" if fails else "available", volume.id)
    return {**volume_answer(volume)}


def _new_volume(world: World, params: Params) -> Volume:
    zone, volume_type = params.get("AvailabilityZone"), params.get("VolumeType", "gp2")
    if zone is None:
        raise Refused("MissingParameter", "The request must contain the parameter AvailabilityZone")
    if zone not in world.rules.zones:
        raise Refused("InvalidZone.NotFound", f"The zone '{zone}' does not exist.")
    snapshot = _snapshot(world, params["SnapshotId"]) if params.get("SnapshotId") else None
    if snapshot is not None and snapshot.state != "completed":
        raise Refused("IncorrectState", f"Snapshot is in invalid state - {snapshot.state}")
    if snapshot is not None and snapshot.tier == "archive":
        raise Refused("IncorrectState", f"Snapshot {snapshot.id} is archived")
    size = params.get("Size", snapshot.size if snapshot is not None else None)
    if size is None:
        raise Refused("MissingParameter", "The request must contain the parameter size or snapshotId")
    if snapshot is not None and size < snapshot.size:
        raise Refused("InvalidParameterValue", f"The volume size is smaller than the snapshot's, {snapshot.size} GiB.")
    iops, throughput, rate = _performance(params, volume_type, size)
    key = _key(world, params, snapshot)
    volume_id = world.new_id("vol")
    return Volume(
        id=volume_id,
        zone=zone,
        size=size,
        type=volume_type,
        state="creating",
        created=world.clock.time(),
        content=snapshot.content if snapshot is not None else Content(volume_id, world.tick),
        tags=_tags_at_creation(params, "volume"),
        iops=iops,
        throughput=throughput,
        encrypted=key is not None,
        key=key,
        snapshot_id=snapshot.id if snapshot is not None else "",
        multi_attach=params.get("MultiAttachEnabled", False),
        rate=rate,
    )


def _performance(params: Params, volume_type: str, size: int) -> tuple[int | None, int | None, int | None]:
    iops, throughput, rate = params.get("Iops"), params.get("Throughput"), params.get("VolumeInitializationRate")
    if message := too_large(volume_type, size):
        raise Refused("InvalidParameterValue", message)
    if iops is not None and volume_type not in ("io1", "io2", "gp3"):
        message = f"The parameter iops is not supported for {volume_type} volumes."
        raise Refused("InvalidParameterCombination", message)
    if iops is None and volume_type in ("io1", "io2"):
        raise Refused("MissingParameter", f"The parameter iops must be specified for {volume_type} volumes.")
    if throughput is not None and volume_type != "gp3":
        message = f"The parameter throughput is not supported for {volume_type} volumes."
        raise Refused("InvalidParameterCombination", message)
    if params.get("MultiAttachEnabled") and volume_type not in ("io1", "io2"):
        raise Refused("InvalidParameterCombination", f"Multi-Attach is not supported for {volume_type} volumes.")
    if rate is not None and (not params.get("SnapshotId") or rate not in range(100, 301)):
        message = "VolumeInitializationRate is 100 to 300 MiB/s, and only for a volume made from a snapshot."
        raise Refused("InvalidParameterValue", message)
    return iops or default_iops(volume_type, size), throughput or (125 if volume_type == "gp3" else None), rate


def _key(world: World, params: Params, snapshot: Snapshot | None) -> str | None:
    """The volume's key; None: not encrypted. With encryption by default, a key that is not named is the account's."""
    key, encrypted = params.get("KmsKeyId"), params.get("Encrypted")
    if key is not None and not encrypted:
        raise Refused(
            "InvalidParameterDependency", "The parameter KmsKeyId requires the parameter Encrypted to be set."
        )
    if encrypted is False and snapshot is not None and snapshot.encrypted:
        raise Refused("InvalidParameterValue", "A volume from an encrypted snapshot is encrypted.")
    if key is not None:
        prefix = f"arn:aws:kms:{world.rules.region}:{world.rules.account}:key/"
        return str(key) if key.startswith("arn:") else prefix + key.removeprefix("key/")
    if world.rules.default_key is not None:
        return world.rules.default_key
    if snapshot is not None and snapshot.encrypted:
        return snapshot.key
    return f"arn:aws:kms:{world.rules.region}:{world.rules.account}:key/aws-ebs" if encrypted else None


@ec2("ModifyVolume")
def modify_volume(world: World, params: Params, context: Context) -> Answer:
    """EC2 refuses the next one for six hours, and while one is under way in other words."""
    if "MultiAttachEnabled" in params:
        raise NotImplementedError("The model does not modify MultiAttachEnabled.")
    volume = _volume(world, params["VolumeId"])
    if volume.state not in ("available", "in-use"):
        raise Refused("IncorrectState", f"Volume '{volume.id}' is '{volume.state}'.")
    _check_modification_rate(world, volume)
    before = Makeup(volume.size, volume.type, volume.iops, volume.throughput)
    modification = Modification(
        id=volume.id,
        state="modifying",
        started=world.clock.now,
        before=before,
        target=_target(before, params),
        fails=context.fault is Fault.MODIFICATION_FAILS,
    )
    world.modify(modification)
    return {"VolumeModification": modification_answer(world, modification)}


def _check_modification_rate(world: World, volume: Volume) -> None:
    last = world.modifications.get(volume.id)
    if last is None:
        return
    if last.state in ("modifying", "optimizing"):
        message = f"Volume {volume.id} cannot be modified in modification state {last.state.upper()}"
        raise Refused("IncorrectModificationState", message)
    if world.clock.now < last.started + world.rules.seconds_between_modifications:
        message = "You've reached the maximum modification rate per volume limit. Wait at least 6 hours between"
        raise Refused("VolumeModificationRateExceeded", f"{message} modifications per EBS volume.")


def _target(before: Makeup, params: Params) -> Makeup:
    """What is not named stays, if the type does; with another type it is that type's default."""
    if not params.keys() & {"Size", "VolumeType", "Iops", "Throughput"}:
        raise Refused("InvalidParameterValue", "Must specify at least one of size, type, iops, throughput")
    size, kind = params.get("Size", before.size), params.get("VolumeType", before.type)
    if size < before.size:
        raise Refused("InvalidParameterValue", "New size cannot be smaller than existing size")
    same = kind == before.type
    iops = params.get("Iops", before.iops if same and kind != "gp2" else None)
    if iops is None and kind in ("io1", "io2"):
        iops = 3000
    throughput = params.get("Throughput", before.throughput if same else None)
    iops, throughput, _ = _performance({"Iops": iops, "Throughput": throughput}, kind, size)
    return Makeup(size, kind, iops, throughput)


@ec2("DescribeVolumesModifications")
def describe_volumes_modifications(world: World, params: Params, _: Context) -> Answer:
    """The latest of each volume; of one that was never modified there is none, and naming it is an error."""
    for item in params.get("Filters") or ():
        if item.get("Name") not in MODIFICATION_VALUES:
            raise Refused("InvalidParameterValue", f"The filter '{item.get('Name')}' is invalid, or new to the model")
    if params.get("MaxResults", 0) > LARGEST_PAGE_OF_MODIFICATIONS:
        raise Refused("InvalidParameterValue", f"Value ( {params['MaxResults']} ) for parameter maxResults is invalid.")
    for volume_id in params.get("VolumeIds") or ():
        _volume(world, volume_id)
    found, token = _describe(world, world.modifications, params, "VolumeIds", _no_modification)
    return _with_token({"VolumesModifications": [modification_answer(world, item) for item in found]}, token)


@ec2("AttachVolume")
def attach_volume(world: World, params: Params, context: Context) -> Answer:
    volume, instance = _volume(world, params["VolumeId"]), _instance(world, params["InstanceId"])
    device, card = params["Device"], params.get("EbsCardIndex", 0)
    if instance.state not in ("running", "stopped"):
        raise Refused("IncorrectState", f"Instance '{instance.id}' is not 'running' or 'stopped'.")
    if volume.state == "in-use" and not _may_share(volume, instance):
        raise Refused("VolumeInUse", f"{volume.id} is already attached to an instance")
    if volume.state not in ("available", "in-use"):
        raise Refused("IncorrectState", f"{volume.id} is not 'available'.")
    modification = world.modifications.get(volume.id)
    if modification is not None and modification.state == "modifying":
        message = f"Cannot attach volume {volume.id} when it is in modification state: MODIFYING"
        raise Refused("OperationNotPermitted", message)
    if volume.zone != instance.zone:
        message = f"The volume '{volume.id}' is not in the same availability zone as instance '{instance.id}'"
        raise Refused("InvalidVolume.ZoneMismatch", message)
    if device in world.rules.refused_devices:
        raise Refused("InvalidParameterValue", f"Value ({device}) for parameter device is invalid.")
    if instance.attachment(device) is not None:
        message = f"Invalid value '{device}' for unixDevice. Attachment point {device} is already in use"
        raise Refused("InvalidParameterValue", message)
    if device == instance.root_device and card != 0:
        raise Refused("InvalidParameterValue", "The EBS card index of a root volume must be 0.")
    world.ledger.attaching(world, instance, device, volume, context.owner)
    return _with_its_time(world, world.attach(volume, instance, device, card))


def _may_share(volume: Volume, instance: Instance) -> bool:
    return volume.multi_attach and all(item.instance_id != instance.id for item in volume.attachments)


@ec2("DetachVolume")
def detach_volume(world: World, params: Params, context: Context) -> Answer:
    volume = _volume(world, params["VolumeId"])
    attachment = _attachment_to_detach(volume, params.get("InstanceId"), params.get("Device"))
    instance = _instance(world, attachment.instance_id)
    if attachment.device == instance.root_device and instance.state != "stopped":
        message = f"Unable to detach root volume '{volume.id}' from instance '{instance.id}'"
        raise Refused("IncorrectState", message)
    if attachment.state != "attached":
        raise Refused("IncorrectState", f"Volume '{volume.id}' is in the '{attachment.state}' state.")
    world.ledger.detaching(world, attachment, world.content(volume), context.owner)
    return _with_its_time(world, world.detach(attachment))


def _with_its_time(world: World, attachment: Attachment) -> Answer:
    """Recorded answers disagree about the AttachTime that these calls tell."""
    answer = attachment_answer(attachment)
    match world.rules.attach_times:
        case "milliseconds":
            answer["AttachTime"] += timedelta(milliseconds=432)
        case "missing":
            del answer["AttachTime"]
    return answer


def _attachment_to_detach(volume: Volume, instance_id: str | None, device: str | None) -> Attachment:
    items = volume.attachments
    if not items:
        raise Refused("IncorrectState", f"Volume '{volume.id}' is in the '{volume.state}' state.")
    if instance_id is None and len(items) > 1:
        message = f"The volume '{volume.id}' is attached to several instances: InstanceId is needed."
        raise Refused("InvalidParameterCombination", message)
    for item in items:
        if instance_id in (None, item.instance_id) and device in (None, item.device):
            return item
    place = " ".join(filter(None, [f"instance '{instance_id}'" if instance_id else "", device and f"as {device}"]))
    raise Refused("InvalidAttachment.NotFound", f"The volume '{volume.id}' is not attached to {place}.")


@ec2("DeleteVolume")
def delete_volume(world: World, params: Params, context: Context) -> Answer:
    volume = _volume(world, params["VolumeId"])
    if volume.attachments:
        raise Refused("VolumeInUse", f"Volume {volume.id} is currently attached to {volume.attachments[0].instance_id}")
    if volume.state == "deleting":
        raise _no_volume([volume.id])
    if volume.state not in ("available", "error"):
        raise Refused("IncorrectState", f"The volume '{volume.id}' is '{volume.state}'.")
    if context.owner:
        world.ledger.owner_deletes(world, volume.id, world.content(volume))
    world.delete_volume(volume)
    return {}


# ---- tags


@ec2("CreateTags")
def create_tags(world: World, params: Params, _: Context) -> Answer:
    """All resources or none."""
    new = _tags(params["Tags"])
    resources = [_tagged(world, resource_id) for resource_id in params["Resources"]]
    for _table, record in resources:
        merged = {**record.tags, **new}
        if sum(not key.startswith("aws:") for key in merged) > MOST_TAGS:
            raise Refused("TagLimitExceeded", "The maximum number of Tags for a resource has been reached.")
    for table, record in resources:
        table.put(record._replace(tags={**record.tags, **new}), world.clock.now)
    return {}


@ec2("DeleteTags")
def delete_tags(world: World, params: Params, _: Context) -> Answer:
    """Key and value: only if the tag has that value. Key alone: whatever the value. No tags at all: every user tag."""
    resources = [_tagged(world, resource_id) for resource_id in params["Resources"]]
    doomed = [(tag["Key"], tag.get("Value")) for tag in params.get("Tags") or ()]
    if any(key.lower().startswith("aws:") for key, _ in doomed):
        raise Refused("InvalidParameterValue", "Tag keys starting with 'aws:' are reserved for internal use")
    for table, record in resources:
        goes = {key for key, value in doomed if value is None or record.tags.get(key) == value}
        if not doomed:
            goes = {key for key in record.tags if not key.startswith("aws:")}
        if goes & record.tags.keys():
            kept = {key: value for key, value in record.tags.items() if key not in goes}
            table.put(record._replace(tags=kept), world.clock.now)
    return {}


def _tagged(world: World, resource_id: str) -> tuple[Table[Any], Any]:
    prefix = resource_id.partition("-")[0]
    if prefix == "i":
        return world.instances, _instance(world, resource_id)
    if prefix == "vol":
        return world.volumes, _volume(world, resource_id)
    if prefix == "snap":
        return world.snapshots, _snapshot(world, resource_id)
    raise Refused("InvalidID", f"The ID '{resource_id}' is not valid")


def _tags_at_creation(params: Params, resource_type: str) -> dict[str, str]:
    specifications = params.get("TagSpecifications") or ()
    if any(item.get("ResourceType") != resource_type for item in specifications):
        message = f"'{resource_type}' is the only resource type that can be tagged here."
        raise Refused("InvalidParameterValue", message)
    if len(specifications) > 1:
        raise Refused("InvalidParameterValue", "Duplicate resource type specified in TagSpecifications.")
    tags = _tags(specifications[0].get("Tags") or ()) if specifications else {}
    if len(tags) > MOST_TAGS:
        raise Refused("TagLimitExceeded", "The maximum number of Tags for a resource has been reached.")
    return tags


def _tags(tags: Sequence[Mapping[str, str]]) -> dict[str, str]:
    made: dict[str, str] = {}
    for tag in tags:
        key, value = tag.get("Key", ""), tag.get("Value", "")
        if key.lower().startswith("aws:"):
            raise Refused("InvalidParameterValue", "Tag keys starting with 'aws:' are reserved for internal use")
        if not key or len(key) > LONGEST_KEY:
            raise Refused("InvalidParameterValue", f"Tag key {key!r} must have 1 to {LONGEST_KEY} characters.")
        if len(value) > LONGEST_VALUE:
            raise Refused("InvalidParameterValue", f"The value of tag {key!r} exceeds {LONGEST_VALUE} characters.")
        if key in made:
            raise Refused("InvalidParameterValue", f"Duplicate tag key '{key}' specified.")
        made[key] = value
    return made


# ---- instances


@ec2("ModifyInstanceAttribute")
def modify_instance_attribute(world: World, params: Params, _: Context) -> Answer:
    """BlockDeviceMappings only: DeleteOnTermination of attached volumes."""
    if extra := params.keys() - {"InstanceId", "BlockDeviceMappings", "DryRun"}:
        raise NotImplementedError(f"The model does not modify {sorted(extra)}.")
    instance = _instance(world, params["InstanceId"])
    changes = []
    for mapping in params.get("BlockDeviceMappings") or ():
        device, ebs = mapping.get("DeviceName", ""), mapping.get("Ebs", {})
        attachment = instance.attachment(device)
        if attachment is None or ebs.get("VolumeId", attachment.volume_id) != attachment.volume_id:
            raise Refused("InvalidInstanceAttributeValue", f"No device is currently mapped at {device}")
        changes.append((attachment, ebs.get("DeleteOnTermination", True)))
    for attachment, value in changes:
        world.set_delete_on_termination(attachment, value)
    return {}


@ec2("StartInstances")
def start_instances(world: World, params: Params, context: Context) -> Answer:
    """All instances or none. Every start gives a new LaunchTime."""
    instances = _instances(world, params["InstanceIds"])
    for instance in instances:
        if instance.state not in ("stopped", "pending", "running"):
            message = f"The instance '{instance.id}' is not in a state from which it can be started."
            raise Refused("IncorrectInstanceState", message)
        if instance.state == "stopped" and (instance.root is None or instance.root.state != "attached"):
            message = f"Instance does not have a volume attached at root ({instance.root_device})"
            raise Refused("InvalidParameterValue", f"Invalid value '{instance.id}' for instanceId. {message}")
    if context.fault is not None and context.fault in CAPACITY:
        raise Refused(context.fault.value, CAPACITY[context.fault])
    changes = []
    for instance in instances:
        after = instance
        if instance.state == "stopped":
            world.ledger.starting(instance.id, context.owner)
            after = world.begin_start(instance, _falls_back(world, instance, context))
        changes.append(change_answer(instance, after))
    return {"StartingInstances": changes}


def _falls_back(world: World, instance: Instance, context: Context) -> str:
    """The StateReason with which the start is taken back; empty if it is not."""
    if context.fault is not None and context.fault in FALLS_BACK:
        return FALLS_BACK[context.fault]
    if not world.rules.broken_keys:
        return ""
    volumes = (world.volumes.get(item.volume_id) for item in instance.devices)
    broken = any(volume is not None and volume.key in world.rules.broken_keys for volume in volumes)
    return "Client.InternalError" if broken else ""


@ec2("StopInstances")
def stop_instances(world: World, params: Params, _: Context) -> Answer:
    instances = _instances(world, params["InstanceIds"])
    for instance in instances:
        if instance.state not in ("running", "stopping", "stopped"):
            message = f"The instance '{instance.id}' is not in a state from which it can be stopped."
            raise Refused("IncorrectInstanceState", message)
    changes = []
    for instance in instances:
        running = instance.state == "running"
        after = world.stop(instance, "Client.UserInitiatedShutdown") if running else instance
        changes.append(change_answer(instance, after))
    return {"StoppingInstances": changes}


@ec2("TerminateInstances")
def terminate_instances(world: World, params: Params, _: Context) -> Answer:
    changes = []
    for instance in _instances(world, params["InstanceIds"]):
        going = instance.state in ("shutting-down", "terminated")
        changes.append(change_answer(instance, instance if going else world.terminate(instance)))
    return {"TerminatingInstances": changes}


# ---- looking up


def _instance(world: World, instance_id: str) -> Instance:
    instance = world.instances.get(instance_id)
    if instance is None:
        raise _no_instance([instance_id])
    return instance


def _instances(world: World, instance_ids: Iterable[str]) -> list[Instance]:
    ids = list(dict.fromkeys(instance_ids))
    found = [world.instances.get(instance_id) for instance_id in ids]
    missing = [instance_id for instance_id, instance in zip(ids, found, strict=True) if instance is None]
    if missing or not ids:
        raise _no_instance(missing)
    return [instance for instance in found if instance is not None]


def _volume(world: World, volume_id: str) -> Volume:
    volume = world.volumes.get(volume_id)
    if volume is None:
        raise _no_volume([volume_id])
    return volume


def _snapshot(world: World, snapshot_id: str) -> Snapshot:
    snapshot = world.snapshots.get(snapshot_id)
    if snapshot is None:
        raise _no_snapshot([snapshot_id])
    return snapshot


def _no_instance(ids: Sequence[str]) -> Refused:
    if len(ids) == 1:
        return Refused("InvalidInstanceID.NotFound", f"The instance ID '{ids[0]}' does not exist")
    return Refused("InvalidInstanceID.NotFound", f"The instance IDs '{', '.join(ids)}' do not exist")


def _no_volume(ids: Sequence[str]) -> Refused:
    return Refused("InvalidVolume.NotFound", f"The volume '{ids[0]}' does not exist.")


def _no_modification(ids: Sequence[str]) -> Refused:
    return Refused("InvalidVolumeModification.NotFound", f"Modification for volume '{ids[0]}' does not exist.")


def _no_snapshot(ids: Sequence[str]) -> Refused:
    return Refused("InvalidSnapshot.NotFound", f"The snapshot '{ids[0]}' does not exist.")
