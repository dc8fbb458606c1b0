"""Lets ``terraform init`` find the AWS provider where the provider registry cannot be reached.

Terraform downloads providers from registry.terraform.io unless its CLI configuration names a filesystem mirror
(https://developer.hashicorp.com/terraform/cli/config/config-file#provider-installation). This module looks for such
a mirror where one may be expected, writes a CLI configuration for it, and hands back the environment for Terraform.

Run as a program it does so for one command:
``python tests/support/terraform_mirror.py terraform -chdir=examples/minimal init``.
"""

from __future__ import annotations

import json
import os
import platform
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

PROVIDER = "registry.terraform.io/hashicorp/aws"
OLDEST_VERSION = (5, 100, 0)
"""The oldest provider that the module allows; a mirror with nothing newer would only make ``terraform init`` fail."""

ADD_ON_ROOTS = tuple(
    Path(root)
    for root in (
        "/opt",
        "/srv",
        "/usr/lib",
        "/usr/local",
        "/usr/local/lib",
        "/usr/local/share",
        "/usr/share",
        "/var/lib",
    )
)
"""Where systems keep what is added to them; each folder directly below may be a mirror."""


def terraform_environment(
    folder: Path, environment: Mapping[str, str] = os.environ, roots: Iterable[Path] = ADD_ON_ROOTS
) -> dict[str, str]:
    """The environment in which ``terraform init`` finds the AWS provider.

    A ``TF_CLI_CONFIG_FILE`` that exists is left as it is. Otherwise a CLI configuration for the first mirror found is
    written into ``folder``, which has to outlive the Terraform commands. Without a mirror Terraform downloads, as it
    does by itself.
    """
    result = dict(environment)
    configured = result.pop("TF_CLI_CONFIG_FILE", None)
    if configured and Path(configured).is_file():
        return {**result, "TF_CLI_CONFIG_FILE": configured}
    mirror = find_mirror(environment, roots)
    if mirror is None:
        return result
    cache = result.get("TF_PLUGIN_CACHE_DIR")
    if cache and Path(cache).is_dir() and mirror.samefile(cache):
        del result[
            "TF_PLUGIN_CACHE_DIR"
        ]  # Terraform wants no folder to be both: it would install a provider onto itself
    configuration = folder / "terraform.tfrc"
    configuration.write_text(cli_configuration(mirror), encoding="utf-8")
    return {**result, "TF_CLI_CONFIG_FILE": str(configuration)}


def find_mirror(environment: Mapping[str, str] = os.environ, roots: Iterable[Path] = ADD_ON_ROOTS) -> Path | None:
    """The first folder with a usable AWS provider for this machine: plugin cache, implied mirror or add-on."""
    return next((place for place in _places(environment, roots) if _has_provider(place)), None)


def cli_configuration(mirror: Path) -> str:
    """A CLI configuration that takes the AWS provider from ``mirror`` and every other provider from where it comes."""
    return f"""\
provider_installation {{
  filesystem_mirror {{
    path    = {json.dumps(str(mirror.resolve()))}
    include = ["{PROVIDER}"]
  }}
  direct {{
    exclude = ["{PROVIDER}"]
  }}
}}
"""


def implied_mirrors(environment: Mapping[str, str] = os.environ, system: str = platform.system()) -> list[Path]:
    """The folders that Terraform itself takes for mirrors, by operating system.

    https://developer.hashicorp.com/terraform/cli/config/config-file#implied-local-mirror-directories
    """
    home = Path(environment.get("HOME") or Path.home())
    if system == "Windows":
        application_data = Path(environment.get("APPDATA") or home / "AppData" / "Roaming")
        return [application_data / "terraform.d" / "plugins", application_data / "HashiCorp" / "Terraform" / "plugins"]
    if system == "Darwin":
        plugins = Path("Library/Application Support/io.terraform/plugins")
        return [home / ".terraform.d" / "plugins", home / plugins, "/" / plugins]
    data_home = environment.get("XDG_DATA_HOME") or str(home / ".local" / "share")
    data_folders = environment.get("XDG_DATA_DIRS") or "/usr/local/share:/usr/share"
    xdg_folders = [Path(folder) for folder in (data_home, *data_folders.split(":")) if folder]
    return [home / ".terraform.d" / "plugins", *(folder / "terraform" / "plugins" for folder in xdg_folders)]


def _places(environment: Mapping[str, str], roots: Iterable[Path]) -> Iterator[Path]:
    if cache := environment.get("TF_PLUGIN_CACHE_DIR"):
        yield Path(cache)
    yield from implied_mirrors(environment)
    for root in roots:
        yield from sorted(root.glob("*"))


def _has_provider(place: Path) -> bool:
    return any(version >= OLDEST_VERSION for version in _versions(place / PROVIDER))


def _versions(folder: Path) -> Iterator[tuple[int, ...]]:
    """The released versions for this machine, in either layout of a mirror: unpacked folders and packed archives."""
    target = _target()
    for unpacked in folder.glob(f"*/{target}/terraform-provider-aws*"):
        yield from _version(unpacked.parent.parent.name)
    for packed in folder.glob(f"terraform-provider-aws_*_{target}.zip"):
        yield from _version(packed.name.split("_")[1])


def _version(text: str) -> Iterator[tuple[int, ...]]:
    if re.fullmatch(r"\d+\.\d+\.\d+", text):
        yield tuple(int(part) for part in text.split("."))


def _target() -> str:
    """This machine in Terraform's words, for example ``linux_amd64``."""
    machine = platform.machine().lower()
    architecture = {"x86_64": "amd64", "aarch64": "arm64", "i686": "386"}.get(machine, machine)
    return f"{platform.system().lower()}_{architecture}"


def main(command: Sequence[str]) -> int:
    """Runs ``command`` where the provider is found and returns its exit code; without one, says what was found."""
    if not command:
        print(f"The AWS provider is taken from {find_mirror() or 'the registry: no mirror was found'}.")
        return 0
    with tempfile.TemporaryDirectory(prefix="terraform-mirror-") as folder:
        return subprocess.run(command, env=terraform_environment(Path(folder)), check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
