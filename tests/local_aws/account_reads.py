"""What is read of an account rather than of its instances, and moto lacks: the quotas of EBS, and whether a layer
version exists."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qs, urlparse

from moto.awslambda.exceptions import LambdaClientError, UnknownLayerException
from moto.awslambda.responses import LambdaResponse
from moto.servicequotas.responses import ServiceQuotasResponse

from tests.local_aws.world import ACCOUNT

POWERTOOLS = "017000801446"
"""The account whose layers everybody may see."""
EBS = {
    "L-309BACF6": ("Snapshots per Region", 100_000.0),
    "L-D18FCD1D": ("Storage for General Purpose SSD (gp2) volumes, in TiB", 50.0),
    "L-7A658B76": ("Storage for General Purpose SSD (gp3) volumes, in TiB", 50.0),
    "L-FD252861": ("Storage for Provisioned IOPS SSD (io1) volumes, in TiB", 50.0),
    "L-09BD8365": ("Storage for Provisioned IOPS SSD (io2) volumes, in TiB", 20.0),
    "L-17AF77E8": ("Storage for Cold HDD (sc1) volumes, in TiB", 50.0),
    "L-82ACEF56": ("Storage for Throughput Optimized HDD (st1) volumes, in TiB", 50.0),
    "L-9CF3C2EB": ("Storage for Magnetic (standard) volumes, in TiB", 50.0),
}
"""Codes, names and default values: https://docs.aws.amazon.com/general/latest/gr/ebs-service.html"""


class Denied(LambdaClientError):
    """Lambda denies the layer of another account, whether it exists or not."""

    code = 403

    def __init__(self, arn: str) -> None:
        super().__init__("AccessDeniedException", f"You are not authorized to perform: lambda:GetLayerVersion on {arn}")


def get_layer_version_by_arn(response: LambdaResponse) -> str:
    (arn,) = parse_qs(urlparse(response.uri).query)["Arn"]
    account = arn.split(":")[4]
    if account == POWERTOOLS:
        return json.dumps({"LayerVersionArn": arn, "Version": int(arn.rsplit(":", 1)[1])})
    if account != ACCOUNT:
        raise Denied(arn)
    if (version := response.backend._layers.get_layer_version_by_arn(arn)) is None:
        raise UnknownLayerException
    return json.dumps(version.get_layer_version())


def list_service_quotas(response: ServiceQuotasResponse) -> str:
    if json.loads(response.body)["ServiceCode"] != "ebs":
        raise NotImplementedError("The local AWS knows the quotas of EBS only.")
    quotas: list[dict[str, Any]] = [
        {"ServiceCode": "ebs", "QuotaCode": code, "QuotaName": name, "Value": value}
        for code, (name, value) in EBS.items()
    ]
    return json.dumps({"Quotas": quotas})


def install() -> None:
    LambdaResponse.get_layer_version_by_arn = get_layer_version_by_arn  # type: ignore[attr-defined]
    ServiceQuotasResponse.list_service_quotas = list_service_quotas  # type: ignore[attr-defined]
