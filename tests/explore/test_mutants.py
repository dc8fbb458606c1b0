"""The explorer sees: each of these faults in the product is found."""

import pytest

from tests.explore.mutants import MUTANTS, Mutant, at_large, hunt, prepare


@pytest.fixture(scope="module", autouse=True)
def prepared() -> None:
    """Every phase, brought about by the product as it is."""
    prepare()


@pytest.mark.parametrize("fault", MUTANTS, ids=lambda fault: fault.name)
def test_the_explorer_finds(fault: Mutant) -> None:
    with at_large(fault):
        assert hunt() is not None, f"{fault.name}: nobody noticed"


@pytest.mark.thorough
def test_without_a_fault_the_same_schedules_find_nothing() -> None:
    assert hunt() is None
