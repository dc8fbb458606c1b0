"""Who the caller is: the identity that Lambda verified (AWS_IAM), or the holder of a token (TOKEN)."""

import hmac
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from hashlib import sha256
from typing import Any, Protocol

from aws_lambda_powertools import Logger
from botocore.exceptions import BotoCoreError, ClientError

from park_volumes.core import environment
from park_volumes.handlers import runtime, stay

SHORTEST_TOKEN = 32
"""Characters. Shorter tokens can be guessed, and the URL is open to everybody."""
FRESH = 300.0
"""Seconds that tokens are cached: a token removed from the parameter stops working within this time."""
PAUSE = 10.0
"""Seconds until the parameter is read again after a failure, so strangers cannot use up the account's request rate."""
LASTING = 3600.0
"""Seconds that tokens count after they were read, while the parameter cannot be read again."""
TAKEN_AWAY = ("ParameterNotFound", "AccessDeniedException")
"""The codes with which SSM says that somebody has taken the tokens away. Any other failure passes."""


class NotSignedIn(Exception):
    """The request has no verified identity; the message says what is missing."""


class InvokedDirectly(NotSignedIn):
    """The request did not come through the Function URL, so its sender is not verified."""


class TokensUnreadable(Exception):
    """The parameter with the tokens cannot be read, or contains no usable token; the message says why."""


@dataclass(frozen=True, kw_only=True)
class Caller:
    """The caller: the name for the log, and the pattern for the Names of the instances that they may see."""

    name: str
    pattern: str = "*"

    def may_see(self, instance_name: str) -> bool:
        return fnmatchcase(instance_name, self.pattern)


class SignIn(Protocol):
    @property
    def stay_days(self) -> int:
        """For how many days somebody can stay signed in on a device; 0 if nobody can."""

    def caller(self, event: Mapping[str, Any]) -> Caller:
        """Who sent a request of the Function URL. Raises NotSignedIn, TokensUnreadable."""

    def give_pass(self, event: Mapping[str, Any]) -> stay.DevicePass | None:
        """A pass for the device of a caller who sent a token; None for others. Raises TokensUnreadable."""


def from_environment(variables: Mapping[str, str], read: Callable[[str], str], logger: Logger) -> SignIn:
    """The sign-in method of the deployment. ``read`` returns the value of a parameter by its name.
    Raises MissingSetting, so a wrongly deployed function fails when it is loaded and lets nobody in."""
    match environment.text(variables, "FUNCTION_URL_AUTH"):
        case "AWS_IAM":
            return VerifiedByLambda()
        case "TOKEN":
            parameter, stays = environment.text(variables, "START_TOKENS_PARAMETER"), stay.longest(variables)
            return Tokens(parameter=parameter, read=read, logger=logger, stays=stays)
        case kind:
            words = f"The environment variable FUNCTION_URL_AUTH is {kind!r}, neither AWS_IAM nor TOKEN."
            raise environment.MissingSetting(words)


class VerifiedByLambda:
    """The Function URL checks signatures (AWS_IAM), and names the signer in ``requestContext.authorizer.iam``.

    Nothing else in the event counts as an identity: the caller writes headers and body. An event without a signer did
    not come through the URL. Anyone who may invoke the function itself can write any event; start_policy_json does not
    allow that: https://docs.aws.amazon.com/lambda/latest/dg/urls-invocation.html"""

    stay_days = 0

    def give_pass(self, _event: Mapping[str, Any]) -> None:
        return None

    def caller(self, event: Mapping[str, Any]) -> Caller:
        authorizer = _mapping(_mapping(event.get("requestContext")).get("authorizer"))
        arn = _mapping(authorizer.get("iam")).get("userArn")
        if not isinstance(arn, str) or not arn.startswith("arn:"):
            raise InvokedDirectly("The function was invoked directly: send a signed request to its Function URL.")
        return Caller(name=arn)


class Tokens:
    """The tokens in an SSM parameter: lines of ``name:token[:instance-name-pattern]``. Empty lines and # are skipped.
    A line that cannot be used is refused with an error in the log that never quotes the line; the other lines count."""

    def __init__(
        self,
        *,
        parameter: str,
        read: Callable[[str], str],
        logger: Logger,
        stays: timedelta = stay.NONE,
        now: Callable[[], float] = time.monotonic,
        date: Callable[[], datetime] = lambda: runtime.clock().now(),
    ) -> None:
        """``stays``: how long somebody can stay signed in; ``now`` counts seconds, ``date`` tells the time."""
        self._parameter, self._read, self._logger, self._now = parameter, read, logger, now
        self._stays, self._date = stays, date
        self._callers: Mapping[bytes, Caller] = {}
        """By the SHA-256 of their tokens: the tokens themselves are not kept."""
        self._until = self._last_until = float("-inf")

    @property
    def stay_days(self) -> int:
        return self._stays.days

    def caller(self, event: Mapping[str, Any]) -> Caller:
        sent = _sent(event)
        if found := self._with_token(sent):
            return found[0]
        if not stay.is_pass(sent):
            raise NotSignedIn("This token is not valid: ask your ParkVolumes administrator for a new one.")
        caller = stay.holder(sent, self._current(), self._date(), self._stays)
        if caller is None:
            raise NotSignedIn("This device is no longer signed in: sign in again with your token.")
        return caller

    def give_pass(self, event: Mapping[str, Any]) -> stay.DevicePass | None:
        sent = _sent(event)
        return stay.give(_digest(sent), self._date(), self._stays) if self._stays and self._with_token(sent) else None

    def _with_token(self, sent: str) -> list[Caller]:
        """The holder of a token; nobody if it is none."""
        digest = _digest(sent)
        # Compare all of them, even after a match, so the time taken reveals nothing.
        return [caller for one, caller in self._current().items() if hmac.compare_digest(one, digest)]

    def _current(self) -> Mapping[bytes, Caller]:
        now = self._now()
        if now >= self._until:
            last, self._callers, self._until = self._callers, {}, now + PAUSE
            found = self._load()
            if found is None and now < self._last_until:
                self._callers = last
            elif found:
                self._callers, self._until, self._last_until = found, now + FRESH, now + LASTING
        if not self._callers:
            raise TokensUnreadable(f"The tokens in the parameter {self._parameter} cannot be used; the log says why.")
        return self._callers

    def _load(self) -> dict[bytes, Caller] | None:
        """The holders of the tokens in the parameter; None if it cannot be read for the moment."""
        callers: dict[bytes, Caller] = {}
        try:
            lines = self._read(self._parameter).splitlines()
        except (ClientError, BotoCoreError) as error:
            self._logger.error(f"The parameter {self._parameter} with the tokens cannot be read: {error}")
            taken_away = isinstance(error, ClientError) and error.response["Error"]["Code"] in TAKEN_AWAY
            return callers if taken_away else None
        for number, line in enumerate(map(str.strip, lines), start=1):
            if not line or line.startswith("#"):
                continue
            told = _read_line(line)
            if isinstance(told, str):
                self._refuse(number, told)
                continue
            digest, caller = told
            if digest in callers:
                self._refuse(number, f"an earlier line already has the token of {caller.name}")
            else:
                callers[digest] = caller
        if not callers:
            self._logger.error(f"The parameter {self._parameter} contains no usable token: nobody can sign in.")
        return callers

    def _refuse(self, number: int, reason: str) -> None:
        self._logger.error(f"Line {number} of the parameter {self._parameter} is refused: {reason}.")


def _sent(event: Mapping[str, Any]) -> str:
    """The token or pass in a request. Raises NotSignedIn."""
    header = _mapping(event.get("headers")).get("authorization")  # payload format 2.0 has names in lower case
    kind, _, token = (header if isinstance(header, str) else "").partition(" ")
    if kind.lower() != "bearer" or not token.strip():
        raise NotSignedIn("Sign in: send your token in the header Authorization: Bearer TOKEN.")
    return token.strip()


def _read_line(line: str) -> tuple[bytes, Caller] | str:
    """The digest of a token and its owner, or what is wrong with the line, without quoting the token."""
    name, *rest = (part.strip() for part in line.split(":", 2))
    if not name or not rest:
        return "it does not have the form name:token or name:token:instance-name-pattern"
    token, pattern = rest[0], rest[1] if len(rest) > 1 else "*"
    if len(token) < SHORTEST_TOKEN:
        return f"the token of {name} has {len(token)} characters; it needs at least {SHORTEST_TOKEN}"
    if not token.isascii() or not token.isprintable() or " " in token:
        words = f"the token of {name} has characters that an HTTP header cannot carry"
        return f"{words}; use letters, digits and - . _ ~ + /"
    if not pattern:
        return f"the pattern of {name} is empty; write * for every instance"
    return _digest(token), Caller(name=name, pattern=pattern)


def _digest(token: str) -> bytes:
    return sha256(token.encode("utf-8", "surrogatepass")).digest()


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
