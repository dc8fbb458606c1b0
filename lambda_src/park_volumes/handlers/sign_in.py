"""Who asks: the caller as Lambda has verified it (AWS_IAM), or the holder of a token (TOKEN)."""

from __future__ import annotations

import hmac
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from hashlib import sha256
from typing import Any, Protocol

from aws_lambda_powertools import Logger
from botocore.exceptions import BotoCoreError, ClientError

from park_volumes import settings as environment

AWS_IAM, TOKEN = "AWS_IAM", "TOKEN"
SHORTEST_TOKEN = 32
"""Characters; shorter ones can be guessed, and the URL is open to everybody."""
FRESH = 300.0
"""Seconds that tokens are held after they were read: a token taken out of the parameter works no longer than that."""
PAUSE = 10.0
"""Seconds until the parameter is read again after that failed, so that strangers can not use up the account's rate."""


class NotSignedIn(Exception):
    """The request bears no identity that was verified; the message says what is missing."""


class InvokedDirectly(NotSignedIn):
    """The request did not come through the Function URL, so that nobody has verified who sent it."""


class TokensUnreadable(Exception):
    """The parameter with the tokens can not be read, or holds none that may be used; the message says why."""


@dataclass(frozen=True, kw_only=True)
class Caller:
    """Who asks, by the name that the log gets, and the pattern of the Names of the instances that they may see."""

    name: str
    pattern: str = "*"

    def may_see(self, instance_name: str) -> bool:
        return fnmatchcase(instance_name, self.pattern)


class SignIn(Protocol):
    def caller(self, event: Mapping[str, Any]) -> Caller:
        """Who sent a request of the Function URL. Raises NotSignedIn, TokensUnreadable."""


def from_environment(variables: Mapping[str, str], read: Callable[[str], str], logger: Logger) -> SignIn:
    """The way to sign in that the deployment has chosen. ``read`` gives the value of a parameter by its name.

    Raises MissingSetting, so that a function deployed wrongly fails when it is loaded and lets nobody in.
    """
    kind = environment.text(variables, "FUNCTION_URL_AUTH")
    if kind == AWS_IAM:
        return VerifiedByLambda()
    if kind == TOKEN:
        parameter = environment.text(variables, "START_TOKENS_PARAMETER")
        return Tokens(parameter=parameter, read=read, logger=logger)
    raise environment.MissingSetting(
        f"The environment variable FUNCTION_URL_AUTH is {kind!r}, neither AWS_IAM nor TOKEN."
    )


class VerifiedByLambda:
    """The Function URL checks signatures (AWS_IAM), and names the signer in ``requestContext.authorizer.iam``.

    Nothing else of the event is taken for an identity: headers and body are the caller's. An event without a signer did
    not come through the URL. Whoever may invoke the function itself can write any event; start_policy_json lets nobody:
    https://docs.aws.amazon.com/lambda/latest/dg/urls-invocation.html
    """

    def caller(self, event: Mapping[str, Any]) -> Caller:
        authorizer = _mapping(_mapping(event.get("requestContext")).get("authorizer"))
        arn = _mapping(authorizer.get("iam")).get("userArn")
        if not isinstance(arn, str) or not arn.startswith("arn:"):
            raise InvokedDirectly("The function was invoked directly: send a signed request to its Function URL.")
        return Caller(name=arn)


@dataclass(frozen=True, kw_only=True)
class _Holder:
    """A token, as its SHA-256 only, and whose it is."""

    caller: Caller
    digest: bytes


class Tokens:
    """The tokens of an SSM parameter, lines of ``name:token[:instance-name-pattern]``; empty ones and # are skipped.

    A line that can not be used is refused with an error in the log that names it and never quotes it; the others count.
    """

    def __init__(
        self,
        *,
        parameter: str,
        read: Callable[[str], str],
        logger: Logger,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._parameter, self._read, self._logger, self._now = parameter, read, logger, now
        self._holders: tuple[_Holder, ...] = ()
        self._until = float("-inf")

    def caller(self, event: Mapping[str, Any]) -> Caller:
        kind, _, token = _header(event, "authorization").partition(" ")
        if kind.lower() != "bearer" or not token.strip():
            raise NotSignedIn("Sign in: send the token that you were given as Authorization: Bearer TOKEN.")
        digest = _digest(token.strip())
        # All are compared, whichever fits, so that the time taken tells nothing.
        found = [holder.caller for holder in self._current() if hmac.compare_digest(holder.digest, digest)]
        if not found:
            raise NotSignedIn("This token is not valid here, or no longer: ask whoever runs ParkVolumes for a new one.")
        return found[0]

    def _current(self) -> tuple[_Holder, ...]:
        now = self._now()
        if now >= self._until:
            self._holders = ()
            self._until = now + PAUSE
            self._holders = self._load()
            self._until = now + (FRESH if self._holders else PAUSE)
        if not self._holders:
            raise TokensUnreadable(f"The tokens in the parameter {self._parameter} can not be used; the log says why.")
        return self._holders

    def _load(self) -> tuple[_Holder, ...]:
        try:
            lines = self._read(self._parameter).splitlines()
        except (ClientError, BotoCoreError) as error:
            self._logger.error(f"The parameter {self._parameter} with the tokens can not be read: {error}")
            return ()
        holders: dict[bytes, _Holder] = {}
        for number, line in _meant(lines):
            holder = _holder(line)
            if isinstance(holder, str):
                self._refuse(number, holder)
            elif holder.digest in holders:
                self._refuse(number, f"the token of {holder.caller.name} is also that of an earlier line")
            else:
                holders[holder.digest] = holder
        if not holders:
            self._logger.error(f"The parameter {self._parameter} holds no token that may be used: nobody can sign in.")
        return tuple(holders.values())

    def _refuse(self, number: int, reason: str) -> None:
        self._logger.error(f"Line {number} of the parameter {self._parameter} is refused: {reason}.")


def _meant(lines: list[str]) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(lines, 1):
        if (text := line.strip()) and not text.startswith("#"):
            yield number, text


def _holder(line: str) -> _Holder | str:
    """The holder that a line describes, or what is wrong with it, in words that do not quote the token."""
    name, *rest = (part.strip() for part in line.split(":", 2))
    if not name or not rest:
        return "it is not of the form name:token or name:token:instance-name-pattern"
    token, pattern = rest[0], rest[1] if len(rest) > 1 else "*"
    if len(token) < SHORTEST_TOKEN:
        return f"the token of {name} has {len(token)} characters, and {SHORTEST_TOKEN} are the least"
    if not token.isascii() or not token.isprintable() or " " in token:
        return f"the token of {name} has characters that no HTTP header carries; take letters, digits and - . _ ~ + /"
    if not pattern:
        return f"the pattern of {name} is empty; write * for every instance"
    return _Holder(caller=Caller(name=name, pattern=pattern), digest=_digest(token))


def _digest(token: str) -> bytes:
    return sha256(token.encode("utf-8", "surrogatepass")).digest()


def _header(event: Mapping[str, Any], name: str) -> str:
    """A header of payload format 2.0, whose names are in lower case."""
    value = _mapping(event.get("headers")).get(name)
    return value if isinstance(value, str) else ""


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
