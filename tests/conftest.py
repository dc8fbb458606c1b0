"""Which tests share a worker, what is begun ahead of them, and what pytest-terraform has to know."""

from __future__ import annotations

import importlib
from typing import Any

import pytest
from xdist.scheduler.loadscope import LoadScopeScheduling

from tests.support.ahead import Ahead, group_of

AHEAD = pytest.StashKey[Ahead]()


def folder_of(nodeid: str) -> str:
    return nodeid.split("::", 1)[0].rpartition("/")[0]


class ByDeployment(LoadScopeScheduling):  # type: ignore[misc]  # it has no types
    """Keeps on one worker what shares a deployment, and spreads the deployments evenly."""

    def _split_scope(self, nodeid: str) -> str:
        return " ".join(group_of(folder_of(nodeid)))


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ByDeployment | None:
    return ByDeployment(config, log) if config.getoption("dist") == "loadscope" else None


def pytest_sessionstart(session: pytest.Session) -> None:
    """Register the deployment's fixture late: pytest-terraform takes none before it is configured itself."""
    session.config.pluginmanager.register(importlib.import_module("tests.deployed.deployment"))
    session.stash[AHEAD] = Ahead()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """With the first test of a worker begins what its other tests will need."""
    tests = (other.nodeid for other in item.session.items)
    item.session.stash[AHEAD].begin_all(group_of(folder_of(item.nodeid)), tests)


def pytest_sessionfinish(session: pytest.Session) -> None:
    if AHEAD in session.stash:
        session.stash[AHEAD].close()


@pytest.fixture(scope="session")
def ahead(request: pytest.FixtureRequest) -> Ahead:
    """What was begun ahead."""
    begun: Ahead = request.session.stash[AHEAD]
    return begun
