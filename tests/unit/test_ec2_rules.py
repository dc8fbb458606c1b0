"""The strict EC2 model keeps the rules of EC2 that tests/model/rules.py tells."""

from __future__ import annotations

import pytest

from tests.model.accounts import ModelAccount
from tests.model.records import Rules
from tests.model.rules import RULES, Rule, keeps


@pytest.mark.parametrize("rule", RULES, ids=[rule.name for rule in RULES])
def test_the_model_keeps_every_rule(rule: Rule) -> None:
    keeps(ModelAccount(), rule)


@pytest.mark.parametrize("rule", [pytest.param(rule, id=rule.name) for rule in RULES if "dry run" in rule.name])
def test_it_keeps_those_of_dry_runs_too_where_ec2_checks_more_than_permissions(rule: Rule) -> None:
    keeps(ModelAccount(Rules(dry_run_checks=True)), rule)
