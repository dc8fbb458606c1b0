"""``python -m park_volumes``, or ``park-volumes`` once it is installed: see docs/cli.md."""

import sys


def run() -> int:
    try:
        from park_volumes.cli.command import main  # noqa: PLC0415  # imported here, so its absence gets a clear message
    except ModuleNotFoundError as missing:
        print(f"The package {missing.name} is missing: python -m pip install boto3", file=sys.stderr)
        return 2
    return main(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(run())
