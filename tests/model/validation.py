"""Parameters checked against botocore's own service model, cheaply.

The shapes of an operation are compiled once into small functions that only answer "right" or "wrong". When the answer
is "wrong", botocore's own validator is asked for the words. What botocore leaves to the server (enumerations, upper
limits) is checked too, and refused as EC2 does, with `InvalidParameterValue`.
"""

from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from functools import cache
from typing import Any

from botocore.loaders import Loader
from botocore.model import ListShape, ServiceModel, Shape, StringShape, StructureShape
from botocore.validate import validate_parameters

Check = Callable[[Any], bool]


class Refused(Exception):
    """The service says no. The client turns it into a botocore ClientError."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message


@cache
def service_model(service: str) -> ServiceModel:
    return ServiceModel(Loader().load_service_model(service, "service-2"), service)


@cache
def parameter_check(service: str, operation: str) -> Callable[[dict[str, Any]], None]:
    """Checks one operation's parameters; raises ParamValidationError (client side) or Refused (server side)."""
    shape = service_model(service).operation_model(operation).input_shape
    if shape is None:
        raise ValueError(f"{service} {operation} takes no parameters.")
    fits = _compile(shape)

    def check(params: dict[str, Any]) -> None:
        if fits(params):
            return
        validate_parameters(params, shape)  # raises in botocore's words, unless only the server would object
        raise Refused("InvalidParameterValue", f"{operation} does not accept one of these values: {params}")

    return check


@cache
def answer_check(service: str, operation: str) -> Check:
    """Whether a response has only names and types that botocore would have parsed from the real service."""
    shape = service_model(service).operation_model(operation).output_shape
    return (lambda answer: answer == {}) if shape is None else _compile(shape)


def _compile(shape: Shape) -> Check:
    if isinstance(shape, StructureShape):
        return _structure(shape)
    if isinstance(shape, ListShape):
        return _list(shape)
    if isinstance(shape, StringShape):
        return _string(shape)
    return _scalar(shape)


def _structure(shape: StructureShape) -> Check:
    if getattr(shape, "is_document_type", False) or getattr(shape, "is_tagged_union", False):
        raise NotImplementedError(f"{shape.name}: documents and unions are not used by EC2 or SQS.")
    members = {name: _compile(member) for name, member in shape.members.items()}
    required = frozenset(shape.required_members)

    def check(value: Any) -> bool:
        if not isinstance(value, dict):
            return False
        for name, item in value.items():
            member = members.get(name)
            if member is None or not member(item):
                return False
        return required <= value.keys()

    return check


def _list(shape: ListShape) -> Check:
    member = _compile(shape.member)
    shortest = shape.metadata.get("min", 0)

    def check(value: Any) -> bool:
        if not isinstance(value, (list, tuple)) or len(value) < shortest:
            return False
        return all(map(member, value))

    return check


def _string(shape: StringShape) -> Check:
    choices = frozenset(shape.enum)
    shortest, longest = shape.metadata.get("min", 0), shape.metadata.get("max")
    if choices:
        return lambda value: isinstance(value, str) and value in choices
    if shortest or longest:
        return lambda value: (
            isinstance(value, str) and len(value) >= shortest and (not longest or len(value) <= longest)
        )
    return lambda value: isinstance(value, str)


TYPES: dict[str, tuple[type, ...]] = {
    "integer": (int,),
    "long": (int,),
    "boolean": (bool,),
    "float": (float, int, Decimal),
    "double": (float, int, Decimal),
    "timestamp": (datetime, str, int, float),
    "blob": (bytes, bytearray, str),
    "map": (dict,),
}


def _scalar(shape: Shape) -> Check:
    types: Any = TYPES[shape.type_name]
    lowest, highest = shape.metadata.get("min"), shape.metadata.get("max")
    if lowest is None and highest is None:
        return lambda value: isinstance(value, types)
    least: float = lowest if lowest is not None else float("-inf")
    most: float = highest if highest is not None else float("inf")
    return lambda value: isinstance(value, types) and least <= value <= most
