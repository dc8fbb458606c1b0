"""Who may ask at the Function URL: signers whom Lambda verified, or holders of a token."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from hashlib import sha256
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from park_volumes.core.environment import MissingSetting
from park_volumes.handlers.sign_in import FRESH, LASTING, PAUSE, Caller, NotSignedIn, Tokens, TokensUnreadable
from park_volumes.handlers.stay import DevicePass
from tests.unit.facts import NOW
from tests.unit.functions import Functions, Reply, url_event
from tests.unit.passes import Stand

ADA = "ada-" + "a" * 28
WEB = "web-" + "w" * 28
LINES = f"ada:{ADA}\nweb team:{WEB}:web-*\n"


def with_token(method: str, path: str, token: str | None, scheme: str = "Bearer") -> dict[str, Any]:
    event = url_event(method, path, caller=None)
    if token is not None:
        event["headers"]["authorization"] = f"{scheme} {token}"
    return event


NO_CONNECTION = "there is no connection"


class Parameter:
    """An SSM parameter that remembers how often it was read."""

    def __init__(self, value: str) -> None:
        self.value, self.reads, self.error = value, 0, ""

    def get_parameter(self, *, Name: str, WithDecryption: bool) -> dict[str, Any]:  # noqa: N803  # SSM's names
        assert (Name, WithDecryption) == ("/tokens", True)
        self.reads += 1
        if self.error == NO_CONNECTION:
            raise EndpointConnectionError(endpoint_url="https://ssm")
        if self.error:
            raise ClientError({"Error": {"Code": self.error, "Message": "no"}}, "GetParameter")
        return {"Parameter": {"Value": self.value}}


class Log:
    def __init__(self) -> None:
        self.errors: list[str] = []

    def error(self, message: str) -> None:
        self.errors.append(message)


class Tried:
    """Tokens with a parameter, a log and a clock of the test."""

    def __init__(self, value: str = LINES, *, days: int = 0) -> None:
        self.parameter, self.log, self.now, self.date = Parameter(value), Log(), 0.0, NOW
        self.tokens = Tokens(
            parameter="/tokens",
            read=lambda name: "" + self.parameter.get_parameter(Name=name, WithDecryption=True)["Parameter"]["Value"],
            logger=self.log,  # type: ignore[arg-type]  # of a logger it uses error alone
            stays=timedelta(days=days),
            now=lambda: self.now,
            date=lambda: self.date,
        )

    def caller(self, token: str | None, scheme: str = "Bearer") -> Caller:
        return self.tokens.caller(with_token("GET", "/instances", token, scheme))

    def give(self, token: str | None) -> DevicePass | None:
        return self.tokens.give_pass(with_token("POST", "/pass", token))

    def given(self, token: str) -> str:
        """The text of a pass, which is given."""
        made = self.give(token)
        assert made is not None
        return made.text


@pytest.fixture
def open_url(functions: Functions, monkeypatch: pytest.MonkeyPatch) -> Functions:
    """The functions of a deployment in TOKEN mode."""
    monkeypatch.setenv("FUNCTION_URL_AUTH", "TOKEN")
    monkeypatch.setenv("START_TOKENS_PARAMETER", "/tokens")
    ec2_of, parameter = functions._client, Parameter(LINES)
    monkeypatch.setattr("boto3.client", lambda service, **k: parameter if service == "ssm" else ec2_of(service, **k))
    return functions


def ask(functions: Functions, method: str, path: str, token: str | None = ADA) -> Reply:
    answer = functions.start(with_token(method, path, token))
    return Reply.of(answer)


class TestTokens:
    @pytest.mark.parametrize(("token", "name"), [(ADA, "ada"), (WEB, "web team")])
    def test_name_their_holder(self, token: str, name: str) -> None:
        assert Tried().caller(token).name == name

    @pytest.mark.parametrize("scheme", ["bearer", "BEARER"])
    def test_are_taken_however_bearer_is_written(self, scheme: str) -> None:
        assert Tried().caller(ADA, scheme).name == "ada"

    @pytest.mark.parametrize(
        "token",
        [None, "", " ", ADA[:-1], ADA + "a", ADA.upper(), "ada", f"ada:{ADA}", "*", "\ud800", "토큰", WEB + ADA],
    )
    def test_that_are_none_let_nobody_in(self, token: str | None) -> None:
        with pytest.raises(NotSignedIn):
            Tried().caller(token)

    def test_are_not_taken_as_basic_credentials(self) -> None:
        with pytest.raises(NotSignedIn, match="Authorization: Bearer"):
            Tried().caller(ADA, "Basic")

    def test_of_32_characters_are_the_shortest(self) -> None:
        tried = Tried(f"long:{'l' * 32}\nshort:{'s' * 31}\n")

        assert tried.caller("l" * 32).name == "long"
        with pytest.raises(NotSignedIn):
            tried.caller("s" * 31)
        assert tried.log.errors == [
            "Line 2 of the parameter /tokens is refused: the token of short has 31 characters; it needs at least 32."
        ]

    @pytest.mark.parametrize(
        "line",
        ["ada", f":{ADA}", f"ada:{ADA}:", "ada:" + "a b" * 20, "ada:" + "é" * 40, "ada:" + "\t" * 40, f"ada {ADA}"],
    )
    def test_in_a_line_that_can_not_be_used_are_refused_without_being_quoted(self, line: str) -> None:
        tried = Tried(f"{line}\nweb:{WEB}")

        assert tried.caller(WEB).name == "web"
        (error,) = tried.log.errors
        assert error.startswith("Line 1 of the parameter /tokens is refused: ")
        assert ADA not in error

    def test_that_two_have_belong_to_the_first(self) -> None:
        tried = Tried(f"one:{ADA}\ntwo:{ADA}\n")

        assert tried.caller(ADA).name == "one"
        assert "an earlier line already has the token of" in tried.log.errors[0]

    def test_may_stand_among_remarks_and_empty_lines(self) -> None:
        assert Tried(f"# who\n\n  ada : {ADA} : web-* \r\n").caller(ADA) == Caller(name="ada", pattern="web-*")

    def test_are_read_again_after_five_minutes_and_not_before(self) -> None:
        tried = Tried()
        tried.caller(ADA)
        tried.parameter.value = f"web:{WEB}"
        tried.now = FRESH - 1
        tried.caller(ADA)
        assert tried.parameter.reads == 1

        tried.now = FRESH
        with pytest.raises(NotSignedIn):
            tried.caller(ADA)
        assert (FRESH, tried.parameter.reads) == (300, 2)

    @pytest.mark.parametrize("value", ["", "# nobody yet", "ada:short"])
    def test_of_which_there_are_none_let_nobody_in_and_say_so(self, value: str) -> None:
        tried = Tried(value)

        with pytest.raises(TokensUnreadable, match="the log says why"):
            tried.caller(ADA)
        assert tried.log.errors[-1].endswith("nobody can sign in.")

    def test_that_can_not_be_read_are_not_asked_for_by_every_stranger(self) -> None:
        tried = Tried()
        tried.parameter.error = "AccessDeniedException"
        for _ in range(9):
            with pytest.raises(TokensUnreadable):
                tried.caller(ADA)
        assert tried.parameter.reads == 1
        assert "AccessDeniedException" in tried.log.errors[0]

        tried.parameter.error, tried.now = "", PAUSE
        assert tried.caller(ADA).name == "ada"

    def test_whose_reading_fails_in_a_way_that_nobody_thought_of_are_not_asked_for_by_every_stranger_either(
        self,
    ) -> None:
        tried = Tried()
        tried.parameter.value = None  # type: ignore[assignment]  # nothing that has lines
        with pytest.raises(TypeError):
            tried.caller(ADA)
        for _ in range(9):
            with pytest.raises(TokensUnreadable):
                tried.caller(ADA)
        assert tried.parameter.reads == 1

    @pytest.mark.parametrize("code", ["ParameterNotFound", "AccessDeniedException"])
    def test_that_were_read_count_no_longer_once_they_are_taken_away(self, code: str) -> None:
        tried = Tried()
        tried.caller(ADA)
        tried.parameter.error, tried.now = code, FRESH

        with pytest.raises(TokensUnreadable):
            tried.caller(ADA)

    @pytest.mark.parametrize(
        "code", ["ThrottlingException", "InternalServerError", "ServiceUnavailableException", NO_CONNECTION]
    )
    def test_that_were_read_count_for_an_hour_while_they_can_not_be_read(self, code: str) -> None:
        tried = Tried()
        tried.caller(ADA)
        tried.parameter.error = code
        for now in (FRESH, FRESH + PAUSE, LASTING - PAUSE - 1, LASTING - 0.1):
            tried.now = now
            assert tried.caller(ADA).name == "ada"
            with pytest.raises(NotSignedIn):
                tried.caller("wrong" * 8)

        tried.now = LASTING + PAUSE
        with pytest.raises(TokensUnreadable):
            tried.caller(ADA)
        assert LASTING == 3600

    def test_that_were_read_are_read_again_every_ten_seconds_while_that_fails(self) -> None:
        tried = Tried()
        tried.caller(ADA)
        tried.parameter.error, tried.now = "ThrottlingException", FRESH
        for _ in range(9):
            tried.caller(ADA)
        assert tried.parameter.reads == 2

        tried.parameter.error, tried.parameter.value, tried.now = "", f"web:{WEB}", FRESH + PAUSE
        with pytest.raises(NotSignedIn):
            tried.caller(ADA)
        assert (tried.caller(WEB).name, tried.parameter.reads) == ("web", 3)

    def test_that_were_never_read_let_nobody_in(self) -> None:
        tried = Tried()
        tried.parameter.error = "ThrottlingException"
        for now in (0, PAUSE, 2 * PAUSE):
            tried.now = now
            with pytest.raises(TokensUnreadable):
                tried.caller(ADA)

    @pytest.mark.parametrize("value", ["", "ada:short"])
    def test_that_were_all_taken_out_do_not_come_back_while_they_can_not_be_read(self, value: str) -> None:
        tried = Tried()
        tried.caller(ADA)
        tried.parameter.value, tried.now = value, FRESH
        with pytest.raises(TokensUnreadable):
            tried.caller(ADA)
        tried.parameter.error, tried.now = "ThrottlingException", FRESH + PAUSE
        with pytest.raises(TokensUnreadable):
            tried.caller(ADA)

    def test_that_were_taken_away_do_not_come_back_while_they_can_not_be_read(self) -> None:
        tried = Tried()
        tried.caller(ADA)
        for n, code in enumerate(("ParameterNotFound", "ThrottlingException")):
            tried.parameter.error, tried.now = code, FRESH + n * PAUSE
            with pytest.raises(TokensUnreadable):
                tried.caller(ADA)

    def test_are_kept_as_hashes_only(self) -> None:
        tried = Tried()
        tried.caller(ADA)

        assert ADA not in repr(vars(tried.tokens))

    def test_without_a_kind_of_authentication_the_function_does_not_load(
        self, functions: Functions, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("FUNCTION_URL_AUTH", "NONE")
        with pytest.raises(MissingSetting, match="neither AWS_IAM nor TOKEN"):
            functions.load("start")

    def test_without_a_parameter_the_function_does_not_load(
        self, functions: Functions, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("FUNCTION_URL_AUTH", "TOKEN")
        with pytest.raises(MissingSetting, match="START_TOKENS_PARAMETER"):
            functions.load("start")


class TestStayingSignedIn:
    """With a pass: what a device keeps instead of the token."""

    def test_a_pass_is_taken_for_the_token_that_it_was_given_for(self) -> None:
        tried = Tried(days=7)

        assert tried.caller(tried.given(WEB)) == tried.caller(WEB)

    def test_a_pass_holds_no_token(self) -> None:
        tried = Tried(days=7)
        tokens = (ADA, sha256(ADA.encode()).hexdigest())

        assert not any(token in tried.given(ADA) for token in tokens)

    def test_a_pass_ends_by_itself(self) -> None:
        tried = Tried(days=7)
        text = tried.given(ADA)
        tried.date += timedelta(days=7, seconds=-1)
        assert tried.caller(text).name == "ada"

        tried.date += timedelta(seconds=1)
        with pytest.raises(NotSignedIn, match="sign in again with your token"):
            tried.caller(text)

    def test_a_pass_ends_with_its_token(self) -> None:
        tried = Tried(days=7)
        text = tried.given(ADA)
        tried.parameter.value, tried.now = f"ada:{ADA[:-1]}b", FRESH

        with pytest.raises(NotSignedIn):
            tried.caller(text)

    def test_a_pass_shows_what_its_token_shows_today(self) -> None:
        tried = Tried(days=7)
        text = tried.given(ADA)
        tried.parameter.value, tried.now = f"ada:{ADA}:web-*", FRESH

        assert tried.caller(text).pattern == "web-*"

    @pytest.mark.parametrize(("days", "lasts"), [(0, False), (6, False), (7, True), (30, True)])
    def test_a_deployment_that_allows_less_ends_longer_passes(self, days: int, lasts: bool) -> None:
        text, today = Tried(days=7).given(ADA), Tried(days=days)

        if lasts:
            assert today.caller(text).name == "ada"
        else:
            with pytest.raises(NotSignedIn):
                today.caller(text)

    @pytest.mark.parametrize(
        "change",
        [
            lambda text: text[:-1] + ("0" if text[-1] != "0" else "1"),
            lambda text: text.replace("pass.1", "pass.2", 1),
            lambda text: text.upper(),
            lambda text: text + "0",
            lambda text: text[:-1],
            lambda text: text.partition(".")[2],
            lambda _: f"park-volumes-pass.{10**10 - 1}.{'0' * 64}",
            lambda _: "park-volumes-pass.١٧٧٢٤٥٢٨٠٠." + "0" * 64,
        ],
        ids=["seal", "later", "upper", "longer", "shorter", "headless", "made up", "digits"],
    )
    def test_a_pass_that_was_changed_lets_nobody_in(self, change: Callable[[str], str]) -> None:
        tried = Tried(days=30)

        with pytest.raises(NotSignedIn):
            tried.caller(change(tried.given(ADA)))

    def test_nobody_gets_a_later_pass_for_a_pass(self) -> None:
        tried = Tried(days=7)

        assert tried.give(tried.given(ADA)) is None

    def test_strangers_get_no_pass(self) -> None:
        tried = Tried(days=7)

        assert tried.give("wrong" * 8) is None
        with pytest.raises(NotSignedIn):
            tried.give(None)

    def test_where_nobody_can_stay_there_are_no_passes(self) -> None:
        assert Tried(days=0).give(ADA) is None

    def test_the_url_gives_a_pass_and_takes_it(
        self, open_url: Functions, stand: Stand, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("STAY_SIGNED_IN_DAYS", "30")
        stand.launch(name="db"), stand.launch(name="web-1")
        given = ask(open_url, "POST", "/pass", WEB)

        assert given.status == 200
        assert given.body["until"] == (stand.clock.now() + timedelta(days=30)).isoformat()
        shown = ask(open_url, "GET", "/instances", given.body["pass"]).body
        assert ([i["name"] for i in shown["instances"]], shown["caller"]) == (["web-1"], "web team")
        again = ask(open_url, "POST", "/pass", given.body["pass"])
        assert (again.status, again.code) == (409, "no_pass")

    def test_the_log_names_the_holder_and_holds_no_pass(
        self, open_url: Functions, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setenv("STAY_SIGNED_IN_DAYS", "30")
        text = ask(open_url, "POST", "/pass").body["pass"]
        ask(open_url, "POST", "/instances/db/start", text)
        logged = capsys.readouterr().out

        assert {json.loads(line)["caller"] for line in logged.splitlines()} == {"ada"}
        assert text not in logged

    @pytest.mark.parametrize("days", [None, "0"])
    def test_without_the_setting_the_url_gives_no_pass(
        self, open_url: Functions, monkeypatch: pytest.MonkeyPatch, days: str | None
    ) -> None:
        if days is not None:
            monkeypatch.setenv("STAY_SIGNED_IN_DAYS", days)
        answer = ask(open_url, "POST", "/pass")

        assert (answer.status, answer.code) == (409, "no_pass")
        assert "stay_signed_in_days" in answer.message

    def test_with_signatures_there_are_no_passes(self, functions: Functions) -> None:
        answer = functions.request("POST", "/pass")

        assert (answer.status, answer.code) == (409, "no_pass")

    @pytest.mark.parametrize(("days", "said"), [(None, "0"), ("14", "14")])
    def test_the_page_says_for_how_long(
        self, open_url: Functions, monkeypatch: pytest.MonkeyPatch, days: str | None, said: str
    ) -> None:
        if days is not None:
            monkeypatch.setenv("STAY_SIGNED_IN_DAYS", days)
        shown = open_url.start(with_token("GET", "/", None))["body"]

        assert shown.count(f'data-stay-days="{said}"') == 1

    @pytest.mark.parametrize("days", ["-1", "1.5", "many", "100"])
    def test_with_a_number_of_days_that_is_none_the_function_does_not_load(
        self, open_url: Functions, monkeypatch: pytest.MonkeyPatch, days: str
    ) -> None:
        monkeypatch.setenv("STAY_SIGNED_IN_DAYS", days)
        with pytest.raises(MissingSetting, match="STAY_SIGNED_IN_DAYS"):
            open_url.load("start")


class TestAnOpenUrl:
    @pytest.mark.parametrize(
        ("method", "path"),
        [
            ("GET", "/instances"),
            ("GET", "/instances/db"),
            ("POST", "/instances/db/start"),
            ("POST", "/instances/db/stop"),
            ("GET", "/nothing"),
            ("POST", "/"),
            ("POST", "/pass"),
            ("GET", "//"),
            ("GET", "/openapi.json/"),
        ],
    )
    @pytest.mark.parametrize("token", [None, "wrong" * 8])
    def test_answers_strangers_nothing(
        self, open_url: Functions, stand: Stand, method: str, path: str, token: str | None
    ) -> None:
        stand.launch()
        before = stand.world.calls
        reply = ask(open_url, method, path, token)

        assert (reply.status, reply.code) == (401, "not_signed_in")
        assert reply.headers["WWW-Authenticate"] == "Bearer"
        assert stand.world.calls == before

    @pytest.mark.parametrize("path", ["/", "/openapi.json"])
    def test_shows_strangers_what_holds_no_data(self, open_url: Functions, path: str) -> None:
        assert open_url.start(with_token("GET", path, None))["statusCode"] == 200

    def test_takes_nobody_for_a_signer(self, open_url: Functions) -> None:
        assert open_url.request("GET", "/instances").status == 401

    def test_logs_the_holder_and_no_token(self, open_url: Functions, capsys: pytest.CaptureFixture[str]) -> None:
        ask(open_url, "POST", "/instances/db/start")
        logged = capsys.readouterr().out

        assert json.loads(logged.splitlines()[0])["caller"] == "ada"
        assert ADA not in logged

    def test_logs_no_token_even_where_events_are_logged(
        self, open_url: Functions, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("POWERTOOLS_LOGGER_LOG_EVENT", "true")
        ask(open_url, "GET", "/instances")

        assert ADA not in capsys.readouterr().out

    def test_shows_a_limited_holder_their_own(self, open_url: Functions, stand: Stand) -> None:
        mine, _ = stand.launch(name="web-1"), stand.launch(name="db")
        reply = ask(open_url, "GET", "/instances", WEB)

        assert [i["id"] for i in reply.body["instances"]] == [mine]
        assert ask(open_url, "GET", "/instances/web-1", WEB).status == 200

    def test_hides_from_a_limited_holder_that_others_exist(self, open_url: Functions, stand: Stand) -> None:
        other = stand.stopped(name="db")
        for ref in ("db", other):
            unknown = ask(open_url, "POST", f"/instances/{ref}/start", WEB)
            assert (unknown.status, unknown.code) == (404, "unknown_instance")
            assert "Did you mean" not in unknown.message
        assert stand.instance(other).state == "stopped"

    def test_finds_a_name_that_only_one_of_theirs_has(self, open_url: Functions, stand: Stand) -> None:
        stand.launch(name="web-1")
        stand.launch(name="db")

        assert ask(open_url, "POST", "/instances/web-1/stop", WEB).status == 202


class TestDirectInvocation:
    @pytest.mark.parametrize("context", [None, "x", {}, {"http": {"method": "GET", "path": "/"}}])
    def test_with_something_else_than_a_request_is_an_error_in_words(self, functions: Functions, context: Any) -> None:
        with pytest.raises(ValueError, match="The function was invoked directly"):
            functions.start(url_event("GET", "/") | {"requestContext": context})

    @pytest.mark.parametrize(
        "context", [None, {}, {"authorizer": None}, {"authorizer": {"iam": {"userArn": None}}}, {"authorizer": []}, "x"]
    )
    def test_is_nobody(self, functions: Functions, stand: Stand, context: Any) -> None:
        instance_id = stand.stopped()
        event = url_event("POST", "/instances/db/start", caller=None)
        claims = {"userArn": "arn:aws:iam::123456789012:user/ada"}
        event["headers"] |= {"x-amzn-iam-user-arn": claims["userArn"], "authorization": f"Bearer {ADA}"}
        event["body"] = json.dumps({"requestContext": {"authorizer": {"iam": claims}}, **claims})
        if isinstance(context, dict):
            event["requestContext"] |= context
        answer = functions.start(event)

        assert answer["statusCode"] == 403
        assert json.loads(answer["body"])["error"]["code"] == "invoked_directly"
        assert stand.instance(instance_id).state == "stopped"
