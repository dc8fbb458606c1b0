"""Calls that Terraform's provider repeats, because its SDK has not got the answer of the first time."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from threading import Lock
from typing import Any, NamedTuple

Application = Callable[..., Iterable[bytes]]
PROVIDER = "terraform-provider-aws"
MOST = 1_000
"""Calls that are remembered."""


class Answer(NamedTuple):
    status: str
    headers: list[tuple[str, str]]
    body: bytes


@dataclass
class Call:
    """``lock`` is held while it is done; ``answer`` is there once it was not refused."""

    lock: Lock = field(default_factory=Lock)
    answer: Answer | None = None


class Repeated:
    """Answers such a call as it was answered the first time, as soon as that is known. Only the provider's: what a
    function makes of a call that is done twice is what the tests want to see."""

    def __init__(self, application: Application) -> None:
        self._application = application
        self._calls: OrderedDict[str, Call] = OrderedDict()
        self._lock = Lock()

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        asked = environ.get("HTTP_AMZ_SDK_INVOCATION_ID", "")
        if not asked or PROVIDER not in environ.get("HTTP_USER_AGENT", ""):
            return self._application(environ, start_response)
        with self._lock:
            call = self._calls.setdefault(asked, Call())
            while len(self._calls) > MOST:
                self._calls.popitem(last=False)
        with call.lock:
            answer = call.answer or self._answer(environ)
            if answer.status.startswith("2"):
                call.answer = answer
        start_response(answer.status, answer.headers)
        return [answer.body]

    def _answer(self, environ: dict[str, Any]) -> Answer:
        began: list[tuple[str, list[tuple[str, str]]]] = []

        def start_response(status: str, headers: list[tuple[str, str]], _: Any = None) -> None:
            began.append((status, headers))

        body = b"".join(self._application(environ, start_response))
        return Answer(*began[0], body)
