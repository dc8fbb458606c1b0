"""Asks AWS itself: the open questions, EC2's rules, and whether the product parks and starts an instance.

``run`` says what it makes and costs before it begins. It removes everything at its end, also after Ctrl-C. ``clean``
removes what a run has left because its computer failed. Both use the usual credentials of AWS.
"""

from __future__ import annotations

import argparse
import os
import secrets
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from tests.live.bill import announcement
from tests.live.clean import Cleaning
from tests.live.deployment import RUNS, deployed, make_roles, was_applied
from tests.live.lab import Aws, Lab, Stopped
from tests.live.parts import questions_and_rules
from tests.live.product import Story, counted, obstacles
from tests.live.report import Report
from tests.support.terraform import RootModule, TerraformError

ENDS = (signal.SIGINT, signal.SIGTERM)
"""Both have to be asked for: a shell has SIGINT ignored in what it runs in the background, and Python keeps that."""

REFUSED, FAILED, INTERRUPTED = 2, 1, 130
RETRIES: Any = Config(retries={"mode": "standard", "total_max_attempts": 10})


def options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.live", description=__doc__)
    parser.add_argument("--folder", type=Path, default=RUNS, help="what runs remember, a folder each (default .live)")
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run", help="asks everything")
    run.add_argument("--region", required=True, help="for example eu-west-1")
    run.add_argument("--subnet", default="", help="where instances are launched; default: a default subnet")
    run.add_argument("--key-id", default="", help="ARN of a KMS key for the volumes of the parked instance")
    run.add_argument("--yes", action="store_true", help="do not ask")
    clean = commands.add_parser("clean", help="removes what a run has left")
    clean.add_argument("--run", required=True, help="the value of the tag, for example eu-west-1-1128202214-3f2a")
    return parser.parse_args(arguments)


def account_in(region: str) -> Aws:
    """The account that the usual credentials lead to, by this process's clock."""
    session: Any = boto3.session.Session(region_name=region)
    return Aws(
        region=region,
        client=partial(session.client, config=RETRIES),
        now=lambda: datetime.now(UTC),
        wait=time.sleep,
        local="AWS_ENDPOINT_URL" in os.environ,
        environment={**os.environ, "AWS_REGION": region, "AWS_DEFAULT_REGION": region},
        credentials=lambda: session.get_credentials().get_frozen_credentials(),
    )


def region_of(run: str) -> str:
    return run.rsplit("-", 2)[0]


@contextmanager
def undisturbed() -> Iterator[None]:
    """Nothing keeps us from removing what we made; whoever must end this now can use SIGKILL, and clean up later."""
    before = {number: signal.signal(number, signal.SIG_IGN) for number in ENDS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def ends_in_order(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def remove(aws: Aws, run: str, folder: Path, key: str = "") -> list[str]:
    """Destroys the deployment and removes everything that bears the tag; answers what is left."""
    with undisturbed():
        print("Removing everything that was made.", flush=True)
        if was_applied(folder):
            try:
                # One that outlived its run still holds the lock.
                deployed(aws, folder, run, key).destroy(lambda _: None, "-lock-timeout=5m")
            except TerraformError as error:
                print(f"  terraform destroy failed, so its resources are removed one by one: {error}")
        return Cleaning(aws, run).clean()


def everything(lab: Lab, module: RootModule, report: Report) -> None:
    """All parts in turn. What is done when somebody ends the run stays in the report."""
    print("1. The roles of the example, of which some questions are", flush=True)
    make_roles(module)
    print("2. Questions and rules", flush=True)
    questions_and_rules(lab, report.questions, report.rules)
    print("3. The product", flush=True)
    story = Story(lab, module)
    report.product = story.told
    story.tell()


def run(given: argparse.Namespace) -> int:
    aws = account_in(given.region)
    name = f"{given.region}-{aws.now():%m%d%H%M%S}-{secrets.token_hex(2)}"
    lab = Lab(aws, name, subnet=given.subnet, key=given.key_id)
    print(announcement(given.region, lab.identity["Account"], name))
    if problems := [*obstacles(lab), *_nowhere(lab)]:
        print("\n".join(problems), file=sys.stderr)
        return REFUSED
    if not given.yes and input("Go on? Type yes: ").strip() != "yes":
        return REFUSED
    folder = given.folder / name
    report = Report(run=name, where="the local AWS" if aws.local else "AWS", region=given.region, began=lab.began)
    try:
        everything(lab, deployed(aws, folder, name, given.key_id), report)
    except KeyboardInterrupt:
        report.ended_by = "Somebody ended the run."
    except (Stopped, TerraformError, BotoCoreError, ClientError) as error:
        report.ended_by = f"{type(error).__name__}: {error}"
    finally:
        report.left = remove(aws, name, folder, given.key_id)
    return conclude(lab, report, folder)


def _nowhere(lab: Lab) -> list[str]:
    """Why there is no place for instances."""
    try:
        lab.place  # noqa: B018  # looked up now and kept
    except (AssertionError, ClientError) as error:
        return [str(error)]
    return []


def conclude(lab: Lab, report: Report, folder: Path) -> int:
    """Counts, tells, and writes the report."""
    if report.product and not report.ended_by:
        with suppress(KeyboardInterrupt, Stopped):
            report.product.calls = counted(lab, report.product.began)
    report.ended, report.calls = lab.aws.now(), lab.calls
    for name, text in (("report.json", report.as_json()), ("report.md", report.as_page())):
        (folder / name).write_text(text, encoding="utf-8")
    print(report.as_page())
    print(f"The report is in {folder / 'report.md'}. docs/evidence/README.md says how to keep it.")
    if report.ended_by:
        return INTERRUPTED
    return FAILED if report.problems else 0


def clean(given: argparse.Namespace) -> int:
    left = remove(account_in(region_of(given.run)), given.run, given.folder / given.run)
    print("\n".join(left) if left else f"Nothing is left of {given.run}.")
    return FAILED if left else 0


def main(arguments: Sequence[str]) -> int:
    given = options(arguments)
    for number in ENDS:
        signal.signal(number, ends_in_order)
    return run(given) if given.command == "run" else clean(given)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
