"""A local AWS that is no AWS, in ways that a run has to find out, and one that is AWS otherwise."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import count
from typing import Any

import pytest

from tests.live.clean import Cleaning
from tests.live.deployment import policy_of
from tests.live.lab import Lab
from tests.live.parts import ask, try_rule
from tests.live.product import Story
from tests.live.questions import QUESTIONS
from tests.live.rehearsal import Workshop, open_workshop
from tests.local_aws.wrong import WAYS
from tests.model.rules import RULES
from tests.support.ahead import Ahead

BY_A_RULE: Mapping[str, str] = {
    "it starts an instance without a root volume": "an instance without a root volume does not start",
    "LaunchTime stays at a start": "LaunchTime moves at every start",
    "the root volume of a running instance goes": "the root volume of a running instance stays",
    "it deletes locked snapshots": "a locked snapshot cannot be deleted",
    "it forgets client tokens": "the same client token answers with the same volume",
    "DeleteOnTermination cannot be set": "a volume attached later is not deleted on termination until that is set",
}
BY_THE_PRODUCT: Mapping[str, str] = {
    "restored volumes have other bytes": "content was",
    "restored volumes have the usual IOPS": "iops was 3100, is 3000",
}
BY_ANOTHER_ANSWER: Mapping[str, tuple[str, Any]] = {
    "the archive unlocks": ("lock through the archive", "lost in the archive"),
    "snapshots go with their volume": ("volume deleted under a foreign snapshot", "lost"),
    "restored volumes have other bytes": ("snapshot deleted while its volume loads", "lost"),
    "CloudTrail has other words": ("refused start in the trail", "not understood: Client.InvalidParameterValue"),
    "answers leave out what is usual": ("missing members", True),
    "a new mark does not count": ("marked and used at once", 4),
}
OTHERWISE: Mapping[str, tuple[str, Any]] = {
    "attach_milliseconds": ("attach times", "milliseconds"),
    "attach_times_hidden": ("attach times", "missing"),
    "dry_run_checks": ("dry runs", True),
    "unlocked_ids_refused": ("locked and unlocked ids", True),
    "volume_bin_days": ("deleted volumes", 86_400),
    "bare_trail_codes": ("refused start in the trail", "InvalidParameterValue"),
}
"""Settings of the local AWS: AWS may be so, too."""


NUMBERS = count(1128000001)


@pytest.fixture(scope="module")
def workshop(ahead: Ahead) -> Workshop:
    return ahead.result(open_workshop)


@pytest.fixture
def lab(workshop: Workshop) -> Iterator[Lab]:
    """A run of its own."""
    lab = Lab(workshop.account, f"eu-west-1-{next(NUMBERS)}-test")
    yield lab
    assert Cleaning(workshop.account, lab.run, say=str).clean() == []


def answer(lab: Lab, name: str) -> Any:
    told = ask(lab, next(q for q in QUESTIONS if q.name == name))
    assert told.why_open == ""
    return told.answer


def test_every_wrong_way_is_found_out_by_some_test() -> None:
    assert {*BY_A_RULE, *BY_THE_PRODUCT, *BY_ANOTHER_ANSWER} == set(WAYS)
    assert len(WAYS) >= 10


@pytest.mark.parametrize("way", BY_A_RULE)
def test_a_rule_finds_it_out(workshop: Workshop, lab: Lab, way: str) -> None:
    rule = next(rule for rule in RULES if rule.name == BY_A_RULE[way])
    before = try_rule(lab, rule)
    with workshop.aws.wrong(way):
        wrong = try_rule(lab, rule)

    assert (before.kept, wrong.kept) == (True, False)
    assert wrong.words


@pytest.mark.parametrize("way", BY_THE_PRODUCT)
def test_the_product_finds_it_out(workshop: Workshop, lab: Lab, way: str) -> None:
    with workshop.aws.wrong(way):
        told = Story(lab, workshop.module).tell()

    assert any(BY_THE_PRODUCT[way] in problem for problem in told.problems), told.problems


@pytest.mark.parametrize("way", BY_ANOTHER_ANSWER)
def test_an_answer_is_another_one(workshop: Workshop, lab: Lab, way: str) -> None:
    name, expected = BY_ANOTHER_ANSWER[way]
    with workshop.aws.wrong(way):
        assert answer(lab, name) == expected


@pytest.mark.parametrize("setting", OTHERWISE)
def test_an_aws_that_is_otherwise_is_no_problem(workshop: Workshop, lab: Lab, setting: str) -> None:
    name, expected = OTHERWISE[setting]
    before = workshop.aws.settings()[setting]
    workshop.aws.configure(**{setting: 1})
    try:
        found = answer(lab, name)
    finally:
        workshop.aws.configure(**{setting: before})

    assert found == expected
    assert next(q for q in QUESTIONS if q.name == name).expects(found)


def test_questions_of_policies_are_asked_under_those_of_the_deployment(lab: Lab, workshop: Workshop) -> None:
    assert workshop.module.outputs
    assert "ec2:ModifyInstanceAttribute" in policy_of(lab, "start")
    assert "ec2:DetachVolume" in policy_of(lab, "park")
