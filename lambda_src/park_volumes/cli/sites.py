"""Several accounts and regions at once. Each is looked at alone: one that cannot be reached costs no other its turn."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, replace
from functools import partial
from typing import Generic, TypeVar

from botocore.exceptions import BotoCoreError, ClientError

from park_volumes.aws.errors import Ec2Error
from park_volumes.aws.regions import enabled_regions
from park_volumes.cli.account import Account, NotPossible

T = TypeVar("T")
ALL = "all"
"""Instead of names: every region that the account has enabled."""
AT_ONCE = 16
PROBLEMS = (Ec2Error, BotoCoreError, ClientError, NotPossible)


@dataclass(frozen=True, kw_only=True)
class Site:
    """An account and a region in it; the region is empty if not even the account could be reached."""

    account: str
    region: str
    there: Account | None = None
    problem: str = ""

    @property
    def label(self) -> str:
        return f"{self.account or 'the account'} {self.region}".rstrip()


@dataclass(frozen=True, kw_only=True)
class Seen(Generic[T]):
    """What was found at a site, or why nothing was."""

    site: Site
    found: T | None = None
    problem: str = ""


def organization(home: Account, role: str) -> list[str]:
    """The ARNs of the role of this name in every active account of the organization (AWS Organizations API,
    ListAccounts: from the management account, or one that it has delegated to)."""
    partition = str(home.client("sts").get_caller_identity()["Arn"]).split(":")[1]
    pages = home.client("organizations").get_paginator("list_accounts").paginate()
    active = [a["Id"] for page in pages for a in page["Accounts"] if a["Status"] == "ACTIVE"]
    return [f"arn:{partition}:iam::{account}:role/{role}" for account in active]


def sites(home: Account, *, regions: Sequence[str], roles: Sequence[str]) -> list[Site]:
    """The regions of the accounts of these roles, or of the caller's own account."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return [site for some in pool.map(partial(_sites_of, home, regions), roles or ("",)) for site in some]


def _sites_of(home: Account, regions: Sequence[str], role: str) -> list[Site]:
    account = role.split(":")[4] if role else ""
    try:
        there = home.assume(role) if role else home
        account = account or str(there.client("sts").get_caller_identity()["Account"])
        names = enabled_regions(there.client("ec2")) if ALL in regions else regions or [home.region]
        moved = ((name, replace(there.moved(name), home=home.region)) for name in names)
        return [Site(account=account, region=name, there=elsewhere) for name, elsewhere in moved]
    except PROBLEMS as error:
        return [Site(account=account, region="", problem=str(error))]


def visit(every: Sequence[Site], look: Callable[[Account], T], tell: Callable[[str], None]) -> list[Seen[T]]:
    """Look at all of them at once, and tell of each as it is done."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        futures = {pool.submit(_seen, site, look): site for site in every}
        for number, future in enumerate(as_completed(futures), start=1):
            problem = future.result().problem
            tell(f"{number} of {len(every)}: {futures[future].label}" + (f": {problem}" if problem else ""))
        return [future.result() for future in futures]


def _seen(site: Site, look: Callable[[Account], T]) -> Seen[T]:
    if site.there is None:
        return Seen(site=site, problem=site.problem)
    try:
        return Seen(site=site, found=look(site.there))
    except PROBLEMS as error:
        return Seen(site=site, problem=str(error))


def found_in(every: Sequence[Seen[T]]) -> Iterator[tuple[Site, T]]:
    for seen in every:
        if seen.found is not None:
            yield seen.site, seen.found
