"""A boto3-shaped client over a `World`, for whichever operations have a rule.

Every call goes the same way: parameters checked against botocore's service model, `world.on_call`, the fault that the
plan gives, the token buckets, the policies that deny, the rule, `world.on_answer`. Errors are botocore's ClientError.
With DryRun the rule is asked in a copy of the world, if at all (`Rules.dry_run_checks`), and whatever it lets through
is a DryRunOperation.
"""

from collections.abc import Callable, Iterator
from functools import cache, partial
from types import SimpleNamespace
from typing import Any, NamedTuple, NoReturn

from botocore.exceptions import (
    ClientError,
    ConnectionClosedError,
    EndpointConnectionError,
    HTTPClientError,
    ParamValidationError,
    ReadTimeoutError,
)
from botocore.model import StructureShape

from tests.model.answers import Answer, sparse
from tests.model.faults import Call, Fault, FaultPlan, ProcessDied
from tests.model.policies import OF_ROLES, denial, sentence, subjects
from tests.model.validation import Refused, parameter_check, service_model
from tests.model.world import World

Params = dict[str, Any]
HTTP_STATUS = {
    "RequestLimitExceeded": 503,
    "InternalError": 500,
    "Unavailable": 503,
    "InsufficientInstanceCapacity": 500,
    "InsufficientHostCapacity": 500,
    "DryRunOperation": 412,
    "UnauthorizedOperation": 403,
}
NEW_OPERATIONS = frozenset({"list_volumes_in_recycle_bin"})
NEW_PARAMETERS = frozenset({"IncludeManagedResources"})
"""What an older SDK does not know."""
ENDPOINT = "https://ec2.us-east-1.amazonaws.com/"


class Context(NamedTuple):
    """What a rule knows of the call besides its parameters."""

    fault: Fault | None = None
    owner: bool = False


Rule = Callable[[World, Params, Context], Answer]


class Operation(NamedTuple):
    service: str
    name: str
    check: Callable[[Params], None]
    rule: Rule


OPERATIONS: dict[tuple[str, str], Operation] = {}
"""By service and the name of the client's method."""


def operation(service: str, name: str) -> Callable[[Rule], Rule]:
    """The rule of one operation; the client's method has the rule's name."""

    def register(rule: Rule) -> Rule:
        OPERATIONS[service, rule.__name__] = Operation(service, name, parameter_check(service, name), rule)
        return rule

    return register


class Client:
    """One process's client. Its methods are the service's operations, with keyword arguments only, as in boto3.

    `calls` counts them by operation, `refusals` the errors by code. After the process has died, every call raises
    ProcessDied.
    """

    service = ""

    def __init__(
        self, world: World, caller: str = "test", *, faults: FaultPlan | None = None, owner: bool = False
    ) -> None:
        self.world = world
        self.caller = caller
        self.faults = faults
        self.owner = owner
        self.dead = False
        self.calls: dict[str, int] = {}
        self.refusals: dict[str, int] = {}
        self.made = 0
        self.exceptions = SimpleNamespace(ClientError=ClientError)
        self.hooks: dict[str, list[Callable[..., Any]]] = {"before-call": [], "needs-retry": []}
        events = SimpleNamespace(register=self._register)
        sdk = SimpleNamespace(operation_model=self._operation_model)
        self.meta = SimpleNamespace(
            region_name=world.rules.region, endpoint_url=ENDPOINT, events=events, service_model=sdk
        )

    def __getattr__(self, name: str) -> Callable[..., Answer]:
        found = OPERATIONS.get((self.service, name))
        if found is None or (self.world.rules.old_sdk and name in NEW_OPERATIONS):
            raise AttributeError(f"The {self.service} model has no operation {name}.")
        method = partial(self._call, found)
        setattr(self, name, method)
        return method

    def _operation_model(self, name: str) -> Any:
        """What botocore tells of an operation: its parameters."""
        return SimpleNamespace(input_shape=SimpleNamespace(members=_parameters(self.service, name) - self._unknown))

    @property
    def _unknown(self) -> frozenset[str]:
        return NEW_PARAMETERS if self.world.rules.old_sdk else frozenset()

    def _register(self, event: str, handler: Callable[..., Any]) -> None:
        """A hook of botocore's, of the two kinds that the product has: before a call, and after one that failed. This
        client does not ask those, since it repeats no call."""
        name, _, service = event.partition(".")
        if name not in self.hooks or service != self.service:
            raise NotImplementedError(f"The model knows no event {event}.")
        self.hooks[name].append(handler)

    def before_call(self, op: Operation) -> None:
        for hook in self.hooks["before-call"]:
            hook(model=SimpleNamespace(name=op.name))

    def _call(self, op: Operation, /, **params: Any) -> Answer:
        self.before_call(op)
        return self._send(op, params)

    def _send(self, op: Operation, params: Params) -> Answer:
        """Hooks are not told of the end of a call whose process has died in it."""
        world = self.world
        try:
            op.check(params)
            if unknown := params.keys() & self._unknown:
                raise ParamValidationError(report=f"Unknown parameter in input: {sorted(unknown)}")
            answer = self._answer(op, params)
        except Refused as refused:
            self.refusals[refused.code] = self.refusals.get(refused.code, 0) + 1
            self._tell_end(op, params)
            raise client_error(refused, op.name) from None
        except (EndpointConnectionError, HTTPClientError):
            self._tell_end(op, params)
            raise
        self._tell_end(op, params)
        answer["ResponseMetadata"] = {"RequestId": f"{world.calls:08x}", "HTTPStatusCode": 200, "HTTPHeaders": {}}
        return answer

    def _answer(self, op: Operation, params: Params) -> Answer:
        world, name = self.world, op.name
        self.made += 1
        self.calls[name] = self.calls.get(name, 0) + 1
        if world.on_call is not None:
            world.on_call(name, params)
        if self.dead:
            raise ProcessDied(f"{self.caller} died earlier, so it cannot call {name}.")
        world.calls += 1
        world.tick += 1
        fault = self.faults(Call(self.caller, self.made, name, params)) if self.faults is not None else None
        if fault is not None:
            self._before(fault, op)
        if world.throttle is not None:
            world.throttle.take(name, params, world.clock.now)
        if (world.denials or world.rules.tags_count_after) and not self.owner and op.service == "ec2":
            self._ask_policies(name, params)
        if params.get("DryRun"):
            self._try_dry(op, params, fault)
        answer = op.rule(world, params, Context(fault, self.owner))
        world.settle()
        if fault is Fault.DIES_AFTER and world.on_change is not None:
            world.on_change()
        if fault is not None:
            self._after(fault, op)
        return dict(sparse(answer)) if world.rules.sparse else answer

    def _ask_policies(self, action: str, params: Params) -> None:
        world = self.world
        every = (*world.denials, OF_ROLES) if world.rules.tags_count_after else world.denials
        policies = [policy for policy in every if policy.may_concern(action)]
        if not policies:
            return
        denied = denial(policies, self.caller, params, subjects(world, action, params), world.clock.now)
        if denied is not None:
            user = f"arn:aws:sts::{world.rules.account}:assumed-role/{self.caller}"
            raise Refused("UnauthorizedOperation", sentence(user, *denied))

    def _try_dry(self, op: Operation, params: Params, fault: Fault | None) -> NoReturn:
        """Permissions are checked in any case; whether EC2 checks more, no page says."""
        if self.world.rules.dry_run_checks:
            op.rule(self.world.clone(), params, Context(None, self.owner))
        if fault is not None:
            self._after(fault, op)
        raise Refused("DryRunOperation", "Request would have succeeded, but DryRun flag is set.")

    def _tell_end(self, op: Operation, params: Params) -> None:
        if self.world.on_answer is not None:
            self.world.on_answer(op.name, params)

    def _before(self, fault: Fault, op: Operation) -> None:
        match fault:
            case Fault.DIES_BEFORE:
                self.dead = True
                raise ProcessDied(f"{self.caller} died before {op.name}.")
            case Fault.NOT_SENT:
                raise EndpointConnectionError(endpoint_url=ENDPOINT)
            case Fault.THROTTLED:
                raise Refused("RequestLimitExceeded", "Request limit exceeded.")
            case Fault.DENIED:
                raise Refused("UnauthorizedOperation", "You are not authorized to perform this operation.")
            case Fault.SERVER_ERROR:
                raise Refused("InternalError", "An internal error has occurred")

    def _after(self, fault: Fault, op: Operation) -> None:
        match fault:
            case Fault.DIES_AFTER:
                self.dead = True
                raise ProcessDied(f"{self.caller} died after {op.name}.")
            case Fault.ANSWER_LOST:
                raise ReadTimeoutError(endpoint_url=ENDPOINT)
            case Fault.CONNECTION_CLOSED:
                raise ConnectionClosedError(endpoint_url=ENDPOINT)
            case Fault.SERVER_ERROR_AFTER:
                raise Refused("Unavailable", "The service is unavailable. Please try again shortly.")


@cache
def _parameters(service: str, operation: str) -> frozenset[str]:
    shape = service_model(service).operation_model(operation).input_shape
    return frozenset(shape.members) if isinstance(shape, StructureShape) else frozenset()


class Paginator:
    def __init__(self, method: Callable[..., Answer]) -> None:
        self._method = method

    def paginate(self, **params: Any) -> Iterator[Answer]:
        """All pages. PaginationConfig takes PageSize."""
        config = dict(params.pop("PaginationConfig", {}))
        if (size := config.pop("PageSize", None)) is not None:
            params["MaxResults"] = size
        if config:
            raise NotImplementedError(f"The model's paginator does not know {sorted(config)}.")
        while True:
            page = self._method(**params)
            yield page
            if not page.get("NextToken"):
                return
            params["NextToken"] = page["NextToken"]


def client_error(refused: Refused, operation_name: str) -> ClientError:
    metadata = {
        "RequestId": "00000000",
        "HostId": "",
        "HTTPStatusCode": HTTP_STATUS.get(refused.code, 400),
        "HTTPHeaders": {},
        "RetryAttempts": 0,
    }
    answer = {"Error": {"Code": refused.code, "Message": refused.message}, "ResponseMetadata": metadata}
    return ClientError(answer, operation_name)  # type: ignore[arg-type]
