"""The attributes that a volume must come back with: each is listed here once, for the volume and for its record."""

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields, replace
from typing import Any, Self

from park_volumes.core.reading import read_from, whole, word

LARGEST = {"gp2": 16_384, "io1": 16_384, "st1": 16_384, "sc1": 16_384, "standard": 1_024}
"""The largest size in GiB of the types of which gp3 has larger volumes (EC2 API Reference, CreateVolume)."""
READ = "read"
"""Marks a field as a word of the tag ``park-volumes:volume``, with what turns its text back into the value."""


@dataclass(frozen=True, kw_only=True)
class VolumeSpec:
    """What CreateVolume needs to create the same volume again (EC2 API Reference, CreateVolume).

    To add an attribute, add a line here, with a default for older records, and a line in
    ``aws/volume_parameters.py``. Its text must not contain a space.

    ``size`` is in GiB, ``throughput`` in MiB/s. ``encrypted`` and ``kms_key`` are not words of the tag: the snapshot
    itself says whether it is encrypted, and the key has its own tag because its ARN is long."""

    zone: str = field(metadata={READ: word})
    type: str = field(metadata={READ: word})
    size: int = field(metadata={READ: whole(1, 65_536)})
    iops: int | None = field(default=None, metadata={READ: whole(0, 10_000_000)})
    throughput: int | None = field(default=None, metadata={READ: whole(0, 1_000_000)})
    encrypted: bool = False
    kms_key: str = ""

    def words(self) -> dict[str, str]:
        """The attributes as words of the tag; an attribute that EC2 does not report is left out."""
        values = {f.name: getattr(self, f.name) for f in fields(self) if READ in f.metadata}
        return {name: str(value) for name, value in values.items() if value is not None}

    def enlarged(self) -> Self:
        """The same volume, 1 GiB larger: as gp3 where its own type has none so large."""
        size = self.size + 1
        if size > LARGEST.get(self.type, size):
            return replace(self, size=size, type="gp3", iops=None, throughput=None)
        return replace(self, size=size)

    @classmethod
    def of_words(cls, words: Mapping[str, str], **others: Any) -> Self:
        """The spec from these words, and from ``others`` that are not words. Raises ValueError."""
        told = (f for f in fields(cls) if READ in f.metadata)
        given = [f for f in told if f.default is MISSING or f.name in words]
        return cls(**{f.name: read_from(words, f.name, f.metadata[READ]) for f in given}, **others)
