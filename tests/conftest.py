"""Lets pytest-terraform know which example is deployed for the tests in tests/deployed."""

from __future__ import annotations

import importlib

import pytest


def pytest_sessionstart(session: pytest.Session) -> None:
    """Register the deployment's fixture late: pytest-terraform takes none before it is configured itself."""
    session.config.pluginmanager.register(importlib.import_module("tests.deployed.deployment"))
