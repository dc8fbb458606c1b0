"""What is sent keeps to the limits of SNS and EventBridge, and one report that cannot be made costs no other."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest
from aws_lambda_powertools import Logger
from hypothesis import given
from hypothesis import strategies as st

from park_volumes.handlers import notices as module
from park_volumes.handlers.location import FunctionLocation
from park_volumes.handlers.notices import Notices, calls, parts
from park_volumes.report import Kind, Report
from tests.unit import facts
from tests.unit.anything import examples
from tests.unit.facts import ID, OTHER

LIMIT = 262_144
"""Bytes, of SNS and of EventBridge."""
HERE = FunctionLocation(partition="aws", region="us-east-1", account="123456789012")
TOPIC = "arn:aws:sns:us-east-1:123456789012:park-volumes"
END = "\n\nParkVolumes, deployment park-volumes, us-east-1, account 123456789012."


class Strict:
    """EventBridge and SNS with their limits."""

    def __init__(self) -> None:
        self.entries: list[dict[str, Any]] = []
        self.sizes: list[int] = []
        self.mails: list[tuple[str, str]] = []

    def put_events(self, *, Entries: Sequence[dict[str, Any]]) -> dict[str, Any]:  # noqa: N803  # the name in the API
        size = sum(len("".join((e["Source"], e["DetailType"], e["Detail"], *e["Resources"])).encode()) for e in Entries)
        assert 1 <= len(Entries) <= 10
        assert size <= LIMIT
        self.sizes.append(len(Entries))
        self.entries += Entries
        return {"FailedEntryCount": 0, "Entries": [{"EventId": "1"} for _ in Entries]}

    def publish(self, *, TopicArn: str, Subject: str, Message: str) -> None:  # noqa: N803  # the same
        assert TopicArn == TOPIC
        assert len(Message.encode()) <= LIMIT
        assert len(Subject) < 100
        assert Subject.isascii()
        self.mails.append((Subject, Message))


@pytest.fixture
def strict(monkeypatch: pytest.MonkeyPatch) -> Strict:
    monkeypatch.setenv("POWERTOOLS_METRICS_NAMESPACE", "ParkVolumes")
    monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", "test")
    return Strict()


def notices(strict: Strict) -> Notices:
    return Notices(deployment="park-volumes", topic_arn=TOPIC, client=lambda *_, **__: strict, logger=Logger())


def report(what: str = "It is refused.", instance_id: str = ID, **facts_of_report: Any) -> Report:
    observation = facts.seen(id=instance_id)
    return Report(Kind.PARKING_REFUSED, observation, what, "Correct that.", **facts_of_report)


class TestMails:
    def test_of_a_thousand_refusals_are_several(self, strict: Strict) -> None:
        """Each with a sentence of the length that a refusal has."""
        ids = [f"i-{n:017x}" for n in range(1000)]
        notices(strict).send([report("It is refused. " * 12, i) for i in ids], HERE)

        assert len(strict.mails) == 2
        assert [subject[-9:] for subject, _ in strict.mails] == [" (1 of 2)", " (2 of 2)"]
        text = "".join(message for _, message in strict.mails)
        assert all(text.count(f"{i} (db): Parking Refused\n") == 1 for i in ids)

    def test_have_whole_paragraphs_and_where_they_come_from(self, strict: Strict) -> None:
        notices(strict).send([report("x" * 100_000, i) for i in (ID, OTHER, ID)], HERE)

        for _, message in strict.mails:
            assert message.endswith(f"instanceId={message.split(' ')[0]}{END}") or message.count("x" * 100_000) == 2
            assert message.endswith(END)
        assert [message.count("x" * 100_000) for _, message in strict.mails] == [2, 1]

    def test_that_are_short_are_one_as_ever(self, strict: Strict) -> None:
        notices(strict).send([report()], HERE)

        (mail,) = strict.mails
        assert mail[0] == f"ParkVolumes: Parking Refused: {ID} (db)"
        assert mail[1].startswith(f"{ID} (db): Parking Refused\nIt is refused.\nCorrect that.\nhttps://")

    def test_are_counted_in_bytes(self, strict: Strict) -> None:
        notices(strict).send_words("s", "\n\n".join(["가" * 40_000] * 3), HERE)

        assert [message.count("가") for _, message in strict.mails] == [80_000, 40_000]

    @pytest.mark.parametrize(("longer", "mails"), [(0, 1), (1, 2)])
    def test_use_all_the_room_there_is(self, strict: Strict, longer: int, mails: int) -> None:
        notices(strict).send_words("s", "x" * (LIMIT - len(END) + longer), HERE)

        assert len(strict.mails) == mails
        assert len(strict.mails[0][1].encode()) == LIMIT

    def test_cut_a_paragraph_only_where_it_is_too_long_for_one_and_no_character(self, strict: Strict) -> None:
        long = "a" + "가" * 200_000
        notices(strict).send_words("s", f"before\n\n{long}\n\nafter", HERE)
        bodies = [message.removesuffix(END) for _, message in strict.mails]

        assert bodies[0] == "before"
        assert "".join(bodies[1:]) == f"{long}\n\nafter"
        assert "\ufffd" not in "".join(bodies)

    def test_with_a_character_that_there_is_not_are_sent_without_it(self, strict: Strict) -> None:
        notices(strict).send_words("s", "a\ud800b", HERE)

        assert strict.mails == [("s", f"a?b{END}")]

    def test_of_which_one_is_refused_are_sent_all_the_same(
        self, strict: Strict, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        really = strict.publish
        refused: list[Any] = []

        def publish(**message: Any) -> None:
            if not refused:
                refused.append(message)
                raise RuntimeError("nobody foresaw this")
            really(**message)

        monkeypatch.setattr(strict, "publish", publish)
        notices(strict).send_words("s", "x" * 300_000, HERE)

        assert [subject for subject, _ in strict.mails] == ["s (2 of 2)"]

    @examples
    @given(st.lists(st.text(alphabet="a가😀\n", max_size=40), max_size=12), st.integers(4, 60))
    def test_lose_nothing_and_fit_whatever_they_say(self, paragraphs: list[str], room: int) -> None:
        words = "\n\n".join(paragraphs)
        found = list(parts(words, room))

        assert all(0 < len(part.encode()) <= room for part in found)
        assert "".join(found).replace("\n", "") == words.replace("\n", "")


class TestEvents:
    def test_are_ten_at_once(self, strict: Strict) -> None:
        notices(strict).send([report()] * 23, HERE)

        assert strict.sizes == [10, 10, 3]

    def test_that_are_long_are_fewer_at_once(self, strict: Strict) -> None:
        notices(strict).send([report("x" * 100_000)] * 5, HERE)

        assert strict.sizes == [2, 2, 1]
        assert all(json.loads(e["Detail"])["what"] == "x" * 100_000 for e in strict.entries)

    @pytest.mark.parametrize(("longer", "sizes"), [(0, [2]), (1, [1, 1])])
    def test_use_all_the_room_there_is(self, longer: int, sizes: list[int]) -> None:
        one: Any = {"Source": "s", "DetailType": "t", "Detail": "x" * (LIMIT // 2 - 3), "Resources": ["r"]}
        other: Any = one | {"Detail": one["Detail"] + "x" * longer}

        assert [len(some) for some in calls([one, other])] == sizes

    def test_that_are_too_long_alone_tell_the_beginning(self, strict: Strict) -> None:
        """A letter of Korean takes six bytes in JSON, and an emoji twelve."""
        ids = tuple(f"snap-{n:017x}" for n in range(12_000))
        notices(strict).send([report("😀" * 50_000, snapshot_ids=ids), report()], HERE)
        first, second = (json.loads(e["Detail"]) for e in strict.entries)

        assert first["what"] == "😀" * 8_000 + "..."
        assert first["snapshot-ids"] == list(ids[:4_000])
        assert first["instance-id"] == ID
        assert second["what"] == "It is refused."

    def test_of_which_one_cannot_be_made_are_sent_all_the_same(
        self, strict: Strict, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        really = module.detail

        def detail(r: Report, *others: Any) -> dict[str, Any]:
            if r.observation.instance.id == ID:
                raise RuntimeError("nobody foresaw this")
            return really(r, *others)

        monkeypatch.setattr(module, "detail", detail)
        notices(strict).send([report(), report(instance_id=OTHER)], HERE)

        assert [json.loads(e["Detail"])["instance-id"] for e in strict.entries] == [OTHER]
        assert len(strict.mails) == 1
        assert ID in strict.mails[0][1]

    def test_of_which_one_call_fails_are_sent_all_the_same(
        self, strict: Strict, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        really = strict.put_events
        failed: list[Any] = []

        def put_events(**entries: Any) -> Any:
            if not failed:
                failed.append(entries)
                raise RuntimeError("nobody foresaw this")
            return really(**entries)

        monkeypatch.setattr(strict, "put_events", put_events)
        notices(strict).send([report()] * 15, HERE)

        assert strict.sizes == [5]
        assert len(strict.mails) == 1

    @given(st.lists(st.integers(1, 262_000), max_size=40))
    def test_keep_their_order_whatever_their_sizes(self, sizes: list[int]) -> None:
        every: list[Any] = [
            {"Source": "s", "DetailType": "t", "Detail": "x" * n, "Resources": [str(k)]} for k, n in enumerate(sizes)
        ]
        found = list(calls(every))

        assert [e for some in found for e in some] == every
        for some in found:
            assert 1 <= len(some) <= 10
            assert sum(len(e["Detail"]) + 2 + len(e["Resources"][0]) for e in some) <= LIMIT
