"""Whether a policy allows a request, as IAM decides it; what is not understood is an error and never a guess.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from tests.iam.reference import knows, type_of

MULTIVALUED: Final = frozenset({"aws:tagkeys"})
"""Keys that hold a set; only ForAllValues and ForAnyValue may test them, and nothing else may be tested so."""


class NotUnderstood(ValueError):
    """A part of a policy that this evaluator does not know, or that does not fit what it stands for."""


def _like(pattern: str, value: str) -> bool:
    """IAM's wildcards: * is any text, ? any character, and nothing else is special."""
    parts = (".*" if c == "*" else "." if c == "?" else re.escape(c) for c in pattern)
    return re.fullmatch("".join(parts), value, re.DOTALL) is not None


def _arn_like(pattern: str, value: str) -> bool:
    """Part by part: a wildcard never reaches across a colon, but in the last part."""
    parts = pattern.split(":", 5), value.split(":", 5)
    return len(parts[0]) == len(parts[1]) and all(map(_like, *parts))


TESTS: Final[Mapping[str, Callable[[str, str], bool]]] = {
    "StringEquals": lambda wanted, actual: wanted == actual,
    "StringEqualsIgnoreCase": lambda wanted, actual: wanted.lower() == actual.lower(),
    "StringLike": _like,
    "ArnLike": _arn_like,
    "Bool": lambda wanted, actual: wanted.lower() == actual.lower(),
}
NEGATED: Final = {"ArnNotLike": "ArnLike", "StringNotEquals": "StringEquals"}
"""Operators that are met where the other is not, also where the key is absent."""
NULL: Final = "Null"
"""The operator that asks only whether a key is there."""


@dataclass(frozen=True, kw_only=True)
class Request:
    """One thing that IAM decides: an action on a resource (ARN) with the values of its condition keys.

    Raises NotUnderstood for a key that this evaluation does not have in AWS.
    """

    action: str
    resource: str
    context: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for key in self.context:
            _check_key(self.action, type_of(self.resource), key)

    def values(self, key: str) -> list[str]:
        """The values of a key; its name is not case-sensitive."""
        return [value for name, values in self.context.items() if name.lower() == key.lower() for value in values]


@dataclass(frozen=True, kw_only=True)
class Condition:
    """One key tested with one operator; any of the values will do."""

    operator: str
    key: str
    values: tuple[str, ...]

    def __post_init__(self) -> None:
        quantifier, test, _ = _parts(self.operator)
        if test not in TESTS and self.operator not in (NULL, *NEGATED):
            raise NotUnderstood(f"The operator {self.operator} is not known here.")
        if bool(quantifier) != (self.key.lower() in MULTIVALUED) and test != NULL:
            raise NotUnderstood(f"{self.operator} does not fit the key {self.key}.")
        if any("${" in value for value in self.values):
            raise NotUnderstood(f"The condition on {self.key} has a policy variable.")

    def met(self, request: Request) -> bool:
        """Whether the request meets it."""
        if self.operator in NEGATED:
            return not replace(self, operator=NEGATED[self.operator]).met(request)
        quantifier, test, if_exists = _parts(self.operator)
        actual = request.values(self.key)
        if test == NULL:
            return any((not actual) == (value == "true") for value in self.values)
        matches = TESTS[test]
        if not quantifier:
            if len(actual) > 1:
                raise NotUnderstood(f"{self.key} has several values: {actual}.")
            return any(matches(value, actual[0]) for value in self.values) if actual else if_exists
        every = [any(matches(value, one) for value in self.values) for one in actual]
        return all(every) if quantifier == "ForAllValues" else any(every)


@dataclass(frozen=True, kw_only=True)
class Statement:
    """One statement of an identity policy or a permissions boundary."""

    sid: str
    allows: bool
    actions: tuple[str, ...]
    resources: tuple[str, ...]
    conditions: tuple[Condition, ...]

    def applies(self, request: Request) -> bool:
        return (
            any(_like(pattern.lower(), request.action.lower()) for pattern in self.actions)
            and any(_like(pattern, request.resource) for pattern in self.resources)
            and all(condition.met(request) for condition in self.conditions)
        )


def statements(policy: Mapping[str, Any]) -> tuple[Statement, ...]:
    """The statements of a policy document. Raises NotUnderstood for elements that are not known here."""
    if policy.get("Version") != "2012-10-17" or policy.keys() - {"Version", "Id", "Statement"}:
        raise NotUnderstood(f"A policy of {sorted(policy)} in the version {policy.get('Version')}.")
    return tuple(_statement(s) for s in _listed(policy["Statement"]))


def deciding(policy: Iterable[Statement], request: Request) -> tuple[Statement, ...]:
    """The statements that allow the request; none if it is denied, be it by a Deny or for want of an Allow."""
    applying = [s for s in policy if s.applies(request)]
    return tuple(applying) if all(s.allows for s in applying) else ()


def unsupported(policy: Iterable[Statement]) -> list[str]:
    """Conditions that can never be met as meant, since the action has no such key on such a resource: a line each.

    One with IfExists, or of ForAllValues, would be met always.
    """
    found = []
    for statement in policy:
        for action in statement.actions:
            for resource in statement.resources:
                for condition in statement.conditions:
                    try:
                        _check_key(action, type_of(resource), condition.key)
                    except NotUnderstood as problem:
                        found.append(f"{statement.sid}: {problem}")
    return found


def _check_key(action: str, resource_type: str, key: str) -> None:
    try:
        known = knows(action, resource_type, key)
    except KeyError:
        raise NotUnderstood(f"{action} on {resource_type} is not in the table of actions.") from None
    if not known:
        raise NotUnderstood(f"{action} on {resource_type} has no key {key}.")


def _statement(statement: Mapping[str, Any]) -> Statement:
    if strange := statement.keys() - {"Sid", "Effect", "Action", "Resource", "Condition"}:
        raise NotUnderstood(f"A statement with {sorted(strange)}.")
    if statement["Effect"] not in ("Allow", "Deny"):
        raise NotUnderstood(f"The effect {statement['Effect']}.")
    return Statement(
        sid=statement.get("Sid", ""),
        allows=statement["Effect"] == "Allow",
        actions=tuple(_listed(statement["Action"])),
        resources=tuple(_listed(statement["Resource"])),
        conditions=tuple(
            Condition(operator=operator, key=key, values=tuple(map(_text, _listed(values))))
            for operator, keys in statement.get("Condition", {}).items()
            for key, values in keys.items()
        ),
    )


def _parts(operator: str) -> tuple[str, str, bool]:
    """ForAllValues:StringEqualsIfExists is the quantifier, the test, and whether an absent key will do."""
    quantifier, _, test = operator.rpartition(":")
    if quantifier not in ("", "ForAllValues", "ForAnyValue"):
        raise NotUnderstood(f"The operator {operator} is not known here.")
    return quantifier, test.removesuffix("IfExists"), test.endswith("IfExists")


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
