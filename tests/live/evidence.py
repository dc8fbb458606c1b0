"""Where what AWS has done is not what the model and the local AWS do."""

from __future__ import annotations

from tests.live.questions import QUESTIONS
from tests.model.evidence import Evidence
from tests.model.rules import RULES


def disagreements(evidence: Evidence) -> list[str]:
    """A sentence for each, with what to do. What a switch answers, the model has taken over."""
    rules = {rule.name for rule in RULES}
    found = [line for name, q in evidence["questions"].items() if not q["why_open"] for line in _question(name, q)]
    for name, rule in evidence["rules"].items():
        if name not in rules:
            found.append(f"There is no rule {name!r} any more. Ask AWS anew.")
        elif rule["kept"] is False:
            found.append(f"AWS does not keep the rule {name!r}: {rule['words']} Change the rule, and both stand-ins.")
    product = evidence["product"] or {"problems": []}
    return found + [f"The product did not do on AWS what it does here: {problem}" for problem in product["problems"]]


def _question(name: str, told: Evidence) -> list[str]:
    question = next((q for q in QUESTIONS if q.name == name), None)
    if question is None:
        return [f"There is no question {name!r} any more. Ask AWS anew."]
    if question.switch:
        knows = question.expects(told["answer"])
        return (
            [] if knows else [f"The switch {question.switch} knows no {told['answer']!r}. Give the model this value."]
        )
    here = question.answers[0]
    if told["answer"] == here:
        return []
    return [
        f"{question.asks} AWS: {told['answer']}. Here: {here}. Change both stand-ins, and the first of the answers."
    ]
