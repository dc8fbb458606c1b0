"""The version of the product, and how a stack names it: the pinned sources that the documents show."""

from __future__ import annotations

import re
from pathlib import Path

from park_volumes import __version__
from tests.support.terraform import ROOT

REPOSITORY = "terraform-aws-park-volumes"
"""As the Terraform Registry wants it named. Whose it is, whoever publishes it says: documents write OWNER."""
GIT_SOURCE = f"git::https://github.com/OWNER/{REPOSITORY}.git?ref=v{__version__}"
REGION_SOURCE = f"git::https://github.com/OWNER/{REPOSITORY}.git//modules/region?ref=v{__version__}"
REGISTRY_SOURCE = "OWNER/park-volumes/aws"
PINNED = (
    r"\?ref=v(\d+\.\d+\.\d+)",
    r"ADDRESS@v(\d+\.\d+\.\d+)",
    re.escape(REGISTRY_SOURCE) + r'"\n +version = "([\d.]+)"',
)
"""How documents pin a release: a git source, the command line's address, and the source of a registry."""


def pinned_in(text: str) -> list[str]:
    """The versions to which a text pins its readers."""
    return [version for pattern in PINNED for version in re.findall(pattern, text)]


def of_this_copy(configuration: str, module: Path | str) -> str:
    """A configuration that takes the module from here, where it names a release."""
    from_git = configuration.replace(f'"{GIT_SOURCE}"', f'"{module}"').replace(
        f'"{REGION_SOURCE}"', f'"{module}/modules/region"'
    )
    return re.sub(rf'"{re.escape(REGISTRY_SOURCE)}"\n +version = "[^"]+"', f'"{module}"', from_git)


def newest_of_the_changelog() -> str:
    """The version of the first numbered section of the changelog."""
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    return str(re.findall(r"^## \[(\d+\.\d+\.\d+)\]", changelog, flags=re.MULTILINE)[0])
