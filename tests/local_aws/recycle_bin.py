"""The Recycle Bin: retention rules by tag, and the deleted snapshots that they keep. moto knows nothing of it.

https://docs.aws.amazon.com/recyclebin/latest/APIReference/Welcome.html
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import unquote

from tests.local_aws.world import ACCOUNT

SIGNED_FOR = re.compile(r"Credential=[^/]+/\d+/(?P<region>[^/]+)/rbin/")
DAY = 86_400
Answer = tuple[int, dict[str, Any]]


class NoSuchRule(Exception):
    """There is no rule of this id."""


class RecycleBin:
    """The rules of all regions, by id, in the words of the API."""

    def __init__(self) -> None:
        self._rules: dict[str, dict[str, dict[str, Any]]] = {}

    def rules(self) -> list[str]:
        return [name for rules in self._rules.values() for name in rules]

    def seconds(self, region: str, tags: Mapping[str, str]) -> float | None:
        """How long a deleted snapshot with these tags is kept: one tag of a rule is enough. None: not at all."""
        days = [
            rule["RetentionPeriod"]["RetentionPeriodValue"]
            for rule in self._rules.get(region, {}).values()
            if rule["ResourceType"] == "EBS_SNAPSHOT"
            and any(tags.get(tag["ResourceTagKey"]) == tag["ResourceTagValue"] for tag in rule["ResourceTags"])
        ]
        return DAY * max(days) if days else None

    def serve(self, environ: Mapping[str, Any], start_response: Any) -> Iterable[bytes] | None:
        """The answer of the API; None if the request is signed for another service."""
        signed = SIGNED_FOR.search(environ.get("HTTP_AUTHORIZATION", ""))
        if signed is None:
            return None
        body = json.loads(environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0)) or b"{}")
        query = environ.get("QUERY_STRING", "")
        try:
            status, value = self._answer(signed["region"], environ["REQUEST_METHOD"], environ["PATH_INFO"], body, query)
        except NoSuchRule:
            status, value = 404, {"Message": "Rule not found.", "Reason": "RULE_NOT_FOUND"}
        headers = [("Content-Type", "application/json")]
        headers += [("x-amzn-ErrorType", "ResourceNotFoundException")] if status == 404 else []
        start_response(f"{status} -", headers)
        return [json.dumps(value).encode() if status != 204 else b""]

    def _answer(self, region: str, method: str, path: str, body: dict[str, Any], query: str) -> Answer:
        rules = self._rules.setdefault(region, {})
        match method, path.strip("/").split("/", 1):
            case "POST", ["rules"]:
                return 201, self._create(region, body)
            case "POST", ["list-rules"]:
                return 200, {
                    "Rules": [_in_list(r) for r in rules.values() if r["ResourceType"] == body["ResourceType"]]
                }
            case "GET", ["rules", name]:
                return 200, _shown(_named(rules, name))
            case "PATCH", ["rules", name]:
                _named(rules, name).update(body)
                return 200, _shown(rules[name])
            case "DELETE", ["rules", name]:
                del rules[_named(rules, name)["Identifier"]]
                return 204, {}
            case _, ["tags", arn]:
                return self._tags(_named(rules, unquote(arn).rsplit("/", 1)[-1]), method, body, query)
        raise NotImplementedError(f"The Recycle Bin of the local AWS has no {method} {path}.")

    def _create(self, region: str, body: dict[str, Any]) -> dict[str, Any]:
        name = uuid.uuid4().hex[:11]
        arn = f"arn:aws:rbin:{region}:{ACCOUNT}:rule/{name}"
        rule = {"Tags": [], "ResourceTags": [], **body, "Identifier": name, "RuleArn": arn, "Status": "available"}
        self._rules[region][name] = rule
        return rule

    @staticmethod
    def _tags(rule: dict[str, Any], method: str, body: dict[str, Any], query: str) -> Answer:
        taken_off = {unquote(part.partition("=")[2]) for part in query.split("&")} if method == "DELETE" else set()
        written = {tag["Key"]: tag for tag in [*rule["Tags"], *body.get("Tags", [])] if tag["Key"] not in taken_off}
        rule["Tags"] = list(written.values())
        return {"GET": 200, "POST": 201, "DELETE": 204}[method], {"Tags": rule["Tags"]} if method == "GET" else {}


def _named(rules: Mapping[str, dict[str, Any]], name: str) -> dict[str, Any]:
    if name not in rules:
        raise NoSuchRule
    return rules[name]


def _in_list(rule: Mapping[str, Any]) -> dict[str, Any]:
    """A list does not say what a rule keeps."""
    return {name: rule[name] for name in ("Identifier", "Description", "RetentionPeriod", "RuleArn") if name in rule}


def _shown(rule: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in rule.items() if key != "Tags"}
