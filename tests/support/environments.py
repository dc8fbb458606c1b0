"""Makes the Python environments that the commands of the Makefile need, and only when their requirements change.

``python3 tests/support/environments.py demo lambda`` makes ``.venv-demo`` from ``requirements/demo.txt`` and
``.venv-lambda`` from ``requirements/lambda.txt``, side by side. It runs in the Python that calls it, with nothing
installed. An environment remembers in its file ``ready`` what it was made from: the pins themselves and not their
time, so that a fresh checkout, a touched file or another comment makes nothing anew.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO, NamedTuple

ROOT = Path(__file__).resolve().parents[2]
OLDEST = (3, 11)
FOLDERS = {
    "dev": ".venv",
    "lambda": ".venv-lambda",
    "demo": ".venv-demo",
    "checks": ".venv-checks",
    "pins": ".venv-pins",
}
UNCOMPILED = ("demo",)
"""There Python compiles what is imported when that happens: the demo imports a tenth of what is installed."""
PIN = re.compile(r"^[A-Za-z0-9][\w.-]*==", flags=re.MULTILINE)
EVERY_SECONDS = 3.0
"""How often progress is told where there is no terminal."""


class Environment(NamedTuple):
    name: str
    folder: Path
    requirements: Path

    @property
    def ready(self) -> Path:
        return self.folder / "ready"

    @property
    def python(self) -> Path:
        return self.folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


class SetUpError(Exception):
    """What stands in the way, as a sentence."""


def environment(name: str, root: Path = ROOT) -> Environment:
    return Environment(name, root / FOLDERS[name], root / "requirements" / f"{name}.txt")


def fingerprint(requirements: str) -> str:
    """The same for the same pins, whatever stands around them: comments, empty lines and their ends."""
    lines = (re.sub(r"(^|\s)#.*", "", line).strip() for line in requirements.splitlines())
    return hashlib.sha256("\n".join(line for line in lines if line).encode()).hexdigest()


def is_current(wanted: Environment) -> bool:
    """Whether it was made from these pins, and its Python still runs here."""
    try:
        made_from = wanted.ready.read_text(encoding="utf-8").strip()
    except OSError:
        return False
    return made_from == fingerprint(wanted.requirements.read_text(encoding="utf-8")) and wanted.python.exists()


class Progress:
    """How many packages of how many are there: one line that moves on a terminal, a line now and then elsewhere."""

    def __init__(self, totals: dict[str, int], out: IO[str]) -> None:
        self._totals, self._out = totals, out
        self._done = dict.fromkeys(totals, 0)
        self._said, self._lock = time.monotonic(), threading.Lock()

    def one_more(self, name: str) -> None:
        with self._lock:
            self._done[name] = min(self._done[name] + 1, self._totals[name])
            if self._out.isatty():
                print(f"\r  {self}", end="", file=self._out, flush=True)
            elif time.monotonic() - self._said >= EVERY_SECONDS:
                self._said = time.monotonic()
                print(f"  {self}", file=self._out, flush=True)

    def stage(self, words: str) -> None:
        with self._lock:
            end = "\r\033[K" if self._out.isatty() else ""
            print(f"{end}  {words}", file=self._out, flush=True)

    def __str__(self) -> str:
        return ", ".join(
            f"{FOLDERS[name]}: {self._done[name]} of {total} packages" for name, total in self._totals.items()
        )


def make(wanted: Environment, progress: Progress) -> None:
    """Makes the environment anew. Its ``ready`` comes last: what was interrupted is made again."""
    if wanted.folder.is_symlink():
        raise SetUpError(
            f"{wanted.folder.name} belongs to another checkout, and was not made from {wanted.requirements.name} of "
            f"this one. Remove the link, or bring both checkouts to the same requirements."
        )
    wanted.ready.unlink(missing_ok=True)
    of_the_system = _pip_can_install_elsewhere()
    _run([sys.executable, "-m", "venv", "--clear", *(["--without-pip"] if of_the_system else []), str(wanted.folder)])
    pip = [sys.executable, "-m", "pip", "--python", str(wanted.python)]
    install = [
        *(pip if of_the_system else [str(wanted.python), "-m", "pip"]),
        *("install", "--disable-pip-version-check", "--no-input"),
        # The pins are complete and have their hashes, so that pip has nothing to find out.
        *("--progress-bar", "off", "--no-deps", "--require-hashes", "--requirement", str(wanted.requirements)),
        *(["--no-compile"] if wanted.name in UNCOMPILED else []),
    ]
    with tempfile.TemporaryFile("w+") as said:
        with subprocess.Popen(install, stdout=subprocess.PIPE, stderr=said, text=True) as installing:
            for line in installing.stdout or ():
                if line.startswith("Collecting "):
                    progress.one_more(wanted.name)
                elif line.startswith("Installing collected packages"):
                    progress.stage(f"{wanted.folder.name}: everything is here, and is unpacked")
        if installing.returncode:
            said.seek(0)
            raise SetUpError(f"{wanted.folder.name} could not be made:\n{said.read()}")
    wanted.ready.write_text(fingerprint(wanted.requirements.read_text(encoding="utf-8")) + "\n", encoding="utf-8")


def _pip_can_install_elsewhere() -> bool:
    """Whether the pip of this Python installs into an environment, as since 22.3: one of its own takes seconds to make.

    Debian's Python may have none.
    """
    try:
        return tuple(int(part) for part in importlib.metadata.version("pip").split(".")[:2]) >= (22, 3)
    except (importlib.metadata.PackageNotFoundError, ValueError):
        return False


def _run(command: list[str]) -> None:
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode:
        raise SetUpError(done.stdout)


def set_up(names: list[str], root: Path = ROOT, out: IO[str] = sys.stdout) -> None:
    """Makes what is missing or was made from other pins, all at the same time. Raises SetUpError."""
    stale = [wanted for wanted in (environment(name, root) for name in names) if not is_current(wanted)]
    if not stale:
        return
    began = time.monotonic()
    totals = {wanted.name: len(PIN.findall(wanted.requirements.read_text(encoding="utf-8"))) for wanted in stale}
    folders = " and ".join(wanted.folder.name for wanted in stale)
    print(f"Setting up {folders}: {sum(totals.values())} packages", file=out, flush=True)
    progress = Progress(totals, out)
    with ThreadPoolExecutor(len(stale)) as pool:
        for made in [pool.submit(make, wanted, progress) for wanted in stale]:
            made.result()
    progress.stage(f"Done in {time.monotonic() - began:.0f} s")


def main(names: list[str]) -> int:
    if sys.version_info < OLDEST:
        print("Python 3.11 or newer is needed; say which with make PYTHON=python3.12", file=sys.stderr)
        return 1
    if not shutil.which("terraform"):
        print("terraform 1.9 or newer is needed on the PATH", file=sys.stderr)
        return 1
    try:
        set_up(names)
    except SetUpError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
