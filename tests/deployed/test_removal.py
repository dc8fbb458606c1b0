"""The module is removed while instances are parked: the command line brings everything back, with nothing deployed."""

from __future__ import annotations

import re

import pytest

from tests.deployed.removed import Removed, remove
from tests.support.ahead import Ahead
from tests.support.fleet import differences


@pytest.fixture(scope="module")
def removed(ahead: Ahead) -> Removed:
    return ahead.result(remove)


def test_a_check_before_the_removal_names_who_is_parked_and_fails(removed: Removed) -> None:
    assert removed.checked.returncode == 3
    named = set(re.findall(r"(i-\w+) \((\w+)\) is park(?:ed|ing)\.", removed.checked.stdout))
    assert named == {(i, name) for name, i in removed.ids.items()}, removed.checked.stdout


def test_the_settings_are_those_of_the_functions_for_as_long_as_these_are_there(removed: Removed) -> None:
    assert "Settings: those of the function park-volumes-park, except" in removed.checked.stdout
    assert "there is no function park-volumes-park in ap-northeast-2." in removed.shell.run("list").stdout


def test_an_examination_of_the_account_reads_everything_and_finds_nothing_bad(removed: Removed) -> None:
    said = removed.examined.stdout

    assert removed.examined.returncode == 0, said
    assert "not read" not in said
    assert re.search(r"good +layer +The layer arn:aws:lambda:ap-northeast-2:017000801446:layer:\S+ exists\.", said), (
        said
    )
    assert re.search(r"good +instances +Instances that are opted in: 2\.", said), said


def test_nothing_of_the_module_is_left(removed: Removed) -> None:
    ours = ("lambda", "sqs", "events", "iam", "logs")
    assert not [ids for kind, ids in removed.left.items() if ids and any(word in kind for word in ours)]


def test_everything_is_restored_without_the_module_as_it_was(removed: Removed) -> None:
    done = removed.shell.run("restore", "--all")

    assert done.returncode == 0, done.stdout
    for name, instance_id in removed.ids.items():
        assert removed.fleet.state(instance_id) == "stopped"
        assert differences(removed.before[name], removed.fleet.picture(instance_id)) == []
    assert removed.shell.run("check").returncode == 0


def test_and_starts_without_the_module(removed: Removed) -> None:
    done = removed.shell.run("start", "db")

    assert done.returncode == 0, done.stdout
    assert removed.fleet.state(removed.ids["db"]) == "running"
    assert differences(removed.before["db"], removed.fleet.picture(removed.ids["db"])) == []
