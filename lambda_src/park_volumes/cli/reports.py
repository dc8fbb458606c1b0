"""The reports of the command line, of one account and region or of many: as a table, as JSON, and as CSV."""

import argparse
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from functools import cache, partial
from typing import Any

from park_volumes.cli import deployed
from park_volumes.cli.account import Account, NotPossible
from park_volumes.cli.deployed import Deployment
from park_volumes.cli.desk import Desk, ExitCode, together
from park_volumes.cli.doctor import Level, as_json, diagnose, of_two_deployments
from park_volumes.cli.examination import Examination, Unusable, locate
from park_volumes.cli.explain import money
from park_volumes.cli.options import deployment_of, desk_with
from park_volumes.cli.screen import Screen
from park_volumes.cli.sites import Seen, found_in, organization, sites, visit
from park_volumes.core.phase import Phase, phase_of
from park_volumes.core.tags import opted_in
from park_volumes.run import savings
from park_volumes.run.context import Clock
from park_volumes.run.observe import chosen
from park_volumes.run.savings import harmless
from park_volumes.run.show import in_bin, savings_of, status_of

Row = Sequence[str]


@dataclass(frozen=True, kw_only=True)
class Found:
    """What a report found in one account and region. ``origin`` says where the settings come from; ``bad``: something
    has to be done before the module can work."""

    shown: dict[str, Any]
    rows: Sequence[Row]
    origin: str
    bad: bool = False


@dataclass(frozen=True, kw_only=True)
class Report:
    """``of_all``: one more row for several accounts and regions together, made of what was found in each."""

    columns: Row
    read: Callable[[Account], Found]
    of_all: Callable[[Iterable[Found]], Row] | None = None


def report_of(options: argparse.Namespace, clock: Clock, screen: Screen) -> Report:
    """The report that a command is for."""
    if options.command == "doctor":
        return Report(columns=("level", "about", "finding"), read=partial(_doctor, options, clock, screen))
    if options.command == "savings":
        return Report(columns=savings.COLUMNS, read=partial(_savings, options, clock, screen), of_all=_total)
    columns = ("instance", "name", "state", "saves USD", "reason")
    return Report(columns=columns, read=partial(_list, options, clock, screen))


def tell(report: Report, options: argparse.Namespace, account: Account, screen: Screen) -> ExitCode:
    """Print it. Failed if an account or region could not be looked at, refused if anything is bad."""
    if options.regions or options.roles or options.organization_role:
        return _tell_of_all(report, options, account, screen)
    found = report.read(account)
    screen.note(found.origin)
    _print(screen, options, found.shown, report.columns, found.rows)
    return ExitCode.REFUSED if found.bad else ExitCode.DONE


def _tell_of_all(report: Report, options: argparse.Namespace, account: Account, screen: Screen) -> ExitCode:
    roles = options.roles or (organization(account, options.organization_role) if options.organization_role else ())
    seen = visit(sites(account, regions=options.regions, roles=roles), report.read, screen.note)
    rows = [(site.account, site.region, *row) for site, found in found_in(seen) for row in found.rows]
    if report.of_all:
        rows.append(("all", "", *report.of_all(found for _, found in found_in(seen))))
    shown = {"sites": [_shown(one) for one in seen]}
    _print(screen, options, shown, ("account", "region", *report.columns), rows)
    bad = any(found.bad for _, found in found_in(seen))
    failed = any(one.problem for one in seen)
    return together([ExitCode.FAILED] * failed + [ExitCode.REFUSED] * bad)


def _shown(one: Seen[Found]) -> dict[str, Any]:
    where = {"account": one.site.account, "region": one.site.region}
    return where | (one.found.shown if one.found else {"error": one.problem})


def _print(
    screen: Screen, options: argparse.Namespace, shown: dict[str, Any], columns: Row, rows: Sequence[Row]
) -> None:
    if options.json:
        screen.say(json.dumps(shown, indent=2))
    elif options.csv:
        screen.say(savings.csv_of(columns, rows).rstrip("\r\n"))
    else:
        screen.table(columns, rows)


def _at(options: argparse.Namespace, clock: Clock, screen: Screen, account: Account) -> tuple[Deployment, Desk]:
    deployment = deployment_of(options, account)
    return deployment, desk_with(options, account, screen, clock, deployment.settings)


def _list(options: argparse.Namespace, clock: Clock, screen: Screen, account: Account) -> Found:
    deployment, desk = _at(options, clock, screen, account)
    every = [(o, status_of(o, desk.settings, clock.now())) for o in desk.every()]
    rows = [
        (o.instance.id, harmless(o.instance.name), of["state"], money(savings_of(o, desk.settings).saved), of["detail"])
        for o, of in every
    ]
    shown = [of | {"opted_in": opted_in(o.instance.tags, desk.settings)} for o, of in every]
    return Found(shown={"instances": shown}, rows=rows, origin=deployment.origin)


def _savings(options: argparse.Namespace, clock: Clock, screen: Screen, account: Account) -> Found:
    deployment, desk = _at(options, clock, screen, account)
    every = desk.every()
    left = chosen(every, lambda o: phase_of(o) is Phase.ENDED, unclear=False)
    there = [o for o in every if o not in left]
    of_region = savings.OfRegion(
        region=account.region, every=there, left=left, settings=desk.settings, kept=in_bin(desk.ec2.reads, there)
    )
    shown = savings.report([of_region])
    return Found(shown=shown, rows=savings.rows(shown), origin=deployment.origin)


def _total(every: Iterable[Found]) -> Row:
    """The totals of all accounts and regions together."""
    return savings.sum_of([found.shown for found in every])


def _doctor(options: argparse.Namespace, clock: Clock, screen: Screen, account: Account) -> Found:
    """Bad only if anything is bad: a warning alone keeps nobody from deploying."""
    client = cache(partial(account.client, config=deployed.SDK))
    try:
        place = locate(client, account.region, account.regions())
    except Unusable as problem:
        raise NotPossible(str(problem)) from problem
    (deployment, desk), now = _at(options, clock, screen, account), clock.now()
    settings = deployment.settings
    public = deployed.LAYER.format(region=place.region) if place.partition == deployed.PUBLIC else ""
    examination = Examination(client=client, ec2=desk.ec2, settings=settings, now=now)
    examined = examination.examine(place, options.powertools_layer_arn or deployment.layer or public)
    found = diagnose(examined, settings, now)
    if deployment.beside:
        found.insert(0, of_two_deployments(settings.deployment, place.region, deployment.beside))
    where = asdict(place) | {"deployment": settings.deployment, "deployed": deployment.read}
    return Found(
        shown=where | {"findings": as_json(found)},
        rows=[(one.level, one.topic, f"{one.words} {one.remedy}".rstrip()) for one in found],
        origin=deployment.origin,
        bad=any(one.level is Level.BAD for one in found),
    )
