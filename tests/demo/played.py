"""``make playground``, from its beginning to its end: in a shell's background, used, and ended."""

from __future__ import annotations

import re
import signal
import subprocess
import tempfile
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.demo.playground import READY
from tests.local_aws.client import AS_STARTED
from tests.support.ahead import Ahead
from tests.support.terraform import DEMO_PYTHON, ROOT

PATIENCE = 120
"""Seconds in which it has to be gone: Terraform may be at work, and ends what it has begun."""
IN_THE_BACKGROUND = ("bash", "-c", 'trap "" INT; exec "$@"', "bash")
"""Ignores INT, as whatever a shell runs in the background does."""


@dataclass(frozen=True, kw_only=True)
class Left:
    """What there still is once it has ended."""

    exit_code: int
    address: str
    answers: bool
    """Whether the local AWS still answers."""
    processes: list[str]
    files: list[Path]
    """What is in the folder that it had for temporary files."""


@dataclass(frozen=True, kw_only=True)
class Played:
    said: str
    in_the_shell: subprocess.CompletedProcess[str]
    """What commands of a shell have said into which the block was pasted."""
    left: Left
    left_early: Left
    """The same of one that was interrupted while it got ready."""


@dataclass(frozen=True, kw_only=True)
class Run:
    """A playground that runs, and what it has said until now."""

    process: subprocess.Popen[str]
    folder: Path
    said: str


def play(ahead: Ahead) -> Played:
    early = ahead.begin(_interrupt_early)
    run = _begin(ahead, READY)
    in_the_shell = _use(run.said)
    left = _end(run, signal.SIGTERM)
    return Played(said=run.said, in_the_shell=in_the_shell, left=left, left_early=early.result())


def _interrupt_early(ahead: Ahead) -> Left:
    """Interrupted while Terraform applies."""
    return _end(_begin(ahead, "terraform apply"), signal.SIGINT)


def _begin(ahead: Ahead, until: str) -> Run:
    """Lets it run until it says this."""
    folder = Path(ahead.enter(tempfile.TemporaryDirectory(prefix="played-")))
    command = [*IN_THE_BACKGROUND, DEMO_PYTHON, "-u", "-m", "tests.demo.playground"]
    environment = {**AS_STARTED, "PYTHONPATH": "lambda_src", "HURRY": "1", "TMPDIR": str(folder)}
    process = subprocess.Popen(
        command, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True
    )
    said = ""
    for line in process.stdout or ():
        said += line
        if until in line:
            break
    return Run(process=process, folder=folder, said=said)


def _address(said: str) -> str:
    (address,) = set(re.findall(r"AWS_ENDPOINT_URL=(\S+)", said))
    return str(address)


def _use(said: str) -> subprocess.CompletedProcess[str]:
    """A person pastes the block, and does what is told to try that takes no browser."""
    block = said.split("Paste this")[1].split("Five things", maxsplit=1)[0].split("\n", 1)[1]
    (start,) = re.findall(r"^  2\. .*?:  (.*)$", said, flags=re.MULTILINE)
    (look,) = re.findall(r"^  3\. .*?:  (.*)$", said, flags=re.MULTILINE)
    script = f"{block}\n{start}\n{look}\n"
    return subprocess.run(
        ["bash", "-euc", script],
        cwd=ROOT,
        env=_without_aws(AS_STARTED),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )


def _without_aws(environment: Mapping[str, str]) -> dict[str, str]:
    return {key: value for key, value in environment.items() if not key.startswith("AWS_")}


def _end(run: Run, number: signal.Signals) -> Left:
    address, mine = _address(run.said), _descendants(run.process.pid)
    run.process.send_signal(number)
    run.process.communicate(timeout=PATIENCE)
    return Left(
        exit_code=run.process.returncode,
        address=address,
        answers=_answers(address),
        processes=[_command(pid) for pid in mine if _command(pid)],
        files=sorted(run.folder.iterdir()),
    )


def _answers(address: str) -> bool:
    try:
        urllib.request.urlopen(f"{address}/_local/now", timeout=5).close()
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False
    return True


def _descendants(pid: int) -> list[int]:
    children = [int(child) for child in _read(pid, f"task/{pid}/children").split()]
    return [pid, *(one for child in children for one in _descendants(child))]


def _command(pid: int) -> str:
    return _read(pid, "cmdline").replace("\0", " ").strip()


def _read(pid: int, name: str) -> str:
    try:
        return Path(f"/proc/{pid}/{name}").read_text(encoding="utf-8")
    except OSError:
        return ""
