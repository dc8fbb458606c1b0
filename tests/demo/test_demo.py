"""The demo holds what it claims, also without a terminal."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest

from tests.support.terraform import QUIET, ROOT, TIMEOUT

AT_MOST = 90
"""Seconds that apply, a park and a start may take beside what nobody can hurry."""
PROVIDER_WAITS = 52
"""Seconds that the AWS provider waits until it believes what SQS says of two queues, of which one needs the other."""


@pytest.fixture(scope="module")
def shown() -> str:
    """What ``make demo`` prints where there is no terminal."""
    environment = {key: value for key, value in os.environ.items() if key != "KEEP"}
    done = subprocess.run(
        [sys.executable, "-m", "tests.demo"],
        cwd=ROOT,
        env=environment | {"PYTHONPATH": "lambda_src"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def test_every_claim_of_the_demo_holds(shown: str) -> None:
    claims = re.findall(r"^  ([✓✗]) ", shown, flags=re.MULTILINE)
    assert len(claims) >= 10
    assert set(claims) == {"✓"}


def test_the_article_s_volume_costs_what_the_article_says(shown: str) -> None:
    (row,) = re.findall(r"^ wiki .*$", shown, flags=re.MULTILINE)
    assert "32 GiB gp2" in row
    assert "3.65 USD" in row
    assert "at most 1.60 USD" in row


def test_without_a_terminal_the_demo_prints_plain_lines(shown: str) -> None:
    assert "\x1b" not in shown
    assert "\r" not in shown


def test_the_local_aws_adds_little_to_what_the_provider_and_the_lock_wait(shown: str) -> None:
    at = {words: int(seconds) for words, seconds in re.findall(r"^(\S.*) \((\d+) s\)$", shown, flags=re.MULTILINE)}
    began, ended = at["terraform apply: examples/complete, unchanged"], at["Everything is as it was"]
    assert ended - began <= AT_MOST + PROVIDER_WAITS + TIMEOUT + QUIET
