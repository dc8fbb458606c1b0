"""What AWS itself has done (docs/evidence) is what the model does; until there is evidence, its assumptions hold."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.live.evidence import disagreements
from tests.live.questions import NOT_ASKED, QUESTIONS
from tests.model.evidence import FOLDER, answers, newest, replaced
from tests.model.records import ASSUMED, SWITCHES, Rules
from tests.model.rules import RULES
from tests.support.terraform import ROOT

OPEN = {"switch": "", "answer": None, "why_open": "Waited 1800 seconds for the archive."}


def evidence(folder: Path, day: str = "2026-12-24", **more: Any) -> Path:
    """A report as a run on AWS writes it, in which everything is as it is here."""
    told = {
        "format": 1,
        "where": "AWS",
        "questions": {q.name: {"switch": q.switch, "answer": q.ready_for[0], "why_open": ""} for q in QUESTIONS},
        "rules": {rule.name: {"kept": True, "words": ""} for rule in RULES},
        "product": {"problems": []},
        **more,
    }
    (folder / f"{day}.json").write_text(json.dumps(told))
    return folder


def answered(name: str, answer: Any) -> dict[str, Any]:
    question = next(q for q in QUESTIONS if q.name == name)
    return {name: {"switch": question.switch, "answer": answer, "why_open": ""}}


def seen(folder: Path) -> Mapping[str, Any]:
    found = newest(folder)
    assert found is not None
    return found


def test_the_model_does_not_disagree_with_what_aws_has_done() -> None:
    found = newest()
    assert found is None or disagreements(found) == []


def test_the_model_does_what_aws_answered_or_else_what_is_assumed() -> None:
    assert replaced(ASSUMED, newest()) == SWITCHES
    assert {name: getattr(Rules(), name) for name in SWITCHES} == {name: v[0] for name, v in SWITCHES.items()}


def test_only_reports_of_aws_are_among_the_evidence() -> None:
    for path in FOLDER.iterdir():
        assert path.name == "README.md" or newest(FOLDER)


def test_an_answer_of_aws_comes_before_what_is_assumed(tmp_path: Path) -> None:
    told = answered("attach times", "milliseconds") | answered("marked and used at once", 3)
    switches = replaced(ASSUMED, seen(evidence(tmp_path, questions=told)))

    assert switches["attach_times"] == ("milliseconds", "whole seconds", "missing")
    assert switches["tags_count_after"] == (3, 0, 8)
    assert switches["sparse"] == ASSUMED["sparse"]


def test_an_open_question_answers_nothing(tmp_path: Path) -> None:
    told = {"attach times": {**OPEN, "switch": "attach_times"}, "lock through the archive": OPEN}
    found = seen(evidence(tmp_path, questions=told))

    assert answers(found) == {}
    assert replaced(ASSUMED, found) == ASSUMED
    assert disagreements(found) == []


def test_the_newest_counts(tmp_path: Path) -> None:
    evidence(tmp_path, "2026-12-24", questions=answered("attach times", "missing"))
    evidence(tmp_path, "2027-01-02", questions=answered("attach times", "milliseconds"))

    assert answers(seen(tmp_path)) == {"attach_times": "milliseconds"}


def test_without_evidence_everything_is_assumed(tmp_path: Path) -> None:
    assert newest(tmp_path) is None
    assert replaced(ASSUMED, None) == ASSUMED


def test_an_aws_that_is_as_the_stand_ins_are_agrees(tmp_path: Path) -> None:
    assert disagreements(seen(evidence(tmp_path))) == []


@pytest.mark.parametrize("switch", [q.switch for q in QUESTIONS if q.switch])
def test_what_a_switch_knows_is_no_disagreement_and_anything_else_is(tmp_path: Path, switch: str) -> None:
    question = next(q for q in QUESTIONS if q.switch == switch)
    known = [disagreements(seen(evidence(tmp_path, questions=answered(question.name, v)))) for v in SWITCHES[switch]]
    (other,) = disagreements(seen(evidence(tmp_path, questions=answered(question.name, "something else"))))

    assert known == [[]] * len(SWITCHES[switch])
    assert other.startswith(f"The switch {switch} knows no 'something else'.")


@pytest.mark.parametrize("name", [q.name for q in QUESTIONS if not q.switch])
def test_another_answer_than_that_of_the_stand_ins_is_a_disagreement(tmp_path: Path, name: str) -> None:
    (found,) = disagreements(seen(evidence(tmp_path, questions=answered(name, "something else"))))

    assert "AWS: something else." in found
    assert "Change both stand-ins" in found


def test_a_rule_that_aws_does_not_keep_is_a_disagreement(tmp_path: Path) -> None:
    name = RULES[0].name
    (found,) = disagreements(seen(evidence(tmp_path, rules={name: {"kept": False, "words": "DID NOT RAISE"}})))

    assert found.startswith(f"AWS does not keep the rule '{name}': DID NOT RAISE")
    assert disagreements(seen(evidence(tmp_path, rules={name: {"kept": None, "words": "no time"}}))) == []


def test_evidence_of_what_is_not_asked_any_more_says_so(tmp_path: Path) -> None:
    old = {"an old question": {"switch": "", "answer": True, "why_open": ""}}
    found = disagreements(
        seen(evidence(tmp_path, questions=old, rules={"an old rule": {"kept": True, "words": ""}}, product=None))
    )

    assert [line.partition(" any more")[0] for line in found] == [
        "There is no question 'an old question'",
        "There is no rule 'an old rule'",
    ]


def test_a_product_that_failed_on_aws_is_a_disagreement(tmp_path: Path) -> None:
    (found,) = disagreements(seen(evidence(tmp_path, product={"problems": ["/dev/sdf: content was 1, is 2"]})))

    assert found.endswith("/dev/sdf: content was 1, is 2")


@pytest.mark.parametrize(
    ("name", "told", "sentence"),
    [
        ("2026-12-24.json", {"format": 1, "where": "the local AWS"}, "Only what AWS itself has done is evidence"),
        ("2026-12-24.json", {"format": 2, "where": "AWS"}, "no report of `make live` that this version knows"),
        ("report.json", {"format": 1, "where": "AWS"}, "named by its day"),
    ],
)
def test_what_is_no_evidence_is_refused(tmp_path: Path, name: str, told: dict[str, Any], sentence: str) -> None:
    (tmp_path / name).write_text(json.dumps(told))

    with pytest.raises(ValueError, match=sentence):
        newest(tmp_path)


def test_every_switch_has_its_question_or_a_reason_why_not() -> None:
    asked = [q.switch for q in QUESTIONS if q.switch]

    assert {*asked, *NOT_ASKED} == set(SWITCHES)
    assert len(asked) == len(set(asked))
    assert not set(asked) & set(NOT_ASKED)


def test_every_question_is_on_the_page() -> None:
    page = (ROOT / "docs" / "live.md").read_text(encoding="utf-8")

    for q in QUESTIONS:
        assert f"| {q.asks} | {f'`{q.switch}` ' if q.switch else ''}|" in page
