"""The strict EC2 model keeps the rules of EC2 that tests/model/rules.py tells."""

from __future__ import annotations

import pytest

from tests.model.accounts import ModelAccount
from tests.model.rules import RULES, Rule, keeps


@pytest.mark.parametrize("rule", RULES, ids=[rule.name for rule in RULES])
def test_the_model_keeps_every_rule(rule: Rule) -> None:
    keeps(ModelAccount(), rule)
