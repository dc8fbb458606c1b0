"""The reads of the doctor, with the caller's credentials. Nothing is changed.

Each read stands alone: one that is denied, or that a region does not know, costs no other its turn."""

import difflib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    CredentialRetrievalError,
    NoCredentialsError,
    ParamValidationError,
    PartialCredentialsError,
    SSOError,
    TokenRetrievalError,
)
from botocore.parsers import ResponseParserError

from park_volumes.aws import Ec2
from park_volumes.aws.described import Described
from park_volumes.aws.errors import Ec2Error
from park_volumes.cli.examined import (
    MANAGED_KEY,
    SNAPSHOTS,
    Encryption,
    Examined,
    Fact,
    Key,
    Layer,
    Place,
    Rule,
    Selector,
    Trail,
    Unread,
)
from park_volumes.core.facts import BinnedVolume, Observation
from park_volumes.core.phase import TERMINATED
from park_volumes.core.settings import Settings
from park_volumes.core.tags import opted_in
from park_volumes.run.observe import observe_instances

T = TypeVar("T")
QUOTAS: Mapping[str, str] = {
    SNAPSHOTS: "L-309BACF6",
    "gp2": "L-D18FCD1D",
    "gp3": "L-7A658B76",
    "io1": "L-FD252861",
    "io2": "L-09BD8365",
    "sc1": "L-17AF77E8",
    "st1": "L-82ACEF56",
    "standard": "L-9CF3C2EB",
}
"""The codes of the quotas in Service Quotas: AWS General Reference, "Amazon EBS endpoints and quotas"."""
NO_LAYER = "ResourceNotFoundException"
TOO_OLD = "This version of boto3 does not know the call: update it before you run this again."
OF_VOLUMES = "EBS_VOLUME"
BINS = (OF_VOLUMES, "EBS_SNAPSHOT")
"""What the Recycle Bin keeps of what is ours."""
BASIC = {"ReadOnly": ("true",), "WriteOnly": ("false",)}
"""What a basic event selector of CloudTrail says of ``readOnly``."""
NO_CREDENTIALS = (
    CredentialRetrievalError,
    NoCredentialsError,
    PartialCredentialsError,
    SSOError,
    TokenRetrievalError,
)
OPERATORS = ("Equals", "StartsWith", "EndsWith", "NotEquals", "NotStartsWith", "NotEndsWith")


class Unusable(Exception):
    """Nothing can be read with this region and these credentials; the message says why."""


def locate(client: Callable[[str], Any], region: str, regions: Sequence[str]) -> Place:
    """Where the credentials lead. ``regions``: those that the SDK knows. Raises Unusable."""
    try:
        caller = client("sts").get_caller_identity()
    except NO_CREDENTIALS as error:
        raise Unusable(f"No AWS credentials: {error}. `aws configure` or `aws sso login` provides some.") from error
    except ClientError as error:
        code, words = error.response["Error"]["Code"], error.response["Error"]["Message"].rstrip(".")
        raise Unusable(
            f"AWS does not accept these credentials in {region} ({code}): {words}. Renew them, for example with "
            "`aws sso login`. If they work elsewhere, the account may not have enabled that region."
        ) from error
    except BotoCoreError as error:
        if region in regions:
            raise
        near = " or ".join(difflib.get_close_matches(region, regions, n=2))
        hint = f"Did you mean {near}?" if near else "Give one such as eu-west-1."
        raise Unusable(f"There is no region {region!r} as far as this computer can see. {hint}") from error
    partition = caller["Arn"].split(":")[1]
    return Place(region=region, partition=partition, account=caller["Account"], listed=region in regions)


@dataclass(frozen=True, kw_only=True)
class Examination:
    """What the doctor reads with: ``client`` creates the SDK's clients."""

    client: Callable[[str], Any]
    ec2: Ec2
    settings: Settings
    now: datetime

    def examine(self, place: Place, layer: str) -> Examined:
        """Read everything. ``layer`` is the ARN of the functions' layer, empty if none is known."""
        encryption, fleet = self._encryption(), _attempt("ec2:DescribeInstances", self._fleet)
        return Examined(
            place=place,
            layer=Layer(arn=layer, there=self._layer_there(layer)),
            trails=_attempt("cloudtrail:DescribeTrails", self._trails),
            encryption=encryption,
            keys=tuple(self._key(k) for k in self._keys(encryption, fleet)),
            rules=self._rules(),
            quotas=_attempt("servicequotas:ListServiceQuotas", self._quotas),
            used=_attempt("ec2:DescribeVolumes", self._used),
            snapshots=_attempt("ec2:DescribeSnapshots", self._snapshots),
            binned=self._binned(),
            fleet=fleet,
        )

    def _layer_there(self, arn: str) -> Fact[bool]:
        """Lambda takes no version but by its whole ARN."""
        if not arn:
            return False
        found = _attempt(
            "lambda:GetLayerVersion", lambda: bool(self.client("lambda").get_layer_version_by_arn(Arn=arn))
        )
        return False if isinstance(found, Unread) and found.code == NO_LAYER else found

    def _trails(self) -> tuple[Trail, ...]:
        """Those that cover the region, of the organization and of other regions too."""
        client = self.client("cloudtrail")
        return tuple(_trail(client, t) for t in client.describe_trails(includeShadowTrails=True)["trailList"])

    def _encryption(self) -> Fact[Encryption]:
        client = self.client("ec2")
        by_default = _attempt(
            "ec2:GetEbsEncryptionByDefault",
            lambda: bool(client.get_ebs_encryption_by_default()["EbsEncryptionByDefault"]),
        )
        if isinstance(by_default, Unread):
            return by_default
        key = _attempt("ec2:GetEbsDefaultKmsKeyId", lambda: str(client.get_ebs_default_kms_key_id()["KmsKeyId"]))
        return key if isinstance(key, Unread) else Encryption(by_default=by_default, key=key)

    def _keys(self, encryption: Fact[Encryption], fleet: Fact[tuple[Observation, ...]]) -> list[str]:
        """The default key, if it is in use, and those of what is opted in or parked. The key that AWS manages is not
        asked for by its alias: KMS would create it if it were not there yet (KMS API Reference, DescribeKey)."""
        found = {encryption.key} if isinstance(encryption, Encryption) and encryption.by_default else set()
        for o in () if isinstance(fleet, Unread) else fleet:
            if o.records or opted_in(o.instance.tags, self.settings):
                found |= {v.spec.kms_key for v, _ in o.attached} | {r.spec.kms_key for r in o.records}
        return sorted(k for k in found if k and not k.endswith(MANAGED_KEY))

    def _key(self, name: str) -> Fact[Key]:
        def read() -> Key:
            found = self.client("kms").describe_key(KeyId=name)["KeyMetadata"]
            return Key(arn=found["Arn"], state=found["KeyState"], account=found["AWSAccountId"])

        return _attempt("kms:DescribeKey", read)

    def _rules(self) -> Fact[tuple[Rule, ...]]:
        """Only the rules one by one say what they keep."""
        ids = _attempt("rbin:ListRules", lambda: [i for kind in BINS for i in _rule_ids(self.client("rbin"), kind)])
        if isinstance(ids, Unread):
            return ids
        return _attempt("rbin:GetRule", lambda: tuple(_rule(self.client("rbin").get_rule(Identifier=i)) for i in ids))

    def _quotas(self) -> Mapping[str, float]:
        pages = self.client("service-quotas").get_paginator("list_service_quotas").paginate(ServiceCode="ebs")
        values = {q["QuotaCode"]: q["Value"] for page in pages for q in page["Quotas"]}
        return {name: values[code] for name, code in QUOTAS.items() if code in values}

    def _snapshots(self) -> int:
        """The number of all that the account owns in the region, whoever took them."""
        return sum(1 for _ in Described(self.client("ec2"), ()).snapshots_of_anyone({}))

    def _used(self) -> Mapping[str, int]:
        """The GiB of all volumes of the account and region, whoever uses them, by type."""
        used: Counter[str] = Counter()
        for v in Described(self.client("ec2"), ()).volumes({}):
            used[v.spec.type] += v.spec.size
        return used

    def _binned(self) -> Fact[tuple[BinnedVolume, ...]]:
        action = "ec2:ListVolumesInRecycleBin"
        found = _attempt(action, self.ec2.reads.recycle_bin)
        if found is None:
            return Unread(action=action, code="UnknownOperation", words=TOO_OLD)
        return found if isinstance(found, Unread) else tuple(found)

    def _fleet(self) -> tuple[Observation, ...]:
        reads, key = self.ec2.reads, self.settings.opt_in_tag_key
        ours = {r.instance_id for r in reads.every_snapshot().records}
        every = [i for i in reads.instances_tagged(None) if i.state != TERMINATED]
        looked_at = [i for i in every if key in i.tags or i.id in ours or i.state == "stopped"]
        return tuple(observe_instances(reads, looked_at, now=self.now, locks=False).values())


def _attempt(action: str, read: Callable[[], T]) -> Fact[T]:
    """What a read returns, or that it could not be made. ``action``: what it takes, if the error does not say."""
    try:
        return read()
    except Ec2Error as error:
        return Unread(action=f"ec2:{error.action}", code=error.code, words=error.message)
    except ClientError as error:
        return Unread(action=action, code=error.response["Error"]["Code"], words=error.response["Error"]["Message"])
    except ParamValidationError:
        raise  # the read itself is wrong
    except (BotoCoreError, ResponseParserError) as error:  # the second, if a proxy answers
        return Unread(action=action, code=type(error).__name__, words=str(error))


def _trail(client: Any, described: Mapping[str, Any]) -> Trail:
    arn = described["TrailARN"]
    return Trail(
        name=described["Name"],
        logging=_attempt("cloudtrail:GetTrailStatus", lambda: bool(client.get_trail_status(Name=arn)["IsLogging"])),
        selectors=_attempt(
            "cloudtrail:GetEventSelectors", lambda: tuple(_selectors(client.get_event_selectors(TrailName=arn)))
        ),
    )


def _selectors(answer: Mapping[str, Any]) -> Iterator[Selector]:
    """Basic selectors in the form of the advanced ones. Those that concern no management events are left out. A trail
    that nobody has given any logs all management events (CloudTrail API Reference, EventSelector); no page says whether
    it then tells one that says so, or none."""
    if not answer.get("EventSelectors") and not answer.get("AdvancedEventSelectors"):
        yield (("readOnly", "Equals", ("true", "false")),)
    for s in answer.get("EventSelectors") or ():
        if s.get("IncludeManagementEvents", True):
            read_only = BASIC.get(s.get("ReadWriteType", "All"), ("true", "false"))
            sources = tuple(s.get("ExcludeManagementEventSources") or ())
            yield ("readOnly", "Equals", read_only), ("eventSource", "NotEquals", sources)
    for s in answer.get("AdvancedEventSelectors") or ():
        fields = s["FieldSelectors"]
        conditions = tuple((f["Field"], o, tuple(f[o])) for f in fields for o in OPERATORS if f.get(o))
        if ("eventCategory", "Equals", ("Management",)) in conditions:
            yield conditions


def _rule_ids(client: Any, kind: str) -> Iterator[str]:
    for page in client.get_paginator("list_rules").paginate(ResourceType=kind):
        yield from (rule["Identifier"] for rule in page["Rules"])


def _rule(described: Mapping[str, Any]) -> Rule:
    return Rule(
        id=described["Identifier"],
        of_volumes=described["ResourceType"] == OF_VOLUMES,
        days=described["RetentionPeriod"]["RetentionPeriodValue"],
        tags=_pairs(described.get("ResourceTags") or ()),
        excluded=_pairs(described.get("ExcludeResourceTags") or ()),
    )


def _pairs(described: Iterable[Mapping[str, str]]) -> tuple[tuple[str, str], ...]:
    return tuple((tag["ResourceTagKey"], tag.get("ResourceTagValue", "")) for tag in described)
