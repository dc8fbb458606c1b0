"""The longest files come first, so that no core waits for one of them at the end."""

from __future__ import annotations

import pytest

LONGEST = ("test_terraform.py", "test_inputs.py", "test_ec2_rules.py", "test_local_aws.py")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    def place(item: pytest.Item) -> int:
        return LONGEST.index(item.path.name) if item.path.name in LONGEST else len(LONGEST)

    here = [item for item in items if item.path.parent.name == "processes"]
    others = [item for item in items if item not in set(here)]
    items[:] = [*others, *sorted(here, key=place)]
