"""Calls that Terraform's provider repeats, because its SDK has not got the answer of the first time."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable
from threading import Lock
from typing import Any

Application = Callable[..., Iterable[bytes]]
PROVIDER = "terraform-provider-aws"
MOST = 1_000
"""Answers that are remembered."""


class Repeated:
    """Answers such a call as it was answered the first time: that is what somebody would see whose first answer was not
    lost. Only the provider's: what a function makes of a call that is done twice is what the tests want to see."""

    def __init__(self, application: Application) -> None:
        self._application = application
        self._answers: OrderedDict[str, tuple[str, list[tuple[str, str]], bytes]] = OrderedDict()
        self._lock = Lock()

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        asked = environ.get("HTTP_AMZ_SDK_INVOCATION_ID", "")
        if not asked or PROVIDER not in environ.get("HTTP_USER_AGENT", ""):
            return self._application(environ, start_response)
        with self._lock:
            known = self._answers.get(asked)
        if known is None:
            known = self._answer(asked, environ)
        status, headers, body = known
        start_response(status, headers)
        return [body]

    def _answer(self, asked: str, environ: dict[str, Any]) -> tuple[str, list[tuple[str, str]], bytes]:
        began: list[tuple[str, list[tuple[str, str]]]] = []

        def start_response(status: str, headers: list[tuple[str, str]], _: Any = None) -> None:
            began.append((status, headers))

        body = b"".join(self._application(environ, start_response))
        (status, headers), *_ = began
        if status.startswith("2"):
            with self._lock:
                self._answers[asked] = status, headers, body
                while len(self._answers) > MOST:
                    self._answers.popitem(last=False)
        return status, headers, body
