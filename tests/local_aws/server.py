"""Wires the rooms together over moto's server and serves them on one port.

Every change to moto is made here, by replacing a class where moto looks it up; the replacing classes say why.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import moto.awslambda.models as moto_lambda
import moto.ec2.models as moto_ec2
import moto.ec2.models.instances as moto_instances
import moto.ec2.urls as moto_ec2_urls
import moto.sqs.models as moto_sqs
from moto.ec2.models.core import TaggedEC2Resource
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import BaseWSGIServer, make_server

from tests.local_aws import account_reads
from tests.local_aws.calls import CallLog
from tests.local_aws.clock import Clock
from tests.local_aws.control import Control, json_text
from tests.local_aws.credentials import register_admin
from tests.local_aws.dial import Dial
from tests.local_aws.ec2_api import StrictEc2Api
from tests.local_aws.events import EventBridge
from tests.local_aws.function_url import FunctionUrls
from tests.local_aws.instances import StrictBackend, StrictInstance, tags_of
from tests.local_aws.lambdas import Lambdas
from tests.local_aws.queues import Mappings, SafeQueue, SafeSqs
from tests.local_aws.recycle_bin import RecycleBin
from tests.local_aws.repeated import Repeated
from tests.local_aws.schedules import Scheduler
from tests.local_aws.settings import Settings
from tests.local_aws.terraform_gaps import LiveFunction, LiveLambda
from tests.local_aws.world import World

CONTROL = "/_local/"


class Dispatcher(DomainDispatcherApplication):
    """moto lists its folders on the disk for every request, while all others wait."""

    def __init__(self, create_app: Any) -> None:
        super().__init__(create_app)
        self._known: dict[str | None, Any] = {}

    def get_backend_for_host(self, host: str | None) -> Any:
        if host not in self._known:
            self._known[host] = super().get_backend_for_host(host)
        return self._known[host]


@dataclass(frozen=True, kw_only=True)
class Served:
    """A wired local AWS: its server, and what must be stopped with it."""

    server: BaseWSGIServer
    endpoint_url: str
    stop: Callable[[], None]


def build(*, port: int, region: str, settings: Settings, dial: Dial, lambda_python: str = sys.executable) -> Served:
    """A local AWS on 127.0.0.1. Port 0 takes a free one. Call at most once per process: moto's state is global.

    The process has to live by the dial before this module is imported (``Dial.lead``).
    """
    os.environ.setdefault("AWS_DEFAULT_REGION", region)
    os.environ["AWS_EC2_METADATA_DISABLED"] = "true"
    moto_app = Dispatcher(create_backend_app)
    rooms: dict[str, Control] = {}
    recycle_bin = RecycleBin()
    server = make_server(
        "127.0.0.1",
        port,
        Repeated(application(moto_app, rooms, recycle_bin)),
        threaded=True,
        request_handler=quiet(MotoRequestHandler),
    )
    endpoint_url = f"http://127.0.0.1:{server.server_port}"

    world = World(settings=settings, clock=Clock(dial, hurries=settings.hurries))
    lambdas = Lambdas(world, lambda_python, endpoint_url, dial.path)
    urls = FunctionUrls(world, lambdas)
    bus = EventBridge(world, lambdas)
    mappings = Mappings(world, lambdas)
    calls = CallLog(world)
    world.acted = calls.acted
    world.kept_for = recycle_bin.seconds

    StrictBackend.world = StrictEc2Api.world = world
    use(moto_ec2.ec2_backends, StrictBackend)
    moto_ec2_urls.url_paths = {"{0}/": StrictEc2Api.dispatch}
    moto_instances.Instance = StrictInstance  # type: ignore[misc]
    TaggedEC2Resource.get_tags = tags_of  # type: ignore[method-assign, assignment]
    use(moto_sqs.sqs_backends, SafeSqs)
    moto_sqs.Queue = SafeQueue  # type: ignore[misc]
    SafeQueue.arrived = mappings.arrived
    LiveFunction.lambdas, LiveLambda.addresses, LiveLambda.mappings = lambdas, urls, mappings
    use(moto_lambda.lambda_backends, LiveLambda)
    moto_lambda.LambdaFunction = LiveFunction  # type: ignore[misc]
    register_admin()
    account_reads.install()
    calls.install()
    bus.install()
    rooms["control"] = Control(
        world=world,
        region=region,
        calls=calls,
        bus=bus,
        lambdas=lambdas,
        mappings=mappings,
        urls=urls,
        recycle_bin=recycle_bin,
        scheduler=Scheduler(lambdas, endpoint_url),
    )
    return Served(server=server, endpoint_url=endpoint_url, stop=lambdas.stop)


def use(backends: Any, stand_in: type) -> None:
    """Makes moto create this class for a service's regions. moto finds a service's URLs by the class's module name."""
    stand_in.__module__ = backends.backend.__module__
    backends.backend = stand_in


def application(moto_app: Any, rooms: dict[str, Any], recycle_bin: RecycleBin) -> Callable[..., Iterable[bytes]]:
    """The WSGI application: the control API below ``/_local/``, AWS everywhere else."""

    def serve(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "")
        if not path.startswith(CONTROL):
            answer: Iterable[bytes] | None = recycle_bin.serve(environ, start_response)
            return moto_app(environ, start_response) if answer is None else answer
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        status, value = rooms["control"].answer(path[len(CONTROL) :], json.loads(body or b"{}"))
        start_response(f"{status} -", [("Content-Type", "application/json")])
        return [json_text(value)]

    return serve


def quiet(handler: type) -> type:
    """moto's request handler without a line per request."""

    class Quiet(handler):  # type: ignore[misc]
        def log_request(self, code: Any = "-", size: Any = "-") -> None:
            """Calls are in the call log."""

    return Quiet
