"""What a run of `make live` has seen AWS do (docs/evidence). The newest replaces what the model only assumed."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "evidence"
NAME = re.compile(r"\d{4}-\d\d-\d\d\.json")
FORMAT = 1

Evidence = Mapping[str, Any]
Switches = Mapping[str, tuple[Any, ...]]


def newest(folder: Path = FOLDER) -> Evidence | None:
    """None before anybody has run it on AWS. Raises ValueError for a file that is not what it should be."""
    found = sorted(path for path in folder.glob("*.json"))
    if wrong := [path.name for path in found if not NAME.fullmatch(path.name)]:
        raise ValueError(f"Evidence is named by its day, as 2026-12-24.json, and not {wrong[0]}.")
    return read(found[-1]) if found else None


def read(path: Path) -> Evidence:
    """One report. What the local AWS says is no evidence of anything."""
    told = json.loads(path.read_text(encoding="utf-8"))
    if told.get("format") != FORMAT:
        raise ValueError(f"{path.name} is no report of `make live` that this version knows.")
    if told["where"] != "AWS":
        raise ValueError(f"{path.name} tells of {told['where']}. Only what AWS itself has done is evidence.")
    return dict(told)


def answers(evidence: Evidence | None) -> Mapping[str, Any]:
    """Switch to answer, of the questions that were answered."""
    asked = evidence["questions"].values() if evidence else ()
    return {q["switch"]: q["answer"] for q in asked if q["switch"] and not q["why_open"]}


def replaced(assumed: Switches, evidence: Evidence | None) -> Switches:
    """The switches, with what AWS has answered in front. Another account may be otherwise, so the rest stays."""
    seen = answers(evidence)
    return {
        name: (seen[name], *(v for v in values if v != seen[name])) if name in seen else values
        for name, values in assumed.items()
    }
