"""The browser of tests/browser: where it is, and how to get it where it is missing.

``python -m tests.support.chromium`` installs Debian's packages where that is possible: with apt, as root or by a sudo
that asks for no password.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
PACKAGES = ("chromium", "fonts-noto-cjk")
"""The second for Korean, without which it is drawn as empty boxes."""
HOW_TO_GET_IT = f"Get it with: apt-get install -y {' '.join(PACKAGES)}"
NONE = f"No Chromium is there to test the page in. {HOW_TO_GET_IT}"


def find() -> str | None:
    """The path of a Chromium that runs: on Ubuntu the package of that name only tells to install another one."""
    return next((path for name in NAMES if (path := shutil.which(name)) and _runs(path)), None)


def _runs(path: str) -> bool:
    try:
        done = subprocess.run([path, "--version"], capture_output=True, timeout=60, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def speaks_korean() -> bool:
    """Whether a font with Korean letters is installed; true where that cannot be told."""
    if not shutil.which("fc-list"):
        return True
    return bool(subprocess.run(["fc-list", ":lang=ko"], capture_output=True, check=False).stdout.strip())


def install() -> str:
    """Installs what is missing. Answers what stands in the way, as a sentence, or nothing."""
    missing = [package for package, there in zip(PACKAGES, (find(), speaks_korean()), strict=True) if not there]
    if not missing:
        return ""
    how = f"The page cannot be tested as it should: {' and '.join(missing)} is missing. {HOW_TO_GET_IT}"
    apt = shutil.which("apt-get")
    if not apt:
        return how
    sudo = [] if os.geteuid() == 0 else ["sudo", "--non-interactive"]
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    try:
        for command in (["update", "-qq"], ["install", "-y", "-qq", "--no-install-recommends", *missing]):
            subprocess.run([*sudo, apt, *command], env=quiet, check=True, stdout=subprocess.DEVNULL)
    except (OSError, subprocess.CalledProcessError) as error:
        return f"{how} (tried and failed: {error})"
    return "" if find() else how


if __name__ == "__main__":
    if problem := install():
        print(problem, file=sys.stderr)
