"""The HTTP API at the Function URL: routes, references, status codes."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from http import HTTPStatus
from typing import Any
from urllib.parse import unquote

from aws_lambda_powertools import Logger
from aws_lambda_powertools.event_handler import LambdaFunctionUrlResolver, Response
from aws_lambda_powertools.event_handler.exceptions import NotFoundError
from aws_lambda_powertools.event_handler.middlewares import NextMiddleware
from aws_lambda_powertools.utilities.typing import LambdaContext

from park_volumes import prices
from park_volumes.decide.line import standing
from park_volumes.decide.situation import opted_in, taken_back
from park_volumes.decide.status import status
from park_volumes.ec2 import INSTANCE_ID, Ec2Error, Raced, literally
from park_volumes.handlers import page, runtime, savings
from park_volumes.handlers.sign_in import Caller, InvokedDirectly, NotSignedIn, SignIn, TokensUnreadable
from park_volumes.model import OPTED_IN, Instance, Outcome, Seen
from park_volumes.prices import Savings
from park_volumes.reconcile import Pass, Result
from park_volumes.survey import every_orphan, look, look_at

CLOSEST = 3
SECONDS = re.compile(r"[0-9]{1,3}")
BOOTING = timedelta(seconds=1)
"""Between two looks at an instance that somebody waits for."""
WITHOUT_SIGNING_IN = {("GET", "/"), ("GET", "/openapi.json")}
"""What holds no data: whoever may not sign in learns nothing from it."""

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
    this_pass: Pass,
    busy: bool,
    sign_in: SignIn,
    logger: Logger,
    tell: Callable[[list[Result]], None],
) -> dict[str, Any]:
    """Answer one request of the Function URL, and ``tell`` of starts. Raises ValueError for what is no such request.

    A ``busy`` function looks first whether others are ahead of a start.
    """
    context_of_request = event["requestContext"]
    if not isinstance(context_of_request, dict) or not {"http", "stage"} <= context_of_request.keys():
        raise ValueError("The function was invoked directly, and not with a request of a Function URL.")
    app.append_context(this_pass=this_pass, busy=busy, sign_in=sign_in, logger=logger, tell=tell)  # type: ignore[no-untyped-call]  # Powertools types it not
    return app.resolve(event, context)


def _this_pass() -> Pass:
    this_pass: Pass = app.context["this_pass"]
    return this_pass


def _caller() -> Caller:
    caller: Caller = app.context["caller"]
    return caller


def _sign_in(_: LambdaFunctionUrlResolver, next_middleware: NextMiddleware) -> Response[Any]:
    """Before every route, also those that do not exist. From here on every line of the log names who asks."""
    request = app.current_event
    asked = {"method": request.http_method, "path": request.path}
    logger: Logger = app.context["logger"]
    if (request.http_method, request.path) in WITHOUT_SIGNING_IN:
        return next_middleware(app)
    try:
        caller = app.context["sign_in"].caller(request.raw_event)
    except NotSignedIn as problem:
        logger.warning(f"A request was refused. {problem}", extra=asked | {"caller": "unknown"})
        raise
    logger.append_keys(caller=caller.name)
    logger.info("A request came.", extra=asked)
    app.append_context(caller=caller)  # type: ignore[no-untyped-call]
    return next_middleware(app)


app.use([_sign_in])


@app.get("/")
def show_page() -> Response[Any]:
    """The page has no data in it: it asks for the instances as any other client does."""
    return Response(
        status_code=HTTPStatus.OK.value,
        content_type="text/html; charset=utf-8",
        body=page.page(),
        headers={**page.SECURITY_HEADERS, "Content-Security-Policy": page.page_policy()},
    )


@app.get("/openapi.json")
def show_openapi() -> Response[Any]:
    return _answer(HTTPStatus.OK, page.openapi())


@app.get("/instances")
def list_instances() -> Response[Any]:
    every = [(s, _costs(s)) for s in _every(locks=True)]
    shown = sorted((_with_costs(s, costs) for s, costs in every), key=lambda one: (one["name"], one["id"]))
    of_all = prices.total(costs for _, costs in every)
    total = {"size_gib": sum(one["size_gib"] for one in shown), "usd_per_month": savings.figures(of_all)}
    return _json(HTTPStatus.OK, {"instances": shown, "total": total})


@app.get("/savings")
def show_savings() -> Response[Any]:
    this_pass, asked = _this_pass(), app.current_event
    left = every_orphan(this_pass.ec2) if _caller().may_see("") else []
    report = savings.report(_every(locks=False), left, this_pass.settings)
    usual = "csv" if asked.headers.get("accept", "").startswith("text/csv") else "json"
    kind = asked.get_query_string_value("format", usual)
    if kind not in ("csv", "json"):
        raise Problem(HTTPStatus.BAD_REQUEST, "bad_format", f"format is {kind!r}: it is csv or json.")
    if kind == "csv":
        return _answer(HTTPStatus.OK, savings.as_csv(report), content_type="text/csv; charset=utf-8")
    return _json(HTTPStatus.OK, report)


def _every(*, locks: bool) -> list[Seen]:
    """The opted-in instances that the caller may see."""
    this_pass = _this_pass()
    found = _visible(this_pass.ec2.instances_tagged({this_pass.settings.opt_in_tag_key: OPTED_IN}))
    return list(look(this_pass.ec2, (i.id for i in found), locks=locks).values())


@app.get("/instances/<ref>")
def show_instance(ref: str) -> Response[Any]:
    return _json(HTTPStatus.OK, _shown(_find(ref, locks=True)))


@app.post("/instances/<ref>/start")
def start_instance(ref: str) -> Response[Any]:
    wait = _wait()
    this_pass, instance = _this_pass(), _find_instance(ref)
    if app.context["busy"] and (waiting := this_pass.stand_in_line([instance])):
        _tell(waiting)
        return _started(*waiting)
    seen = _look_at(instance, ref, locks=False)
    if instance.state == "stopping":
        message = f"{instance.id} is still stopping: ask again when it has stopped, usually within a minute or two."
        raise Problem(HTTPStatus.CONFLICT, "stopping", message)
    result = _in_line(this_pass.start_seen(seen))
    _tell([result])
    _must_have_worked(result)
    if wait and (later := _at_rest_within(wait, result.seen)):
        if later.instance.state != "running":
            raise Problem(HTTPStatus.BAD_GATEWAY, "start_taken_back", taken_back(later))
        return _json(HTTPStatus.OK, _shown(later))
    return _started(result)


def _tell(results: list[Result]) -> None:
    for result in results:
        runtime.log(app.context["logger"], result)
    app.context["tell"](results)


@app.post("/instances/<ref>/stop")
def stop_instance(ref: str) -> Response[Any]:
    seen = _find(ref, locks=True)
    instance = seen.instance
    if instance.state == "pending":
        message = f"{instance.id} is still starting: ask again when it runs, usually within a minute."
        raise Problem(HTTPStatus.CONFLICT, "starting", message)
    if instance.state != "running":
        going_on = instance.state == "stopping"
        return _json(HTTPStatus.ACCEPTED if going_on else HTTPStatus.OK, _shown(seen))
    if _this_pass().settings.observe_only:
        message = f"{instance.id} is running. Nothing was changed: observe_only is set."
        raise Problem(HTTPStatus.CONFLICT, "observe_only", message)
    _this_pass().ec2.stop_instance(instance.id)
    app.context["logger"].info(f"{instance.id} is stopped, as was asked for.", extra={"instance_id": instance.id})
    return _json(HTTPStatus.ACCEPTED, _shown(replace(seen, instance=replace(instance, state="stopping"))))


def _wait() -> timedelta:
    """The query parameter ``wait``: the seconds that the caller wants to wait for the instance to run."""
    value = app.current_event.get_query_string_value("wait", "0")
    if not SECONDS.fullmatch(value):
        message = f"wait is {value!r}: it takes the seconds to wait until the instance runs, for example ?wait=30."
        raise Problem(HTTPStatus.BAD_REQUEST, "bad_wait", message)
    return timedelta(seconds=int(value))


def _at_rest_within(wait: timedelta, before: Seen) -> Seen | None:
    """The instance once it runs, or once EC2 has taken its start back; None if neither is so within that time or the
    function's own."""
    this_pass = _this_pass()
    until = min(this_pass.began + wait, this_pass.deadline)
    while True:
        found = this_pass.ec2.instances([before.instance.id])
        launched = [i for i in found if i.launch_time > before.instance.launch_time]
        if any(i.state == "running" for i in found) or any(i.state == "stopped" for i in launched):
            return look_at(this_pass.ec2, found, locks=False)[before.instance.id]
        if this_pass.clock.now() + BOOTING > until:
            return None
        this_pass.clock.sleep(BOOTING.total_seconds())


def _in_line(result: Result) -> Result:
    """A start for which EC2 had no token left waits for its turn: whoever asked learns where it stands."""
    if not (result.throttled or result.postponed):
        return result
    with suppress(Ec2Error):
        words = standing(result.seen.instance.id, _this_pass().ahead())
        return replace(result, decision=replace(result.decision, reason=words, outcome=Outcome.GOING_ON))
    return result


def _must_have_worked(result: Result) -> None:
    if result.error:
        raise Problem(HTTPStatus.BAD_GATEWAY, "ec2_refused", f"{result.error} Nothing is lost; the sweep tries again.")
    if result.decision.outcome is Outcome.REFUSED:
        raise Problem(HTTPStatus.CONFLICT, "refused", result.decision.reason)
    if result.decision.outcome is Outcome.OBSERVED:
        raise Problem(HTTPStatus.CONFLICT, "observe_only", result.decision.reason)


def _started(result: Result) -> Response[Any]:
    instance = result.seen.instance
    if instance.state == "running":
        return _json(HTTPStatus.OK, _shown(result.seen))
    state = instance.state if result.decision.outcome is Outcome.GOING_ON else "pending"
    shown = _shown(replace(result.seen, instance=replace(instance, state=state)))
    return _json(HTTPStatus.ACCEPTED, shown | {"state": "starting", "detail": result.decision.reason})


# References: an instance id, or a Name.


def _find(ref: str, *, locks: bool) -> Seen:
    """What there is to see of the instance that a reference names. Raises Problem as its two halves do."""
    return _look_at(_find_instance(ref), ref, locks=locks)


def _find_instance(ref: str) -> Instance:
    """The instance that a reference names. Raises Problem: 404 unknown, 409 ambiguous."""
    this_pass = _this_pass()
    ref = unquote(ref)
    if INSTANCE_ID.fullmatch(ref):
        candidates = this_pass.ec2.instances([ref])
    else:
        tags = {"Name": (literally(ref),), this_pass.settings.opt_in_tag_key: OPTED_IN}
        candidates = this_pass.ec2.instances_tagged(tags)
        candidates = [i for i in candidates if i.state not in ("shutting-down", "terminated")] or candidates
    candidates = _visible(candidates)
    if not candidates:
        raise _unknown(ref)
    if len(candidates) > 1:
        ids = ", ".join(sorted(i.id for i in candidates))
        message = f"{len(candidates)} instances have the Name {ref!r}: {ids}. Use the id of the one you mean."
        raise Problem(HTTPStatus.CONFLICT, "ambiguous", message)
    return candidates[0]


def _look_at(instance: Instance, ref: str, *, locks: bool) -> Seen:
    """Raises Problem: 404 or 409 not ours, 410 terminated."""
    this_pass = _this_pass()
    (seen,) = look_at(this_pass.ec2, [instance], locks=locks).values()
    _must_be_ours(seen, unquote(ref), this_pass.settings.opt_in_tag_key)
    return seen


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


def _visible(instances: Iterable[Instance]) -> list[Instance]:
    """Those that the caller may know of. To a caller with a pattern the others do not exist."""
    caller = _caller()
    return [i for i in instances if caller.may_see(i.name)]


def _unknown(ref: str) -> Problem:
    this_pass = _this_pass()
    key = this_pass.settings.opt_in_tag_key
    every = _visible(this_pass.ec2.instances_tagged({key: OPTED_IN}))
    near = _closest(ref, every)
    hint = f" Did you mean {', '.join(near)}?" if near else f" Opt an instance in with the tag {key}=true."
    return Problem(HTTPStatus.NOT_FOUND, "unknown_instance", f"No instance is called {ref!r} here.{hint}")


def _closest(ref: str, every: Iterable[Instance]) -> list[str]:
    """The ids and Names most like a reference, in whatever case: it matters to EC2's filters, not to people."""
    names = {name.casefold(): name for i in every for name in (i.id, i.name) if name}
    return [names[n] for n in difflib.get_close_matches(ref.casefold(), names, n=CLOSEST, cutoff=0.5)]


# Answers.


def _shown(seen: Seen) -> dict[str, Any]:
    return _with_costs(seen, _costs(seen))


def _costs(seen: Seen) -> Savings:
    return prices.savings(seen, _this_pass().settings.prices)


def _with_costs(seen: Seen, costs: Savings) -> dict[str, Any]:
    this_pass = _this_pass()
    return status(seen, this_pass.settings, this_pass.began) | {"usd_per_month": savings.figures(costs)}


def _json(http_status: HTTPStatus, body: Any) -> Response[Any]:
    return _answer(http_status, app._serializer(body))


def _answer(http_status: HTTPStatus, text: str, *, content_type: str = "application/json") -> Response[Any]:
    return Response(
        status_code=http_status.value,
        content_type=content_type,
        body=text,
        headers={**page.SECURITY_HEADERS, "Content-Security-Policy": page.NOTHING},
    )


def _problem(http_status: HTTPStatus, code: str, message: str) -> Response[Any]:
    return _json(http_status, {"error": {"code": code, "message": message}})


@app.exception_handler(Problem)
def _on_problem(problem: Problem) -> Response[Any]:
    return _problem(problem.http_status, problem.code, problem.message)


@app.exception_handler(NotSignedIn)
def _on_stranger(problem: NotSignedIn) -> Response[Any]:
    if isinstance(problem, InvokedDirectly):
        return _problem(HTTPStatus.FORBIDDEN, "invoked_directly", str(problem))
    refused = _problem(HTTPStatus.UNAUTHORIZED, "not_signed_in", str(problem))
    refused.headers["WWW-Authenticate"] = "Bearer"
    return refused


@app.exception_handler(TokensUnreadable)
def _on_unreadable_tokens(problem: TokensUnreadable) -> Response[Any]:
    return _problem(HTTPStatus.SERVICE_UNAVAILABLE, "tokens_unreadable", str(problem))


@app.exception_handler(Raced)
def _on_race(error: Raced) -> Response[Any]:
    return _problem(HTTPStatus.CONFLICT, "changed_meanwhile", f"{error} Ask again.")


@app.exception_handler(Ec2Error)
def _on_ec2_error(error: Ec2Error) -> Response[Any]:
    return _problem(HTTPStatus.BAD_GATEWAY, "ec2_refused", f"{error} Ask again in a minute.")


def _methods_for(path: str) -> str:
    """The methods of the routes at a path, for the header Allow; empty where there are none."""
    return ", ".join(sorted(r.method for r in app._static_routes + app._dynamic_routes if r.rule.match(path)))


@app.not_found
def _on_unknown_route(_: NotFoundError) -> Response[Any]:
    routes = (
        "GET / (a page), GET /openapi.json, GET /instances, GET /instances/{ref}, GET /savings, "
        "POST /instances/{ref}/start and POST /instances/{ref}/stop"
    )
    request = app.current_event
    if methods := _methods_for(request.path):
        message = f"{request.http_method} is not possible here, {methods} is. There is {routes}."
        wrong = _problem(HTTPStatus.METHOD_NOT_ALLOWED, "wrong_method", message)
        wrong.headers["Allow"] = methods
        return wrong
    return _problem(HTTPStatus.NOT_FOUND, "unknown_route", f"There is nothing at this address. There is {routes}.")
