"""The demo holds what it claims, also without a terminal."""

from __future__ import annotations

import re

import pytest

from tests.demo.__main__ import FOR_A_TRIAL, FOR_EACH_VOLUME, TAKES
from tests.demo.shown import show
from tests.support.ahead import Ahead
from tests.support.terraform import QUIET, ROOT, TIMEOUT

MOST_LINES = 60
AT_MOST = 120
"""Seconds of the local AWS that a park and a start may take beside what nobody can hurry."""
VERDICT = 60 + 30
"""The start side sweeps every minute, and half a minute later the park side looks for its verdict."""


@pytest.fixture(scope="module")
def shown(ahead: Ahead) -> str:
    """What ``make demo`` prints, in a hurry: the same, but for the time that it takes."""
    done = ahead.result(show)
    assert done.returncode == 0, done.stdout
    return done.stdout


def test_every_claim_of_the_demo_holds(shown: str) -> None:
    claims = re.findall(r"^  ([✓✗]) ", shown, flags=re.MULTILINE)
    assert len(claims) >= 10
    assert set(claims) == {"✓"}


def test_it_says_at_once_how_long_it_takes_and_which_inputs_it_shortens(shown: str) -> None:
    first = "\n".join(shown.splitlines()[:8])
    assert f"takes {TAKES}" in first
    assert TAKES in (ROOT / "README.md").read_text(encoding="utf-8").replace("\n", " ")
    assert "quiet_period_seconds 55 (120)" in first
    assert "function_timeout_seconds 10 (60)" in first
    assert "sweep_interval_minutes 1 (5)" in first
    assert "snapshot_retention_hours 0 (24)" in first


def test_it_is_read_in_a_minute(shown: str) -> None:
    assert len(shown.splitlines()) <= MOST_LINES


def test_it_counts_for_each_volume_the_calls_that_the_documents_name(shown: str) -> None:
    text = (ROOT / "docs" / "performance.md").read_text(encoding="utf-8")
    documents = re.sub(r"\s+", " ", text)
    assert f"takes five changing calls ({', '.join(FOR_EACH_VOLUME[:-1])} and {FOR_EACH_VOLUME[-1]})" in documents
    assert f"marks that volume with one more {FOR_A_TRIAL}" in documents
    assert "✓ parking took 5 changing calls for each of the 4 volumes, and 1 for a trial" in shown


def test_one_snapshot_is_one_snapshot(shown: str) -> None:
    assert "1 snapshot;" in shown
    assert "1 snapshots" not in shown


def test_the_article_s_volume_costs_what_the_article_says(shown: str) -> None:
    (row,) = re.findall(r"^ wiki .*$", shown, flags=re.MULTILINE)
    assert "32 GiB gp2" in row
    assert "3.65 USD" in row
    assert "at most 1.60 USD" in row


def test_without_a_terminal_the_demo_prints_plain_lines(shown: str) -> None:
    assert "\x1b" not in shown
    assert "\r" not in shown


def test_the_local_aws_adds_little_to_what_the_lock_waits(shown: str) -> None:
    at = {words: int(seconds) for words, seconds in re.findall(r"^(\S.*) \((\d+) s\)$", shown, flags=re.MULTILINE)}
    began, ended = at["terraform apply: examples/complete, unchanged"], at["Everything is as it was"]
    assert QUIET <= ended - began <= AT_MOST + VERDICT + TIMEOUT + QUIET
