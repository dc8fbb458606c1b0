"""Observing only: says what would be done and what it would save, and does nothing."""

from __future__ import annotations

from dataclasses import replace

from park_volumes.core.facts import Observation
from park_volumes.core.prices import savings
from park_volumes.core.settings import Settings
from park_volumes.core.steps import CreateSnapshot, Decision, Outcome


def apply_observe_only(decision: Decision, seen: Observation, settings: Settings) -> Decision:
    """The decision as a deployment with ``observe_only`` carries it out: without its steps."""
    if not settings.observe_only or not decision.steps:
        return decision
    words = f"Nothing was changed, because observe_only is set. Otherwise: {decision.reason}"
    reason = words + _would_save(decision, seen, settings)
    return replace(decision, reason=reason, outcome=Outcome.OBSERVED, steps=(), look_again=None)


def _would_save(decision: Decision, seen: Observation, settings: Settings) -> str:
    """A sentence if the decision begins to park the instance and prices are known; otherwise empty."""
    begins = any(isinstance(step, CreateSnapshot) for step in decision.every_step)
    costs = savings(seen, settings.prices)
    if not begins or costs.as_volumes is None or costs.as_snapshots is None:
        return ""
    least = "at least " if costs.at_most else ""
    return f" Parked, it would save {least}{costs.as_volumes - costs.as_snapshots:.2f} USD a month."
