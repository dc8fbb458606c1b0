"""Anything that somebody may write into a tag, a message or an event, for Hypothesis.

``EXAMPLES`` says how many are tried; without it a hundred are, and `make explore` asks for 100,000."""

from __future__ import annotations

import json
import os

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from park_volumes.core import tags
from tests.unit.facts import DATA, GENERATION, ID, LAUNCHED, MARKED, OTHER, ROOT

examples = settings(
    max_examples=int(os.environ.get("EXAMPLES", "100")),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
"""Decorates a test that is given anything."""

TIMES = (
    *("2026-01-05T10:00:00", "2099-01-01T00:00:00+00:00", "9999-12-31T23:59:59+00:00", "0001-01-01T00:00:00+23:59"),
    *("20260105", "2026-W01-1T00:00:00Z", "2026-03-02T10:00:00Z", LAUNCHED.isoformat(), MARKED.isoformat()),
    *("0001-01-01T00:00:00+00:00", "9999-12-31T23:59:59-23:59", "2199-12-31T23:59:59+00:00", "1970-01-01T00:00:00Z"),
)
NUMBERS = ("0", "1", "-1", "1e999", "9" * 5000, "1/1", "2/1", "1/2", "1/40000000", "0x10", "\u0661", "1_000", "NaN")
WORDS = (
    *(ID, OTHER, "i-*", "*", "?", "snap-root", "vol-root", ROOT, DATA, GENERATION, "park-volumes", "true", "false"),
    *("zone=eu-central-1b", "type=gp3", "size=8", "size=-8", "iops=1e9", "card=0", "delete-on-termination=true", "="),
    *("", " ", "/", "null", "\x00", "\ud800", "{}", "[]", "[" * 100),
)
"""What comes near to what our tags say, and what has broken programs elsewhere."""

pieces = st.sampled_from((*TIMES, *NUMBERS, *WORDS)) | st.text(max_size=12)
TEXTS = st.lists(pieces, max_size=6).map(" ".join) | st.text(st.characters(), max_size=300)
"""The value of a tag, near to one of ours or not."""

OURS = tuple(sorted(value for value in vars(tags).values() if isinstance(value, str) and value.startswith(tags.PREFIX)))
"""The keys of our tags."""
TAGS = st.dictionaries(st.sampled_from(OURS) | st.text(max_size=20), TEXTS, max_size=12)

numbers = st.integers() | st.floats() | st.sampled_from([10**400, float("inf"), float("nan"), -1, 0, 1])
scalars = st.none() | st.booleans() | numbers | TEXTS
ANYTHING = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4), max_leaves=8
)
"""Anything that JSON can say, and a little more."""
BODIES = st.sampled_from(["", "[" * 100_000, '{"a":' * 50_000, "1e999", '"\\ud800"', "9" * 5000, "\ud800"]) | TEXTS
"""The body of a message that is no event."""


def as_json(value: object) -> str:
    """As a message tells it: with Infinity and NaN, which json.loads takes."""
    return json.dumps(value)
