"""``python -m tests.local_aws``: runs the local AWS until it is told to stop, prints one JSON line when it is ready."""

import argparse
import importlib
import json
import logging
import os
import shutil
import signal
import sys
import tempfile
import threading
from dataclasses import fields
from pathlib import Path
from types import FrameType
from typing import Any

from tests.local_aws.dial import Dial
from tests.local_aws.settings import QUICK, Settings


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.local_aws", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="port on 127.0.0.1; 0 takes a free one")
    parser.add_argument("--region", default="us-east-1", help="region that the control API looks at")
    parser.add_argument("--ready-file", type=Path, help="file that gets the JSON line, too, when the server is ready")
    parser.add_argument("--lambda-python", default=sys.executable, help="interpreter that runs the functions")
    parser.add_argument("--quick", action="store_true", help="short durations, for tests")
    parser.add_argument("--exit-with-stdin", action="store_true", help="stop when standard input is closed")
    for field in fields(Settings):
        parser.add_argument(f"--{field.name.replace('_', '-')}", type=float, help=f"default {field.default}")
    return parser.parse_args()


def stop_with_stdin() -> None:
    """Ends the process when the one that started it is gone, however it went."""
    sys.stdin.buffer.read()
    os.kill(os.getpid(), signal.SIGTERM)


def built(**arguments: Any) -> Any:
    """The local AWS, whose modules are imported only now, so that all of them live by its clock."""
    return importlib.import_module("tests.local_aws.server").build(**arguments)


def main() -> None:
    given = options()
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="%(name)s: %(message)s")
    names = [field.name for field in fields(Settings)]
    changes = {name: getattr(given, name) for name in names if getattr(given, name) is not None}
    settings = (QUICK if given.quick else Settings()).changed(changes)
    dial = Dial.make(Path(tempfile.mkdtemp(prefix="local-aws-")) / "dial")
    dial.lead()
    served = built(
        port=given.port, region=given.region, settings=settings, lambda_python=given.lambda_python, dial=dial
    )

    def stop(_number: int, _frame: FrameType | None) -> None:
        threading.Thread(target=served.server.shutdown).start()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    if given.exit_with_stdin:
        threading.Thread(target=stop_with_stdin, daemon=True).start()
    ready = json.dumps({"endpoint_url": served.endpoint_url, "pid": os.getpid(), "dial": str(dial.path)})
    if given.ready_file:
        given.ready_file.write_text(ready + "\n", encoding="utf-8")
    print(ready, flush=True)
    try:
        served.server.serve_forever()
    finally:
        served.stop()
        shutil.rmtree(dial.path.parent, ignore_errors=True)
    os._exit(0)  # threads of invocations that still run must not keep the process


if __name__ == "__main__":
    main()
