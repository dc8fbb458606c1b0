"""``python -m tests.local_aws.laptop PACKAGE ...``: runs ``python -m PACKAGE ...`` by the clock of the local AWS.

Where the command sleeps, the local AWS goes on as fast as it can.
"""

from __future__ import annotations

import json
import os
import runpy
import sys
import urllib.request
from pathlib import Path

from tests.local_aws.dial import Dial


def sleep(seconds: float) -> None:
    body = json.dumps({"seconds": seconds}).encode()
    with urllib.request.urlopen(f"{os.environ['AWS_ENDPOINT_URL']}/_local/run", body) as answer:
        answer.read()


def main() -> None:
    Dial(Path(os.environ["LOCAL_AWS_DIAL"])).lead(sleep)
    del sys.argv[0]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
