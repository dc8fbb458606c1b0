"""Callers of the Function URL: one that signs its requests, as any SDK would, and one with a token."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials


@dataclass(frozen=True, kw_only=True)
class Answer:
    status: int
    body: Any


@dataclass(frozen=True, kw_only=True)
class FunctionUrl:
    """The API at a Function URL, called with SigV4, or with a token where one is given."""

    url: str
    region: str
    key: str
    secret: str
    session: str = ""
    """What goes with the key if it is of a role."""
    token: str = ""

    def instances(self) -> list[dict[str, Any]]:
        listed: list[dict[str, Any]] = self.get("instances").body["instances"]
        return listed

    def show(self, ref: str) -> Answer:
        return self.get(f"instances/{quote(ref, safe='')}")

    def state(self, ref: str) -> str:
        """The state of an instance in our words. Raises AssertionError with the answer where it is none."""
        answer = self.show(ref)
        assert answer.status == 200, answer
        return str(answer.body["state"])

    def start(self, ref: str, *, wait: int = 0) -> Answer:
        return self.send("POST", f"instances/{quote(ref, safe='')}/start" + (f"?wait={wait}" if wait else ""))

    def stop(self, ref: str) -> Answer:
        return self.send("POST", f"instances/{quote(ref, safe='')}/stop")

    def get(self, path: str) -> Answer:
        return self.send("GET", path)

    def send(self, method: str, path: str, *, signed: bool = True) -> Answer:
        """One request; an error status is an answer like any other."""
        request = AWSRequest(method=method, url=f"{self.url.rstrip('/')}/{path}")
        if self.token:
            request.headers["Authorization"] = f"Bearer {self.token}"
        elif signed:
            SigV4Auth(Credentials(self.key, self.secret, self.session or None), "lambda", self.region).add_auth(request)
        return _sent(method, str(request.url), dict(request.headers.items()))


@dataclass(frozen=True, kw_only=True)
class OpenUrl:
    """The API at a Function URL with auth type NONE, called with a token, or with none where it is empty."""

    url: str
    token: str

    def send(self, method: str, path: str) -> Answer:
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        return _sent(method, f"{self.url.rstrip('/')}/{path}", headers)

    def state(self, ref: str) -> str:
        return str(self.send("GET", f"instances/{quote(ref, safe='')}").body["state"])

    def start(self, ref: str) -> Answer:
        return self.send("POST", f"instances/{quote(ref, safe='')}/start")

    def stop(self, ref: str) -> Answer:
        return self.send("POST", f"instances/{quote(ref, safe='')}/stop")


def _sent(method: str, url: str, headers: dict[str, str]) -> Answer:
    request = urllib.request.Request(url, method=method, headers=headers)
    try:
        with urllib.request.urlopen(request) as answer:
            return Answer(status=answer.status, body=json.load(answer))
    except urllib.error.HTTPError as error:
        return Answer(status=error.code, body=json.load(error))
