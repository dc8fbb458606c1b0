"""Which tests share a deployment, for pytest-terraform and for pytest-xdist."""

from __future__ import annotations

import importlib
from typing import Any

import pytest
from xdist.scheduler.loadscope import LoadScopeScheduling

WITH_ITS_OWN = "test_removal.py"


class ByDeployment(LoadScopeScheduling):  # type: ignore[misc]  # it has no types
    """Keeps on one worker what shares a deployment: the tests of a folder, but for those that take it down."""

    def _split_scope(self, nodeid: str) -> str:
        folder, _, file = nodeid.split("::", 1)[0].rpartition("/")
        return f"{folder}/{file}" if file == WITH_ITS_OWN else folder


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ByDeployment | None:
    return ByDeployment(config, log) if config.getoption("dist") == "loadscope" else None


def pytest_sessionstart(session: pytest.Session) -> None:
    """Register the deployment's fixture late: pytest-terraform takes none before it is configured itself."""
    session.config.pluginmanager.register(importlib.import_module("tests.deployed.deployment"))
