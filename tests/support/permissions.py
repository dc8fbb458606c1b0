"""The permissions of both roles in words, read from iam.tf: what, on what, under which conditions, and why."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tests.support.hcl import blocks, load, plain
from tests.support.terraform import ROOT

DOCUMENTS = {"park": ("common", "park"), "start": ("common", "start", "tokens")}
"""Role to the policy documents that it is made of."""

OPERATORS = {
    "StringEquals": "{key} is {values}",
    "StringNotEquals": "{key} is neither {values}",
    "StringEqualsIgnoreCase": "{key} is {values}, in any case",
    "StringEqualsIfExists": "{key}, where EC2 tells it, is {values}",
    "ArnLike": "{key} is like {values}",
    "StringLike": "{key} is like {values}",
    "StringLikeIfExists": "{key}, where there is one, is like {values}",
    "StringEqualsIgnoreCaseIfExists": "{key}, where EC2 tells it, is {values}",
    "ForAllValues:StringEquals": "{key} are only {values}",
    "Null": "there are {key}",
    "Bool": "{key} is {values}",
}
"""Condition operators as a sentence; Null is used with false only."""

WORDS = {
    "each.value": "<function>",
    'trimprefix(coalesce(var.start_tokens_parameter, "none"), "/")': "<start_tokens_parameter>",
    "local.partition": "<partition>",
    "local.region": "<region>",
    "local.in_region": "<region>",
    "local.account": "<account>",
    "data.aws_caller_identity.current.account_id": "<account>",
}
"""Expressions whose values are not in the code, and what a reader knows them by."""

OF_ONE_ROLE = re.compile(r'each\.key == "(\w+)" \? (\[[^]]*\]) : \[\]')
"""What a document that both roles have allows only one of them."""


@dataclass(frozen=True, kw_only=True)
class Permission:
    """A statement of a role's policy, as a person reads it."""

    sid: str
    denies: bool
    actions: tuple[str, ...]
    resources: tuple[str, ...]
    conditions: tuple[str, ...]
    why: str


class Permissions:
    """The statements of iam.tf, with the default inputs put in."""

    def __init__(self) -> None:
        main, iam = (load(ROOT / name) for name in ("main.tf", "iam.tf"))
        self._locals = {
            name: value for file in (main, iam) for block in file["locals"] for name, value in block.items()
        }
        self._inputs = {name: plain(v["default"]) for name, v in blocks(load(ROOT / "variables.tf"), "variable")}
        self._documents = {name.split(".")[1]: body for name, body in blocks(iam, "data")}
        self._each = ""
        self._why = dict(_reasons((ROOT / "iam.tf").read_text(encoding="utf-8")))

    def of(self, role: str) -> Iterator[Permission]:
        """The statements of the park or the start role, in the order of iam.tf."""
        for document in DOCUMENTS[role]:
            body = self._documents[document]
            yield from (self._permission(role, statement) for statement in body.get("statement", []))
            for dynamic in body.get("dynamic", []):
                self._each = self._texts(str(dynamic['"statement"']["for_each"]))[0]
                yield from (self._permission(role, statement) for statement in dynamic['"statement"']["content"])

    def _permission(self, role: str, statement: Mapping[str, Any]) -> Permission:
        allowed = OF_ONE_ROLE.sub(lambda one: one[2] if one[1] == role else "", str(statement["actions"]))
        sid = plain(statement["sid"])
        return Permission(
            sid=sid,
            denies=plain(statement.get("effect", "Allow")) == "Deny",
            actions=tuple(sorted(re.findall(r"\b[a-z0-9]+:(?:[A-Z]\w+|\*)", allowed))),
            resources=tuple(arn.split(":", 5)[-1] for arn in self._texts(statement["resources"])),
            conditions=tuple(map(self._condition, statement.get("condition", []))),
            why=self._why[sid],
        )

    def _condition(self, condition: Mapping[str, Any]) -> str:
        (key,) = self._texts(condition["variable"])
        (operator,) = self._texts(condition["test"])
        either = " nor " if operator == "StringNotEquals" else " or "
        values = either.join(f"`{value}`" for value in self._texts(condition["values"]))
        return OPERATORS[operator].format(key=f"`{key}`", values=values)

    def _texts(self, value: Any) -> list[str]:
        """A literal, a list or a reference, as the texts that it stands for."""
        if isinstance(value, list):
            return [text for one in value for text in self._texts(one)]
        text = plain(value)
        if whole := re.fullmatch(r"\$\{local\.(\w+)\}", text):
            return self._texts(self._locals[whole[1]])
        if "var.previous_names" in text or "for name in local.names" in text:
            end = " *" if "for name" in text else ""  # as a mark begins
            return [f"{name}{end}" for name in (self._inputs["name"], "<previous_names>")]
        if "sort(var.regions)" in text:
            return ["<region>", "<regions>"]
        if one := re.search(r"\[(?:local|var)\.(\w+)\]", text):  # what a statement is made for, if it is at all
            return self._texts(self._locals.get(one[1], f'"<{one[1]}>"'))
        if one := re.search(r'\? \["([^"]*)"\]', text):
            return [one[1]]
        return [self._each] if text == "${statement.value}" else self._known_texts(text)

    def _known_texts(self, text: str) -> list[str]:
        """The texts for which a reader knows another word than the code, and all others as they are."""
        if "local.opt_in_words" in text:  # with blanks around them or without
            return self._texts(self._locals["opt_in_words"])
        if "var.kms_key_arns" in text:
            return ["key/* or kms_key_arns"]
        if "through_ec2_here" in text:
            service = "ssm" if '"ssm"' in text else "ec2"
            return [f"{service}.<region>.amazonaws.com"]
        if by_default := re.search(r'local\.everywhere \? "\w+" : "(\w+)"', text):
            return [by_default[1]]
        return [re.sub(r"\$\{((?:[^{}]|\{[^{}]*\})+)\}", self._filled, text)]

    def _filled(self, found: re.Match[str]) -> str:
        """An expression inside a text. Raises KeyError for one that nobody has given a word."""
        kind, _, name = found[1].partition(".")
        if kind == "var" and self._inputs.get(name) is not None:
            return str(self._inputs[name])
        if found[1] in WORDS:
            return WORDS[found[1]]
        (text,) = self._texts(self._locals[name])
        return text


def _reasons(source: str) -> Iterator[tuple[str, str]]:
    """Each statement's sid, and the comment above the statement."""
    for found in re.finditer(r'((?: *#.*\n)+) *(?:dynamic "statement"|statement) \{[^}]*?sid *= *"(\w+)"', source):
        yield found[2], " ".join(line.strip().lstrip("# ") for line in found[1].splitlines())
