"""The adjustable facts of the local AWS: how long things take and how fast retries come. All times are seconds."""

from dataclasses import dataclass, fields, replace


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Durations and speed-ups. The defaults make a demo look alive; ``QUICK`` suits tests.

    Changing them affects what begins afterwards; what is already under way keeps its time.
    """

    snapshot_seconds: float = 8.0
    archive_seconds: float = 4.0
    thaw_seconds: float = 8.0
    create_volume_seconds: float = 1.0
    load_seconds: float = 0.0
    """From the creation of a volume until EC2 has loaded it from its snapshot, where it has no rate."""
    delete_volume_seconds: float = 1.0
    modify_volume_seconds: float = 1.0
    optimize_volume_seconds: float = 8.0
    attach_seconds: float = 1.0
    detach_seconds: float = 1.0
    start_seconds: float = 2.0
    stop_seconds: float = 2.0
    terminate_seconds: float = 1.0
    event_seconds: float = 0.1
    """From a change in EC2 until its event reaches EventBridge's rules."""
    schedule_factor: float = 1.0
    """Multiplies the period of ``rate(...)`` rules; 0 switches schedules off (``fire_rule`` still works)."""
    lambda_retry_seconds: float = 2.0
    """Before the first retry of an asynchronous invocation; twice as long before the second (AWS: 60 and 120)."""
    visibility_factor: float = 0.02
    """Multiplies a queue's visibility timeout when the event source mapping hands a failed batch back."""
    batching_window_cap_seconds: float = 0.5
    lambda_concurrency: int = 10
    """Concurrent executions of the account. A new AWS account has 10 (Lambda quotas)."""
    write_on_start: bool = False
    """Whether every start of an instance changes the content of the volumes attached to it."""
    hurries: bool = False
    """Whether the clock jumps over the sleep of functions. What the server was started with holds."""
    dry_run_checks: bool = False
    """Whether EC2 checks states and parameters in a dry run, or permissions alone; AWS does not document which."""
    attach_milliseconds: bool = False
    """Whether AttachVolume and DetachVolume tell milliseconds of the AttachTime, which descriptions cut."""
    attach_times_hidden: bool = False
    """Whether AttachVolume and DetachVolume tell no AttachTime."""
    unlocked_ids_refused: bool = False
    """Whether DescribeLockedSnapshots fails if one of the SnapshotIds is not locked."""
    volume_bin_days: float = 0.0
    """Days that a Recycle Bin keeps deleted volumes; 0: there is none."""
    bare_trail_codes: bool = False
    """Whether CloudTrail writes the codes of errors without ``Client.`` or ``Server.`` before them."""
    decode_raw_path: bool = False
    """Whether a Function URL event carries ``rawPath`` percent-decoded; AWS does not document which it is."""

    def changed(self, changes: dict[str, float]) -> "Settings":
        """A copy with these changes. Raises ValueError for a name that is no setting or a negative number."""
        known = {field.name: type(getattr(self, field.name)) for field in fields(self)}
        for name, value in changes.items():
            if name not in known:
                raise ValueError(f"There is no setting {name!r}. The settings are: {', '.join(sorted(known))}.")
            if value < 0:
                raise ValueError(f"The setting {name} cannot be negative: {value}.")
        return replace(self, **{name: known[name](value) for name, value in changes.items()})


QUICK = Settings(
    snapshot_seconds=0.6,
    archive_seconds=0.6,
    thaw_seconds=0.8,
    create_volume_seconds=0.2,
    delete_volume_seconds=0.2,
    modify_volume_seconds=0.2,
    optimize_volume_seconds=0.4,
    attach_seconds=0.2,
    detach_seconds=0.2,
    start_seconds=0.3,
    stop_seconds=0.3,
    terminate_seconds=0.2,
    event_seconds=0.02,
    lambda_retry_seconds=0.5,
    visibility_factor=0.01,
    batching_window_cap_seconds=0.1,
    hurries=True,
)
