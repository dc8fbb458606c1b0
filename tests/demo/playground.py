"""What ``make playground`` shows: an account to play with, until Ctrl-C. Nothing of it is left afterwards.

HURRY=1 jumps over what the local AWS waits for while it gets ready.
"""

from __future__ import annotations

import os
import secrets
import signal
import sys
import tempfile
import threading
from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path
from types import FrameType
from typing import Any

from tests.demo.screen import Screen
from tests.local_aws.client import ADMIN_KEY, ADMIN_SECRET, LocalAws
from tests.local_aws.settings import Settings
from tests.support.fleet import PATIENCE, Disk, Fleet
from tests.support.terraform import LAMBDA_PYTHON, QUICK_INPUTS, ROOT, Progress, Terraform
from tests.support.url import OpenUrl

REGION = "ap-northeast-2"
PARAMETER = "/park-volumes/tokens"
TRAIL = "management-events"
TAKES = "about five minutes"
OPTED_IN = {"ParkVolumes": "true"}
STATES = {"web": "running", "wiki": "parked", "shop": "parked", "vendor": "stopped", "ci": "parking"}
"""The instances, and in which state each is when everything is ready."""
READY = "Everything is ready. Ctrl-C ends it, and removes all of it."


class Ended(BaseException):
    """Somebody has sent INT or TERM. No exception of the kind that anything on the way might catch."""


def _end(_number: int, _frame: FrameType | None) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # the way out is taken once, and to its end
    raise Ended


class Playground:
    def __init__(self, screen: Screen, aws: LocalAws, workspace: Path) -> None:
        self.screen, self.aws = screen, aws
        self.ec2 = aws.client("ec2")
        self.fleet = Fleet(aws=aws, ec2=self.ec2, zone=f"{REGION}a")
        self.token = secrets.token_hex(32)
        variables = {**QUICK_INPUTS, "function_url_auth": "TOKEN", "start_tokens_parameter": PARAMETER}
        self.terraform = Terraform("complete", workspace, aws.environment(), variables)

    def get_ready(self) -> None:
        ids = self._launch()
        self._log_calls()
        self.aws.client("ssm").put_parameter(Name=PARAMETER, Type="SecureString", Value=f"you:{self.token}")
        self.screen.heading("terraform apply: examples/complete, with the page for people who have a token")
        with self.screen.board() as board:
            outputs = self.terraform.apply(lambda p: board.show("resources", _so_far(p)))
        self.url = OpenUrl(url=str(outputs["function_url"]), token=self.token)
        self._bring_everywhere(ids)
        self._explain(ids, outputs)

    def _launch(self) -> dict[str, str]:
        self.screen.heading("Five instances are launched")
        data = Disk(device="/dev/sdf", size=100, delete_on_termination=False, tags={"Name": "data"})
        disks = {"shop": [Disk(size=16), data], "wiki": [Disk(size=32, type="gp2")]}
        ids = {name: self.fleet.launch(name, disks.get(name, [Disk(size=8)]), OPTED_IN) for name in STATES}
        for instance_id in ids.values():
            self.aws.write(instance_id)
        self.aws.set_instance(ids["vendor"], product_codes=["0123456789abcdefghijklmno"])
        return ids

    def _log_calls(self) -> None:
        """A trail, without which nobody hears that EC2 has refused a start."""
        place = {"LocationConstraint": REGION}
        self.aws.client("s3").create_bucket(Bucket=TRAIL, CreateBucketConfiguration=place)
        trails = self.aws.client("cloudtrail")
        trails.create_trail(Name=TRAIL, S3BucketName=TRAIL, IsMultiRegionTrail=True)
        trails.start_logging(Name=TRAIL)

    def _bring_everywhere(self, ids: Mapping[str, str]) -> None:
        self.screen.heading("Two of them are parked, one cannot be, and one has just been stopped")
        self.ec2.stop_instances(InstanceIds=[ids[name] for name in ("wiki", "shop", "vendor")])
        with self.screen.board() as board:

            def as_wanted(*but: str) -> bool:
                now = {i["name"]: i["state"] for i in self.url.send("GET", "instances").body["instances"]}
                for name, state in now.items():
                    board.show(name, state)
                return all(now[name] == state for name, state in STATES.items() if name not in but)

            self.aws.wait_for(lambda: as_wanted("ci"), PATIENCE, "two instances to be parked")
            self.ec2.stop_instances(InstanceIds=[ids["ci"]])
            self.aws.wait_for(as_wanted, PATIENCE, "the last one to be on its way")

    def _explain(self, ids: Mapping[str, str], outputs: Mapping[str, Any]) -> None:
        say = self.screen.say
        self.screen.heading("Paste this into another shell, of bash or zsh")
        say(f"export AWS_ENDPOINT_URL={self.aws.endpoint_url} AWS_REGION={REGION} AWS_DEFAULT_REGION={REGION}")
        say(f"export AWS_ACCESS_KEY_ID={ADMIN_KEY} AWS_SECRET_ACCESS_KEY={ADMIN_SECRET}")
        say(f"export PARK_VOLUMES_TOKEN={self.token}")
        by_its_clock = f"LOCAL_AWS_DIAL='{self.aws.dial}' PYTHONPATH='{ROOT}:{ROOT / 'lambda_src'}'"
        program = f"'{sys.executable}' -m tests.local_aws.laptop park_volumes"
        say(f'park-volumes() {{ {by_its_clock} {program} "$@"; }}')
        self.screen.heading("Five things to try")
        say(f"1. Open the page, sign in with the token above, and start wiki:  {self.url.url}")
        say(f"2. Start shop without the page:  {str(outputs['start_command']).replace('INSTANCE', 'shop')}")
        say("3. Look where all are, and why vendor is not parked:  park-volumes list; park-volumes explain vendor")
        say("4. Start ci as always. EC2 refuses while it is parked, and within a minute or two it runs all the same:")
        say(f"   aws ec2 start-instances --instance-ids {ids['ci']}")
        say(
            f"5. Stop web, and follow on the page how it is parked:  aws ec2 stop-instances --instance-ids {ids['web']}"
        )
        self.screen.heading(READY)


def _so_far(p: Progress) -> str:
    return f"{p.done} of {p.of}  {p.last.rsplit('.', 1)[-1]}"


def main() -> int:
    # Also where INT is ignored, as in whatever a shell runs in the background.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _end)
    hurries = bool(os.environ.get("HURRY"))
    screen = Screen()
    screen.heading("A local AWS is started; no account is needed")
    screen.say(f"Getting ready takes {TAKES}, most of it waiting, as on AWS.")
    try:
        with (
            tempfile.TemporaryDirectory(prefix="park-volumes-playground-") as workspace,
            LocalAws(settings=Settings(hurries=hurries), region=REGION, lambda_python=LAMBDA_PYTHON) as aws,
        ):
            screen.say(f"AWS_ENDPOINT_URL={aws.endpoint_url}")
            with aws.standing_still() if hurries else nullcontext():
                Playground(screen, aws, Path(workspace)).get_ready()
            threading.Event().wait()
    except Ended:
        screen.heading("It is ended, and nothing is left of it")
        return 0
    except Exception as error:  # whatever it was, a person reads it and the exit code tells
        screen.check("the playground is ready", [f"{type(error).__name__}: {error}"])
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
