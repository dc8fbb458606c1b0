"""The call log: every API call, who made it, on what, and how it ended."""

from __future__ import annotations

import itertools
import json
import logging
import re
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from html import unescape
from typing import Any

from moto.cloudtrail.responses import CloudTrailResponse
from moto.core.exceptions import ServiceException
from moto.core.responses import ActionResult, BaseResponse
from moto.ec2.models import ec2_backends
from moto.kms.models import kms_backends
from moto.ssm.models import ssm_backends

from tests.iam.reference import type_of
from tests.iam.requests import requests
from tests.local_aws.cloudtrail import CloudTrail
from tests.local_aws.credentials import Caller, caller_of
from tests.local_aws.ebs import StrictVolume, is_customers
from tests.local_aws.instances import StrictBackend, StrictInstance
from tests.local_aws.regions import NOT_ENABLED
from tests.local_aws.world import ACCOUNT, World
from tests.model.policies import Subject, denial, sentence

log = logging.getLogger(__name__)

EC2_ID = re.compile(r"\b(?:i|vol|snap|ami|subnet|sg)-[0-9a-f]{8,17}\b")
ACCESS_KEY = re.compile(r"Credential=([^/,\s]+)/")
ERROR_MESSAGE = re.compile(r"<Message>(.*?)</Message>", re.DOTALL)
ERROR_CODE = re.compile(r"<Code>([^<]+)</Code>|\"__type\": *\"(?:[^\"#]*#)?([^\"]+)\"")
KEPT = 100_000
ERROR_STATUS = 400
DRY_RUN = "DryRunOperation"
STATUS_OF_A_DRY_RUN = 412
"""moto knows no statuses of EC2's errors."""


def plain(value: Any) -> Any:
    """Parameters as JSON can carry them; long binary content is left out."""
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, bytes):
        return f"({len(value)} bytes)"
    return value.isoformat() if isinstance(value, datetime) else value


class Refused(ServiceException):
    """An error of ours. moto would take its protocol from the module that it is defined in, were that one of moto's."""


class CallLog:
    """Keeps the last 100,000 calls. One entry is a dict:

    number, time (seconds since the epoch), service, operation, region, caller (ARN or access key), role (ARN or None),
    parameters, resources (EC2 id -> tags before the call), facts (volume or snapshot -> IAM's keys for its origin),
    attached (instance -> device -> volume, its tags and KMS key), licenses (instance -> ARNs of its license
    configurations), kms_keys (volume, snapshot or SSM parameter -> ARN; of keys that a customer made), error (code or
    None), status (HTTP). What Lambda itself does with a function's role (polling, logging, burying a failed event) is
    logged like a call of that role.
    """

    def __init__(self, world: World) -> None:
        self._world = world
        self._trail = CloudTrail(world)
        self._numbers = itertools.count(1)
        self._calls: deque[dict[str, Any]] = deque(maxlen=KEPT)
        self._lock = threading.Lock()

    def since(self, number: int) -> list[dict[str, Any]]:
        """The calls after that number, oldest first."""
        with self._lock:
            return [call for call in self._calls if call["number"] > number]

    def install(self) -> None:
        """Wraps the one method through which all of moto's services answer a call."""
        answer = BaseResponse.call_action
        log = self

        def call_action(response: BaseResponse) -> Any:
            return log.answered(response, answer)

        def lookup_events(response: BaseResponse) -> str:
            return log._trail.looked_up(log.since(0), response)

        BaseResponse.call_action = call_action  # type: ignore[method-assign, assignment]
        CloudTrailResponse.lookup_events = lookup_events  # type: ignore[attr-defined]

    def answered(self, response: BaseResponse, answer: Callable[[BaseResponse], Any]) -> Any:
        """Answers one call, or refuses it if a failure was ordered, and writes it down."""
        key = ACCESS_KEY.search(str(response.headers.get("Authorization", "")))
        caller = caller_of(key[1]) if key else None
        call = self.begun(response, caller, key[1] if key else "anonymous")
        status, headers, body = 500, {}, ""
        try:
            order = self.order(call)
            if order is None or order.get("after"):
                status, headers, body = answer(response)
            if order is not None:
                status, headers, body = self.refused(response, order["code"], order["message"], order["status"])
        except Exception as error:  # moto raises NotImplementedError and the like; a client deserves an AWS error
            log.exception("%s failed.", call["operation"])
            message = f"The local AWS failed: {type(error).__name__}: {error}"
            status, headers, body = self.refused(response, "InternalError", message, 500)
        finally:
            found = ERROR_CODE.search(body if isinstance(body, str) else "")
            if int(status) >= ERROR_STATUS:
                named = str(headers.get("x-amzn-errortype") or headers.get("X-Amzn-ErrorType") or "InternalError")
                call["error"] = next(filter(None, found.groups())) if found else named.split(":", maxsplit=1)[0]
            if call["error"] == DRY_RUN:
                status, headers = STATUS_OF_A_DRY_RUN, {**headers, "status": str(STATUS_OF_A_DRY_RUN)}
            call["status"] = int(status)
        said = ERROR_MESSAGE.search(body if isinstance(body, str) else "")
        self._trail.record(call, caller, unescape(said[1]) if said else "")
        return status, headers, body

    def order(self, call: dict[str, Any]) -> dict[str, Any] | None:
        """How the call is to be refused, if it is: for its region, by a policy, or by a failure that was ordered."""
        if call["service"] == "ec2" and not self._world.regions.is_enabled(call["region"]):
            return NOT_ENABLED
        denied = self.denied(call)
        if denied is not None:
            message = sentence(call["caller"], *denied)
            return {"code": "UnauthorizedOperation", "message": message, "status": 403}
        dry = "true" if call["parameters"].get("DryRun") else "false"
        return self._world.faults.take("api", operation=call["operation"], caller=call["caller"], dry_run=dry)

    def denied(self, call: dict[str, Any]) -> tuple[str, str] | None:
        """The action and the ARN that a policy denies. Owners, who are IAM users here, are not bound."""
        if not self._world.denials or call["role"] is None or call["service"] != "ec2":
            return None
        subjects = [
            Subject(r.action.removeprefix("ec2:"), type_of(r.resource), r.resource, resource_tags(r.context))
            for r in requests(call)
            if r.action.startswith("ec2:")
        ]
        return denial(self._world.denials, call["caller"], call["parameters"], subjects, self._world.clock.now())

    @staticmethod
    def refused(response: BaseResponse, code: str, message: str, status: int) -> Any:
        """The error in the service's own protocol; a status from 500 on makes it one that SDKs retry."""
        _, headers, body = response.serialized(ActionResult(Refused(code, message)))
        return status, {**headers, "status": str(status)}, body

    def begun(self, response: BaseResponse, caller: Caller | None, key: str) -> dict[str, Any]:
        """Enters a call with what is known before it is answered; the access key stands for an unknown caller."""
        operation = str(response._get_action() or "")
        parameters = self.parameters(response)
        facts = {"ec2": self.ec2_facts, "ssm": self.ssm_facts}.get(str(response.service_name))
        return self._enter(
            service={"awslambda": "lambda"}.get(str(response.service_name), str(response.service_name)),
            operation=operation,
            region=response.region,
            caller=caller.arn if caller else key,
            role=caller.role_arn if caller else None,
            parameters=parameters,
            status=None,
            **(facts(parameters, response.region) if facts else {}),
        )

    def acted(self, role: str, service: str, operation: str, region: str, parameters: dict[str, Any]) -> None:
        """Enters what Lambda did with the role of a function."""
        self._enter(
            service=service,
            operation=operation,
            region=region,
            caller="lambda.amazonaws.com",
            role=role,
            parameters=parameters,
            status=200,
        )

    def _enter(self, **facts: Any) -> dict[str, Any]:
        none: dict[str, Any] = {name: {} for name in ("resources", "facts", "attached", "licenses", "kms_keys")}
        with self._lock:
            call = {"number": next(self._numbers), "time": time.time(), "error": None, **none, **facts}
            self._calls.append(call)
        return call

    @staticmethod
    def parameters(response: BaseResponse) -> Any:
        """The parameters by the service's model; what a service of moto's cannot parse is logged raw."""
        try:
            response.parse_parameters(response.normalized_request)
        except Exception:
            return {"raw": response.body if isinstance(response.body, str) else None}
        params: Any = response.params
        return plain(dict(params.original_dict() if hasattr(params, "original_dict") else params))

    def ec2_facts(self, parameters: Any, region: str) -> dict[str, Any]:
        """What IAM knows of every EC2 resource named in a call; a new volume's source snapshot counts, and so on."""
        with self._world.ec2_lock:
            ec2 = ec2_backends[ACCOUNT][region]
            assert isinstance(ec2, StrictBackend)
            named = sorted(set(EC2_ID.findall(json.dumps(parameters, default=str))))
            instances = {i.id: i for _, i in ec2.every_instance() if i.id in named}
            storage = [thing for name in named if (thing := ec2.volumes.get(name) or ec2.snapshots.get(name))]
            return {
                "resources": {name: dict(ec2.tags.get(name, {})) for name in named},
                "facts": {t.id: origin(ec2, t) for t in storage},
                "attached": {name: self.devices(ec2, instance) for name, instance in instances.items()},
                "licenses": {name: list(instance.license_arns) for name, instance in instances.items()},
                "kms_keys": {t.id: key for t in storage if (key := customer_key(t.kms_key_id, region))},
            }

    @staticmethod
    def devices(ec2: StrictBackend, instance: StrictInstance) -> dict[str, Any]:
        return {
            device: {
                "volume": attachment.volume.id,
                "tags": dict(ec2.tags.get(attachment.volume.id, {})),
                "kms_key": customer_key(attachment.volume.kms_key_id, ec2.region_name),
            }
            for device, attachment in instance.block_device_mapping.items()
        }

    @staticmethod
    def ssm_facts(parameters: Any, region: str) -> dict[str, Any]:
        """The key of a SecureString that is named alone."""
        kept = ssm_backends[ACCOUNT][region]._parameters
        versions = kept.get(kept.normalize_name(str(parameters.get("Name"))), [])
        key = customer_key(versions[-1].keyid, region) if versions else None
        return {"kms_keys": {parameters["Name"]: key} if key else {}}


def origin(ec2: StrictBackend, thing: Any) -> dict[str, str]:
    """Where a volume or snapshot comes from, as policies can ask for it."""
    if isinstance(thing, StrictVolume):
        return {"ec2:ParentSnapshot": ec2.arn("snapshot", thing.snapshot_id)} if thing.snapshot_id else {}
    return {"ec2:Owner": thing.owner_id, "ec2:ParentVolume": ec2.arn("volume", thing.volume.id)}


def resource_tags(context: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """The tags among the keys of a condition context."""
    prefix = "aws:ResourceTag/"
    return {key.removeprefix(prefix): values[0] for key, values in context.items() if key.startswith(prefix)}


def customer_key(key: str | None, region: str) -> str | None:
    """The ARN of a KMS key that a customer made; None for AWS's own, which every caller in the account may use."""
    try:
        found = kms_backends[ACCOUNT][region].describe_key(key) if key else None
    except KeyError:
        return key if key and key.startswith("arn:") and f":{ACCOUNT}:" not in key else None
    return str(found.arn) if found and is_customers(found) else None
