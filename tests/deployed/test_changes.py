"""What happens around a deployment hurts nobody: not the deployment, and not whoever comes second."""

from __future__ import annotations

import pytest

from tests.deployed.changes import Changes, change
from tests.support.ahead import Ahead
from tests.support.fleet import differences

URL = "module.park_volumes.aws_lambda_function_url.start"
STATEMENT = "module.park_volumes.aws_lambda_permission.anybody_may_call_url[0]"


@pytest.fixture(scope="module")
def changes(ahead: Ahead) -> Changes:
    return ahead.result(change)


def test_a_change_of_what_the_module_depends_on_replaces_nothing(changes: Changes) -> None:
    assert changes.of_the_dependency["aws_sns_topic.people"] == ["update tags", "update tags_all"]
    replaced = {address for address, actions in changes.of_the_dependency.items() if "delete" in actions}
    assert replaced == set(), changes.of_the_dependency
    assert changes.left_after_the_dependency == {}


def test_a_second_deployment_of_a_name_is_refused_with_the_cause(changes: Changes) -> None:
    assert "already exists" in changes.of_the_second
    assert "this account and region have a deployment of this name; choose another name" in changes.of_the_second


def test_and_takes_nothing_of_the_first_over(changes: Changes) -> None:
    assert changes.taken_by_the_second == {}


def test_nor_does_its_destroy(changes: Changes) -> None:
    assert changes.taken_by_its_destroy == {}


def test_a_start_after_a_renaming_names_the_deployment_that_parked_the_instance(changes: Changes) -> None:
    answer = changes.of_the_start_after_renaming
    assert answer.status == 409
    assert "the deployment park-volumes has parked it" in answer.body["error"]["message"]
    assert "add that name to previous_names" in answer.body["error"]["message"]


def test_with_the_previous_name_it_starts_as_it_was(changes: Changes) -> None:
    assert len(changes.before) == 2
    assert differences(changes.before, changes.after) == []


def test_and_everything_that_took_is_allowed(changes: Changes) -> None:
    assert {arn.rsplit("/", 1)[-1] for arn in changes.denied} == {
        f"{name}-{side}-ap-northeast-2" for name in ("park-volumes", "renamed") for side in ("park", "start")
    }
    assert [line for lines in changes.denied.values() for line in lines] == []


def test_a_function_url_that_is_opened_is_made_anew_with_the_one_statement_that_opens_it(changes: Changes) -> None:
    """The provider would add the same statement; it takes ours for its own."""
    assert (changes.opened.plan[URL], changes.opened.plan[STATEMENT]) == (["delete", "create"], ["create"])
    assert changes.opened.before != changes.opened.after
    assert changes.opened.answer.status == 200
    assert changes.opened.public == ["FunctionURLAllowPublicAccess"]


def test_one_that_is_closed_keeps_its_address_and_loses_the_statement(changes: Changes) -> None:
    assert changes.closed.plan[URL] == ["update authorization_type"]
    assert changes.closed.plan[STATEMENT] == ["delete"]
    assert changes.closed.before == changes.closed.after
    assert changes.closed.answer.status == 403
    assert changes.closed.public == []


def test_a_deleted_snapshot_can_be_had_from_the_recycle_bin_as_the_refusal_says(changes: Changes) -> None:
    """Afterwards the instance starts as it was, which another test here looks at."""
    (description,) = changes.binned
    assert description.startswith("ParkVolumes: /dev/")
    assert changes.without_it.status == 409
    assert "aws ec2 restore-snapshot-from-recycle-bin" in changes.without_it.body["error"]["message"]
