"""What moto does not give back of a Lambda function, so that Terraform's second plan is empty; and what it keeps twice.

Each gap was seen with provider 5.100.0; the shapes are those of the Lambda API reference
(https://docs.aws.amazon.com/lambda/latest/api/).
"""

from __future__ import annotations

import base64
import json
from typing import Any, ClassVar

from moto.awslambda.exceptions import LambdaClientError
from moto.awslambda.models import EventSourceMapping, FunctionUrlConfig, LambdaBackend, LambdaFunction
from moto.awslambda.policy import Policy

from tests.local_aws.function_url import FunctionUrls
from tests.local_aws.lambdas import Lambdas
from tests.local_aws.queues import Mappings

TAIL_BYTES = 4096


class ForeignLayer:
    """A layer version of another account, such as the public Powertools layer; its content is not needed here."""

    def __init__(self, arn: str) -> None:
        self.arn = arn
        self.code_size = 0


class StatementExists(LambdaClientError):
    code = 409

    def __init__(self, sid: str) -> None:
        words = f"The statement id ({sid}) provided already exists. Please provide a new statement id"
        super().__init__("ResourceConflictException", f"{words}, or remove the existing statement.")


class Permissions(Policy):
    """The policy of a function. Lambda refuses a second statement of an id, where moto would have both."""

    def add_statement(self, raw: str, qualifier: str | None = None) -> tuple[Any, str]:
        sid = json.loads(raw).get("StatementId", "")
        if any(s.get("Sid") == sid for s in self.statements):
            raise StatementExists(sid)
        return super().add_statement(raw, qualifier)


class LiveFunction(LambdaFunction):
    """A function that runs, and that remembers its logging and dead-letter configuration."""

    lambdas: ClassVar[Lambdas]

    def __init__(self, account_id: str, spec: dict[str, Any], region: str, version: str | int = 1):
        self.logging_config: dict[str, Any] = dict(spec.get("LoggingConfig") or {})
        self.dead_letter_config: dict[str, Any] = dict(spec.get("DeadLetterConfig") or {})
        super().__init__(account_id, spec, region, version)
        self.policy = Permissions(self)

    def get_configuration(self, on_create: bool = False) -> dict[str, Any]:
        """FunctionConfiguration with LoggingConfig (its defaults are the API's) and DeadLetterConfig."""
        config = super().get_configuration(on_create)
        logging: dict[str, Any] = {"LogFormat": "Text", "LogGroup": f"/aws/lambda/{self.function_name}"}
        if self.logging_config.get("LogFormat") == "JSON":
            logging |= {"ApplicationLogLevel": "INFO", "SystemLogLevel": "INFO"}
        config["LoggingConfig"] = {**logging, **self.logging_config}
        if self.dead_letter_config.get("TargetArn"):
            config["DeadLetterConfig"] = self.dead_letter_config
        return config

    def update_configuration(self, config_updates: dict[str, Any]) -> dict[str, Any]:
        if "LoggingConfig" in config_updates:
            self.logging_config = dict(config_updates["LoggingConfig"])
        if "DeadLetterConfig" in config_updates:
            self.dead_letter_config = dict(config_updates["DeadLetterConfig"])
        if "TracingConfig" in config_updates:
            self.tracing_config = config_updates["TracingConfig"]
        return super().update_configuration(config_updates)

    def invoke(self, body: str, request_headers: Any, response_headers: Any) -> str | bytes:
        """The Invoke API: RequestResponse, Event and DryRun."""
        kind = request_headers.get("X-Amz-Invocation-Type", "RequestResponse")
        event = body or "{}"
        json.loads(event)
        if kind == "DryRun":
            return b""
        if kind == "Event":
            self.lambdas.invoke_later(self, event)
            return b""
        with self.lambdas.clock.work() as turn:
            result = self.lambdas.invoke(self, event, turn, trigger="invoke")
        response_headers["X-Amz-Executed-Version"] = "$LATEST"
        if result.error:
            response_headers["X-Amz-Function-Error"] = result.error
        tail = "\n".join(result.logs).encode()[-TAIL_BYTES:]
        response_headers["x-amz-log-result"] = base64.b64encode(tail).decode()
        return result.payload.encode()


class LiveUrlConfig(FunctionUrlConfig):
    """A Function URL that can be called."""

    def __init__(self, function: LambdaFunction, config: dict[str, Any], urls: FunctionUrls):
        super().__init__(function, config)
        self.url = urls.open(function.function_arn)

    def to_dict(self) -> dict[str, Any]:
        """InvokeMode is BUFFERED in the API (moto: Buffered); what is not set is left out, not null."""
        described = {**super().to_dict(), "InvokeMode": self.config.get("InvokeMode") or "BUFFERED"}
        return {key: value for key, value in described.items() if value is not None}

    def update(self, new_config: dict[str, Any]) -> None:
        """An empty Cors takes it away (moto: changes nothing)."""
        super().update(new_config)
        if new_config.get("Cors") == {}:
            self.config.pop("Cors", None)


class LiveLambda(LambdaBackend):
    """moto's Lambda with layers of other accounts, callable URLs and one event invoke configuration per function."""

    addresses: ClassVar[FunctionUrls]
    mappings: ClassVar[Mappings]

    def create_event_source_mapping(self, spec: dict[str, Any]) -> EventSourceMapping:
        mapping = super().create_event_source_mapping(spec)
        self.mappings.begin(mapping)
        return mapping

    def update_event_source_mapping(self, uuid: str, spec: dict[str, Any]) -> EventSourceMapping | None:
        mapping = super().update_event_source_mapping(uuid, spec)
        if mapping:
            self.mappings.arrived(mapping.event_source_arn)
        return mapping

    def delete_event_source_mapping(self, uuid: str) -> EventSourceMapping | None:
        self.mappings.end(uuid)
        return super().delete_event_source_mapping(uuid)

    def layers_versions_by_arn(self, layer_version_arn: str) -> Any:
        if f":{self.account_id}:" not in layer_version_arn:
            return ForeignLayer(layer_version_arn)
        return super().layers_versions_by_arn(layer_version_arn)

    def create_function_url_config(self, name_or_arn: str, config: dict[str, Any]) -> FunctionUrlConfig:
        function = self.get_function(name_or_arn)
        function.url_config = LiveUrlConfig(function, config, self.addresses)
        return function.url_config

    def delete_function_url_config(self, name_or_arn: str) -> None:
        self.addresses.close(self.get_function(name_or_arn).function_arn)
        super().delete_function_url_config(name_or_arn)

    def delete_function(self, function_name: str, qualifier: str | None = None) -> None:
        self.addresses.close(self.get_function(function_name).function_arn)
        super().delete_function(function_name, qualifier)

    def put_function_event_invoke_config(self, function_name: str, config: dict[str, Any]) -> dict[str, Any]:
        """Put replaces; moto appends and goes on giving back the first."""
        self.get_function(function_name).event_invoke_config.clear()
        return super().put_function_event_invoke_config(function_name, config)

    def add_permission(self, function_name: str, qualifier: str, raw: str) -> dict[str, Any]:
        """The auth type of a Function URL statement belongs into its condition, where the provider reads it.

        https://docs.aws.amazon.com/lambda/latest/dg/urls-auth.html
        """
        request = json.loads(raw)
        conditions = {
            "lambda:FunctionUrlAuthType": request.pop("FunctionUrlAuthType", None),
            "lambda:InvokedViaFunctionUrl": request.pop("InvokedViaFunctionUrl", None),
        }
        statement: Any = super().add_permission(function_name, qualifier, json.dumps(request))
        for key, value in conditions.items():
            if value is not None:
                operator = "Bool" if isinstance(value, bool) else "StringEquals"
                text = str(value).lower() if isinstance(value, bool) else value
                statement.setdefault("Condition", {}).setdefault(operator, {})[key] = text
        return dict(statement)
