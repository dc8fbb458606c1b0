"""`make live` on the local AWS, from its first line to its last."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.live.bill import AT_MOST
from tests.live.product import budget
from tests.live.questions import QUESTIONS
from tests.live.rehearsal import Rehearsal, rehearse
from tests.model.evidence import newest
from tests.model.rules import RULES
from tests.support.ahead import Ahead


@pytest.fixture(scope="module")
def rehearsal(ahead: Ahead) -> Rehearsal:
    return ahead.result(rehearse)


def test_it_ends_well_and_leaves_nothing(rehearsal: Rehearsal) -> None:
    assert (rehearsal.code, rehearsal.told["ended by"], rehearsal.left) == (0, "", {}), rehearsal.said


def test_it_says_first_what_it_makes_what_that_costs_and_how_long_it_takes(rehearsal: Rehearsal) -> None:
    said = rehearsal.said.partition("1. ")[0]

    assert "of the account 123456789012" in said
    assert re.search(r"at most 0\.[0-3]\d USD", said)
    assert "55 minutes" in said
    assert f"make live-clean RUN={rehearsal.told['run']}" in said


def test_it_makes_no_more_than_it_says(rehearsal: Rehearsal) -> None:
    assert 0 < rehearsal.made["RunInstances"] <= AT_MOST.instances
    # A launch makes up to two volumes more.
    assert rehearsal.made["CreateVolume"] <= AT_MOST.volumes
    assert rehearsal.made["CreateSnapshot"] <= AT_MOST.snapshots


@pytest.mark.parametrize("question", QUESTIONS, ids=[q.name for q in QUESTIONS])
def test_every_question_is_answered_as_the_local_aws_is(rehearsal: Rehearsal, question: object) -> None:
    asked = next(q for q in QUESTIONS if q is question)
    told = rehearsal.told["questions"][asked.name]

    assert told["why_open"] == ""
    assert told["answer"] == asked.ready_for[0]


def test_every_rule_is_kept_but_the_one_that_would_leave_something(rehearsal: Rehearsal) -> None:
    told = rehearsal.told["rules"]

    assert list(told) == [rule.name for rule in RULES]
    assert [name for name, rule in told.items() if not rule["kept"]] == ["nothing loosens a lock in compliance mode"]
    assert told["nothing loosens a lock in compliance mode"]["kept"] is None


def test_every_byte_and_attribute_comes_back_from_both_starts(rehearsal: Rehearsal) -> None:
    product = rehearsal.told["product"]

    assert product["problems"] == []
    assert {"parked after the stop", "started at the URL", "started in the console's way"} <= set(product["seconds"])


def test_the_functions_make_the_calls_that_the_page_on_performance_has(rehearsal: Rehearsal) -> None:
    calls = rehearsal.told["product"]["calls"]

    assert {name: calls[name] for name in budget()} == budget() == rehearsal.told["product"]["assumed calls"]
    assert calls["DescribeInstances"] > 0


def test_no_account_and_no_arn_is_in_the_report(rehearsal: Rehearsal) -> None:
    for text in (rehearsal.page, json.dumps(rehearsal.told)):
        assert "arn:aws" not in text
        assert "123456789012" not in text


def test_the_page_says_what_matters(rehearsal: Rehearsal) -> None:
    assert "on the local AWS" in rehearsal.page
    assert "100 of 101 were kept." in rehearsal.page
    assert "Every byte and every attribute came back, twice." in rehearsal.page
    assert "Not as the code expects" not in rehearsal.page


def test_it_is_no_evidence_of_aws(rehearsal: Rehearsal, tmp_path: Path) -> None:
    (tmp_path / "2026-11-28.json").write_text(json.dumps(rehearsal.told))

    with pytest.raises(ValueError, match="tells of the local AWS"):
        newest(tmp_path)
