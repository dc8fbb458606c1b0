"""Anything in tags, messages and events: alone, and inside a batch of others, of which none is affected.

`make explore` tries 100,000 of each; EXAMPLES= says how many."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from park_volumes.aws.described import records_in, volume_of
from park_volumes.cli.explain import explain
from park_volumes.core import phase, tags
from park_volumes.core.facts import Observation, SnapshotRecord
from park_volumes.core.park import needs_park_pass, park
from park_volumes.core.reading import INSTANCE_ID
from park_volumes.core.start import Intent, start
from park_volumes.core.status import status
from park_volumes.handlers.failed_start import read
from park_volumes.overview import gauges, of_damage, of_the_month
from park_volumes.report import of_parking, of_start
from park_volumes.run import savings
from park_volumes.run.execute import Result
from park_volumes.run.observe import assemble
from park_volumes.run.park_pass import park_sweep
from tests.unit import facts
from tests.unit.anything import ANYTHING, BODIES, NUMBERS, TAGS, TEXTS, TIMES, as_json, examples
from tests.unit.facts import DATA, ID, MARK, NOW, OTHER, ROOT, SETTINGS
from tests.unit.functions import (
    START_ROLE,
    Context,
    Functions,
    failed_start,
    sqs_record,
    start_requested,
    state_change,
)
from tests.unit.passes import Stand
from tests.unit.test_park_handler import look_again

PATIENT = replace(
    SETTINGS,
    archive_after=timedelta(days=1),
    prices={"gp3": 0.08, "snapshot": 0.05, "archive": 0.0125, "archive-restore": 0.03},
)
LATER = datetime.max.replace(tzinfo=NOW.tzinfo) - timedelta(days=60 * 365)
"""A time at which a pass may still run, with every tag that can be read long past."""


def as_tags(values: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in values.items()]


def snapshot(snapshot_id: str, values: Mapping[str, str]) -> dict[str, Any]:
    """As DescribeSnapshots gives it: with the description of a record, so that its tags are read to the end."""
    described = tags.DEVICE in values and tags.INSTANCE in values
    return {
        "SnapshotId": snapshot_id,
        "Description": tags.description_of(values) if described else "",
        "VolumeId": "vol-root",
        "State": "completed",
        "StartTime": facts.TAKEN,
        "Progress": "100%",
        "Tags": as_tags(values),
    }


def a_volume(volume_id: str, values: Mapping[str, str], *, attached: bool) -> dict[str, Any]:
    """As DescribeVolumes gives it."""
    attachment = {
        "InstanceId": ID,
        "Device": ROOT,
        "State": "attached",
        "AttachTime": facts.LAUNCHED,
        "DeleteOnTermination": True,
    }
    return {
        "VolumeId": volume_id,
        "State": "in-use" if attached else "available",
        "Size": 8,
        "VolumeType": "gp3",
        "AvailabilityZone": facts.ZONE,
        "Attachments": [attachment] if attached else [],
        "Tags": as_tags(values),
    }


def whole_tags(device: str, instance_id: str = ID) -> dict[str, str]:
    """Those of a record in which nothing is wrong, with every note."""
    born = tags.tags_of_record(
        facts.root_volume(),
        facts.attachment(device, instance_id=instance_id),
        deployment="park-volumes",
        launch_time=facts.LAUNCHED,
        generation=facts.GENERATION,
        part="2/2" if device == ROOT else "1/2",
    )
    notes = tags.tags_of_request(facts.MARKED, facts.MARKED) | tags.tags_of_termination(OTHER, facts.MARKED)
    return born | notes | {tags.ATTEMPT: "2"} | tags.tags_of_confirmation(facts.MARKED)


VALUES = st.sampled_from((*TIMES, *NUMBERS)) | st.tuples(*[st.sampled_from(TIMES)] * 2).map(" ".join) | TEXTS


def nearly(device: str) -> st.SearchStrategy[dict[str, str]]:
    """The tags of a record of which somebody has changed some, or taken one off. Any may be the source of any."""
    whole = whole_tags(device)
    changes = st.dictionaries(st.sampled_from(sorted(whole)), VALUES, max_size=2)
    sources = st.sampled_from(["", *(f" from=snap-{n}" for n in range(4))])
    lost = st.none() | st.sampled_from(sorted(whole))

    def of(source: str, changed: Mapping[str, str], gone: str | None) -> dict[str, str]:
        named = whole | {tags.VOLUME: whole[tags.VOLUME] + source}
        return {key: value for key, value in {**named, **changed}.items() if key != gone}

    return st.builds(of, sources, changes, lost)


NEARLY = nearly(ROOT) | nearly(DATA)
SNAPSHOTS = st.lists(TAGS | NEARLY, max_size=4) | st.tuples(nearly(ROOT), nearly(DATA)).map(list)
IN_TRANSIT = tags.tags_of_transit(MARK, facts.target(ROOT, "snap-root"))
WORDS = st.lists(TEXTS | st.sampled_from([w for v in IN_TRANSIT.values() for w in v.split(" ")]), max_size=6)
MARKS = st.fixed_dictionaries({}, optional={key: WORDS.map(" ".join) for key in IN_TRANSIT})
"""The mark and the target of a volume, or what looks like them."""


def observation(
    snapshot_tags: list[Mapping[str, str]], volume_tags: Mapping[str, str], *, attached: bool, state: str, now: datetime
) -> dict[str, Observation]:
    """What is seen of the instance with these tags, and of another with nothing wrong, in one look."""
    described = [snapshot(f"snap-{n}", values) for n, values in enumerate(snapshot_tags)]
    others = [snapshot(f"snap-good-{device[-3:]}", whole_tags(device, OTHER)) for device in (ROOT, DATA)]
    volume = volume_of(a_volume("vol-x", volume_tags, attached=attached))
    mine, good = facts.instance(state=state), facts.instance(id=OTHER)
    return assemble([mine, good], records_in([*described, *others]), [volume], now=now)


STATES = st.sampled_from(["running", "stopped", "gone"])
ALONE = observation([], {}, attached=False, state="stopped", now=NOW)[OTHER]
"""The other instance, with nothing that somebody has changed beside it."""


def everything_that_is_asked_of(seen: Observation, now: datetime) -> None:
    """Every decision, answer, report and number of one instance."""
    decisions = [park(seen, PATIENT, now), *(start(seen, PATIENT, now, intent=intent) for intent in Intent)]
    for decision in decisions:
        result = Result(observation=seen, decision=decision)
        of_parking(result, PATIENT, now, include_ongoing=True)
        of_start(result, PATIENT, now, asked=True, include_ongoing=True)
    phase.request_of(seen, PATIENT, now), phase.next_try(seen, PATIENT, now)
    needs_park_pass(seen, PATIENT, now), of_damage(seen)
    as_json(status(seen, PATIENT, now)), list(explain(seen, PATIENT, now))


class TestTags:
    @examples
    @given(TAGS | NEARLY)
    def test_of_a_snapshot_make_a_record_or_damage(self, values: Mapping[str, str]) -> None:
        found = records_in([snapshot("snap-1", values)])

        assert len(found.records) + sum(map(len, found.damaged.values())) == 1
        for r in found.records:
            assert_fits(r)

    @examples
    @given(TAGS | MARKS)
    def test_of_a_volume_make_a_mark_or_damage(self, values: Mapping[str, str]) -> None:
        v = volume_of(a_volume("vol-1", values, attached=False))

        assert not v.damage or v.mark is None
        if v.mark:
            assert tags.mark_value(v.mark) == values[tags.MARK]
        tags.damage_of_volume(v, NOW)

    @examples
    @given(SNAPSHOTS, TAGS | MARKS, st.booleans(), STATES)
    def test_are_no_hindrance_to_any_decision_answer_report_or_number(
        self, snapshot_tags: list[Mapping[str, str]], volume_tags: Mapping[str, str], attached: bool, state: str
    ) -> None:
        for now in (NOW, LATER):
            seen = observation(snapshot_tags, volume_tags, attached=attached, state=state, now=now)
            everything_that_is_asked_of(seen[ID], now)

    @examples
    @given(SNAPSHOTS, TAGS | MARKS, st.booleans(), STATES)
    def test_of_one_instance_change_nothing_for_another(
        self, snapshot_tags: list[Mapping[str, str]], volume_tags: Mapping[str, str], attached: bool, state: str
    ) -> None:
        """Unless they say that they are of that other one."""
        claims = [values for values in snapshot_tags if values.get(tags.INSTANCE) != OTHER]
        volume_tags = {key: value for key, value in volume_tags.items() if OTHER not in value}
        seen = observation(claims, volume_tags, attached=attached, state=state, now=NOW)
        fleet = list(seen.values())

        assert seen[OTHER] == ALONE
        assert OTHER not in park_sweep(fleet, SETTINGS, NOW)
        gauges(fleet, PATIENT, NOW), of_the_month([(fleet, PATIENT, ())])
        everything = savings.OfRegion(region="here", every=fleet, left=fleet, settings=PATIENT)
        alone = savings.OfRegion(region="here", every=[ALONE], settings=PATIENT)
        rows = {row["id"]: row for row in savings.report([everything])["instances"]}
        assert rows[OTHER] == savings.report([alone])["instances"][0]


def assert_fits(r: SnapshotRecord) -> None:
    """Whatever is in a record has its type and its range."""
    assert 1 <= r.part <= r.parts <= 200
    assert 1 <= r.spec.size <= 65_536
    assert 1 <= r.attempt <= 10_000
    assert 0 <= r.card <= 100
    texts = (r.instance_id, r.device, r.generation, r.deployment, r.spec.zone, r.spec.type)
    assert all(text and text.isascii() and " " not in text for text in texts)
    times = (r.launch_time, r.confirmed_at, r.start_requested, r.capacity_refused_at, r.terminated)
    assert all(2005 <= at.year <= 2200 and at.utcoffset() == timedelta(0) for at in times if at)


TYPES = (
    *("Look Again", "Scheduled Event", "EBS Snapshot Notification", "EC2 Instance State-change Notification"),
    *("Start Requested", "EBS Volume Notification", "AWS API Call via CloudTrail"),
)
EVENTS = ANYTHING | st.fixed_dictionaries(
    {},
    optional={
        "detail-type": st.sampled_from(TYPES) | ANYTHING,
        "detail": st.dictionaries(
            st.sampled_from(["instance-id", "instance-ids", "looks", "reminder", "snapshot_id"]), ANYTHING, max_size=4
        )
        | ANYTHING,
        "resources": st.lists(TEXTS, max_size=2) | ANYTHING,
    },
)
MESSAGES = EVENTS.map(as_json) | BODIES


class Batches:
    """The park function with two running instances, and who of them was looked at."""

    def __init__(self, stand: Stand, functions: Functions, monkeypatch: pytest.MonkeyPatch) -> None:
        self.ids = {stand.launch(name=name) for name in ("a", "b")}
        self._module = functions.load("park")
        self._looked: list[str] = []
        monkeypatch.setattr(self._module, "_sweep", lambda *_, **__: None)
        monkeypatch.setattr(self._module.runtime, "log", lambda _, result: self._looked.append(result.instance_id))

    def failed(self, body: str) -> list[str]:
        """Hands over a batch of three, the second of which says anything. Returns the messages that failed."""
        self._looked.clear()
        first, last = (sqs_record(i, state_change(i, "stopped")) for i in sorted(self.ids))
        answer = self._module.handler({"Records": [first, sqs_record("poisoned", body), last]}, Context())
        assert self.ids <= set(self._looked)
        return [item["itemIdentifier"] for item in answer["batchItemFailures"]]


PARTS_OF_A_CALL = st.sampled_from(["eventTime", "userIdentity", "requestParameters", "errorMessage", "errorCode"])


class TestMessages:
    @pytest.fixture
    def batches(self, stand: Stand, functions: Functions, monkeypatch: pytest.MonkeyPatch) -> Batches:
        return Batches(stand, functions, monkeypatch)

    @examples
    @given(MESSAGES)
    def test_that_say_anything_fail_alone(self, batches: Batches, body: str) -> None:
        assert batches.failed(body) in ([], ["poisoned"])

    @examples
    @given(st.lists(ANYTHING, max_size=3))
    def test_that_name_anything_fail_alone(self, batches: Batches, ids: list[Any]) -> None:
        assert batches.failed(as_json(look_again(*ids))) == ([] if all(map(is_id, ids)) else ["poisoned"])


def is_id(value: Any) -> bool:
    return isinstance(value, str) and bool(INSTANCE_ID.fullmatch(value))


class TestEvents:
    """Of the start function, each of which comes alone."""

    @pytest.fixture
    def module(self, functions: Functions) -> Any:
        return functions.load("start")

    @examples
    @given(EVENTS)
    def test_that_say_anything_do_nothing_or_fail_in_words(self, module: Any, event: Any) -> None:
        with suppress(module.Unreadable, module.FailedPass):
            module.handler(event, Context())

    @examples
    @given(st.lists(ANYTHING, max_size=3))
    def test_that_ask_for_anything_start_what_there_is(self, module: Any, stand: Stand, ids: list[Any]) -> None:
        if not list(stand.world.instances.current()):
            stand.launch(name="a")
        (known,) = (i.id for i in stand.world.instances.current())
        home = stand.this_pass()
        starts = module.Starts(run=module.Run(regions=module.regions, home=home, turn=home.deadline))
        ((_, results),), unknown = module._results(start_requested(known, *ids), starts)

        assert [r.instance_id for r in results] == [known]
        assert bool(unknown) is bool(ids)

    @examples
    @given(
        st.dictionaries(st.sampled_from(["eventTime", "userIdentity", "requestParameters", "errorMessage"]), ANYTHING)
    )
    def test_of_calls_that_say_anything_do_nothing_or_fail_in_words(self, module: Any, changes: dict[str, Any]) -> None:
        event = failed_start(ID, at=NOW) | {}
        event["detail"] |= changes
        with suppress(module.Unreadable):
            module._read(partial(read, our_role=START_ROLE), event)
