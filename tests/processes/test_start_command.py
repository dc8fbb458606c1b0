"""The printed command, in the shells that people have, at an address that checks the signature."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.local_aws import function_url
from tests.local_aws.credentials import Caller
from tests.support.hcl import blocks, load
from tests.support.terraform import ROOT

REGION = "eu-west-1"
TOKEN = 'a-token-of-32-characters-"or"\\more'
SESSION = "IQoJb3JpZ2luX2VjE//session+token=="
SECRET = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLE=KEY"
SHELLS = [shell for shell in ("bash", "dash", "zsh", "ksh") if shutil.which(shell)]
PROCESSES = Path("/proc")
MODULE = """
variable "function_url" {}
variable "with_tokens" {}
locals {
  region      = "eu-west-1"
  with_tokens = var.with_tokens == "true"
}
"""
AWS = f"""#!{sys.executable}
import sys
import botocore.session
if sys.argv[1:] != ["configure", "export-credentials", "--format", "env"]:
    sys.exit("These arguments are not expected: " + " ".join(sys.argv[1:]))
found = botocore.session.Session().get_credentials()
if found is None:
    print("Unable to retrieve credentials: no credentials found", file=sys.stderr)
    sys.exit(253)
print("export AWS_ACCESS_KEY_ID=" + found.access_key)
print("export AWS_SECRET_ACCESS_KEY=" + found.secret_key)
if found.token:
    print("export AWS_SESSION_TOKEN=" + found.token)
"""
"""What the AWS CLI does since 2.9. The one on PyPI is version 1, which has no such command."""


@dataclass
class Address:
    """A Function URL that answers whoever signed with a known key, and looks at all processes while it is asked."""

    url: str = ""
    status: int = 200
    signers: list[str] = field(default_factory=list)
    asked: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    processes: list[str] = field(default_factory=list)


@pytest.fixture
def address(monkeypatch: pytest.MonkeyPatch) -> Iterator[Address]:
    known = {
        "AKIALASTING": Caller(access_key="AKIALASTING", secret=SECRET, arn="arn:lasting", user_id="1"),
        "ASIASESSION": Caller(
            access_key="ASIASESSION", secret=SECRET, arn="arn:session", user_id="2", session_token=SESSION
        ),
    }
    monkeypatch.setattr(function_url, "caller_of", known.get)
    address = Address()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            request = function_url.Request(self, b"")
            address.asked.append((self.path, request.headers))
            address.processes += [_command_line(process) for process in PROCESSES.glob("[0-9]*")]
            signer = function_url.signer(request, REGION)
            address.signers.append(signer.arn if signer else "nobody")
            body = json.dumps({"state": "starting"}).encode()
            self.send_response(address.status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # its signature
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        address.url = f"http://127.0.0.1:{server.server_port}/"
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield address
        server.shutdown()


def _command_line(process: Path) -> str:
    try:
        return (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:  # it has ended
        return ""


@pytest.fixture(scope="module")
def module(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root module with the output of the module alone, for an address that is given. It needs no provider."""
    folder = tmp_path_factory.mktemp("output")
    assert "start_command" in dict(blocks(load(ROOT / "outputs.tf"), "output"))
    output = 'output "start_command"' + (ROOT / "outputs.tf").read_text("utf-8").split('output "start_command"')[1]
    output = output.split("\noutput ")[0].replace("aws_lambda_function_url.start.function_url", "var.function_url")
    (folder / "main.tf").write_text(MODULE + output, encoding="utf-8")
    return folder


def printed(module: Path, address: Address, *, with_tokens: bool = False) -> str:
    """What `terraform output -raw start_command` prints, for the instance db."""
    values = [f"-var=function_url={address.url}", f"-var=with_tokens={str(with_tokens).lower()}"]
    for arguments in (["apply", "-auto-approve", "-input=false", *values], ["output", "-raw", "start_command"]):
        done = subprocess.run(["terraform", *arguments], cwd=module, capture_output=True, text=True, check=True)
    return done.stdout.replace("INSTANCE", "db")


@dataclass(frozen=True, kw_only=True)
class Person:
    """Somebody with a shell, a home, and the AWS CLI."""

    home: Path
    shell: str

    def run(self, command: str, environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
        tools = self.home / "bin"
        tools.mkdir(exist_ok=True)
        (tools / "aws").write_text(AWS)
        (tools / "aws").chmod(0o755)
        return subprocess.run(
            [self.shell, "-eu", "-c", command],
            env={
                "PATH": f"{tools}:/usr/local/bin:/usr/bin:/bin",
                "HOME": str(self.home),
                "AWS_EC2_METADATA_DISABLED": "true",
                **environment,
            },
            capture_output=True,
            text=True,
            check=False,
        )

    def configure(self, key: str, session: str = "") -> None:
        """Write the profile mina."""
        (self.home / ".aws").mkdir()
        more = f"aws_session_token = {session}\n" if session else ""
        text = f"[profile mina]\naws_access_key_id = {key}\naws_secret_access_key = {SECRET}\n{more}"
        (self.home / ".aws" / "config").write_text(text)


@pytest.fixture(params=SHELLS)
def person(tmp_path: Path, request: pytest.FixtureRequest) -> Person:
    return Person(home=tmp_path, shell=request.param)


def shown(address: Address, word: str) -> list[str]:
    return [line for line in address.processes if word in line]


LASTING = {"AWS_ACCESS_KEY_ID": "AKIALASTING", "AWS_SECRET_ACCESS_KEY": SECRET}
OF_A_SESSION = {"AWS_ACCESS_KEY_ID": "ASIASESSION", "AWS_SECRET_ACCESS_KEY": SECRET, "AWS_SESSION_TOKEN": SESSION}


@pytest.mark.parametrize("session", [False, True], ids=["lasting", "of a session"])
@pytest.mark.parametrize("source", ["environment", "profile"])
def test_it_signs_with_the_credentials_of_the_environment_or_of_a_profile(
    module: Path, address: Address, person: Person, source: str, session: bool
) -> None:
    environment = OF_A_SESSION if session else LASTING
    if source == "profile":
        person.configure(environment["AWS_ACCESS_KEY_ID"], environment.get("AWS_SESSION_TOKEN", ""))
        environment = {"AWS_PROFILE": "mina"}
    done = person.run(printed(module, address), environment)

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == '{"state": "starting"}\n'
    assert address.signers == ["arn:session" if session else "arn:lasting"]
    assert address.asked[0][0] == "/instances/db/start"


@pytest.mark.skipif(not PROCESSES.exists(), reason="there is no /proc to look at")
def test_the_list_of_processes_shows_no_secret_while_it_runs(module: Path, address: Address, person: Person) -> None:
    person.configure("ASIASESSION", SESSION)
    for environment in (OF_A_SESSION, {"AWS_PROFILE": "mina"}):
        person.run(printed(module, address), environment)
    person.run(printed(module, address, with_tokens=True), {"PARK_VOLUMES_TOKEN": TOKEN})

    assert len([line for line in shown(address, "/instances/db/start") if line.startswith("curl ")]) == 3
    assert shown(address, SECRET) == shown(address, SESSION) == shown(address, TOKEN) == []


def test_it_sends_the_token_as_it_is(module: Path, address: Address, person: Person) -> None:
    done = person.run(printed(module, address, with_tokens=True), {"PARK_VOLUMES_TOKEN": TOKEN})

    assert (done.returncode, done.stdout, done.stderr) == (0, '{"state": "starting"}\n', "")
    assert address.asked[0][1]["authorization"] == f"Bearer {TOKEN}"


def test_the_credentials_of_a_profile_do_not_stay_in_the_shell(module: Path, address: Address, person: Person) -> None:
    person.configure("AKIALASTING")
    done = person.run(f'{printed(module, address)}\necho "<${{AWS_ACCESS_KEY_ID:-}}>"', {"AWS_PROFILE": "mina"})

    assert done.stdout.endswith("<>\n")
    assert address.signers == ["arn:lasting"]


def test_an_answer_that_says_no_is_shown_and_fails(module: Path, address: Address, person: Person) -> None:
    address.status = 409
    done = person.run(printed(module, address), LASTING)

    assert done.returncode == 22
    assert done.stdout == '{"state": "starting"}\n'


def test_without_credentials_it_says_so_and_signs_nothing(module: Path, address: Address, person: Person) -> None:
    address.status = 403
    done = person.run(printed(module, address), {})

    assert done.returncode == 22
    assert "no credentials found" in done.stderr
    assert address.signers == ["nobody"]
    assert "authorization" not in address.asked[0][1]
