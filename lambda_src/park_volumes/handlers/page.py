"""The two answers without data, the page for people and the OpenAPI document, and the headers of all answers."""

import html
import json
import re
from base64 import b64encode
from collections.abc import Mapping
from functools import cache
from hashlib import sha256
from pathlib import Path

FOLDER = Path(__file__).parent
INLINE = re.compile(r"<(script|style)>(.*?)</\1>", re.DOTALL)
SECURITY_HEADERS: Mapping[str, str] = {
    "Strict-Transport-Security": "max-age=63072000",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
"""Sent with every answer (OWASP Secure Headers Project)."""
NOTHING = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
"""The Content-Security-Policy of an answer that is not a page."""


NOBODY_STAYS, NO_PEERS = 'data-stay-days="0"', 'data-peers="[]"'
"""What the page says of a deployment where nobody can stay signed in, and that shows no other. It is no part of the
script."""


@cache
def page(stay_days: int = 0, peers: tuple[tuple[str, str], ...] = ()) -> str:
    """The page of a deployment where people can stay signed in for so many days, and see those peers: name, origin."""
    text = (FOLDER / "page.html").read_text(encoding="utf-8")
    shown = html.escape(json.dumps(peers, ensure_ascii=False, separators=(",", ":")))
    return text.replace(NOBODY_STAYS, f'data-stay-days="{stay_days}"').replace(NO_PEERS, f'data-peers="{shown}"')


@cache
def openapi() -> str:
    return (FOLDER / "openapi.json").read_text(encoding="utf-8")


@cache
def page_policy(asked: tuple[str, ...] = ()) -> str:
    """The Content-Security-Policy of the page: its own script and style by hash, this origin and those that it asks,
    nothing else."""
    hashes: dict[str, list[str]] = {"script": [], "style": []}
    for kind, content in INLINE.findall(page()):
        hashes[kind].append(f"'sha256-{b64encode(sha256(content.encode()).digest()).decode()}'")
    own = f"script-src {' '.join(hashes['script'])}; style-src {' '.join(hashes['style'])}"
    servers = " ".join(("'self'", *asked))
    return f"{NOTHING}; {own}; connect-src {servers}; img-src data:"
