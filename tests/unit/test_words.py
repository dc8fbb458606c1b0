"""What the words of the opt-in tag mean, however people write them: those that protect do, and no slip parks."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from itertools import product
from typing import Any

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from park_volumes.core.facts import Observation
from park_volumes.core.park import park
from park_volumes.core.refusals import misspelt_opt_in
from park_volumes.core.start import Intent, start
from park_volumes.core.status import status
from park_volumes.core.steps import CreateSnapshot, Decision, Outcome
from park_volumes.core.tags import opted_in
from park_volumes.report import Kind
from tests.iam.evaluate import Request, deciding, statements
from tests.support.hcl import blocks, load, plain
from tests.support.terraform import ROOT as REPOSITORY
from tests.unit.facts import (
    ID,
    NOW,
    OPT_IN,
    SETTINGS,
    change,
    data_volume,
    instance,
    opted,
    parked,
    root_volume,
    seen,
    steps_of,
)
from tests.unit.functions import REMINDER, SWEEP, Functions, state_change
from tests.unit.passes import DATA, ROOT, Stand

NO = ("false", "no", "off", "0")
YES = ("true", "root")


def spelt(*words: str, blanks: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """The words in any case, with blanks around them."""
    in_any_case = st.sampled_from(words).flatmap(
        lambda word: st.tuples(*(st.sampled_from((c.lower(), c.upper())) for c in word)).map("".join)
    )
    return st.tuples(blanks, in_any_case, blanks).map("".join)


any_blanks = st.text(" \t\n\u00a0\u3000", max_size=4)
few_blanks = st.text(" ", max_size=2)
values = st.text(max_size=256)


def means(value: str) -> str:
    return value.strip().lower()


def decide(s: Observation) -> Decision:
    return park(s, SETTINGS, NOW)


def copied(s: Observation) -> set[str]:
    """The volumes of which a snapshot is taken."""
    return {step.volume_id for step in steps_of(decide(s), CreateSnapshot)}


class TestOnAVolume:
    @given(value=spelt(*NO, blanks=any_blanks))
    @example("False")
    @example("0 ")
    def test_every_spelling_of_no_leaves_it_attached(self, value: str) -> None:
        assert copied(seen(root_volume(), data_volume(tags=opted(value)))) == {"vol-root"}

    @given(value=spelt(*YES, blanks=any_blanks))
    @example("True")
    def test_our_own_words_park_it_with_the_others(self, value: str) -> None:
        assert copied(seen(root_volume(), data_volume(tags=opted(value)))) == {"vol-root", "vol-data"}

    @given(value=values)
    @example("")
    @example(" ")
    @example("never")
    @example("flase")
    @example("n")
    @example("00")
    @example("false,")
    @example("not true")
    @example("f a l s e")
    @example("ﬀalse")
    def test_any_other_value_refuses_the_instance_and_says_which_values_there_are(self, value: str) -> None:
        assume(means(value) not in (*NO, *YES))
        decision = decide(seen(root_volume(), data_volume(tags=opted(value))))

        assert (decision.outcome, decision.steps) == (Outcome.REFUSED, ())
        assert f"vol-data is tagged {OPT_IN}={value!r}, a value that ParkVolumes does not know" in decision.reason
        assert "Use true or root to park the volume, false, no, off, 0 to leave it" in decision.reason

    @pytest.mark.parametrize("opt_in", YES)
    def test_a_word_that_nobody_understands_refuses_on_any_volume(self, opt_in: str) -> None:
        on_root = change(seen(root_volume(tags=opted("maybe")), data_volume()), tags=opted(opt_in))
        on_data = change(seen(root_volume(), data_volume(tags=opted("maybe"))), tags=opted(opt_in))

        assert {decide(on_root).outcome, decide(on_data).outcome} == {Outcome.REFUSED}

    def test_every_such_volume_is_named(self) -> None:
        reason = decide(seen(root_volume(tags=opted("ja")), data_volume(tags=opted("")))).reason

        assert f"vol-data is tagged {OPT_IN}='', vol-root is tagged {OPT_IN}='ja', a value that" in reason

    @given(value=spelt(*NO, blanks=any_blanks))
    def test_a_root_volume_that_says_no_refuses_the_instance(self, value: str) -> None:
        decision = decide(seen(root_volume(tags=opted(value)), data_volume()))

        assert (decision.outcome, decision.steps) == (Outcome.REFUSED, ())
        assert f"root volume vol-root has to stay attached, because it is tagged {OPT_IN}={value}." in decision.reason

    def test_a_word_under_another_key_says_nothing(self) -> None:
        tags = {"parkvolumes": "false", "ParkVolumes2": "maybe"}

        assert copied(seen(root_volume(), data_volume(tags=tags))) == {"vol-root", "vol-data"}

    def test_what_cannot_be_parked_anyway_is_told_before_a_word(self) -> None:
        spot = change(seen(root_volume(), data_volume(tags=opted("maybe"))), lifecycle="spot")

        assert "Spot Instance" in decide(spot).reason

    def test_the_refusal_is_shown_and_starts_are_not_held_up_by_it(self) -> None:
        s = seen(root_volume(), data_volume(tags=opted("maybe")))

        assert status(s, SETTINGS, NOW)["state"] == "stopped"
        assert "a value that ParkVolumes does not know" in status(s, SETTINGS, NOW)["detail"]
        assert start(s, SETTINGS, NOW, intent=Intent.START).outcome is not Outcome.REFUSED

    @pytest.mark.parametrize("value", ["FALSE", " Off ", "Nein", ""])
    def test_whatever_is_said_against_it_the_volume_is_there_after_a_day(self, stand: Stand, value: str) -> None:
        instance_id = stand.stopped(ROOT, DATA._replace(tags={OPT_IN: value}))
        for _ in range(30):
            stand.step(instance_id)
            stand.after(timedelta(hours=1).total_seconds())

        assert [d.device for d in stand.instance(instance_id).devices if d.device == DATA.device] == [DATA.device]


class TestOnAnInstance:
    @given(value=spelt("true", blanks=few_blanks))
    @example(" TRUE ")
    def test_true_means_every_volume(self, value: str) -> None:
        assert copied(change(seen(root_volume(), data_volume()), tags=opted(value))) == {"vol-root", "vol-data"}

    @given(value=spelt("root", blanks=few_blanks))
    @example(" root ")
    def test_root_means_the_root_volume(self, value: str) -> None:
        assert copied(change(seen(root_volume(), data_volume()), tags=opted(value))) == {"vol-root"}

    @given(value=values)
    @example("yes")
    @example("treu")
    @example("rooted")
    @example("true root")
    @example("   true")
    @example("true\t")
    def test_any_other_value_opts_nothing_in(self, value: str) -> None:
        assume(value.lower().strip(" ") not in YES or "   " in value)
        decision = decide(change(seen(root_volume(), data_volume()), tags=opted(value)))

        assert decision.steps == ()
        assert not opted_in(opted(value), SETTINGS)
        assert start(parked(tags=opted(value)), SETTINGS, NOW, intent=Intent.START).outcome is Outcome.REFUSED

    @given(value=spelt("", *NO, blanks=any_blanks))
    def test_a_plain_no_is_no_typing_error(self, value: str) -> None:
        decision = decide(change(seen(root_volume()), tags=opted(value)))

        assert misspelt_opt_in(instance(tags=opted(value)), SETTINGS) == ""
        assert (decision.outcome, decision.reason) == (Outcome.DONE, f"{ID} is not opted in.")

    def test_no_tag_at_all_is_none_either(self) -> None:
        assert misspelt_opt_in(instance(tags={"parkvolumes": "yes"}), SETTINGS) == ""

    @given(value=values)
    @example("yes")
    @example("1")
    @example("   true")
    def test_what_is_neither_yes_nor_no_is_refused_with_the_right_spelling(self, value: str) -> None:
        assume(means(value) not in ("", *NO) and not opted_in(opted(value), SETTINGS))
        decision = decide(change(seen(root_volume()), tags=opted(value)))

        assert decision.outcome is Outcome.REFUSED
        assert decision.reason == (
            f"{ID} is tagged {OPT_IN}={value!r}, which opts nothing in: tag it {OPT_IN}=true to park every volume, "
            f"{OPT_IN}=root to park its root volume only, or {OPT_IN}=false to leave it alone."
        )

    def test_a_parked_one_whose_tag_was_misspelt_needs_attention(self) -> None:
        shown = status(parked(tags=opted("ture")), SETTINGS, NOW)

        assert (shown["state"], "which opts nothing in" in shown["detail"]) == ("needs attention", True)

    @pytest.mark.parametrize(
        ("value", "yes"), [("True", True), (" ROOT", True), ("yes", False), ("false", False), ("", False)]
    )
    def test_every_spelling_is_found_among_the_fleet(self, stand: Stand, value: str, yes: bool) -> None:
        instance_id = stand.launch(opt_in=value)

        found = stand.fleet()
        assert [o.instance.id for o in found] == ([instance_id] if yes else [])

    @pytest.mark.parametrize("value", ["True", "  root"])
    def test_every_spelling_is_listed_found_by_name_and_started(
        self, stand: Stand, functions: Functions, value: str
    ) -> None:
        instance_id = stand.parked(ROOT, name="db", opt_in=value)

        assert [i["id"] for i in functions.get().body["instances"]] == [instance_id]
        assert functions.post("db", "start").status == 202


class TestTold:
    def told(self, functions: Functions) -> list[dict[str, Any]]:
        assert {e["DetailType"] for e in functions.events} <= {Kind.PARKING_REFUSED}
        return [json.loads(e["Detail"]) for e in functions.events]

    @pytest.mark.parametrize("state", ["running", "stopped"])
    def test_a_misspelt_instance_once_a_day_and_by_no_sweep(
        self, stand: Stand, functions: Functions, state: str
    ) -> None:
        instance_id = stand.launch(opt_in="yes", state=state)
        for _ in range(3):
            functions.park(SWEEP)
            functions.live(300)
        assert functions.events == []
        functions.park(REMINDER)
        functions.live(60)

        (told,) = self.told(functions)
        assert told["instance-id"] == instance_id
        assert f"{OPT_IN}='yes', which opts nothing in: tag it {OPT_IN}=true" in told["what"]
        assert "neither parks nor starts it" in told["advice"]
        assert told["snapshot-ids"] == []

    def test_a_misspelt_instance_also_when_it_stops(self, stand: Stand, functions: Functions) -> None:
        instance_id = stand.stopped(opt_in="ture")
        functions.park(state_change(instance_id, "stopped"))

        assert [told["instance-id"] for told in self.told(functions)] == [instance_id]

    @pytest.mark.parametrize("value", ["true", "false", " No", "0", "", "OFF"])
    def test_nothing_of_one_that_says_yes_or_no(self, stand: Stand, functions: Functions, value: str) -> None:
        stand.launch(opt_in=value)
        functions.park(REMINDER)
        functions.live(60)

        assert functions.events == []

    def test_nothing_of_one_that_was_terminated(self, stand: Stand, functions: Functions) -> None:
        instance_id = stand.launch(opt_in="yes")
        stand.owner.terminate_instances(InstanceIds=[instance_id])
        stand.after(60)
        functions.park(REMINDER, state_change(instance_id, "terminated"))
        functions.live(60)

        assert functions.events == []

    def test_a_volume_that_nobody_understands_once_a_day(self, stand: Stand, functions: Functions) -> None:
        stand.stopped(ROOT, DATA._replace(tags={OPT_IN: "Nope"}))
        stand.after(121)
        functions.park(REMINDER)
        functions.live(60)

        (told,) = self.told(functions)
        assert f"{OPT_IN}='Nope', a value that ParkVolumes does not know" in told["what"]


class TestWhatTheRolesKnow:
    """The conditions of iam.tf and the code know the same spellings: otherwise a call would be denied half-way."""

    IAM = load(REPOSITORY / "iam.tf")

    def spellings(self) -> list[str]:
        known = {name: plain(value) for block in self.IAM["locals"] for name, value in block.items()}
        words, blanks = known["opt_in_words"], known["opt_in_blanks"]
        asked = "setproduct(local.opt_in_blanks, local.opt_in_words, local.opt_in_blanks)"
        assert known["opt_in_values"] == f'${{[for around in {asked} : join("", around)]}}'
        return ["".join(around) for around in product(blanks, words, blanks)]

    def conditions(self) -> list[Any]:
        documents = [body for _, body in blocks(self.IAM, "data")]
        every = [c for d in documents for s in d.get("statement", []) for c in s.get("condition", [])]
        return [plain(c) for c in every if plain(c["variable"]) == "${local.opt_in_tag}"]

    def allows(self, value: str) -> bool:
        """Whether a condition with these values lets an instance through with that tag."""
        condition = {"StringEqualsIgnoreCase": {f"aws:ResourceTag/{OPT_IN}": self.spellings()}}
        statement = {"Effect": "Allow", "Action": "ec2:StartInstances", "Resource": "*", "Condition": condition}
        key = f"aws:ResourceTag/{OPT_IN}"
        arn = "arn:aws:ec2:eu-central-1:123456789012:instance/i-0123456789abcdef0"
        asked = Request(action="ec2:StartInstances", resource=arn, context={key: [value]})
        return bool(deciding(statements({"Version": "2012-10-17", "Statement": [statement]}), asked))

    def test_every_condition_on_the_opt_in_tag_ignores_case(self) -> None:
        assert len(self.conditions()) == 3
        assert {(c["test"], c["values"]) for c in self.conditions()} == {
            ("StringEqualsIgnoreCase", "${local.opt_in_values}")
        }

    @given(value=spelt(*YES, blanks=st.text(" ", max_size=4)) | values | spelt(*YES, *NO, blanks=any_blanks))
    @example(" TRUE  ")
    @example("   true")
    def test_whatever_is_opted_in_is_allowed_and_nothing_else(self, value: str) -> None:
        assert self.allows(value) is opted_in(opted(value), SETTINGS)


def test_the_words_are_those_of_the_deployment() -> None:
    other = replace(SETTINGS, opt_in_tag_key="Night")
    s = change(seen(root_volume(), data_volume(tags=opted("maybe"))), tags={"Night": "True"})

    assert {step.volume_id for step in steps_of(park(s, other, NOW), CreateSnapshot)} == {"vol-root", "vol-data"}
