"""The strict EC2 model keeps the rules of EC2 that tests/model/rules.py tells."""

from __future__ import annotations

from typing import Any

import pytest

from tests.model.accounts import ModelAccount
from tests.model.records import SWITCHES, Rules
from tests.model.rules import RULES, Rule, keeps


@pytest.mark.parametrize("rule", RULES, ids=[rule.name for rule in RULES])
def test_the_model_keeps_every_rule(rule: Rule) -> None:
    keeps(ModelAccount(), rule)


@pytest.mark.parametrize(("switch", "value"), [(name, v) for name, values in SWITCHES.items() for v in values[1:]])
def test_it_keeps_them_whichever_of_the_two_aws_is(switch: str, value: Any) -> None:
    for rule in RULES:
        keeps(ModelAccount(Rules(**{switch: value})), rule)
