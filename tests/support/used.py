"""What all modules and examples here use of the AWS provider: resources, data sources, arguments and attributes."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.hcl import MARKERS, blocks, load, plain
from tests.support.terraform import ROOT

META = {"count", "for_each", "depends_on", "lifecycle", "provider", "alias", "provisioner", "connection"}
"""What Terraform itself knows in every block."""
READ = re.compile(r"\b((?:data\.)?aws_\w+)\.\w+(?:\[[^\]]*\])?\.(\w+)")
COMMENT = re.compile(r"(^|\s)#.*")


@dataclass(frozen=True)
class Used:
    """One kind, such as ``aws_sqs_queue``, ``data.aws_service`` or ``aws``, which is the provider itself.
    Arguments of nested blocks are written ``block.argument``."""

    kind: str
    arguments: frozenset[str]
    attributes: frozenset[str]


def used() -> list[Used]:
    arguments: dict[str, set[str]] = defaultdict(set)
    attributes: dict[str, set[str]] = defaultdict(set)
    for file in _files():
        for kind, body in _blocks(file):
            arguments[kind] |= set(_arguments(body))
        for kind, name in READ.findall("\n".join(COMMENT.sub("", line) for line in _lines(file))):
            attributes[kind].add(name)
    kinds = sorted(arguments.keys() | attributes.keys())
    return [Used(kind, frozenset(arguments[kind]), frozenset(attributes[kind])) for kind in kinds]


def _files() -> list[Path]:
    return [file for folder in (".", "modules/*", "examples/*") for file in sorted(ROOT.glob(f"{folder}/*.tf"))]


def _lines(file: Path) -> list[str]:
    return file.read_text(encoding="utf-8").splitlines()


def _blocks(file: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    parsed = load(file)
    for prefix, kind in (("", "resource"), ("data.", "data"), ("", "provider")):
        for label, body in blocks(parsed, kind):
            name = label.split(".")[0]
            if name == "aws" or name.startswith("aws_"):
                yield prefix + name, body


def _arguments(body: dict[str, Any], before: str = "") -> Iterator[str]:
    for key, value in body.items():
        name = plain(key)
        if name in (*MARKERS, *META):
            continue
        if name == "dynamic":
            yield from _dynamic(value, before)
            continue
        yield before + name
        for inner in value if isinstance(value, list) else ():
            if isinstance(inner, dict) and "__is_block__" in inner:
                yield from _arguments(inner, f"{before}{name}.")


def _dynamic(value: list[dict[str, Any]], before: str) -> Iterator[str]:
    for block in value:
        for label, body in block.items():
            if label in MARKERS:
                continue
            name = before + plain(label)
            yield name
            for content in body["content"]:
                yield from _arguments(content, f"{name}.")
