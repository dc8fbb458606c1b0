"""The documents say what the module is. Their commands are run in tests/examples and tests/drift."""

from __future__ import annotations

import re
from collections import Counter
from functools import cache
from pathlib import Path

import botocore.session
import pytest
from botocore import xform_name
from botocore.model import ServiceModel

from park_volumes.core import prices
from tests.iam.forbidden import FORBIDDEN
from tests.support.figures import FIGURES, SEOUL
from tests.support.hcl import blocks as hcl_blocks
from tests.support.hcl import load, plain
from tests.support.permissions import DOCUMENTS as ROLES
from tests.support.permissions import Permissions
from tests.support.readme import (
    API,
    DOCS,
    DOCUMENTS,
    KOREAN,
    MONEY,
    README,
    REFERENCE,
    all_blocks,
    anchor,
    blocks,
    current,
    prose,
    sections,
    words,
)
from tests.support.terraform import ROOT

AWS_COMMAND = re.compile(r"\baws (\w+) (wait [\w-]+|[\w-]+)")
ONLY_IN_THE_CLI = {("logs", "tail")}
"""Commands that are no operation of the service, so that nothing here knows their options."""
CLI_OPTIONS = {"query", "output", "region"}
ONE_SCREEN = 60
"""Lines."""
LINK = re.compile(r"\]\(((?!http)[^)\s]+)\)")
MOST_WORDS, MOST_WORDS_OF_PROSE = 2_000, 1_500
"""Of the README, with its tables and without them."""
LONG = 800
"""Words from which a page needs a list of its contents."""


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_the_generated_tables_and_figures_are_current(document: Path) -> None:
    assert current(document) == document.read_text(encoding="utf-8"), "run make docs"


@pytest.mark.parametrize("pattern", FIGURES)
def test_every_figure_is_told_somewhere(pattern: str) -> None:
    assert any(re.search(pattern, document.read_text(encoding="utf-8")) for document in DOCUMENTS)


@pytest.mark.parametrize("document", [README, KOREAN], ids=name_of)
def test_a_stranger_finishes_the_readme(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    assert words(text) <= MOST_WORDS
    assert words(prose(text)) <= MOST_WORDS_OF_PROSE


@pytest.mark.parametrize("document", sorted(DOCS.glob("*.md")), ids=name_of)
def test_a_long_page_begins_with_a_list_of_its_contents(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    assert ("<!-- begin contents -->" in text) or words(text) < LONG
    listed = re.search(r"<!-- begin contents -->(.*?)<!-- end contents -->", text, flags=re.DOTALL)
    titles = [title for level, title, _ in sections(text) if level == 2]
    assert listed is None or re.findall(r"^- \[(.*)\]\(#", listed[1], flags=re.MULTILINE) == titles


def test_the_readme_leads_to_every_page() -> None:
    led_to = {link.partition("#")[0] for link in LINK.findall(README.read_text(encoding="utf-8"))}
    assert {name_of(page) for page in DOCS.glob("*.md")} <= led_to


@pytest.mark.parametrize("document", [README, KOREAN, ROOT / "CONTRIBUTING.md"], ids=name_of)
def test_every_make_target_that_is_named_exists(document: Path) -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    named = set(re.findall(r"(?:^|`)make ([a-z]+)", document.read_text(encoding="utf-8"), flags=re.MULTILINE))
    assert named
    assert named <= set(re.findall(r"^([a-z]+):", makefile, flags=re.MULTILINE))


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_every_link_leads_somewhere(document: Path) -> None:
    for link in LINK.findall(document.read_text(encoding="utf-8")):
        path, _, anchor = link.partition("#")
        target = document.parent / path if path else document
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


def anchors(document: Path) -> set[str]:
    """The headings of a document as GitHub makes anchors of them."""
    return {anchor(title) for _, title, _ in sections(document.read_text(encoding="utf-8"))}


def test_the_korean_readme_has_the_sections_of_the_english_one() -> None:
    english, korean = (sections(document.read_text(encoding="utf-8")) for document in (README, KOREAN))
    assert [level for level, _, _ in korean] == [level for level, _, _ in english]


def test_the_korean_readme_has_the_code_of_the_english_one() -> None:
    english, korean = (all_blocks(document.read_text(encoding="utf-8")) for document in (README, KOREAN))
    assert [code_of(*block) for block in korean] == [code_of(*block) for block in english]
    assert {language for language, _ in english} >= {"hcl", "sh"}


def code_of(language: str, block: str) -> tuple[str, str]:
    """A block without its comments, and without its words where it is text: both are translated."""
    without_words = (
        re.sub(r"\w+", "", block) if language == "text" else re.sub(r" *# .*$", "", block, flags=re.MULTILINE)
    )
    return language, re.sub(r" +", " ", without_words)


def test_every_section_of_the_korean_readme_names_what_the_english_one_names() -> None:
    """The same code, links, amounts and numbers of table rows."""
    english, korean = (sections(document.read_text(encoding="utf-8")) for document in (README, KOREAN))
    for (_, title, text), (_, translated, counterpart) in zip(english, korean, strict=True):
        assert named(counterpart) == named(text), f"{title} and {translated}"


def named(text: str) -> Counter[str]:
    text = re.sub(r"^```.*?^```$", "", text, flags=re.DOTALL | re.MULTILINE)
    text = re.sub(r"^<!--.*-->$", "", text, flags=re.MULTILINE)
    links = re.findall(r"\]\(([^)#]+)", text.replace("README.ko.md", "README.md"))  # each links to the other
    rows = re.findall(r"^\|", text, flags=re.MULTILINE)
    amounts = re.findall(r"\d+\.\d\d|\d+(?:,\d{3})+", text)
    found = [*re.findall(r"`[^`]+`", text), *links, *amounts]
    return Counter(found) + Counter({"table rows": len(rows)})


def test_every_error_of_the_api_is_told() -> None:
    document_of_the_api = ROOT / "lambda_src" / "park_volumes" / "handlers" / "openapi.json"
    errors = set(re.findall(r'"([45]\d\d)": \{', document_of_the_api.read_text(encoding="utf-8")))
    (told,) = [text for _, title, text in sections(API.read_text(encoding="utf-8")) if title == "Errors"]
    of_any_request = {"405", "429"}
    assert set(re.findall(r"\b[45]\d\d", told)) == errors | of_any_request


def test_every_code_of_an_error_is_told() -> None:
    source = (ROOT / "lambda_src" / "park_volumes" / "handlers" / "api.py").read_text(encoding="utf-8")
    codes = set(re.findall(r'Problem\(HTTPStatus\.\w+, "(\w+)"', source))
    (told,) = [text for _, title, text in sections(API.read_text(encoding="utf-8")) if title == "Errors"]
    assert codes <= set(re.findall(r"`(\w+)`", told))


def test_as_many_calls_are_denied_as_the_reference_says() -> None:
    assert "more than a hundred calls" in " ".join(REFERENCE.read_text(encoding="utf-8").split())
    assert 100 < len(FORBIDDEN) <= 150


def test_an_sc1_volume_costs_less_than_its_snapshot_from_where_the_page_about_money_says() -> None:
    (percent,) = re.findall(
        r"sc1\s+volume\s+of\s+which\s+more\s+than\s+(\d+)\s+percent", MONEY.read_text(encoding="utf-8")
    )
    here = prices.prices_of(SEOUL, {})
    assert int(percent) == round(100 * here["sc1"] / here["snapshot"])


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_every_command_of_aws_has_the_options_that_are_used(document: Path) -> None:
    """Those of README.md, docs/api.md and docs/by-hand.md are run as well; those of the examples are not."""
    text = document.read_text(encoding="utf-8")
    lines = [line for block in blocks(text, "sh") for line in block.replace("\\\n", " ").splitlines()]
    for line in [*lines, *re.findall(r"`(aws [^`\n]+)`", text)]:
        commands = set(AWS_COMMAND.findall(line))
        if commands and not commands & ONLY_IN_THE_CLI:
            known = CLI_OPTIONS.union(*(_options(service, operation) for service, operation in commands))
            assert set(re.findall(r" --([a-z-]+)", line)) <= known, line


@cache
def _session() -> botocore.session.Session:
    """One for all: it keeps the models of services that it has read."""
    return botocore.session.get_session()


@cache
def _service(name: str) -> ServiceModel:
    return _session().get_service_model(name)


@cache
def _options(service: str, operation: str) -> set[str]:
    """The options of a command, which are the parameters of its operation; a waiter polls one."""
    model = _service(service)
    if operation.startswith("wait "):
        waiters = _session().get_waiter_model(service)
        names = {
            xform_name(name).replace("_", "-"): waiters.get_waiter(name).operation for name in waiters.waiter_names
        }
        operation = xform_name(names[operation.removeprefix("wait ")]).replace("_", "-")
    names = {xform_name(name).replace("_", "-"): name for name in model.operation_names}
    shape = model.operation_model(names[operation]).input_shape
    return {xform_name(member).replace("_", "-") for member in shape.members} if shape else set()


@pytest.mark.parametrize("example", sorted(path.name for path in (ROOT / "examples").iterdir()))
def test_every_example_has_its_versions_its_outputs_and_a_page_that_says_what_it_costs(example: str) -> None:
    folder = ROOT / "examples" / example
    assert all((folder / file).exists() for file in ("main.tf", "outputs.tf", "versions.tf"))
    lines = (folder / "README.md").read_text(encoding="utf-8").splitlines()
    assert "## Cost" in lines
    assert len(lines) <= ONE_SCREEN


def test_the_complete_example_spells_out_every_input_and_every_output() -> None:
    example = ROOT / "examples" / "complete"
    module = dict(hcl_blocks(load(example / "main.tf"), "module"))["park_volumes"]
    inputs, outputs = (
        {name for name, _ in hcl_blocks(load(ROOT / file), kind)}
        for file, kind in (("variables.tf", "variable"), ("outputs.tf", "output"))
    )
    assert plain(module).keys() - {"source"} == inputs
    assert {name for name, _ in hcl_blocks(load(example / "outputs.tf"), "output")} >= outputs


@pytest.mark.parametrize("document", [README, KOREAN], ids=name_of)
def test_the_pictures_are_there_and_small(document: Path) -> None:
    """Those of the README, and of the page about the API, to which it leads."""
    shown = {picture for page in (document, API) for picture in pictures_of(page)}
    assert {picture.name for picture in pictures_of(document)} >= {"page-light.png", "page-dark.png"}
    assert {picture.name for picture in pictures_of(API)} >= {"page-phone.png"}
    assert sum(picture.stat().st_size for picture in shown) < 400_000


def pictures_of(document: Path) -> set[Path]:
    found = re.findall(r'(?:src|srcset)="([^"]+)"', document.read_text(encoding="utf-8"))
    return {document.parent / picture for picture in found}


@pytest.mark.parametrize("role", ROLES)
def test_the_permissions_of_a_role_are_told_with_the_why_of_each(role: str) -> None:
    told = list(Permissions().of(role))
    assert told
    assert [each.sid for each in told if not (each.actions and each.resources and each.why)] == []
