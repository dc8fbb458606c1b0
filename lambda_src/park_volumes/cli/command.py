"""The commands, their options and their exit codes. docs/cli.md tells what they are for."""

from __future__ import annotations

import argparse
import json
import sys
import webbrowser
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any, TextIO

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from park_volumes.cli.desk import Desk, Ending, together
from park_volumes.cli.explain import costs, decided, explain, money
from park_volumes.cli.lease import Lease
from park_volumes.cli.relay import Relay
from park_volumes.cli.screen import Screen
from park_volumes.decide.orphans import GONE, TERMINATED
from park_volumes.decide.park import park
from park_volumes.decide.situation import opted_in, root_detached
from park_volumes.decide.start import restore, start
from park_volumes.decide.status import status
from park_volumes.ec2 import Ec2, Ec2Error
from park_volumes.model import Seen, Settings
from park_volumes.prices import prices_of, savings
from park_volumes.reconcile import Clock, Decide, SystemClock

LAG = 45
"""Seconds that EC2's descriptions may lag; the least that quiet_period_seconds exceeds function_timeout_seconds by."""
SDK = Config(retries={"mode": "standard", "max_attempts": 5}, max_pool_connections=30, connect_timeout=5)
NOBODY = "No instance is parked."
DECISIONS: dict[str, Decide] = {
    "park": park,
    "start": partial(start, asked=True),
    "restore": restore,
}


class NotPossible(Exception):
    """What was asked for can not be done at all; the sentence says why."""


@dataclass(frozen=True, kw_only=True)
class Account:
    """The account and region that a person works on: what makes the SDK's clients, and the prices there."""

    client: Callable[..., Any]
    region: str
    credentials: Callable[[], Any]


def main(
    arguments: Sequence[str],
    *,
    out: TextIO | None = None,
    clock: Clock | None = None,
    connect: Callable[[argparse.Namespace], Account] | None = None,
) -> int:
    """Do what the arguments say. Answers the exit code (``Ending``)."""
    options = _parser().parse_args(arguments)
    screen = Screen(out or sys.stdout)
    try:
        return int(_run(options, (connect or _connect)(options), screen, clock or SystemClock()))
    except NotPossible as problem:
        screen.say(str(problem))
        return int(Ending.USAGE)
    except (Ec2Error, BotoCoreError, ClientError) as error:
        screen.say(str(error))
        return int(Ending.FAILED)
    except KeyboardInterrupt:
        screen.say("Interrupted. Nothing is lost; the same command goes on from here.")
        return int(Ending.INTERRUPTED)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m park_volumes",
        description="Parks and starts EC2 instances with your credentials, whether or not the module is deployed.",
        epilog="Exit codes: 0 done, 1 failed, 2 wrong usage, 3 refused, 4 not finished in time, 5 no such instance, "
        "130 interrupted. See docs/cli.md.",
    )
    parser.add_argument("--region", help="the region; else that of the environment or the profile")
    parser.add_argument("--profile", help="the profile of the AWS configuration with the credentials")
    of = parser.add_argument_group("the deployment", "Give what it was deployed with, where that is not the default.")
    of.add_argument("--name", default="park-volumes", help="its name (%(default)s)")
    of.add_argument("--opt-in-tag-key", default="ParkVolumes", metavar="KEY", help="(%(default)s)")
    of.add_argument("--function-timeout-seconds", type=int, default=60, metavar="N", help="(%(default)s)")
    of.add_argument("--quiet-period-seconds", type=int, default=120, metavar="N", help="(%(default)s)")
    of.add_argument("--grace-period-minutes", type=int, default=0, metavar="N", help="(%(default)s)")
    of.add_argument("--no-lock-snapshots", action="store_true", help="it has lock_snapshots = false")
    of.add_argument("--park-even-if-dearer", action="store_true", help="it has park_even_if_dearer = true")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add(commands, "list", "every instance that is opted in or has snapshots, and what it saves", json_too=True)
    told = _add(commands, "explain", "what was seen of an instance, what is decided, and why", json_too=True)
    told.add_argument("ref", metavar="INSTANCE", help="an id or a Name")
    _add(commands, "check", "whether any instance is parked, before the module is removed")
    for name, words in (
        ("start", "bring the volumes back and start the instances"),
        ("restore", "bring the volumes back, and leave the instances stopped"),
        ("park", "snapshot the volumes of stopped instances and delete them"),
    ):
        doing = _add(commands, name, words)
        doing.add_argument("refs", metavar="INSTANCE", nargs="*", help="ids or Names")
        doing.add_argument("--dry-run", action="store_true", help="say what would be done next, and do nothing")
        doing.add_argument("--timeout-minutes", type=float, default=120, metavar="N", help="give up then (%(default)s)")
        if name == "restore":
            doing.add_argument("--all", action="store_true", help="every parked instance")
    page = _add(commands, "open", "show the page of the deployed module, signing its requests with your credentials")
    page.add_argument("--url", help="the output function_url; else it is looked up")
    page.add_argument("--port", type=int, default=0, help="of localhost; else a free one")
    page.add_argument("--no-browser", action="store_true", help="only say the address")
    return parser


def _add(commands: Any, name: str, words: str, *, json_too: bool = False) -> argparse.ArgumentParser:
    command: argparse.ArgumentParser = commands.add_parser(name, help=words, description=f"{words.capitalize()}.")
    if json_too:
        command.add_argument("--json", action="store_true", help="for programs")
    return command


def _connect(options: argparse.Namespace) -> Account:
    session = boto3.Session(profile_name=options.profile, region_name=options.region)
    if not session.region_name:
        raise NotPossible("No region: give --region, for example --region eu-west-1, or set AWS_REGION.")
    return Account(client=session.client, region=session.region_name, credentials=session.get_credentials)


def _settings(options: argparse.Namespace, region: str) -> Settings:
    """The module's settings, with its defaults. Raises NotPossible for what the module would refuse."""
    if options.quiet_period_seconds < options.function_timeout_seconds + LAG:
        raise NotPossible(f"--quiet-period-seconds must be at least --function-timeout-seconds plus {LAG}.")
    return Settings(
        deployment=options.name,
        opt_in_tag_key=options.opt_in_tag_key,
        function_timeout=timedelta(seconds=options.function_timeout_seconds),
        quiet_period=timedelta(seconds=options.quiet_period_seconds),
        grace_period=timedelta(minutes=options.grace_period_minutes),
        snapshot_retention=timedelta(hours=24),
        lock_snapshots=not options.no_lock_snapshots,
        park_even_if_dearer=options.park_even_if_dearer,
        prices=prices_of(region, {}),
    )


def _run(options: argparse.Namespace, account: Account, screen: Screen, clock: Clock) -> Ending:
    if options.command == "open":
        return _open(options, account, screen)
    settings = _settings(options, account.region)
    lease = Lease(clock, settings.function_timeout)
    client = account.client("ec2", config=SDK)
    lease.watch(client)
    desk = Desk(
        ec2=Ec2(client, deployment=settings.deployment),
        settings=settings,
        clock=clock,
        lease=lease.begin,
        screen=screen,
        timeout=timedelta(minutes=getattr(options, "timeout_minutes", 0)),
    )
    match options.command:
        case "list":
            return _list(desk, as_json=options.json)
        case "explain":
            return _explain(desk, options.ref, as_json=options.json)
        case "check":
            return _check(desk)
        case _:
            return _do(desk, options)


def _list(desk: Desk, *, as_json: bool) -> Ending:
    every = [(s, status(s, desk.settings, desk.clock.now())) for s in desk.every()]
    if as_json:
        shown = [of | {"opted_in": opted_in(s.instance, desk.settings)} for s, of in every]
        desk.screen.say(json.dumps({"instances": shown}, indent=2))
        return Ending.DONE
    rows = [
        (s.instance.id, s.instance.name, of["state"], money(savings(s, desk.settings.prices).saved), of["detail"])
        for s, of in every
    ]
    desk.screen.table(("instance", "name", "state", "saves USD", "reason"), rows)
    return Ending.DONE


def _explain(desk: Desk, ref: str, *, as_json: bool) -> Ending:
    ids, _ = desk.named([ref])
    for seen in desk.look(ids):
        lines = list(explain(seen, desk.settings, desk.clock.now()))
        if as_json:
            shown = status(seen, desk.settings, desk.clock.now())
            desk.screen.say(json.dumps(shown | {"explained": lines}, indent=2))
            return Ending.DONE
        for line in lines:
            desk.screen.say(line)
        return Ending.DONE
    return Ending.UNKNOWN


def _check(desk: Desk) -> Ending:
    """Fails where removing the module would leave instances without volumes."""
    parked = _without_volumes(desk)
    for seen in parked:
        desk.screen.say(f"{seen.instance.label} is {status(seen, desk.settings, desk.clock.now())['state']}.")
    if not parked:
        desk.screen.say(NOBODY)
        return Ending.DONE
    desk.screen.say("Without the module none of them starts. `restore --all` brings their volumes back, now or later.")
    return Ending.REFUSED


def _do(desk: Desk, options: argparse.Namespace) -> Ending:
    """Start, restore or park."""
    everything = getattr(options, "all", False)
    if bool(options.refs) == everything:
        raise NotPossible("Name the instances, by id or Name" + (", or give --all." if "all" in options else "."))
    ids, clear = desk.named(options.refs)
    if everything:
        ids = [s.instance.id for s in _without_volumes(desk)]
        if not ids:
            desk.screen.say(NOBODY)
    acts = {"start": desk.start, "restore": desk.restore, "park": desk.park}
    if options.dry_run:
        _say_only(desk, ids, DECISIONS[options.command])
    ending = acts[options.command](ids) if ids and not options.dry_run else Ending.DONE
    return together([ending, *([] if clear else [Ending.UNKNOWN])])


def _without_volumes(desk: Desk) -> list[Seen]:
    """The instances that are parked, or on their way there or back."""
    ended = ("shutting-down", TERMINATED, GONE)
    return [s for s in desk.every() if root_detached(s) and s.instance.state not in ended and s.records]


def _say_only(desk: Desk, ids: Sequence[str], decide: Decide) -> None:
    for seen in desk.look(ids):
        desk.screen.say(seen.instance.label)
        for line in decided("next", decide(seen, desk.settings, desk.clock.now())):
            desk.screen.say(line)
        desk.screen.say(f"  costs: {costs(seen, desk.settings.prices)} USD a month")
    desk.screen.say("Nothing was changed.")


def _open(options: argparse.Namespace, account: Account, screen: Screen) -> Ending:
    """Serve the page until Ctrl-C."""
    url = options.url or _function_url(account, f"{options.name}-start")
    if not url.startswith(("https://", "http://")):
        raise NotPossible(f"--url is {url!r}: it takes the output function_url, which begins with https://.")
    try:
        listening = Relay(url, region=account.region, credentials=account.credentials, port=options.port)
    except OSError as error:
        raise NotPossible(f"localhost:{options.port} can not be listened at ({error}): give another --port.") from error
    with listening as relay:
        screen.say(f"{relay.address} shows the page, signed with your credentials, until Ctrl-C.")
        if not options.no_browser:
            webbrowser.open(relay.address)
        relay.serve()
    return Ending.DONE


def _function_url(account: Account, function_name: str) -> str:
    try:
        return str(account.client("lambda").get_function_url_config(FunctionName=function_name)["FunctionUrl"])
    except ClientError as error:
        if error.response["Error"]["Code"] == "ResourceNotFoundException":
            words = f"There is no Function URL of {function_name} in {account.region}: give --region, --name or --url."
            raise NotPossible(words) from error
        raise
