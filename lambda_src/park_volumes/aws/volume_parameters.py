"""The names of a volume's attributes in the EC2 API, in DescribeVolumes and CreateVolume."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from park_volumes.core.volume_spec import VolumeSpec


@dataclass(frozen=True, kw_only=True)
class Parameter:
    """One attribute of ``VolumeSpec``: its name in the API, which both calls share.
    CreateVolume takes it only for the volume ``types``, if any are given; DescribeVolumes also reports it for
    others."""

    attribute: str
    name: str
    types: frozenset[str] | None = None

    def is_taken(self, spec: VolumeSpec) -> bool:
        value = getattr(spec, self.attribute)
        return value not in (None, "", False) and (self.types is None or spec.type in self.types)


PARAMETERS: tuple[Parameter, ...] = (
    Parameter(attribute="zone", name="AvailabilityZone"),
    Parameter(attribute="type", name="VolumeType"),
    Parameter(attribute="size", name="Size"),
    Parameter(attribute="iops", name="Iops", types=frozenset({"io1", "io2", "gp3"})),
    Parameter(attribute="throughput", name="Throughput", types=frozenset({"gp3"})),
    Parameter(attribute="encrypted", name="Encrypted"),
    Parameter(attribute="kms_key", name="KmsKeyId"),
)


def spec_of(described: Mapping[str, Any]) -> VolumeSpec:
    """The attributes of a volume as DescribeVolumes reports them."""
    return VolumeSpec(**{p.attribute: described[p.name] for p in PARAMETERS if p.name in described})


def parameters_of(spec: VolumeSpec) -> dict[str, Any]:
    """The parameters of CreateVolume for such a volume."""
    return {p.name: getattr(spec, p.attribute) for p in PARAMETERS if p.is_taken(spec)}
