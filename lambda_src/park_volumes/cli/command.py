"""The commands, their options and their exit codes. docs/cli.md explains what they are for."""

import argparse
import json
import re
import sys
import webbrowser
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any, NamedTuple, TextIO

from botocore.exceptions import BotoCoreError, ClientError

from park_volumes import __version__
from park_volumes.aws.errors import Ec2Error
from park_volumes.cli import deployed
from park_volumes.cli.account import Account, NotPossible, connect
from park_volumes.cli.deployed import Deployment, Home
from park_volumes.cli.desk import Desk, ExitCode, park_stopped, together
from park_volumes.cli.explain import explain, foretold
from park_volumes.cli.options import deployment_of, desk_with, home_of
from park_volumes.cli.relay import Relay
from park_volumes.cli.reports import report_of, tell
from park_volumes.cli.screen import Screen
from park_volumes.core.facts import Observation
from park_volumes.core.phase import WITHOUT_ROOT, phase_of
from park_volumes.core.reading import whole
from park_volumes.core.settings import Settings
from park_volumes.core.start import Intent, start
from park_volumes.core.steps import Decision
from park_volumes.run.context import Clock, SystemClock, alone
from park_volumes.run.execute import unforeseen
from park_volumes.run.observe import chosen
from park_volumes.run.show import status_of

ANYWHERE: Mapping[str, Any] = {"name": "park-volumes", "region": None, "profile": None}
"""The values of the options that every command takes, where they are not given."""
NOBODY = "No instance is parked."
DESCRIPTION = "Parks and starts EC2 instances with your credentials, whether or not the module is deployed."
EPILOG = (
    "Exit codes: 0 done, 1 failed, 2 wrong usage, 3 refused, 4 not finished in time, 5 no such instance, 130 "
    "interrupted. See docs/cli.md."
)


class Action(NamedTuple):
    """What a command does about instances: in words, by its decision, and pass after pass."""

    words: str
    decide: Callable[[Observation, Settings, datetime], Decision]
    do: Callable[[Desk, Sequence[str]], ExitCode]


STARTED = "bring the volumes back and start the instances"
RESTORED = "bring the volumes back, and leave the instances stopped"
PARKED = "snapshot the volumes of stopped instances and delete them"
ACTIONS = {
    "start": Action(STARTED, partial(start, intent=Intent.START), Desk.start),
    "restore": Action(RESTORED, partial(start, intent=Intent.RESTORE), Desk.restore),
    "park": Action(PARKED, park_stopped, Desk.park),
}


def main(
    arguments: Sequence[str],
    *,
    out: TextIO | None = None,
    notes: TextIO | None = None,
    clock: Clock | None = None,
    connect: Callable[[argparse.Namespace], Account] = connect,
) -> int:
    """Do what the arguments say. Returns the exit code (``ExitCode``)."""
    options = _parser().parse_args(arguments, argparse.Namespace(**ANYWHERE))
    screen = Screen(out or sys.stdout, notes or sys.stderr)
    try:
        return int(_run(options, connect(options), screen, clock or SystemClock()))
    except NotPossible as problem:
        screen.say(str(problem))
        return int(ExitCode.USAGE)
    except (Ec2Error, BotoCoreError, ClientError) as error:
        screen.say(str(error))
        return int(ExitCode.FAILED)
    except KeyboardInterrupt:
        screen.say("Interrupted. Nothing is lost; run the same command again to continue.")
        return int(ExitCode.INTERRUPTED)


def _parser() -> argparse.ArgumentParser:
    called = "python -m park_volumes" if sys.argv[0].endswith("__main__.py") else "park-volumes"
    anywhere = _options_of_every_command()
    parser = argparse.ArgumentParser(prog=called, description=DESCRIPTION, epilog=EPILOG, parents=[anywhere])
    parser.add_argument("--version", action="version", version=f"park-volumes {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    add = partial(_add, commands, anywhere)
    add_report = partial(_add_report, commands, anywhere)
    add_report("list", "list every instance that is opted in or has snapshots, and what it saves")
    add_report("savings", "show what each instance costs, and what parking saves")
    told = add("explain", "show what was seen of an instance, what is decided, and why", json_too=True)
    told.add_argument("ref", metavar="INSTANCE", help="an id or a Name")
    sick = add_report("doctor", "examine the account and region, before or after the module is deployed")
    layer = "the layer that the module is to use; by default that of its functions, or the public one"
    sick.add_argument("--powertools-layer-arn", type=_layer, metavar="ARN", help=layer)
    add("check", "check whether any instance is parked, before you remove the module")
    for name, action in ACTIONS.items():
        doing = add(name, action.words)
        doing.add_argument("refs", metavar="INSTANCE", nargs="*", help="ids or Names")
        doing.add_argument("--dry-run", action="store_true", help="show the next steps without doing them")
        time_up = "give up after this time (%(default)s)"
        doing.add_argument("--timeout-minutes", type=_minutes, default=120, metavar="N", help=time_up)
        if name == "restore":
            doing.add_argument("--all", action="store_true", help="every parked instance")
    page = add("open", "open the page of the deployed module, and sign its requests with your credentials")
    page.add_argument("--url", help="the output function_url; by default it is looked up")
    page.add_argument("--port", type=_up_to(65_535), default=0, help="the port on localhost; by default a free one")
    page.add_argument("--no-browser", action="store_true", help="only print the address")
    return parser


def _options_of_every_command() -> argparse.ArgumentParser:
    """They may stand before or after the command. Without a default here, neither place overrides the other."""
    options = argparse.ArgumentParser(add_help=False, argument_default=argparse.SUPPRESS)
    region = "the region; by default AWS_REGION, AWS_DEFAULT_REGION or that of the profile"
    options.add_argument("--region", help=region)
    home = "the region in which the module is deployed, if it looks after this one from there"
    options.add_argument("--home-region", metavar="REGION", help=home)
    options.add_argument("--profile", help="the AWS profile with the credentials; by default AWS_PROFILE")
    words = (
        "Its settings are named like the inputs of the module. By default they are those of its functions, or else the "
        "module's defaults."
    )
    of = options.add_argument_group("the deployment", words)
    of.add_argument("--name", type=_text, help=f"its name ({ANYWHERE['name']})")
    of.add_argument("--opt-in-tag-key", type=_text, metavar="KEY")
    of.add_argument("--function-timeout-seconds", type=_up_to(900), metavar="N")
    of.add_argument("--quiet-period-seconds", type=_up_to(86_400), metavar="N")
    of.add_argument("--grace-period-minutes", type=_up_to(43_200), metavar="N")
    of.add_argument("--snapshot-retention-hours", type=_up_to(8_760), metavar="N")
    of.add_argument("--lock-snapshots", action=argparse.BooleanOptionalAction)
    of.add_argument("--park-even-if-dearer", action=argparse.BooleanOptionalAction)
    return options


def _text(value: str) -> str:
    if not value:
        raise argparse.ArgumentTypeError("it must not be empty")
    return value


def _layer(arn: str) -> str:
    if not re.fullmatch(r"arn:[\w-]+:lambda:[\w-]+:[0-9]{12}:layer:[\w-]+:[0-9]+", arn, re.ASCII):
        raise argparse.ArgumentTypeError(f"{arn!r}: it is not the ARN of a layer version, as powertools_layer_arn is")
    return arn


def _up_to(most: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        try:
            return whole(0, most)(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(f"{text!r}: {error}") from error

    return read


def _minutes(text: str) -> float:
    if not re.fullmatch(r"[0-9]{1,5}(\.[0-9]{1,9})?", text):
        raise argparse.ArgumentTypeError(f"{text!r}: it is not a number of minutes below 100,000")
    return float(text)


def _add_report(commands: Any, anywhere: argparse.ArgumentParser, name: str, words: str) -> argparse.ArgumentParser:
    """A command that can look at several accounts and regions."""
    command = _add(commands, anywhere, name, words, json_too=True)
    command.add_argument("--csv", action="store_true", help="print CSV for spreadsheets")
    several = command.add_argument_group("several accounts and regions")
    several.add_argument("--regions", type=_names, default=(), metavar="REGION,...", help="these regions, or all")
    whose = several.add_mutually_exclusive_group()
    roles = "the accounts of these roles, which your credentials may assume"
    whose.add_argument("--roles", type=_role_arns, default=(), metavar="ARN,...", help=roles)
    every = "every account of your organization, by the role of this name in each"
    whose.add_argument("--organization-role", type=_text, metavar="NAME", help=every)
    return command


def _names(text: str) -> tuple[str, ...]:
    return tuple(filter(None, (name.strip() for name in text.split(","))))


def _role_arns(text: str) -> tuple[str, ...]:
    for arn in (found := _names(text)):
        if not re.fullmatch(r"arn:[\w-]+:iam::[0-9]{12}:role/[\w+=,.@/-]+", arn, re.ASCII):
            example = "arn:aws:iam::123456789012:role/reader"
            raise argparse.ArgumentTypeError(f"{arn!r}: it is not the ARN of a role, for example {example}")
    return found


def _add(
    commands: Any, anywhere: argparse.ArgumentParser, name: str, words: str, *, json_too: bool = False
) -> argparse.ArgumentParser:
    told = f"{words.capitalize()}."
    command: argparse.ArgumentParser = commands.add_parser(name, help=words, description=told, parents=[anywhere])
    if json_too:
        command.add_argument("--json", action="store_true", help="print JSON for programs")
    return command


def _run(options: argparse.Namespace, account: Account, screen: Screen, clock: Clock) -> ExitCode:
    match options.command:
        case "open":
            return _open(options, account, screen)
        case "list" | "savings" | "doctor":
            return tell(report_of(options, clock, screen), options, account, screen)
    deployment = deployment_of(options, account)
    screen.note(deployment.origin)
    desk_of = partial(desk_with, options, account, screen, clock)
    desk = desk_of(deployment.settings)
    match options.command:
        case "explain":
            return _explain(desk, options.ref, as_json=options.json)
        case "check":
            return _check(desk, account, home_of(options, account), desk_of)
        case _:
            return _do(desk, options, deployment)


def _explain(desk: Desk, ref: str, *, as_json: bool) -> ExitCode:
    ids, _ = desk.named([ref])
    found = desk.observe(ids)
    if not found:
        return ExitCode.UNKNOWN
    lines = _lines(found[0], lambda seen: explain(seen, desk.settings, desk.clock.now()))
    if as_json:
        lines = [json.dumps(status_of(found[0], desk.settings, desk.clock.now()) | {"explained": lines}, indent=2)]
    for line in lines:
        desk.screen.say(line)
    return ExitCode.DONE


def _check(desk: Desk, account: Account, home: Home | None, desk_of: Callable[[Settings], Desk]) -> ExitCode:
    """Fails if removing the module would leave instances without volumes, or if nothing that is deployed can start what
    another deployment has parked, for instance this one before somebody gave it another name."""
    parked = _without_volumes(desk)
    for observation in parked:
        state = status_of(observation, desk.settings, desk.clock.now())["state"]
        desk.screen.say(f"{observation.instance.label} is {state}.")
    if parked:
        desk.screen.say(
            "They cannot start without the module. `restore --all` brings their volumes back, now or later."
        )
    endings = [ExitCode.REFUSED if parked else ExitCode.DONE]
    told = {o.instance.id for o in parked}
    functions = account.client("lambda", config=deployed.SDK)
    for name in desk.ec2.reads.other_deployments():
        other = deployed.find(functions, name=name, region=account.region, given={}, home=home)
        theirs = [o for o in _without_volumes(desk_of(other.settings)) if o.instance.id not in told]
        if theirs:
            endings.append(_check_other(desk.screen, other, theirs))
        told |= {o.instance.id for o in theirs}
    if not told:
        desk.screen.say(NOBODY)
    return together(endings)


def _check_other(screen: Screen, other: Deployment, parked: Iterable[Observation]) -> ExitCode:
    """Fails unless that deployment is there, and starts its instances itself."""
    name = other.settings.deployment
    for observation in parked:
        screen.say(f"{observation.instance.label} has its volumes in snapshots of the deployment {name}.")
    if other.read and other.parks is False:
        screen.say(f"{name} is deployed, but only observes: it starts nothing until observe_only is off.")
        return ExitCode.REFUSED
    if other.read:
        screen.say(f"{name} is deployed: it starts them, whatever becomes of this deployment.")
        return ExitCode.DONE
    screen.say(
        f"{name} is not known to be deployed here. A deployment with {name} in its previous_names starts them; "
        f"`--name {name} restore --all` brings their volumes back, now or later."
    )
    return ExitCode.REFUSED


def _do(desk: Desk, options: argparse.Namespace, deployment: Deployment) -> ExitCode:
    """Start, restore or park."""
    everything = getattr(options, "all", False)
    if bool(options.refs) == everything:
        raise NotPossible("Name the instances, by id or Name" + (", or give --all." if "all" in options else "."))
    ids, clear = desk.named(options.refs)
    if everything:
        ids = [o.instance.id for o in _without_volumes(desk)]
        if not ids:
            desk.screen.say(NOBODY)
    if ids and options.command == "restore" and (words := deployment.parks_again):
        desk.screen.say(words)
    action, ending = ACTIONS[options.command], ExitCode.DONE
    if options.dry_run:
        _say_only(desk, ids, action)
    elif ids:
        ending = action.do(desk, ids)
    return together([ending, *([] if clear else [ExitCode.UNKNOWN])])


def _without_volumes(desk: Desk) -> list[Observation]:
    """The instances that are parked, or being parked or started, even if their records are damaged."""
    return chosen(desk.every(), lambda o: phase_of(o) in WITHOUT_ROOT and bool(o.records or o.damaged), unclear=True)


def _say_only(desk: Desk, ids: Sequence[str], action: Action) -> None:
    def next_steps(observation: Observation) -> Iterable[str]:
        decision = action.decide(observation, desk.settings, desk.clock.now())
        return foretold(observation, decision, desk.settings)

    for observation in desk.observe(ids):
        for line in _lines(observation, next_steps):
            desk.screen.say(line)
    desk.screen.say("Nothing was changed.")


def _lines(observation: Observation, lines: Callable[[Observation], Iterable[str]]) -> list[str]:
    """What there is to say of one instance, or why there is nothing."""
    return alone(
        observation.instance.id, lambda: list(lines(observation)), lambda e: [unforeseen(observation, e).reason]
    )


def _open(options: argparse.Namespace, account: Account, screen: Screen) -> ExitCode:
    """Serve the page until Ctrl-C."""
    url = options.url or _function_url(account, f"{options.name}-start")
    if not url.startswith(("https://", "http://")):
        raise NotPossible(f"--url is {url!r}: give the output function_url, which starts with https://.")
    try:
        listening = Relay(url, region=account.region, credentials=account.credentials, port=options.port)
    except OSError as error:
        raise NotPossible(f"Cannot listen on localhost:{options.port} ({error}): give another --port.") from error
    with listening as relay:
        screen.say(f"{relay.address} shows the page, with your credentials, until you press Ctrl-C.")
        if not options.no_browser:
            webbrowser.open(relay.address)
        relay.serve()
    return ExitCode.DONE


def _function_url(account: Account, function_name: str) -> str:
    try:
        return str(account.client("lambda").get_function_url_config(FunctionName=function_name)["FunctionUrl"])
    except ClientError as error:
        if error.response["Error"]["Code"] == "ResourceNotFoundException":
            words = f"{function_name} has no Function URL in {account.region}: give --region, --name or --url."
            raise NotPossible(words) from error
        raise
