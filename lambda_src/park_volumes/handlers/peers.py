"""Other deployments: those whose instances the page shows, and those whose pages may call this one from a browser.

A browser lets a page call another address only if that address names the page's origin. For a Function URL Lambda does
that, by its setting ``cors``, and it adds those headers to the function's own. An answer that has them twice is refused
by browsers, so this function sends none. It asks for the origin once more: a setting that somebody widens by hand lets
no other page in.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from park_volumes.core.environment import MissingSetting

ORIGIN = re.compile(r"https://[a-z0-9-]+(?:[.][a-z0-9-]+)+")
"""As the inputs take them. It is part of a header, where a space or a semicolon would say something else."""


@dataclass(frozen=True, kw_only=True)
class Peers:
    shown: tuple[tuple[str, str], ...] = ()
    """Display name and origin of each deployment that the page shows beside this one."""
    origins: frozenset[str] = frozenset()
    """The origins of the pages that may call this deployment, beside its own."""

    @property
    def asked(self) -> tuple[str, ...]:
        """The origins that the page asks."""
        return tuple(origin for _, origin in self.shown)

    def may_call(self, headers: Mapping[str, str], own_host: object) -> bool:
        """Whether a request comes from this deployment's own page, from a page in ``origins``, or from a program, which
        sends no origin. If no page is named, nothing is checked: a browser then lets no other page sign in here."""
        origin = headers.get("origin")
        own = origin is None or origin.partition("://")[2] == own_host
        return own or not self.origins or origin in self.origins


def from_environment(variables: Mapping[str, str]) -> Peers:
    """Raises MissingSetting, so a wrongly deployed function fails when it is loaded."""
    origins = variables.get("PAGE_ORIGINS", "").split()
    try:
        shown = dict(json.loads(variables.get("PEERS") or "{}"))
    except (TypeError, ValueError) as error:
        words = f"The environment variable PEERS is {variables['PEERS']!r}, not an object of names and addresses."
        raise MissingSetting(words) from error
    if wrong := [one for one in (*shown.values(), *origins) if not _is_origin(one)]:
        words = f"The environment variables PEERS and PAGE_ORIGINS hold {wrong[0]!r}, which is no https://HOST."
        raise MissingSetting(words)
    return Peers(shown=tuple(shown.items()), origins=frozenset(origins))


def _is_origin(value: Any) -> bool:
    return isinstance(value, str) and ORIGIN.fullmatch(value) is not None
