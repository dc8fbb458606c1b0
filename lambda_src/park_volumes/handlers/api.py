"""The HTTP API at the Function URL: routes, references, status codes."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from dataclasses import replace
from http import HTTPStatus
from typing import Any
from urllib.parse import unquote

from aws_lambda_powertools import Logger
from aws_lambda_powertools.event_handler import LambdaFunctionUrlResolver, Response
from aws_lambda_powertools.event_handler.exceptions import NotFoundError
from aws_lambda_powertools.utilities.typing import LambdaContext

from park_volumes import records
from park_volumes.decide.situation import opted_in
from park_volumes.decide.status import status
from park_volumes.ec2 import Ec2Error, Raced
from park_volumes.model import OPTED_IN, Instance, Outcome, Seen
from park_volumes.reconcile import Pass, Result, look

INSTANCE_ID = re.compile(r"i-[0-9a-f]{8,17}")
CLOSEST = 3

app = LambdaFunctionUrlResolver()


class Problem(Exception):
    """An answer other than success: the HTTP status, a code for programs and a sentence for people."""

    def __init__(self, http_status: HTTPStatus, code: str, message: str) -> None:
        super().__init__(message)
        self.http_status, self.code, self.message = http_status, code, message


def answer(event: dict[str, Any], context: LambdaContext, this_pass: Pass, logger: Logger) -> dict[str, Any]:
    """Answer one request. Who asks, as the Function URL has verified it, is logged with what is asked for."""
    http = event["requestContext"].get("http", {})
    iam = (event["requestContext"].get("authorizer") or {}).get("iam") or {}
    logger.info(
        "A request came.", caller=iam.get("userArn", "unknown"), method=http.get("method"), path=http.get("path")
    )
    app.append_context(this_pass=this_pass)  # type: ignore[no-untyped-call]  # Powertools types it not
    return app.resolve(event, context)


def _this_pass() -> Pass:
    this_pass: Pass = app.context["this_pass"]
    return this_pass


@app.get("/instances")
def list_instances() -> Response[Any]:
    this_pass = _this_pass()
    found = this_pass.ec2.instances_tagged({this_pass.settings.opt_in_tag_key: OPTED_IN})
    seen = look(this_pass.ec2, (i.id for i in found), locks=True)
    shown = sorted((_shown(s) for s in seen.values()), key=lambda one: (one["name"], one["id"]))
    return _json(HTTPStatus.OK, {"instances": shown})


@app.get("/instances/<ref>")
def show_instance(ref: str) -> Response[Any]:
    return _json(HTTPStatus.OK, _shown(_find(ref)))


@app.post("/instances/<ref>/start")
def start_instance(ref: str) -> Response[Any]:
    seen = _find(ref)
    instance = seen.instance
    if instance.state == "stopping":
        message = f"{instance.id} is still stopping: ask again when it has stopped, usually within a minute or two."
        raise Problem(HTTPStatus.CONFLICT, "stopping", message)
    result = _this_pass().start(instance.id)
    if result is None:
        raise _unknown(ref)
    return _started(result)


@app.post("/instances/<ref>/stop")
def stop_instance(ref: str) -> Response[Any]:
    seen = _find(ref)
    instance = seen.instance
    if instance.state == "pending":
        message = f"{instance.id} is still starting: ask again when it runs, usually within a minute."
        raise Problem(HTTPStatus.CONFLICT, "starting", message)
    if instance.state != "running":
        going_on = instance.state == "stopping"
        return _json(HTTPStatus.ACCEPTED if going_on else HTTPStatus.OK, _shown(seen))
    _this_pass().ec2.stop_instance(instance.id)
    return _json(HTTPStatus.ACCEPTED, _shown(replace(seen, instance=replace(instance, state="stopping"))))


def _started(result: Result) -> Response[Any]:
    if result.error:
        raise Problem(HTTPStatus.BAD_GATEWAY, "ec2_refused", f"{result.error} Nothing is lost; the sweep tries again.")
    if result.decision.outcome is Outcome.REFUSED:
        raise Problem(HTTPStatus.CONFLICT, "refused", result.decision.reason)
    instance = result.seen.instance
    if instance.state == "running":
        return _json(HTTPStatus.OK, _shown(result.seen))
    state = instance.state if result.decision.outcome is Outcome.GOING_ON else "pending"
    shown = _shown(replace(result.seen, instance=replace(instance, state=state)))
    return _json(HTTPStatus.ACCEPTED, shown | {"state": "starting", "detail": result.decision.reason})


# References: an instance id, or a Name.


def _find(ref: str) -> Seen:
    """The instance that a reference names. Raises Problem: 404 unknown, 409 ambiguous or not ours, 410 terminated."""
    this_pass = _this_pass()
    key = this_pass.settings.opt_in_tag_key
    ref = unquote(ref)
    if INSTANCE_ID.fullmatch(ref):
        candidates = this_pass.ec2.instances([ref])
    else:
        candidates = this_pass.ec2.instances_tagged({"Name": (_literally(ref),), key: OPTED_IN})
        candidates = [i for i in candidates if i.state not in ("shutting-down", "terminated")] or candidates
    if len(candidates) > 1:
        ids = ", ".join(sorted(i.id for i in candidates))
        message = f"{len(candidates)} instances have the Name {ref!r}: {ids}. Use the id of the one you mean."
        raise Problem(HTTPStatus.CONFLICT, "ambiguous", message)
    seen = look(this_pass.ec2, (i.id for i in candidates), locks=True)
    if not seen:
        raise _unknown(ref)
    (found,) = seen.values()
    _must_be_ours(found, ref, key)
    return found


def _must_be_ours(seen: Seen, ref: str, key: str) -> None:
    """A terminated instance has lost its tags before long, so being terminated is looked at before the tag."""
    instance = seen.instance
    ours = opted_in(instance, _this_pass().settings)
    if not ours and not seen.records and not seen.damaged:
        raise _unknown(ref)
    if instance.state in ("shutting-down", "terminated"):
        kept = ", ".join(r.snapshot_id for r in seen.records) or "none"
        message = f"{instance.id} is terminated and can not be started. Snapshots of it that are kept: {kept}."
        raise Problem(HTTPStatus.GONE, "terminated", message)
    if not ours:
        message = f"{instance.id} was parked but has lost its tag {key}: put {key}=true back on it and ask again."
        raise Problem(HTTPStatus.CONFLICT, "not_opted_in", message)


def _literally(ref: str) -> str:
    """EC2 filters take * and ? for wildcards, and a backslash before one for the character itself."""
    return re.sub(r"([*?\\])", r"\\\1", ref)


def _unknown(ref: str) -> Problem:
    this_pass = _this_pass()
    key = this_pass.settings.opt_in_tag_key
    every = this_pass.ec2.instances_tagged({key: OPTED_IN})
    near = _closest(ref, every)
    hint = f" Did you mean {', '.join(near)}?" if near else f" Opt an instance in with the tag {key}=true."
    return Problem(HTTPStatus.NOT_FOUND, "unknown_instance", f"No instance is called {ref!r} here.{hint}")


def _closest(ref: str, every: Iterable[Instance]) -> list[str]:
    """The ids and Names most like a reference, in whatever case: it matters to EC2's filters, not to people."""
    names = {name.casefold(): name for i in every for name in (i.id, i.name) if name}
    return [names[n] for n in difflib.get_close_matches(ref.casefold(), names, n=CLOSEST, cutoff=0.5)]


# Answers.


def _shown(seen: Seen) -> dict[str, Any]:
    this_pass = _this_pass()
    return status(seen, this_pass.settings, this_pass.began)


def _json(http_status: HTTPStatus, body: Any) -> Response[Any]:
    return Response(
        status_code=http_status.value,
        content_type="application/json",
        body=app._serializer(body),
        headers={"Cache-Control": "no-store"},
    )


def _problem(http_status: HTTPStatus, code: str, message: str) -> Response[Any]:
    return _json(http_status, {"error": {"code": code, "message": message}})


@app.exception_handler(Problem)
def _on_problem(problem: Problem) -> Response[Any]:
    return _problem(problem.http_status, problem.code, problem.message)


@app.exception_handler(Raced)
def _on_race(error: Raced) -> Response[Any]:
    return _problem(HTTPStatus.CONFLICT, "changed_meanwhile", f"{error} Ask again.")


@app.exception_handler(Ec2Error)
def _on_ec2_error(error: Ec2Error) -> Response[Any]:
    return _problem(HTTPStatus.BAD_GATEWAY, "ec2_refused", f"{error} Ask again in a minute.")


@app.exception_handler(records.DamagedRecord)
def _on_damage(error: records.DamagedRecord) -> Response[Any]:
    return _problem(HTTPStatus.CONFLICT, "damaged_record", str(error))


@app.not_found
def _on_unknown_route(_: NotFoundError) -> Response[Any]:
    routes = "GET /instances, GET /instances/{ref}, POST /instances/{ref}/start and POST /instances/{ref}/stop"
    return _problem(HTTPStatus.NOT_FOUND, "unknown_route", f"There is nothing at this address. There is {routes}.")
