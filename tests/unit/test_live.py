"""What `make live` says and sums up, without an account."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from park_volumes.core.prices import REGIONS
from tests.live import guest
from tests.live.__main__ import options, region_of
from tests.live.bill import AT_MOST, MINUTES, Made, announcement, cost
from tests.live.lab import LONGEST
from tests.live.parts import Asked, Tried
from tests.live.product import Product
from tests.live.questions import QUESTIONS
from tests.live.report import Report, masked
from tests.support.terraform import ROOT

NOON = datetime(2026, 12, 24, 12, tzinfo=UTC)
RUN = "eu-west-1-1224120000-3f2a"


def report(**more: Any) -> Report:
    return Report(run=RUN, where="AWS", region="eu-west-1", began=NOON, ended=NOON, **more)


def asked(answer: Any, why: str = "", name: str = "lock through the archive") -> Asked:
    return Asked(name=name, asks="Is it locked?", seconds=1.0, answer=answer, why_open=why)


class TestTheBill:
    @pytest.mark.parametrize("region", [*REGIONS, "eu-west-1"])
    def test_stays_well_under_half_a_dollar_in_every_region(self, region: str) -> None:
        assert 0.05 < cost(region) < 0.35

    def test_grows_with_what_is_made(self) -> None:
        assert cost("us-east-1", Made(instances=0, volumes=0, archived=0)) < cost("us-east-1")

    def test_is_told_with_everything_that_is_made_and_how_to_remove_it(self) -> None:
        said = announcement("eu-west-1", "123456789012", RUN)

        assert f"up to {AT_MOST.instances} instances" in said
        assert f"at most {cost('eu-west-1'):.2f} USD" in said
        assert f"after {MINUTES} minutes" in said
        assert f"make live-clean RUN={RUN}" in said

    def test_is_of_less_than_an_hour_and_nothing_lives_for_more_than_two(self) -> None:
        assert MINUTES < 60
        assert timedelta(minutes=MINUTES) < LONGEST < timedelta(hours=2)
        assert timedelta(minutes=guest.LIVES_MINUTES) < timedelta(hours=2)


class TestTheSums:
    CONSOLE = "\n".join(
        [
            "[    0.000000] Booting Linux",
            guest.line(1, "root", "aa11"),
            "kernel: PARK-VOLUMES-LIVE boot=1 device=data sum=",
            guest.line(1, "data", "bb22"),
            guest.line(2, "root", "aa11"),
        ]
    )

    def test_are_those_of_the_boot(self) -> None:
        assert guest.sums(self.CONSOLE, 1) == {"root": "aa11", "data": "bb22"}

    @pytest.mark.parametrize("boot", [2, 3])
    def test_are_not_told_before_both_are(self, boot: int) -> None:
        assert guest.sums(self.CONSOLE, boot) == {}

    def test_are_told_by_the_script_in_the_words_that_are_read(self) -> None:
        told = [line for line in guest.WRITES.splitlines() if 'echo "PARK' in line]
        filled = [
            line.split('"')[1].replace("$boot", "1").replace("$of_root", "aa").replace("$of_data", "bb")
            for line in told
        ]
        assert guest.sums("\n".join(filled), 1) == {"root": "aa", "data": "bb"}


class TestTheReport:
    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("arn:aws:iam::123456789012:role/x-1, and", "(ARN), and"),
            ("arn:aws-us-gov:ec2:us-gov-west-1:123456789012:volume/vol-1", "(ARN)"),
            ('"account": "123456789012"', '"account": "(account)"'),
            ("i-0123456789abcdef0 of 1224120000", "i-0123456789abcdef0 of 1224120000"),
        ],
    )
    def test_names_no_account(self, text: str, expected: str) -> None:
        assert masked(text) == expected

    def test_has_no_problems_where_everything_is_as_expected(self) -> None:
        good = report(questions=[asked("kept")], rules=[Tried(name="a", kept=True), Tried(name="b", kept=None)])

        assert good.problems == []
        assert "Not as the code expects" not in good.as_page()

    def test_tells_every_kind_of_problem(self) -> None:
        bad = report(
            questions=[asked("lost in the archive")],
            rules=[Tried(name="a rule", kept=False, words="DID NOT RAISE")],
            product=Product(began=NOON, problems=["/dev/sdf: content was 1, is 2"]),
            left=["vol-1: in use"],
        )

        assert bad.problems == [
            "lock through the archive: 'lost in the archive'",
            "a rule: DID NOT RAISE",
            "/dev/sdf: content was 1, is 2",
            "left over: vol-1: in use",
        ]
        assert all(problem in bad.as_page() for problem in bad.problems)

    def test_tells_what_stays_open_and_why(self) -> None:
        half = report(questions=[asked(None, "Waited 1800 seconds for the archive.")])

        assert half.problems == []
        assert "- Is it locked? Waited 1800 seconds for the archive." in half.as_page()
        assert json.loads(half.as_json())["questions"]["lock through the archive"]["answer"] is None

    def test_of_a_run_that_was_ended_says_so(self) -> None:
        assert "Somebody ended the run." in report(ended_by="Somebody ended the run.").as_page()


@pytest.mark.parametrize(
    ("name", "answer", "expected"),
    [
        ("deleted volumes", 259_200, True),
        ("deleted volumes", False, False),
        ("deleted volumes", -1, False),
        ("marked and used at once", 2.5, True),
        ("dry runs", 1, False),
        ("dry runs", True, True),
        ("attach times", "missing", True),
        ("attach times", "tomorrow", False),
        ("refused start in the trail", "InvalidParameterValue", True),
    ],
)
def test_a_question_knows_what_the_code_is_ready_for(name: str, answer: Any, expected: bool) -> None:
    assert next(q for q in QUESTIONS if q.name == name).expects(answer) is expected


def test_the_name_of_a_run_says_where_it_was() -> None:
    assert region_of(RUN) == "eu-west-1"
    assert region_of("us-gov-west-1-1224120000-3f2a") == "us-gov-west-1"


def test_make_runs_what_the_tests_run() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    recipes = dict(re.findall(r"^(live|live-clean): .*\n((?:\t.*\n)+)", makefile, flags=re.MULTILINE))

    assert '-m tests.live run --region "$(REGION)" --subnet "$(SUBNET)" --key-id "$(KEY_ID)"' in recipes["live"]
    assert "--yes" in recipes["live"]
    assert '-m tests.live clean --run "$(RUN)"' in recipes["live-clean"]


def test_a_region_has_to_be_named(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        options(["run"])
    assert "--region" in capsys.readouterr().err
