"""What a run has found out, as JSON that the repository can keep, and as a page. No account and no ARN is in either."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from tests.live.parts import Asked, Tried
from tests.live.product import Product, assumed_seconds, budget
from tests.live.questions import QUESTIONS

FORMAT = 1
ARN = re.compile(r"arn:aws[\w-]*:[^\s\"',)]*")
ACCOUNT = re.compile(r"(?<![0-9a-f])\d{12}(?![0-9a-f])")


@dataclass(kw_only=True)
class Report:
    """``where`` is AWS or the local AWS. ``ended_by`` says why the run ended early, if it did."""

    run: str
    where: str
    region: str
    began: datetime
    ended: datetime | None = None
    ended_by: str = ""
    questions: list[Asked] = field(default_factory=list)
    rules: list[Tried] = field(default_factory=list)
    product: Product | None = None
    calls: Mapping[str, int] = field(default_factory=dict)
    left: Sequence[str] = ()

    @property
    def problems(self) -> list[str]:
        """What was not as the code expects: such a run ends with exit code 1."""
        expects = {question.name: question.expects for question in QUESTIONS}
        found = [f"{q.name}: {q.answer!r}" for q in self.questions if not q.why_open and not expects[q.name](q.answer)]
        found += [f"{rule.name}: {rule.words}" for rule in self.rules if rule.kept is False]
        found += self.product.problems if self.product else []
        return found + [f"left over: {one}" for one in self.left]

    def as_json(self) -> str:
        told = {
            "format": FORMAT,
            "run": self.run,
            "where": self.where,
            "region": self.region,
            "began": f"{self.began:%Y-%m-%dT%H:%M:%SZ}",
            "ended": f"{self.ended:%Y-%m-%dT%H:%M:%SZ}" if self.ended else None,
            "ended by": self.ended_by,
            "questions": {q.name: _without(asdict(q), "name") for q in self.questions},
            "rules": {rule.name: _without(asdict(rule), "name") for rule in self.rules},
            "product": self._product(),
            "calls": dict(sorted(self.calls.items())),
            "left": list(self.left),
        }
        return masked(json.dumps(told, indent=2, ensure_ascii=False, default=str)) + "\n"

    def _product(self) -> dict[str, Any] | None:
        if self.product is None:
            return None
        told = self.product
        return {
            "problems": told.problems,
            "seconds": told.seconds,
            "assumed seconds": assumed_seconds(),
            "calls": told.calls,
            "assumed calls": budget(),
        }

    def as_page(self) -> str:
        open_ones = [q for q in self.questions if q.why_open]
        untried = [rule for rule in self.rules if rule.kept is None]
        lines = [
            f"# Run {self.run} on {self.where}",
            "",
            f"In {self.region}, from {self.began:%Y-%m-%d %H:%M} to {self.ended:%H:%M} UTC." if self.ended else "",
            *([self.ended_by] if self.ended_by else []),
            "",
            *_section("Not as the code expects", [f"- {problem}" for problem in self.problems]),
            *_section("Answers", _table(("question", "answer", "switch"), map(_answered, self.questions))),
            *_section("Open", [f"- {q.asks} {q.why_open}" for q in open_ones]),
            *_section("Rules of EC2", [f"{_kept(self.rules)} of {len(self.rules)} were kept."]),
            *_section("Rules that were not tried", [f"- {rule.name}: {rule.words}" for rule in untried]),
            *self._page_of_product(),
            *_section("Calls of this run", [f"{sum(self.calls.values()):,}"]),
            *_section("Left over", [f"- {one}" for one in self.left] or ["Nothing."]),
        ]
        return masked("\n".join(lines).rstrip()) + "\n"

    def _page_of_product(self) -> list[str]:
        told = self.product
        if told is None:
            return []
        assumed, wanted = assumed_seconds(), budget()
        seconds = [(what, took, assumed.get(what, "")) for what, took in told.seconds.items()]
        calls = [(name, told.calls.get(name, 0), wanted.get(name, "")) for name in {**wanted, **told.calls}]
        return [
            *_section(
                "The product", ["Failed." if told.problems else "Every byte and every attribute came back, twice."]
            ),
            *_section("Seconds", _table(("what", "took", "assumed"), seconds)),
            *_section("Calls of both functions, as CloudTrail has them", _table(("call", "made", "assumed"), calls)),
        ]


def masked(text: str) -> str:
    """Without ARNs and numbers of accounts."""
    return ACCOUNT.sub("(account)", ARN.sub("(ARN)", text))


def _without(told: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in told.items() if key != name}


def _answered(q: Asked) -> tuple[str, str, str]:
    return q.asks, "open" if q.why_open else str(q.answer), q.switch


def _kept(rules: Sequence[Tried]) -> int:
    return sum(rule.kept is True for rule in rules)


def _section(title: str, lines: Iterable[str]) -> list[str]:
    told = list(lines)
    return [f"## {title}", "", *told, ""] if told else []


def _table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> list[str]:
    cells = [" | ".join(str(cell) for cell in row) for row in rows]
    return [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}", *(f"| {row} |" for row in cells)] if cells else []
