"""The fixture ``complete``: examples/complete, applied once for all tests and destroyed after the last of them."""

from pytest_terraform import terraform

terraform("complete", scope="session")
