"""Observing only: what would be done is said, with what it would save, and nothing is done."""

from __future__ import annotations

from dataclasses import replace

from park_volumes.model import CreateSnapshot, Decision, Outcome, Seen, Settings
from park_volumes.prices import savings


def observed(decision: Decision, seen: Seen, settings: Settings) -> Decision:
    """The decision as a deployment with ``observe_only`` carries it out: without its steps."""
    if not settings.observe_only or not decision.steps:
        return decision
    words = f"Nothing was changed, because observe_only is set. Otherwise: {decision.reason}"
    reason = words + _would_save(decision, seen, settings)
    return replace(decision, reason=reason, outcome=Outcome.OBSERVED, steps=(), look_again=None)


def _would_save(decision: Decision, seen: Seen, settings: Settings) -> str:
    """A sentence where the decision begins to park the instance and prices are known; else empty."""
    begins = any(isinstance(step, CreateSnapshot) for stage in decision.steps for step in stage)
    costs = savings(seen, settings.prices)
    if not begins or costs.as_volumes is None or costs.as_snapshots is None:
        return ""
    least = "at least " if costs.at_most else ""
    return f" Parked, it would save {least}{costs.as_volumes - costs.as_snapshots:.2f} USD a month."
