"""The three parts of a run, and what came of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.live.lab import Lab, LabAccount, Stopped
from tests.live.questions import QUESTIONS, Question
from tests.model.accounts import TookTooLong
from tests.model.rules import RULES, Rule, judge

AT_ONCE = 6
"""Questions and rules that are tried at the same time on AWS. The local AWS has one clock, which all would move."""
TRIES = 2
"""Of a rule: what EC2 describes may lag behind what it has just done."""


NOTHING = object()


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A question and its answer; ``why_open`` says why it has none."""

    name: str
    asks: str
    seconds: float
    switch: str = ""
    answer: Any = None
    seen: Mapping[str, Any] = field(default_factory=dict)
    why_open: str = ""


@dataclass(frozen=True, kw_only=True)
class Tried:
    """A rule of EC2, and whether EC2 kept it; None where that could not be tried, for the reason in the words."""

    name: str
    kept: bool | None
    words: str = ""


def ask(lab: Lab, question: Question) -> Asked:
    account, began = lab.account(question.name), lab.aws.now()
    answer, why = None, ""
    try:
        answer = question.experiment(account)
    except Exception as error:  # whatever it was, the other questions are asked
        why = str(error) or type(error).__name__
    account.leave()
    return Asked(
        name=question.name,
        asks=question.asks,
        switch=question.switch,
        seconds=(lab.aws.now() - began).total_seconds(),
        answer=answer.value if answer else None,
        seen=answer.seen if answer else {},
        why_open=why,
    )


def try_rule(lab: Lab, rule: Rule) -> Tried:
    """One that is not kept is tried once more; what was seen first is told."""
    words = ""
    for number in range(TRIES):
        account = lab.account(f"rule {RULES.index(rule)}.{number}")
        if rule.needs in account.lacks:
            return Tried(name=rule.name, kept=None, words=f"It needs {rule.needs}.")
        kept, said = _try(account, rule)
        account.leave()
        words = words or said
        if kept is not False:
            break
    return Tried(name=rule.name, kept=kept, words=words)


def _try(account: LabAccount, rule: Rule) -> tuple[bool | None, str]:
    """Whether it is kept, or None if it could not be tried; and the words of what went wrong."""
    arranged: Any = NOTHING
    try:
        arranged = rule.arrange(account)
        judge(account, rule, arranged)
    except (TookTooLong, Stopped) as error:
        return None, str(error)
    except (Exception, pytest.fail.Exception) as error:  # of any kind: what is missing in an answer is one, too
        return (None if arranged is NOTHING else False), str(error) or type(error).__name__
    return True, ""


def questions_and_rules(
    lab: Lab,
    asked: list[Asked],
    tried: list[Tried],
    questions: Sequence[Question] = QUESTIONS,
    rules: Sequence[Rule] = tuple(RULES),
) -> None:
    """Fills both lists: those first that wait for AWS longest. If somebody ends the run, what is under way ends with
    it, and what was answered stays."""
    with ThreadPoolExecutor(1 if lab.aws.local else AT_ONCE) as pool:
        answers = [pool.submit(ask, lab, question) for question in questions]
        verdicts = [pool.submit(try_rule, lab, rule) for rule in rules]
        try:
            wait(answers)
            wait(verdicts)
        finally:
            lab.stop_unless(all(one.done() for one in answers) and all(one.done() for one in verdicts))
            pool.shutdown(cancel_futures=True)
            asked += [one.result() for one in answers if not one.cancelled()]
            tried += [one.result() for one in verdicts if not one.cancelled()]
