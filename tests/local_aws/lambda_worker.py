"""Runs inside the worker process: one execution environment of one Lambda function.

Started by ``lambdas.py`` as a script in an isolated interpreter; it imports nothing but the standard library. What it
reads and writes are JSON lines on two pipes. Behaviour follows the runtime interface client that AWS publishes:
https://github.com/aws/aws-lambda-python-runtime-interface-client
"""

import importlib
import importlib.machinery
import importlib.metadata
import importlib.util
import io
import json
import os
import re
import sys
import sysconfig
import time
import traceback
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, TextIO

PROVIDED = ("boto3", "aws-lambda-powertools")


class OnlyWhatLambdaHas:
    """Hides every installed package that is neither boto3, nor Powertools, nor needed by them."""

    def __init__(self) -> None:
        self._site = tuple({sysconfig.get_path("purelib"), sysconfig.get_path("platlib")})
        self._allowed: set[str] = set()
        names, seen = list(PROVIDED), set[str]()
        while names:
            name = names.pop()
            if name in seen:
                continue
            seen.add(name)
            try:
                distribution = importlib.metadata.distribution(name)
            except importlib.metadata.PackageNotFoundError:
                continue
            self._allowed |= {str(file).split("/")[0].removesuffix(".py") for file in distribution.files or ()}
            needed = [r for r in distribution.requires or () if "extra ==" not in r]
            names += [found[0] for r in needed if (found := re.match(r"[A-Za-z0-9._-]+", r))]

    def find_spec(self, name: str, _path: Sequence[str] | None = None, _target: ModuleType | None = None) -> None:
        if "." in name or name in self._allowed or name in sys.stdlib_module_names:
            return
        spec = importlib.machinery.PathFinder.find_spec(name)
        places = [spec.origin or "", *(spec.submodule_search_locations or ())] if spec else []
        if any(place.startswith(self._site) for place in places):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


class Output(io.TextIOBase):
    """Standard output and error of the handler: whole lines go to the parent in order with the answers."""

    def __init__(self, pipe: TextIO) -> None:
        self._pipe = pipe
        self._rest = ""

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        *lines, self._rest = (self._rest + text).split("\n")
        for line in lines:
            send(self._pipe, {"log": line})
        return len(text)

    def finish(self) -> None:
        if self._rest:
            self.write("\n")


class Context:
    """https://docs.aws.amazon.com/lambda/latest/dg/python-context.html"""

    identity = None
    client_context = None

    def __init__(self, request: dict[str, Any]) -> None:
        self.aws_request_id: str = request["request_id"]
        self.invoked_function_arn: str = request["arn"]
        self.function_name = os.environ["AWS_LAMBDA_FUNCTION_NAME"]
        self.function_version = os.environ["AWS_LAMBDA_FUNCTION_VERSION"]
        self.memory_limit_in_mb = os.environ["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"]
        self.log_group_name = os.environ["AWS_LAMBDA_LOG_GROUP_NAME"]
        self.log_stream_name = os.environ["AWS_LAMBDA_LOG_STREAM_NAME"]
        self._deadline: float = request["deadline"]

    def get_remaining_time_in_millis(self) -> int:
        return max(0, int(1000 * (self._deadline - time.time())))

    def log(self, message: object) -> None:
        sys.stdout.write(str(message))


class Executions:
    """The executions in this environment, one after the other, by the clock of the local AWS."""

    def __init__(self) -> None:
        self._request_id = ""
        self._url = f"{os.environ['AWS_ENDPOINT_URL']}/_local/sleep"

    def begin(self, request_id: str) -> None:
        self._request_id = request_id

    def sleep(self, seconds: float) -> None:
        """Takes as long as the local AWS says. Outside of an execution there is nothing to wait for."""
        body = json.dumps({"request_id": self._request_id, "seconds": seconds}).encode()
        with urllib.request.urlopen(self._url, body) as answer:
            answer.read()


def dial_module() -> Any:
    """``dial.py`` beside this script, which sees no packages."""
    spec = importlib.util.spec_from_file_location("dial", Path(__file__).with_name("dial.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def send(pipe: TextIO, frame: dict[str, Any]) -> None:
    pipe.write(json.dumps(frame) + "\n")
    pipe.flush()


def error_of(error: BaseException, request_id: str) -> dict[str, Any]:
    """The payload that Lambda answers for an exception."""
    frames = traceback.format_list(traceback.extract_tb(error.__traceback__)[1:])
    return {
        "errorMessage": str(error),
        "errorType": type(error).__name__,
        "requestId": request_id,
        "stackTrace": frames,
    }


def load(handler: str) -> Any:
    """The handler function, or the error payload that Lambda gives when it cannot be imported."""
    module_name, _, function_name = handler.rpartition(".")
    try:
        module = importlib.import_module(module_name.replace("/", "."))
        return getattr(module, function_name)
    except ImportError as error:
        return {
            "errorMessage": f"Unable to import module '{module_name}': {error}",
            "errorType": "Runtime.ImportModuleError",
            "requestId": "",
            "stackTrace": traceback.format_list(traceback.extract_tb(error.__traceback__)),
        }
    except AttributeError as error:
        return {**error_of(error, ""), "errorType": "Runtime.HandlerNotFound"}
    except Exception as error:
        return error_of(error, "")


def answer(handler: Any, request: dict[str, Any]) -> dict[str, Any]:
    """Calls the handler once."""
    try:
        result = handler(json.loads(request["event"]), Context(request))
    except Exception as error:
        traceback.print_exc()
        return {"error": error_of(error, request["request_id"])}
    try:
        return {"result": json.dumps(result)}
    except (TypeError, ValueError) as error:
        message = f"Unable to marshal response: {error}"
        return {
            "error": {"errorMessage": message, "errorType": "Runtime.MarshalError", "requestId": "", "stackTrace": []}
        }


def main() -> None:
    requests, answers = os.fdopen(int(sys.argv[1])), os.fdopen(int(sys.argv[2]), "w")
    output = Output(answers)
    executions = Executions()
    dial_module().Dial(Path(os.environ.pop("LOCAL_AWS_DIAL"))).lead(executions.sleep)
    sys.stdout = sys.stderr = output
    sys.path.insert(0, os.environ["LAMBDA_TASK_ROOT"])
    sys.meta_path.insert(0, OnlyWhatLambdaHas())
    handler = load(os.environ["_HANDLER"])
    broken = isinstance(handler, dict)
    send(answers, {"ready": not broken})
    for line in requests:
        request = json.loads(line)
        executions.begin(request["request_id"])
        frame = {"error": handler} if broken else answer(handler, request)
        output.finish()
        send(answers, frame)
        if broken:
            return


if __name__ == "__main__":
    main()
