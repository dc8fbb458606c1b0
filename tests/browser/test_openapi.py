"""The OpenAPI document, held against the deployed function by schemathesis."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.browser.place import TRYING, Place
from tests.local_aws.calls import DRY_RUN

EXAMPLES = 12
"""Requests made up for each operation, besides those that the document itself suggests."""
SEED = "1"


def test_schemathesis_finds_nothing_that_the_document_does_not_say(place: Place, tmp_path: Path) -> None:
    """The token sees one instance, so that nothing is started or stopped that others test with."""
    command = [
        *(sys.executable, "-m", "schemathesis.cli", "run", f"{place.url}openapi.json", "--url", place.url),
        *("--header", f"Authorization: Bearer {TRYING}", "--max-examples", str(EXAMPLES), "--seed", SEED),
        *("--workers", "2", "--checks", "all", "--no-color", "--generation-database", "none"),
    ]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    ours = [c for c in place.aws.calls() if c["role"] and c["error"] != DRY_RUN]
    moved = [c for c in ours if c["operation"] in ("StartInstances", "StopInstances")]
    assert {r for c in moved for r in c["resources"]} <= {place.ids["tried"]}
