"""What the module and its examples use is there in the newest provider, as the bindings generated from it say."""

from __future__ import annotations

import os
import tarfile
from pathlib import Path

import pytest

from tests.support import bindings
from tests.support.used import Used, used

SOURCE = """\
function bucketRuleToTerraform(struct) {
    if (!cdktn.canInspect(struct) || cdktn.Tokenization.isResolvable(struct)) {
        return struct;
    }
    return {
        prefix: cdktn.stringToTerraform(struct.prefix),
    };
}
class Bucket extends cdktn.TerraformResource {
    static tfResourceType = "aws_bucket";
    constructor(scope, id, config) {
        super(scope, id, {
            terraformGeneratorMetadata: {
                providerVersion: '6.66.0',
            },
        });
    }
    get arn() {
        return this.getStringAttribute('arn');
    }
    synthesizeAttributes() {
        return {
            name: cdktn.stringToTerraform(this._name),
            rule: cdktn.listMapper(bucketRuleToTerraform, true)(this._rule.internalValue),
        };
    }
}
"""


@pytest.fixture(scope="module")
def newest() -> dict[str, bindings.Schema]:
    found = bindings.find({one.kind for one in used()})
    if found is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(bindings.NONE)
    return found


def test_the_newest_provider_has_all_that_is_used(newest: dict[str, bindings.Schema]) -> None:
    lacking = {one.kind: newest[one.kind].lacks(one) for one in used()}
    assert {kind: names for kind, names in lacking.items() if names} == {}


def test_they_are_of_a_provider_of_the_next_major_version(newest: dict[str, bindings.Schema]) -> None:
    (version,) = {schema.provider_version for schema in newest.values()}
    assert int(version.split(".")[0]) >= 6


def test_all_that_is_used_is_found_in_the_files() -> None:
    found = {one.kind: one for one in used()}
    assert len(found) > 25
    assert {"aws", "data.aws_partition", "aws_lambda_function"} <= found.keys()
    assert {"tags", "environment", "environment.variables"} <= found["aws_lambda_function"].arguments
    assert "target.retry_policy.maximum_retry_attempts" in found["aws_scheduler_schedule"].arguments
    assert "condition.variable" in str(found["data.aws_iam_policy_document"].arguments)
    assert found["aws_lambda_function"].attributes == {"arn", "function_name"}
    assert not {"count", "lifecycle", "depends_on"} & found["aws_iam_role"].arguments


def test_what_a_schema_does_not_have_is_named() -> None:
    schema = bindings.read(SOURCE)
    assert schema.provider_version == "6.66.0"
    wanted = Used(
        "aws_bucket", frozenset({"name", "rule", "rule.prefix", "rule.days", "acl"}), frozenset({"arn", "url"})
    )
    assert schema.lacks(wanted) == ["acl", "rule.days", "url"]


class TestGettingThem:
    @pytest.fixture
    def path(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        """A machine without the bindings, and with an empty PATH."""
        monkeypatch.setattr(bindings, "FOLDER", tmp_path / "bindings")
        monkeypatch.setenv("PATH", str(tmp_path))
        return tmp_path

    def npm(self, folder: Path, script: str) -> None:
        (folder / "npm").write_text(f"#!/bin/sh\n{script}\n")
        (folder / "npm").chmod(0o755)

    @pytest.mark.usefixtures("path")
    def test_without_npm_the_sentence_says_so(self) -> None:
        assert "npm is missing" in bindings.install()
        assert bindings.find({"aws_sqs_queue"}) is None

    def test_without_the_registry_the_sentence_has_the_words_of_npm(self, path: Path) -> None:
        self.npm(path, "echo unreachable >&2; exit 1")
        assert bindings.install() == "The bindings of the newest provider cannot be had: unreachable"

    def test_another_package_than_the_pinned_one_is_not_unpacked(self, path: Path) -> None:
        self.npm(path, "echo other > other.tgz")
        assert "are not those that are expected" in bindings.install()
        assert not bindings.FOLDER.exists()

    def test_of_the_package_only_what_is_needed_is_kept_and_that_once(
        self, path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        lib = path / "package" / "lib"
        for name in ("bucket", "of-no-use"):
            (lib / name).mkdir(parents=True)
            (lib / name / "index.js").write_text(SOURCE)
        with tarfile.open(path / "made.tgz", "w:gz") as archive:
            archive.add(path / "package", "package")
        monkeypatch.setattr(bindings, "INTEGRITY", bindings._integrity(path / "made.tgz"))
        monkeypatch.setattr(bindings, "used", lambda: [Used("aws_bucket", frozenset(), frozenset())])
        self.npm(path, f"echo >> {path}/asked; /bin/cp {path}/made.tgz .")

        assert (bindings.install(), bindings.install()) == ("", "")
        assert sorted(file.name for file in bindings.FOLDER.iterdir()) == ["bucket.js", "ready"]
        assert (path / "asked").read_text() == "\n"
        found = bindings.find({"aws_bucket"})
        assert found
        assert found["aws_bucket"].arguments == {"name", "rule", "rule.prefix"}
