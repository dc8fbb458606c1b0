"""Builds dist/park_volumes.zip from the sources beside this file: the same contents on any machine and with any Python.

Every entry has the same time and mode. The bytes are the same wherever the same zlib compresses them; what counts on
AWS is the zip that is checked in, and a test compares what is in it.
"""

from __future__ import annotations

import sys
import zipfile
from pathlib import Path

SOURCE = Path(__file__).parent
PACKAGE = "park_volumes"
SHIPPED = {".py", ".html", ".json"}
"""What belongs to the package: its modules, the page and the OpenAPI document."""
LEFT_OUT = {"cli", "__main__.py"}
"""What people run, and no function."""
EPOCH = (1980, 1, 1, 0, 0, 0)
"""The earliest time that a zip file can hold."""
UNIX = 3
READABLE = 0o100644 << 16


def build(target: Path) -> None:
    """Write the zip that both functions are deployed from."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(target, "w") as archive:
        for path in sorted(p for p in (SOURCE / PACKAGE).rglob("*") if p.suffix in SHIPPED):
            if LEFT_OUT & set(path.relative_to(SOURCE / PACKAGE).parts):
                continue
            entry = zipfile.ZipInfo(path.relative_to(SOURCE).as_posix(), date_time=EPOCH)
            entry.create_system, entry.external_attr = UNIX, READABLE
            archive.writestr(entry, path.read_bytes(), zipfile.ZIP_DEFLATED, 9)


if __name__ == "__main__":
    build(Path(sys.argv[1]))
