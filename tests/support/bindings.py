"""The schema of the newest AWS provider, without the provider: from the bindings that CDK Terrain generates of it.

They are an npm package of 46 MB, of which only the modules of what we use are kept, in a folder that git ignores.
``python -m tests.support.bindings`` gets them. For a newer package put its version and what ``npm view`` calls
``dist.integrity`` in here.
"""

from __future__ import annotations

import base64
import hashlib
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from tests.support.terraform import ROOT
from tests.support.used import Used, used

PACKAGE, VERSION = "@cdktn/provider-aws", "25.7.0"
INTEGRITY = "sha512-E/nhu0yVZE4mXMgIPuI8tEFt1BExLkA7ARjihdG+/HmfDfzLr+OEF3dkFRvI6glRt30lrrBWQLwXqCJBxcmyUg=="
FOLDER = ROOT / ".bindings"
HOW_TO_GET_THEM = "Get them with: python -m tests.support.bindings"
NONE = f"{PACKAGE} {VERSION} is not there, so nothing is compared with the newest provider. {HOW_TO_GET_THEM}"

KEYS = re.compile(r"^ {12}(\w+): (.*),$", flags=re.MULTILINE)
SYNTHESIZED = re.compile(
    r"^ {4}synthesizeAttributes\(\) \{\n {8}return \{\n(.*?)^ {8}\};", flags=re.DOTALL | re.MULTILINE
)
STRUCT = re.compile(
    r"^function (\w+ToTerraform)\(struct\) \{.*?^ {4}return \{\n(.*?)^ {4}\};", flags=re.DOTALL | re.MULTILINE
)
INNER_KEYS = re.compile(r"^ {8}(\w+): (.*),$", flags=re.MULTILINE)
READ = re.compile(r"""\bget\w*Attribute\(['"](\w+)['"]\)|\(this, ['"](\w+)['"]""")
MADE_OF = re.compile(r"providerVersion: '([\d.]+)'")


@dataclass(frozen=True)
class Schema:
    """What one resource, data source or provider takes and gives. Nested blocks are written ``block.argument``."""

    provider_version: str
    arguments: frozenset[str]
    attributes: frozenset[str]

    def lacks(self, one: Used) -> list[str]:
        """What is used of it that it does not have."""
        return sorted((one.arguments - self.arguments) | (one.attributes - self.attributes - self.arguments))


def module_of(kind: str) -> str:
    """The module of ``aws_sqs_queue``, ``data.aws_service`` or the provider ``aws``."""
    if kind == "aws":
        return "provider"
    return kind.replace("data.aws_", "data-aws-").removeprefix("aws_").replace("_", "-")


def read(source: str) -> Schema:
    """The schema in the source of one module. Raises ValueError if it is not written as expected."""
    made_of, synthesized = MADE_OF.search(source), SYNTHESIZED.search(source)
    if synthesized is None:
        raise ValueError("it has no arguments where they are expected")
    structs = dict(STRUCT.findall(source))
    arguments = set(_nested(KEYS.findall(synthesized[1]), structs))
    attributes = {name for pair in READ.findall(source, source.index("tfResourceType")) for name in pair if name}
    return Schema(made_of[1] if made_of else "", frozenset(arguments), frozenset(attributes))


def _nested(pairs: list[tuple[str, str]], structs: dict[str, str], before: str = "") -> list[str]:
    found = []
    for name, value in pairs:
        found.append(before + name)
        inner = next((structs[word] for word in re.findall(r"\w+ToTerraform", value) if word in structs), "")
        found += _nested(INNER_KEYS.findall(inner), structs, f"{before}{name}.")
    return found


def find(kinds: Collection[str]) -> dict[str, Schema] | None:
    """The schemas of these; None where the bindings are not there."""
    if not _are_there(kinds):
        return None
    return {kind: read((FOLDER / f"{module_of(kind)}.js").read_text(encoding="utf-8")) for kind in kinds}


def _are_there(kinds: Collection[str]) -> bool:
    ready = FOLDER / "ready"
    there = ready.exists() and ready.read_text(encoding="utf-8").split() == [PACKAGE, VERSION]
    return there and all((FOLDER / f"{module_of(kind)}.js").exists() for kind in kinds)


def install() -> str:
    """Gets what is missing. Answers what stands in the way, as a sentence, or nothing."""
    kinds = {one.kind for one in used()}
    if _are_there(kinds):
        return ""
    npm = shutil.which("npm")
    if not npm:
        return f"The bindings of the newest provider cannot be had: npm is missing. {HOW_TO_GET_THEM}"
    with tempfile.TemporaryDirectory() as folder:
        command = [npm, "pack", "--silent", f"{PACKAGE}@{VERSION}"]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        if done.returncode:
            return f"The bindings of the newest provider cannot be had: {done.stderr.strip()}"
        (package,) = Path(folder).glob("*.tgz")
        if _integrity(package) != INTEGRITY:
            return f"The bindings of the newest provider are not those that are expected: {_integrity(package)}"
        _keep(package, {f"package/lib/{module_of(kind)}/index.js": module_of(kind) for kind in kinds})
    return "" if _are_there(kinds) else f"The package {PACKAGE} {VERSION} lacks some of {', '.join(sorted(kinds))}."


def _integrity(package: Path) -> str:
    return "sha512-" + base64.b64encode(hashlib.sha512(package.read_bytes()).digest()).decode()


def _keep(package: Path, modules: dict[str, str]) -> None:
    """Unpacks these files of the package, and nothing else. The file ``ready`` comes last."""
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir()
    with tarfile.open(package) as archive:
        for member in archive:
            file = archive.extractfile(member) if member.name in modules else None
            if file:
                (FOLDER / f"{modules[member.name]}.js").write_bytes(file.read())
    (FOLDER / "ready").write_text(f"{PACKAGE} {VERSION}\n", encoding="utf-8")


if __name__ == "__main__":
    if problem := install():
        print(problem, file=sys.stderr)
        sys.exit(1)
