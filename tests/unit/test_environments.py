"""When an environment is made, and when it is left as it is. tests/processes makes one."""

from __future__ import annotations

import io
import os
from pathlib import Path

import pytest

from tests.support import environments
from tests.support.environments import Environment, Progress, SetUpError, fingerprint, is_current, set_up

PINS = "# why\nmoto==5.2.5 \\\n    --hash=sha256:aa\n    # via demo.in\nrich==15.0.0 \\\n    --hash=sha256:bb\n"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    (tmp_path / "requirements").mkdir()
    for name in ("demo", "lambda"):
        (tmp_path / "requirements" / f"{name}.txt").write_text(PINS)
    return tmp_path


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of what was made, without making it."""
    names: list[str] = []

    def make(wanted: Environment, progress: Progress) -> None:
        progress.one_more(wanted.name)
        names.append(wanted.name)
        wanted.python.parent.mkdir(parents=True, exist_ok=True)
        wanted.python.touch()
        wanted.ready.write_text(fingerprint(wanted.requirements.read_text()))

    monkeypatch.setattr(environments, "make", make)
    return names


def test_what_is_missing_is_made_once(checkout: Path, made: list[str]) -> None:
    for _ in range(2):
        set_up(["demo", "lambda"], checkout, io.StringIO())
    assert sorted(made) == ["demo", "lambda"]


def test_a_new_time_or_another_comment_makes_nothing_anew(checkout: Path, made: list[str]) -> None:
    set_up(["demo"], checkout, io.StringIO())
    pins = checkout / "requirements" / "demo.txt"
    pins.write_text(PINS.replace("# why", "# another reason\n").replace("via", "by way of"))
    os.utime(pins, (4_000_000_000, 4_000_000_000))
    said = io.StringIO()
    set_up(["demo"], checkout, said)
    assert (made, said.getvalue()) == (["demo"], "")


@pytest.mark.parametrize(
    ("old", "new"), [("5.2.5", "5.2.6"), ("sha256:aa", "sha256:ac"), ("rich==15.0.0 \\\n    --hash=sha256:bb\n", "")]
)
def test_other_pins_make_it_anew_and_no_other(checkout: Path, made: list[str], old: str, new: str) -> None:
    set_up(["demo", "lambda"], checkout, io.StringIO())
    (checkout / "requirements" / "demo.txt").write_text(PINS.replace(old, new))
    set_up(["demo", "lambda"], checkout, io.StringIO())
    assert sorted(made) == ["demo", "demo", "lambda"]


def test_one_whose_python_has_gone_is_made_anew(checkout: Path, made: list[str]) -> None:
    set_up(["demo"], checkout, io.StringIO())
    environments.environment("demo", checkout).python.unlink()
    set_up(["demo"], checkout, io.StringIO())
    assert made == ["demo", "demo"]


@pytest.mark.usefixtures("made")
def test_a_link_to_another_checkout_is_used_as_long_as_it_has_the_same_pins(checkout: Path, tmp_path: Path) -> None:
    set_up(["demo"], checkout, io.StringIO())
    (checkout / ".venv-demo").rename(tmp_path / "of another")
    (checkout / ".venv-demo").symlink_to(tmp_path / "of another")
    assert is_current(environments.environment("demo", checkout))


def test_a_link_is_never_emptied(checkout: Path, tmp_path: Path) -> None:
    other = tmp_path / "of another"
    other.mkdir()
    (other / "ready").write_text(fingerprint("moto==1.0 --hash=sha256:cc"))
    (checkout / ".venv-demo").symlink_to(other)
    with pytest.raises(SetUpError, match=r"\.venv-demo belongs to another checkout"):
        set_up(["demo"], checkout, io.StringIO())
    assert (other / "ready").exists()


@pytest.mark.usefixtures("made")
def test_progress_is_told_at_once_and_as_it_goes(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environments, "EVERY_SECONDS", 0)
    said = io.StringIO()
    set_up(["demo"], checkout, said)
    lines = said.getvalue().splitlines()
    assert lines[:2] == ["Setting up .venv-demo: 2 packages", "  .venv-demo: 1 of 2 packages"]
    assert lines[-1] == "  Done in 0 s"
    assert "\r" not in said.getvalue()


def test_on_a_terminal_one_line_moves() -> None:
    out = Terminal()
    progress = Progress({"demo": 2}, out)
    for _ in range(3):
        progress.one_more("demo")
    assert out.getvalue().count("\r  .venv-demo: ") == 3
    assert out.getvalue().endswith("2 of 2 packages")
    assert "\n" not in out.getvalue()


@pytest.mark.parametrize(
    ("version", "there", "said"),
    [((3, 10), True, "Python 3.11 or newer"), ((3, 12), False, "terraform 1.9 or newer is needed")],
)
def test_what_is_missing_on_the_machine_is_said(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    version: tuple[int, int],
    there: bool,
    said: str,
) -> None:
    monkeypatch.setattr("sys.version_info", version)
    monkeypatch.setattr("shutil.which", lambda _: "/terraform" if there else None)
    assert environments.main(["demo"]) == 1
    assert said in capsys.readouterr().err


def test_an_environment_that_can_not_be_made_is_an_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(names: list[str]) -> None:
        raise SetUpError(f"{names} could not be made")

    monkeypatch.setattr("shutil.which", lambda _: "/terraform")
    monkeypatch.setattr(environments, "set_up", fail)
    assert environments.main(["demo"]) == 1
    assert "['demo'] could not be made" in capsys.readouterr().err
