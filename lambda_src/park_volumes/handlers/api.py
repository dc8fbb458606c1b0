"""The HTTP API at the Function URL: routes, references, status codes."""

import re
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import unquote

from aws_lambda_powertools import Logger

from park_volumes.aws.errors import Ec2Error, Raced
from park_volumes.core import capacity, prices
from park_volumes.core.facts import Instance, Observation
from park_volumes.core.phase import Phase, is_terminated, phase_of, reverted_message
from park_volumes.core.queue import queue_message
from park_volumes.core.reading import INSTANCE_ID, TAG_VALUE
from park_volumes.core.steps import Outcome
from park_volumes.core.tags import opted_in
from park_volumes.handlers import function_url, page, runtime
from park_volumes.handlers.function_url import Problem, Request, Response, as_json
from park_volumes.handlers.location import FunctionLocation
from park_volumes.handlers.peers import Peers
from park_volumes.handlers.region import Visited
from park_volumes.handlers.sign_in import Caller, InvokedDirectly, NotSignedIn, SignIn, TokensUnreadable
from park_volumes.handlers.starts import StartRegion, Starts, not_asked
from park_volumes.run.context import Pass
from park_volumes.run.execute import Ending, Result
from park_volumes.run.observe import observe, observe_instances, observe_orphans, opted_in_instances
from park_volumes.run.show import in_bin, savings_of, status_of, with_loading
from park_volumes.run.start_pass import StartPass

if TYPE_CHECKING:
    from park_volumes.run.savings import OfRegion

T = TypeVar("T")
CLOSEST = 3
SECONDS = re.compile(r"[0-9]{1,3}")
DENIED = "Nothing is lost. Let the start role of ParkVolumes do that, and start the instance again."
BOOTING = timedelta(seconds=1)
"""The pause between two looks at an instance while the caller waits."""


@dataclass(frozen=True, kw_only=True)
class Server:
    """What answers a request: the function, and this run of it."""

    here: FunctionLocation
    starts: Starts
    sign_in: SignIn
    peers: Peers
    logger: Logger
    report: Callable[[StartPass, list[Result]], None]
    """Tells people of starts."""


@dataclass(frozen=True, kw_only=True)
class Call:
    """A request of somebody who has signed in; ``ref`` is what its path has in the place of ``{ref}``."""

    server: Server
    request: Request
    caller: Caller
    ref: str

    @property
    def starts(self) -> Starts:
        return self.server.starts

    @property
    def logger(self) -> Logger:
        return self.server.logger


def answer(event: dict[str, Any], server: Server) -> dict[str, Any]:
    """Answer one Function URL request. Raises ValueError if the event is not such a request."""
    request = function_url.read(event)
    try:
        return _response(request, server).payload()
    except (Problem, NotSignedIn, TokensUnreadable, Ec2Error) as error:
        return _problem(error).response().payload()


def _response(request: Request, server: Server) -> Response:
    resource, ref = _resource(request.path)
    if show := WITHOUT_SIGNING_IN.get((request.method, resource)):
        return show(server)
    caller = _caller(request, server)
    if route := ROUTES.get((request.method, resource)):
        return route(Call(server=server, request=request, caller=caller, ref=ref))
    raise _no_route(request.method, resource)


def _resource(path: str) -> tuple[str, str]:
    """A path as openapi.json writes it, and the reference in it. An encoded slash is part of the reference."""
    match path.split("/"):
        case ["", "instances", ref, *rest] if ref:
            return "/".join(("", "instances", "{ref}", *rest)), unquote(ref)
        case _:
            return path, ""


def _caller(request: Request, server: Server) -> Caller:
    """Asked before it is known whether there is such a route. From here on every log line names the caller."""
    logger, asked = server.logger, {"method": request.method, "path": request.path}
    if not server.peers.may_call(request.headers, request.own_host):
        message = "This page may not call this deployment: page_origins does not name its origin."
        logger.warning(f"A request was refused. {message}", extra=asked | {"origin": request.headers["origin"]})
        raise Problem(HTTPStatus.FORBIDDEN, "wrong_origin", message)
    try:
        caller = server.sign_in.caller(request.event)
    except NotSignedIn as problem:
        logger.warning(f"A request was refused. {problem}", extra=asked | {"caller": "unknown"})
        raise
    logger.append_keys(caller=caller.name)
    logger.info("Request received.", extra=asked)
    return caller


def _covered(call: Call) -> list[StartRegion]:
    """The regions that are meant: all, or the one that the query parameter ``region`` names."""
    every = call.starts.run.covered()
    wanted = call.request.query.get("region", "")
    if not wanted:
        return every
    found = [region for region in every if region.name == wanted]
    if not found:
        names = ", ".join(region.name for region in every)
        message = f"region is {wanted!r}: this deployment covers {names}."
        raise Problem(HTTPStatus.NOT_FOUND, "unknown_region", message)
    return found


def show_page(server: Server) -> Response:
    """The page contains no data: it requests the instances like any other client."""
    peers = server.peers
    body, policy = page.page(server.sign_in.stay_days, peers.shown), page.page_policy(peers.asked)
    return Response(status=HTTPStatus.OK, body=body, content_type="text/html; charset=utf-8", policy=policy)


def show_openapi(_: Server) -> Response:
    return Response(status=HTTPStatus.OK, body=page.openapi())


def list_instances(call: Call) -> Response:
    visited = call.starts.visit(_covered(call), partial(_list, call))
    found = _answers(visited)
    shown = sorted((one for each, _ in found for one in each), key=lambda one: (one["name"], one["id"]))
    of_all = prices.figures(prices.total(cost for _, costs in found for cost in costs))
    total = {"size_gib": sum(one["size_gib"] for one in shown), "usd_per_month": of_all}
    here = call.server.here
    place = {"account": here.account, "region": here.region}
    body = {"instances": shown, "total": total, "place": place, "caller": call.caller.name}
    return as_json(HTTPStatus.OK, body | {"regions_unavailable": _unavailable(visited)})


def _list(call: Call, starts: StartPass) -> tuple[list[dict[str, Any]], list[prices.Savings]]:
    this_pass = starts.this_pass
    every = with_loading(this_pass, _every(call, this_pass, locks=True))
    costs = [savings_of(o, this_pass.settings) for o in every]
    return [_shown(this_pass, o, cost) for o, cost in zip(every, costs, strict=True)], costs


def _answers(visited: Sequence[Visited[StartRegion, T]]) -> list[T]:
    """What was found. Raises the error of the first region if there is nothing to show of any."""
    errors = [one.error for one in visited if one.error]
    if errors and len(errors) == len(visited):
        raise errors[0]
    return [one.found for one in visited if one.found is not None]


def _unavailable(visited: Sequence[Visited[StartRegion, T]]) -> list[dict[str, str]]:
    return [{"region": one.region.name, "why": str(one.error)} for one in visited if one.error]


def give_pass(call: Call) -> Response:
    """For a device whose holder wants to stay signed in without the token being kept there."""
    given = call.server.sign_in.give_pass(call.request.event)
    if given is None:
        message = (
            "A pass is given for a token, not for another pass, and only where stay_signed_in_days is more than 0."
        )
        raise Problem(HTTPStatus.CONFLICT, "no_pass", message)
    return as_json(HTTPStatus.OK, {"pass": given.text, "until": given.until.isoformat()})


def show_savings(call: Call) -> Response:
    from park_volumes.run import savings  # noqa: PLC0415  # every cold start would wait for it

    visited = call.starts.visit(_covered(call), partial(_of_savings, call))
    report = savings.report(_answers(visited))
    usual = "csv" if call.request.headers.get("accept", "").startswith("text/csv") else "json"
    kind = call.request.query.get("format", usual)
    if kind not in ("csv", "json"):
        raise Problem(HTTPStatus.BAD_REQUEST, "bad_format", f"format is {kind!r}: use csv or json.")
    if kind == "csv":
        return Response(status=HTTPStatus.OK, body=savings.as_csv(report), content_type="text/csv; charset=utf-8")
    return as_json(HTTPStatus.OK, report | {"regions_unavailable": _unavailable(visited)})


def _of_savings(call: Call, starts: StartPass) -> "OfRegion":
    from park_volumes.run.savings import OfRegion  # noqa: PLC0415  # the same

    this_pass = starts.this_pass
    reads, now = this_pass.ec2.reads, this_pass.clock.now()
    left = observe_orphans(reads, reads.every_snapshot(), now) if call.caller.may_see("") else []
    every = _every(call, this_pass, locks=False)
    kept = in_bin(reads, every)
    return OfRegion(region=this_pass.region, every=every, left=left, settings=this_pass.settings, kept=kept)


def _every(call: Call, this_pass: Pass, *, locks: bool) -> list[Observation]:
    """The opted-in instances that the caller may see."""
    found = _visible(call, _opted_in(this_pass))
    now = this_pass.clock.now()
    return list(observe(this_pass.ec2.reads, (i.id for i in found), now=now, locks=locks).values())


def show_instance(call: Call) -> Response:
    starts, instance = _find_instance(call)
    this_pass = starts.this_pass
    (observation,) = with_loading(this_pass, [_observe(call, this_pass, instance, locks=True)])
    return as_json(HTTPStatus.OK, _shown(this_pass, observation))


def start_instance(call: Call) -> Response:
    """A busy function first checks whether other starts are ahead in the queue."""
    wait = _wait(call)
    starts, instance = _find_instance(call)
    if call.starts.is_busy(starts) and (queued := starts.enqueue([instance])):
        _report(call, starts, queued)
        return _started(starts.this_pass, *queued)
    observation = _observe(call, starts.this_pass, instance, locks=False)
    if instance.state == "stopping":
        message = f"{instance.id} is still stopping: try again once it has stopped, usually within a minute or two."
        raise Problem(HTTPStatus.CONFLICT, "stopping", message)
    result = _with_position(starts, starts.start_observed(observation))
    _report(call, starts, [result])
    _must_have_worked(result)
    if wait and (later := _at_rest_within(starts.this_pass, wait, result.observation)):
        if phase_of(later) is not Phase.RUNNING:
            raise Problem(HTTPStatus.BAD_GATEWAY, "start_taken_back", reverted_message(later))
        return as_json(HTTPStatus.OK, _shown(starts.this_pass, later))
    return _started(starts.this_pass, result)


def _report(call: Call, starts: StartPass, results: list[Result]) -> None:
    for result in results:
        runtime.log(call.logger, result)
    call.server.report(starts, results)


def stop_instance(call: Call) -> Response:
    starts, instance = _find_instance(call)
    this_pass = starts.this_pass
    observation = _observe(call, this_pass, instance, locks=True)
    if instance.state == "pending":
        message = f"{instance.id} is still starting: try again once it is running, usually within a minute."
        raise Problem(HTTPStatus.CONFLICT, "starting", message)
    if instance.state != "running":
        status = HTTPStatus.ACCEPTED if instance.state == "stopping" else HTTPStatus.OK
        return as_json(status, _shown(this_pass, observation))
    if this_pass.settings.observe_only:
        message = f"{instance.id} is running. Nothing was changed: observe_only is set."
        raise Problem(HTTPStatus.CONFLICT, "observe_only", message)
    this_pass.ec2.writes.stop_instance(instance.id)
    call.logger.info(f"Stopping {instance.id} as requested.", extra={"instance_id": instance.id})
    stopping = replace(observation, instance=replace(instance, state="stopping"))
    return as_json(HTTPStatus.ACCEPTED, _shown(this_pass, stopping))


def _wait(call: Call) -> timedelta:
    """The query parameter ``wait``: how many seconds the caller will wait for the instance to run."""
    value = call.request.query.get("wait", "0")
    if not SECONDS.fullmatch(value):
        message = f"wait is {value!r}: give the seconds to wait for the instance to run, for example ?wait=30."
        raise Problem(HTTPStatus.BAD_REQUEST, "bad_wait", message)
    return timedelta(seconds=int(value))


def _at_rest_within(this_pass: Pass, wait: timedelta, before: Observation) -> Observation | None:
    """The instance once it runs, or once EC2 has reverted its start; None if neither happens before ``wait`` or the
    function's own time is over."""
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


def _with_position(starts: StartPass, result: Result) -> Result:
    """A start for which EC2 had no request tokens left waits in the queue: tell the caller its position."""
    if result.ending not in (Ending.THROTTLED, Ending.OUT_OF_TIME) or result.not_remembered:
        return result
    with suppress(Ec2Error):
        words = queue_message(result.instance_id, starts.queue.length(starts.this_pass))
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


def _started(this_pass: Pass, result: Result) -> Response:
    from park_volumes.core.status import starting  # noqa: PLC0415  # the start does not wait for it

    shown = _shown(this_pass, result.observation)
    if phase_of(result.observation) is Phase.RUNNING:
        return as_json(HTTPStatus.OK, shown)
    accepted = starting(result.observation, result.reason, this_pass.settings, this_pass.began)
    return as_json(HTTPStatus.ACCEPTED, shown | accepted)


def _find_instance(call: Call) -> tuple[StartPass, Instance]:
    """The instance that a reference, an id or a Name, stands for, and where it is. Raises Problem: 404 unknown, 409
    ambiguous. An id is in one region only, and most often in the home region."""
    ref, starts = call.ref, call.starts
    if INSTANCE_ID.fullmatch(ref):
        visited = _with_id_at_home(call)
        if not _candidates(call, visited):
            visited += starts.find(_covered(call)[len(visited) :], partial(_with_id, call))
    else:
        visited = starts.find(_covered(call) if TAG_VALUE.fullmatch(ref) else [], partial(_with_name, call))
    found = _candidates(call, visited)
    if not found:
        _answers(visited)
        raise _unknown(call, not_asked(visited))
    if len(found) > 1:
        raise Problem(HTTPStatus.CONFLICT, "ambiguous", _ambiguous(ref, found))
    return found[0]


def _with_id_at_home(call: Call) -> list[Visited[StartRegion, list[Instance]]]:
    """A look before it is even known which other regions there are. None if another region is meant."""
    home = call.starts.run.regions.home
    at_home = call.request.query.get("region", home.name) == home.name
    return call.starts.visit([home] if at_home else [], partial(_with_id, call))


def _with_id(call: Call, starts: StartPass) -> list[Instance]:
    return _visible(call, starts.this_pass.ec2.reads.instances([call.ref]))


def _with_name(call: Call, starts: StartPass) -> list[Instance]:
    return _visible(call, _opted_in(starts.this_pass, call.ref))


def _candidates(
    call: Call, visited: Sequence[Visited[StartRegion, list[Instance]]]
) -> list[tuple[StartPass, Instance]]:
    """Each with its region; those that have ended only if there are no others."""
    found = [(call.starts.at(one.region), i) for one in visited for i in one.found or ()]
    return [(starts, i) for starts, i in found if not is_terminated(i)] or found


def _ambiguous(ref: str, found: Sequence[tuple[StartPass, Instance]]) -> str:
    several = len({starts.this_pass.region for starts, _ in found}) > 1
    ids = sorted((i.id, f" in {starts.this_pass.region}" if several else "") for starts, i in found)
    named = ", ".join(f"{instance_id}{where}" for instance_id, where in ids)
    return f"{len(found)} instances have the Name {ref!r}: {named}. Use the id of the one you mean."


def _observe(call: Call, this_pass: Pass, instance: Instance, *, locks: bool) -> Observation:
    """Observe an instance. Raises Problem: 404 or 409 if it is not ours, 410 if it is terminated."""
    now = this_pass.clock.now()
    (observation,) = observe_instances(this_pass.ec2.reads, [instance], now=now, locks=locks).values()
    ours = opted_in(instance.tags, this_pass.settings)
    if not ours and not observation.records and not observation.damaged:
        raise _unknown(call)
    # A terminated instance soon loses its tags, so check for termination before the tag.
    if is_terminated(instance):
        kept = ", ".join(r.snapshot_id for r in observation.records) or "none"
        message = f"{instance.id} is terminated and cannot be started. Its remaining snapshots: {kept}."
        raise Problem(HTTPStatus.GONE, "terminated", message)
    if not ours:
        key = this_pass.settings.opt_in_tag_key
        message = f"{instance.id} was parked but is no longer opted in: tag it {key}=true and try again."
        raise Problem(HTTPStatus.CONFLICT, "not_opted_in", message)
    return observation


def _visible(call: Call, instances: Iterable[Instance]) -> list[Instance]:
    """The instances that the caller may see. For a caller with a pattern the others do not exist."""
    return [i for i in instances if call.caller.may_see(i.name)]


def _unknown(call: Call, silent: Sequence[str] = ()) -> Problem:
    """``silent``: sentences about the regions that could not be asked."""
    import difflib  # noqa: PLC0415  # every cold start would wait for it

    ref, starts = call.ref, call.starts
    visited = starts.visit(_covered(call), lambda there: _visible(call, _opted_in(there.this_pass)))
    # Ignoring case: EC2's filters are case-sensitive, people are not.
    every = (i for one in visited for i in one.found or ())
    names = {name.casefold(): name for i in every for name in (i.id, i.name) if name}
    near = [names[n] for n in difflib.get_close_matches(ref.casefold(), names, n=CLOSEST, cutoff=0.5)]
    key = starts.home.this_pass.settings.opt_in_tag_key
    hint = f"Did you mean {', '.join(near)}?" if near else f"Opt an instance in with the tag {key}=true."
    words = " ".join((f"No instance has the id or Name {ref!r}.", *silent, hint))
    return Problem(HTTPStatus.NOT_FOUND, "unknown_instance", words)


def _opted_in(this_pass: Pass, name: str | None = None) -> list[Instance]:
    return opted_in_instances(this_pass.ec2.reads, this_pass.settings, name=name)


def _shown(this_pass: Pass, observation: Observation, costs: prices.Savings | None = None) -> dict[str, Any]:
    """An instance as answers show it; ``costs`` if they have been counted already."""
    costs = costs or savings_of(observation, this_pass.settings)
    shown = status_of(observation, this_pass.settings, this_pass.began)
    return shown | {"region": this_pass.region, "usd_per_month": prices.figures(costs)}


def _problem(error: Exception) -> Problem:
    match error:
        case Problem():
            return error
        case InvokedDirectly():
            return Problem(HTTPStatus.FORBIDDEN, "invoked_directly", str(error))
        case NotSignedIn():
            return Problem(HTTPStatus.UNAUTHORIZED, "not_signed_in", str(error), {"WWW-Authenticate": "Bearer"})
        case TokensUnreadable():
            return Problem(HTTPStatus.SERVICE_UNAVAILABLE, "tokens_unreadable", str(error))
        case Raced():
            return Problem(HTTPStatus.CONFLICT, "changed_meanwhile", f"{error} Try again.")
        case _:
            return Problem(HTTPStatus.BAD_GATEWAY, "ec2_refused", f"{error} Try again in a minute.")


def _no_route(method: str, resource: str) -> Problem:
    every = (*WITHOUT_SIGNING_IN, *ROUTES)
    routes = ", ".join(f"{one} {of}" for one, of in every)
    allowed = ", ".join(sorted(one for one, of in every if of == resource))
    if allowed:
        message = f"{method} is not allowed here; use {allowed}. The routes are {routes}."
        return Problem(HTTPStatus.METHOD_NOT_ALLOWED, "wrong_method", message, {"Allow": allowed})
    return Problem(HTTPStatus.NOT_FOUND, "unknown_route", f"There is no such route. The routes are {routes}.")


WITHOUT_SIGNING_IN: dict[tuple[str, str], Callable[[Server], Response]] = {
    ("GET", "/"): show_page,
    ("GET", "/openapi.json"): show_openapi,
}
"""These hold no data, so they need no sign-in."""
ROUTES: dict[tuple[str, str], Callable[[Call], Response]] = {
    ("GET", "/instances"): list_instances,
    ("GET", "/instances/{ref}"): show_instance,
    ("POST", "/instances/{ref}/start"): start_instance,
    ("POST", "/instances/{ref}/stop"): stop_instance,
    ("GET", "/savings"): show_savings,
    ("POST", "/pass"): give_pass,
}
