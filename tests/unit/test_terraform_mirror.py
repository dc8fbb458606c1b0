"""Where the AWS provider is looked for when the registry may be out of reach."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support import terraform_mirror
from tests.support.terraform_mirror import PROVIDER, find_mirror, implied_mirrors, terraform_environment

TARGET = terraform_mirror._target()


def unpacked_mirror(folder: Path, version: str = "5.100.0", target: str = TARGET) -> Path:
    """Makes ``folder`` a mirror in the layout that ``terraform init`` leaves in a plugin cache."""
    binary = folder / PROVIDER / version / target / f"terraform-provider-aws_v{version}_x5"
    binary.parent.mkdir(parents=True)
    binary.touch()
    return folder


def packed_mirror(folder: Path, version: str = "6.2.0", target: str = TARGET) -> Path:
    """Makes ``folder`` a mirror in the layout of ``terraform providers mirror``."""
    archive = folder / PROVIDER / f"terraform-provider-aws_{version}_{target}.zip"
    archive.parent.mkdir(parents=True)
    archive.touch()
    return folder


@pytest.fixture
def home(tmp_path: Path) -> dict[str, str]:
    """An environment in which nothing of this machine is seen."""
    return {
        "HOME": str(tmp_path / "home"),
        "XDG_DATA_DIRS": str(tmp_path / "data"),
        "APPDATA": str(tmp_path / "appdata"),
    }


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The temporary folder that takes the CLI configuration."""
    folder = tmp_path / "configuration"
    folder.mkdir()
    return folder


def test_an_existing_cli_configuration_is_left_alone(tmp_path: Path, home: dict[str, str], folder: Path) -> None:
    own = tmp_path / "own.tfrc"
    own.touch()
    unpacked_mirror(tmp_path / "root" / "plugins")
    environment = {**home, "TF_CLI_CONFIG_FILE": str(own)}

    assert terraform_environment(folder, environment, [tmp_path / "root"]) == environment
    assert list(folder.iterdir()) == []


def test_a_cli_configuration_that_does_not_exist_counts_as_none(
    tmp_path: Path, home: dict[str, str], folder: Path
) -> None:
    mirror = unpacked_mirror(tmp_path / "root" / "plugins")
    environment = {**home, "TF_CLI_CONFIG_FILE": str(tmp_path / "missing.tfrc")}

    result = terraform_environment(folder, environment, [tmp_path / "root"])

    assert result == {**home, "TF_CLI_CONFIG_FILE": str(folder / "terraform.tfrc")}
    assert str(mirror) in (folder / "terraform.tfrc").read_text()


def test_without_a_mirror_terraform_downloads(tmp_path: Path, home: dict[str, str], folder: Path) -> None:
    environment = {**home, "TF_CLI_CONFIG_FILE": str(tmp_path / "missing.tfrc")}

    assert terraform_environment(folder, environment, [tmp_path / "root"]) == home
    assert list(folder.iterdir()) == []


def test_the_aws_provider_comes_from_the_mirror_and_every_other_from_the_registry(
    tmp_path: Path, home: dict[str, str], folder: Path
) -> None:
    mirror = unpacked_mirror(tmp_path / "root" / "plug ins")

    terraform_environment(folder, home, [tmp_path / "root"])

    expected = f"""\
provider_installation {{
  filesystem_mirror {{
    path    = "{mirror}"
    include = ["registry.terraform.io/hashicorp/aws"]
  }}
  direct {{
    exclude = ["registry.terraform.io/hashicorp/aws"]
  }}
}}
"""
    assert (folder / "terraform.tfrc").read_text() == expected


def test_the_plugin_cache_comes_before_the_implied_mirrors_and_those_before_add_ons(
    tmp_path: Path, home: dict[str, str]
) -> None:
    add_on = unpacked_mirror(tmp_path / "root" / "plugins")
    assert find_mirror(home, [tmp_path / "root"]) == add_on

    implied = unpacked_mirror(implied_mirrors(home)[0])
    assert find_mirror(home, [tmp_path / "root"]) == implied

    cache = unpacked_mirror(tmp_path / "cache")
    assert find_mirror({**home, "TF_PLUGIN_CACHE_DIR": str(cache)}, [tmp_path / "root"]) == cache


def test_a_plugin_cache_that_serves_as_the_mirror_is_no_cache_any_more(
    tmp_path: Path, home: dict[str, str], folder: Path
) -> None:
    cache = unpacked_mirror(tmp_path / "cache")

    result = terraform_environment(folder, {**home, "TF_PLUGIN_CACHE_DIR": str(cache)}, [])

    assert "TF_PLUGIN_CACHE_DIR" not in result
    assert str(cache) in (folder / "terraform.tfrc").read_text()


def test_a_plugin_cache_without_the_provider_stays_a_cache(tmp_path: Path, home: dict[str, str], folder: Path) -> None:
    (tmp_path / "cache").mkdir()
    unpacked_mirror(tmp_path / "root" / "plugins")

    result = terraform_environment(
        folder, {**home, "TF_PLUGIN_CACHE_DIR": str(tmp_path / "cache")}, [tmp_path / "root"]
    )

    assert result["TF_PLUGIN_CACHE_DIR"] == str(tmp_path / "cache")
    assert result["TF_CLI_CONFIG_FILE"] == str(folder / "terraform.tfrc")


def test_a_packed_mirror_is_found_too(tmp_path: Path, home: dict[str, str]) -> None:
    mirror = packed_mirror(tmp_path / "root" / "plugins")

    assert find_mirror(home, [tmp_path / "root"]) == mirror


@pytest.mark.parametrize("make", [unpacked_mirror, packed_mirror])
@pytest.mark.parametrize(
    ("version", "target"),
    [("5.99.1", TARGET), ("6.0.0-beta1", TARGET), ("6.0.0", "plan9_mips")],
    ids=["too old", "beta", "other machine"],
)
def test_a_mirror_that_init_could_not_use_is_passed_over(
    tmp_path: Path, home: dict[str, str], make: Callable[[Path, str, str], Path], version: str, target: str
) -> None:
    make(tmp_path / "root" / "a", version, target)
    usable = unpacked_mirror(tmp_path / "root" / "b", "5.100.0")

    assert find_mirror(home, [tmp_path / "root"]) == usable


def test_a_mirror_of_other_providers_is_passed_over(tmp_path: Path, home: dict[str, str]) -> None:
    (tmp_path / "root" / "plugins" / "registry.terraform.io" / "hashicorp" / "random").mkdir(parents=True)

    assert find_mirror(home, [tmp_path / "root"]) is None


@pytest.mark.parametrize(
    ("system", "expected"),
    [
        ("Linux", ["/h/.terraform.d/plugins", "/x/terraform/plugins", "/a/terraform/plugins", "/b/terraform/plugins"]),
        (
            "Darwin",
            [
                "/h/.terraform.d/plugins",
                "/h/Library/Application Support/io.terraform/plugins",
                "/Library/Application Support/io.terraform/plugins",
            ],
        ),
        ("Windows", ["/d/terraform.d/plugins", "/d/HashiCorp/Terraform/plugins"]),
    ],
)
def test_the_implied_mirrors_are_those_of_terraforms_documentation(system: str, expected: list[str]) -> None:
    environment = {"HOME": "/h", "XDG_DATA_HOME": "/x", "XDG_DATA_DIRS": "/a:/b", "APPDATA": "/d"}

    assert implied_mirrors(environment, system) == [Path(path) for path in expected]


def test_without_xdg_variables_the_usual_data_folders_count() -> None:
    assert implied_mirrors({"HOME": "/h"}, "Linux") == [
        Path("/h/.terraform.d/plugins"),
        Path("/h/.local/share/terraform/plugins"),
        Path("/usr/local/share/terraform/plugins"),
        Path("/usr/share/terraform/plugins"),
    ]


def test_run_without_a_command_it_says_where_the_provider_comes_from(
    tmp_path: Path, home: dict[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in {**home, "TF_PLUGIN_CACHE_DIR": str(unpacked_mirror(tmp_path / "cache"))}.items():
        monkeypatch.setenv(name, value)

    assert terraform_mirror.main([]) == 0
    assert capsys.readouterr().out == f"The AWS provider is taken from {tmp_path / 'cache'}.\n"
