"""What the options choose: the deployment that is meant, and the desk to work at."""

import argparse
from datetime import timedelta

from botocore.config import Config

from park_volumes.aws import Ec2
from park_volumes.cli import deployed
from park_volumes.cli.account import Account, NotPossible
from park_volumes.cli.deployed import Deployment, Home
from park_volumes.cli.desk import Desk
from park_volumes.cli.lease import Lease
from park_volumes.cli.screen import Screen
from park_volumes.core.settings import Settings
from park_volumes.run.context import Clock

LAG = timedelta(seconds=45)
"""How long EC2's descriptions may lag; quiet_period_seconds must exceed function_timeout_seconds by this much."""
SDK = Config(retries={"mode": "standard", "max_attempts": 5}, max_pool_connections=30, connect_timeout=5)


def deployment_of(options: argparse.Namespace, account: Account) -> Deployment:
    """The deployment that is meant. Raises NotPossible for values that the module would refuse."""
    values = {name: getattr(options, name.lower(), None) for name in deployed.DEFAULTS}
    words = {True: "true", False: "false"}
    given = {name: words[v] if isinstance(v, bool) else str(v) for name, v in values.items() if v is not None}
    functions = account.client("lambda", config=deployed.SDK)
    name, home = options.name, home_of(options, account)
    found = deployed.find(functions, name=name, region=account.region, given=given, home=home)
    if found.settings.quiet_period < found.settings.function_timeout + LAG:
        raise NotPossible(f"--quiet-period-seconds must be at least --function-timeout-seconds plus {LAG.seconds}.")
    return found


def home_of(options: argparse.Namespace, account: Account) -> Home | None:
    """Where a deployment may be that looks after the region of this account."""
    region = getattr(options, "home_region", "") or account.home
    if not region or region == account.region:
        return None
    return Home(region=region, functions=account.moved(region).client("lambda", config=deployed.SDK))


def desk_with(options: argparse.Namespace, account: Account, screen: Screen, clock: Clock, settings: Settings) -> Desk:
    """A desk in this account and region, whose passes end as those of a function with these settings would."""
    lease = Lease(clock, settings.function_timeout)
    client = account.client("ec2", config=SDK)
    lease.watch(client)
    return Desk(
        ec2=Ec2(client, deployment=settings.deployment, previous_names=settings.previous_names),
        settings=settings,
        clock=clock,
        lease=lease.begin,
        screen=screen,
        timeout=timedelta(minutes=getattr(options, "timeout_minutes", 0)),
    )
