"""A request to the Function URL, and the answer to it, in payload format 2.0:
https://docs.aws.amazon.com/lambda/latest/dg/urls-invocation.html#urls-payloads"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from park_volumes.handlers import page

DIRECTLY = "The function was invoked directly, not through its Function URL."


class Problem(Exception):
    """An answer other than success: the HTTP status, a code for programs and a sentence for people."""

    def __init__(self, status: HTTPStatus, code: str, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status, self.code, self.message, self.headers = status, code, message, headers or {}

    def response(self) -> "Response":
        return as_json(self.status, {"error": {"code": self.code, "message": self.message}}, self.headers)


@dataclass(frozen=True, kw_only=True)
class Request:
    """``headers`` have their names in lower case, as Lambda hands them on; ``event`` is all that Lambda says of it."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    event: Mapping[str, Any]

    @property
    def own_host(self) -> object:
        """The host of the Function URL itself."""
        return self.event["requestContext"].get("domainName")


@dataclass(frozen=True, kw_only=True)
class Response:
    status: HTTPStatus
    body: str
    content_type: str = "application/json"
    policy: str = page.NOTHING
    """The Content-Security-Policy."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """What this answer has beside the headers of all answers."""

    def payload(self) -> dict[str, Any]:
        own = {"Content-Type": self.content_type, "Content-Security-Policy": self.policy}
        return {
            "statusCode": self.status.value,
            "headers": {**page.SECURITY_HEADERS, **own, **self.headers},
            "body": self.body,
            "isBase64Encoded": False,
        }


def read(event: Mapping[str, Any]) -> Request:
    """Raises ValueError for an event that does not have the form of a Function URL request."""
    match event:
        case {"requestContext": {"http": {"method": str(method), "path": str()}, "stage": str()}, "rawPath": str(path)}:
            query, headers = _texts(event.get("queryStringParameters")), _texts(event.get("headers"))
            lower = {name.lower(): value for name, value in headers.items()}
            return Request(method=method, path=path, query=query, headers=lower, event=event)
        case _:
            raise ValueError(DIRECTLY)


def _texts(values: Any) -> dict[str, str]:
    if values is None:
        return {}
    if isinstance(values, dict) and all(isinstance(one, str) for pair in values.items() for one in pair):
        return values
    raise ValueError(DIRECTLY)


def as_json(status: HTTPStatus, body: Any, headers: Mapping[str, str] | None = None) -> Response:
    return Response(status=status, body=json.dumps(body, separators=(",", ":")), headers=headers or {})
