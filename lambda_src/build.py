"""Builds dist/park_volumes.zip from the sources beside this file: the same bytes on any machine and with any Python.

Nothing is compressed, because zlib's output differs between its versions, and every entry has the same time and mode.
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
    with zipfile.ZipFile(target, "w", compression=zipfile.ZIP_STORED) as archive:
        for path in sorted(p for p in (SOURCE / PACKAGE).rglob("*") if p.suffix in SHIPPED):
            if LEFT_OUT & set(path.relative_to(SOURCE / PACKAGE).parts):
                continue
            entry = zipfile.ZipInfo(path.relative_to(SOURCE).as_posix(), date_time=EPOCH)
            entry.create_system, entry.external_attr = UNIX, READABLE
            archive.writestr(entry, path.read_bytes())


if __name__ == "__main__":
    build(Path(sys.argv[1]))
