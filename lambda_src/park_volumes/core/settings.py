"""The configuration of a deployment. ``variables.tf`` explains each setting."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The settings of one deployment.
    ``home``: its home region, where it looks after another one; empty at home.
    ``previous_names``: the names that it has had before, whose snapshots and volumes are its own.
    ``prices``: USD a month by the names of ``prices.py``; empty if the prices of the region are unknown.
    ``volume_initialization_rate``: MiB/s; 0 loads blocks on first access.
    ``kms_key_arns``: the keys of other accounts that the start role may use.
    ``address_protocol``: how the address of a running instance is opened, such as https; empty if it is no link."""

    deployment: str
    home: str = ""
    opt_in_tag_key: str
    function_timeout: timedelta
    quiet_period: timedelta
    grace_period: timedelta
    snapshot_retention: timedelta
    lock_snapshots: bool
    allowed_product_codes: frozenset[str] = frozenset()
    prices: Mapping[str, float] = field(default_factory=dict)
    park_even_if_dearer: bool = False
    observe_only: bool = False
    orphan_retention: timedelta = timedelta(days=30)
    volume_initialization_rate: int = 0
    archive_after: timedelta | None = None
    start_hold: timedelta = timedelta(hours=1)
    kms_key_arns: frozenset[str] = frozenset()
    previous_names: tuple[str, ...] = ()
    address_protocol: str = ""

    @property
    def lock_period(self) -> timedelta:
        """How long after the marks were written a pass that could detach the root volume may still be running.
        The pass that wrote the marks may detach it up to one function timeout later. A pass that does not see that yet
        runs for at most one quiet period after it: the lag of a describe call plus a function timeout."""
        return self.function_timeout + self.quiet_period

    @property
    def settle_period(self) -> timedelta:
        """How long after the marks were written a description may still show an attachment from before them.
        That is the lock period plus the lag of a describe call, which is the quiet period minus a function timeout."""
        return 2 * self.quiet_period
