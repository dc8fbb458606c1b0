"""The HTTP API at the Function URL: routes, references, status codes."""

import difflib
import re
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from http import HTTPStatus
from typing import Any, cast
from urllib.parse import unquote

from aws_lambda_powertools import Logger
from aws_lambda_powertools.event_handler import LambdaFunctionUrlResolver, Response
from aws_lambda_powertools.event_handler.exceptions import NotFoundError
from aws_lambda_powertools.event_handler.middlewares import NextMiddleware
from aws_lambda_powertools.utilities.typing import LambdaContext

from park_volumes.aws.errors import Ec2Error, Raced
from park_volumes.core import capacity, prices
from park_volumes.core.facts import Instance, Observation
from park_volumes.core.phase import Phase, phase_of, reverted_message
from park_volumes.core.queue import queue_message
from park_volumes.core.reading import INSTANCE_ID, TAG_VALUE
from park_volumes.core.steps import Outcome
from park_volumes.core.tags import opted_in
from park_volumes.handlers import page, runtime
from park_volumes.handlers.location import FunctionLocation
from park_volumes.handlers.peers import Peers
from park_volumes.handlers.sign_in import Caller, InvokedDirectly, NotSignedIn, SignIn, TokensUnreadable
from park_volumes.run.context import Pass
from park_volumes.run.execute import Ending, Result
from park_volumes.run.observe import observe, observe_instances, observe_orphans, opted_in_instances
from park_volumes.run.show import in_bin, savings_of, status_of, with_loading
from park_volumes.run.start_pass import StartPass

CLOSEST = 3
SECONDS = re.compile(r"[0-9]{1,3}")
DENIED = "Nothing is lost. Let the start role of ParkVolumes do that, and start the instance again."
BOOTING = timedelta(seconds=1)
"""The pause between two looks at an instance while the caller waits."""
WITHOUT_SIGNING_IN = {("GET", "/"), ("GET", "/openapi.json")}
"""These hold no data, so they need no sign-in."""

app = LambdaFunctionUrlResolver()


class Problem(Exception):
    """An answer other than success: the HTTP status, a code for programs and a sentence for people."""

    def __init__(self, http_status: HTTPStatus, code: str, message: str) -> None:
        super().__init__(message)
        self.http_status, self.code, self.message = http_status, code, message


def answer(
    event: dict[str, Any],
    context: LambdaContext,
    *,
    starts: StartPass,
    busy: bool,
    sign_in: SignIn,
    peers: Peers,
    logger: Logger,
    report: Callable[[list[Result]], None],
) -> dict[str, Any]:
    """Answer one Function URL request, and ``report`` the starts. Raises ValueError if the event is not such a request.
    A ``busy`` function first checks whether other starts are ahead in the queue."""
    if not _is_request(event):
        raise ValueError("The function was invoked directly, not through its Function URL.")
    app.append_context(starts=starts, busy=busy, sign_in=sign_in, logger=logger, report=report)  # type: ignore[no-untyped-call]  # Powertools has no types for it
    app.append_context(peers=peers)  # type: ignore[no-untyped-call]  # the same
    return app.resolve(event, context)


def _is_request(event: dict[str, Any]) -> bool:
    """Whether an event has the form in which Lambda hands on a request (payload format 2.0)."""
    match event:
        case {"requestContext": {"http": {"method": str(), "path": str()}, "stage": str()}, "rawPath": str()}:
            texts = (event.get("headers"), event.get("queryStringParameters"))
            return all(text is None or _are_texts(text) for text in texts)
        case _:
            return False


def _are_texts(values: Any) -> bool:
    return isinstance(values, dict) and all(isinstance(one, str) for pair in values.items() for one in pair)


def _starts() -> StartPass:
    return cast("StartPass", app.context["starts"])


def _this_pass() -> Pass:
    return _starts().this_pass


def _caller() -> Caller:
    return cast("Caller", app.context["caller"])


def _sign_in(_: LambdaFunctionUrlResolver, next_middleware: NextMiddleware) -> Response[Any]:
    """Runs before every route, even unknown ones. From here on every log line names the caller."""
    request = app.current_event
    asked = {"method": request.http_method, "path": request.path}
    logger: Logger = app.context["logger"]
    if (request.http_method, request.path) in WITHOUT_SIGNING_IN:
        return next_middleware(app)
    _refuse_other_pages(logger, asked)
    try:
        caller = app.context["sign_in"].caller(request.raw_event)
    except NotSignedIn as problem:
        logger.warning(f"A request was refused. {problem}", extra=asked | {"caller": "unknown"})
        raise
    logger.append_keys(caller=caller.name)
    logger.info("Request received.", extra=asked)
    app.append_context(caller=caller)  # type: ignore[no-untyped-call]
    return next_middleware(app)


def _refuse_other_pages(logger: Logger, asked: dict[str, str]) -> None:
    request, peers = app.current_event, cast("Peers", app.context["peers"])
    own_host = request.raw_event["requestContext"].get("domainName")
    if not peers.may_call(request.headers, own_host):
        message = "This page may not call this deployment: page_origins does not name its origin."
        logger.warning(f"A request was refused. {message}", extra=asked | {"origin": request.headers["origin"]})
        raise Problem(HTTPStatus.FORBIDDEN, "wrong_origin", message)


app.use([_sign_in])


@app.get("/")
def show_page() -> Response[Any]:
    """The page contains no data: it requests the instances like any other client."""
    peers: Peers = app.context["peers"]
    shown, policy = page.page(app.context["sign_in"].stay_days, peers.shown), page.page_policy(peers.asked)
    return _answer(HTTPStatus.OK, shown, content_type="text/html; charset=utf-8", policy=policy)


@app.get("/openapi.json")
def show_openapi() -> Response[Any]:
    return _answer(HTTPStatus.OK, page.openapi())


@app.get("/instances")
def list_instances() -> Response[Any]:
    every = with_loading(_this_pass(), _every(locks=True))
    costs = [savings_of(o, _this_pass().settings) for o in every]
    shown = sorted(map(_shown, every, costs), key=lambda one: (one["name"], one["id"]))
    of_all = prices.figures(prices.total(costs))
    total = {"size_gib": sum(one["size_gib"] for one in shown), "usd_per_month": of_all}
    here = FunctionLocation.of_function(app.lambda_context.invoked_function_arn)
    place = {"account": here.account, "region": here.region}
    return _json(HTTPStatus.OK, {"instances": shown, "total": total, "place": place, "caller": _caller().name})


@app.post("/pass")
def give_pass() -> Response[Any]:
    """For a device whose holder wants to stay signed in without the token being kept there."""
    given = app.context["sign_in"].give_pass(app.current_event.raw_event)
    if given is None:
        message = (
            "A pass is given for a token, not for another pass, and only where stay_signed_in_days is more than 0."
        )
        raise Problem(HTTPStatus.CONFLICT, "no_pass", message)
    return _json(HTTPStatus.OK, {"pass": given.text, "until": given.until.isoformat()})


@app.get("/savings")
def show_savings() -> Response[Any]:
    from park_volumes.run import savings  # noqa: PLC0415  # every cold start would wait for it

    this_pass, asked = _this_pass(), app.current_event
    reads, now = this_pass.ec2.reads, this_pass.clock.now()
    left = observe_orphans(reads, reads.every_snapshot(), now) if _caller().may_see("") else []
    every = _every(locks=False)
    report = savings.report(every, left, this_pass.settings, kept=in_bin(reads, every))
    usual = "csv" if asked.headers.get("accept", "").startswith("text/csv") else "json"
    kind = asked.get_query_string_value("format", usual)
    if kind not in ("csv", "json"):
        raise Problem(HTTPStatus.BAD_REQUEST, "bad_format", f"format is {kind!r}: use csv or json.")
    if kind == "csv":
        return _answer(HTTPStatus.OK, savings.as_csv(report), content_type="text/csv; charset=utf-8")
    return _json(HTTPStatus.OK, report)


def _every(*, locks: bool) -> list[Observation]:
    """The opted-in instances that the caller may see."""
    this_pass = _this_pass()
    found = _visible(opted_in_instances(this_pass.ec2.reads, this_pass.settings))
    now = this_pass.clock.now()
    return list(observe(this_pass.ec2.reads, (i.id for i in found), now=now, locks=locks).values())


@app.get("/instances/<ref>")
def show_instance(ref: str) -> Response[Any]:
    (observation,) = with_loading(_this_pass(), [_observe(_find_instance(ref), ref, locks=True)])
    return _json(HTTPStatus.OK, _shown(observation))


@app.post("/instances/<ref>/start")
def start_instance(ref: str) -> Response[Any]:
    wait = _wait()
    starts, instance = _starts(), _find_instance(ref)
    if app.context["busy"] and (queued := starts.enqueue([instance])):
        _report(queued)
        return _started(*queued)
    observation = _observe(instance, ref, locks=False)
    if instance.state == "stopping":
        message = f"{instance.id} is still stopping: try again once it has stopped, usually within a minute or two."
        raise Problem(HTTPStatus.CONFLICT, "stopping", message)
    result = _with_position(starts.start_observed(observation))
    _report([result])
    _must_have_worked(result)
    if wait and (later := _at_rest_within(wait, result.observation)):
        if phase_of(later) is not Phase.RUNNING:
            raise Problem(HTTPStatus.BAD_GATEWAY, "start_taken_back", reverted_message(later))
        return _json(HTTPStatus.OK, _shown(later))
    return _started(result)


def _report(results: list[Result]) -> None:
    for result in results:
        runtime.log(app.context["logger"], result)
    app.context["report"](results)


@app.post("/instances/<ref>/stop")
def stop_instance(ref: str) -> Response[Any]:
    instance = _find_instance(ref)
    observation = _observe(instance, ref, locks=True)
    if instance.state == "pending":
        message = f"{instance.id} is still starting: try again once it is running, usually within a minute."
        raise Problem(HTTPStatus.CONFLICT, "starting", message)
    if instance.state != "running":
        return _json(HTTPStatus.ACCEPTED if instance.state == "stopping" else HTTPStatus.OK, _shown(observation))
    if _this_pass().settings.observe_only:
        message = f"{instance.id} is running. Nothing was changed: observe_only is set."
        raise Problem(HTTPStatus.CONFLICT, "observe_only", message)
    _this_pass().ec2.writes.stop_instance(instance.id)
    app.context["logger"].info(f"Stopping {instance.id} as requested.", extra={"instance_id": instance.id})
    return _json(HTTPStatus.ACCEPTED, _shown(replace(observation, instance=replace(instance, state="stopping"))))


def _wait() -> timedelta:
    """The query parameter ``wait``: how many seconds the caller will wait for the instance to run."""
    value = app.current_event.get_query_string_value("wait", "0")
    if not SECONDS.fullmatch(value):
        message = f"wait is {value!r}: give the seconds to wait for the instance to run, for example ?wait=30."
        raise Problem(HTTPStatus.BAD_REQUEST, "bad_wait", message)
    return timedelta(seconds=int(value))


def _at_rest_within(wait: timedelta, before: Observation) -> Observation | None:
    """The instance once it runs, or once EC2 has reverted its start; None if neither happens before ``wait`` or the
    function's own time is over."""
    this_pass = _this_pass()
    until = min(this_pass.began + wait, this_pass.deadline)
    while True:
        found = this_pass.ec2.reads.instances([before.instance.id])
        launched = [i for i in found if i.launch_time > before.instance.launch_time]
        if any(i.state == "running" for i in found) or any(i.state == "stopped" for i in launched):
            now = this_pass.clock.now()
            return observe_instances(this_pass.ec2.reads, found, now=now, locks=False)[before.instance.id]
        if this_pass.clock.now() + BOOTING > until:
            return None
        this_pass.clock.sleep(BOOTING.total_seconds())


def _with_position(result: Result) -> Result:
    """A start for which EC2 had no request tokens left waits in the queue: tell the caller its position."""
    if result.ending not in (Ending.THROTTLED, Ending.OUT_OF_TIME) or result.not_remembered:
        return result
    with suppress(Ec2Error):
        words = queue_message(result.instance_id, _starts().queue.length(_this_pass()))
        decision = replace(result.decision, reason=words, outcome=Outcome.GOING_ON)
        return replace(result, decision=decision, note="")
    return result


def _must_have_worked(result: Result) -> None:
    if isinstance(result.error, Ec2Error) and result.error.denied:
        raise Problem(HTTPStatus.CONFLICT, "refused", f"{result.error} {DENIED}")
    if result.error:
        raise Problem(HTTPStatus.BAD_GATEWAY, "ec2_refused", f"{result.error} Nothing is lost{_what_follows(result)}")
    if result.decision.outcome is Outcome.REFUSED:
        raise Problem(HTTPStatus.CONFLICT, "refused", result.reason)
    if result.decision.outcome is Outcome.OBSERVED:
        raise Problem(HTTPStatus.CONFLICT, "observe_only", result.reason)


def _what_follows(result: Result) -> str:
    """The end of a sentence about an error, and what happens next."""
    if result.not_remembered:
        return f". {result.not_remembered}"
    if result.lack and result.observation.of_this_stop:
        return f". {capacity.TRIED_AGAIN} {capacity.remedy(result.lack)}"
    return f". {capacity.remedy(result.lack)} Ask again later." if result.lack else "; the sweep tries again."


def _started(result: Result) -> Response[Any]:
    from park_volumes.core.status import starting  # noqa: PLC0415  # the start does not wait for it

    shown = _shown(result.observation)
    if phase_of(result.observation) is Phase.RUNNING:
        return _json(HTTPStatus.OK, shown)
    this_pass = _this_pass()
    accepted = starting(result.observation, result.reason, this_pass.settings, this_pass.began)
    return _json(HTTPStatus.ACCEPTED, shown | accepted)


def _find_instance(ref: str) -> Instance:
    """The instance that a reference, an id or a Name, stands for. Raises Problem: 404 unknown, 409 ambiguous."""
    this_pass = _this_pass()
    ref = unquote(ref)
    if INSTANCE_ID.fullmatch(ref):
        candidates = this_pass.ec2.reads.instances([ref])
    elif not TAG_VALUE.fullmatch(ref):
        candidates = []
    else:
        candidates = opted_in_instances(this_pass.ec2.reads, this_pass.settings, name=ref)
        candidates = [i for i in candidates if i.state not in ("shutting-down", "terminated")] or candidates
    candidates = _visible(candidates)
    if not candidates:
        raise _unknown(ref)
    if len(candidates) > 1:
        ids = ", ".join(sorted(i.id for i in candidates))
        message = f"{len(candidates)} instances have the Name {ref!r}: {ids}. Use the id of the one you mean."
        raise Problem(HTTPStatus.CONFLICT, "ambiguous", message)
    return candidates[0]


def _observe(instance: Instance, ref: str, *, locks: bool) -> Observation:
    """Observe an instance. Raises Problem: 404 or 409 if it is not ours, 410 if it is terminated."""
    this_pass = _this_pass()
    now = this_pass.clock.now()
    (observation,) = observe_instances(this_pass.ec2.reads, [instance], now=now, locks=locks).values()
    ours = opted_in(instance.tags, this_pass.settings)
    if not ours and not observation.records and not observation.damaged:
        raise _unknown(unquote(ref))
    # A terminated instance soon loses its tags, so check for termination before the tag.
    if instance.state in ("shutting-down", "terminated"):
        kept = ", ".join(r.snapshot_id for r in observation.records) or "none"
        message = f"{instance.id} is terminated and cannot be started. Its remaining snapshots: {kept}."
        raise Problem(HTTPStatus.GONE, "terminated", message)
    if not ours:
        key = this_pass.settings.opt_in_tag_key
        message = f"{instance.id} was parked but is no longer opted in: tag it {key}=true and try again."
        raise Problem(HTTPStatus.CONFLICT, "not_opted_in", message)
    return observation


def _visible(instances: Iterable[Instance]) -> list[Instance]:
    """The instances that the caller may see. For a caller with a pattern the others do not exist."""
    caller = _caller()
    return [i for i in instances if caller.may_see(i.name)]


def _unknown(ref: str) -> Problem:

    this_pass = _this_pass()
    key = this_pass.settings.opt_in_tag_key
    every = _visible(opted_in_instances(this_pass.ec2.reads, this_pass.settings))
    # Ignoring case: EC2's filters are case-sensitive, people are not.
    names = {name.casefold(): name for i in every for name in (i.id, i.name) if name}
    near = [names[n] for n in difflib.get_close_matches(ref.casefold(), names, n=CLOSEST, cutoff=0.5)]
    hint = f" Did you mean {', '.join(near)}?" if near else f" Opt an instance in with the tag {key}=true."
    return Problem(HTTPStatus.NOT_FOUND, "unknown_instance", f"No instance has the id or Name {ref!r}.{hint}")


def _shown(observation: Observation, costs: prices.Savings | None = None) -> dict[str, Any]:
    """An instance as answers show it; ``costs`` if they have been counted already."""
    this_pass = _this_pass()
    costs = costs or savings_of(observation, this_pass.settings)
    return status_of(observation, this_pass.settings, this_pass.began) | {"usd_per_month": prices.figures(costs)}


def _json(http_status: HTTPStatus, body: Any) -> Response[Any]:
    return _answer(http_status, app._serializer(body))


def _answer(
    http_status: HTTPStatus, text: str, *, content_type: str = "application/json", policy: str = page.NOTHING
) -> Response[Any]:
    headers = {**page.SECURITY_HEADERS, "Content-Security-Policy": policy}
    return Response(status_code=http_status.value, content_type=content_type, body=text, headers=headers)


def _problem(http_status: HTTPStatus, code: str, message: str) -> Response[Any]:
    return _json(http_status, {"error": {"code": code, "message": message}})


@app.exception_handler([Problem, NotSignedIn, TokensUnreadable, Ec2Error])
def _on_error(error: Exception) -> Response[Any]:
    match error:
        case Problem():
            return _problem(error.http_status, error.code, error.message)
        case InvokedDirectly():
            return _problem(HTTPStatus.FORBIDDEN, "invoked_directly", str(error))
        case NotSignedIn():
            refused = _problem(HTTPStatus.UNAUTHORIZED, "not_signed_in", str(error))
            refused.headers["WWW-Authenticate"] = "Bearer"
            return refused
        case TokensUnreadable():
            return _problem(HTTPStatus.SERVICE_UNAVAILABLE, "tokens_unreadable", str(error))
        case Raced():
            return _problem(HTTPStatus.CONFLICT, "changed_meanwhile", f"{error} Try again.")
        case _:
            return _problem(HTTPStatus.BAD_GATEWAY, "ec2_refused", f"{error} Try again in a minute.")


@app.not_found
def _on_unknown_route(_: NotFoundError) -> Response[Any]:
    routes = (
        "GET / (a page), GET /openapi.json, GET /instances, GET /instances/{ref}, GET /savings, "
        "POST /instances/{ref}/start, POST /instances/{ref}/stop and POST /pass"
    )
    request = app.current_event
    every = app._static_routes + app._dynamic_routes
    if methods := ", ".join(sorted(r.method for r in every if r.rule.match(request.path))):
        message = f"{request.http_method} is not allowed here; use {methods}. The routes are {routes}."
        wrong = _problem(HTTPStatus.METHOD_NOT_ALLOWED, "wrong_method", message)
        wrong.headers["Allow"] = methods
        return wrong
    return _problem(HTTPStatus.NOT_FOUND, "unknown_route", f"There is no such route. The routes are {routes}.")
