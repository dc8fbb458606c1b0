"""Values that anybody may have written: each fits its type and range, or ValueError says why not."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given

from park_volumes.core import reading
from tests.unit.anything import ANYTHING, TEXTS, examples

READERS: tuple[Callable[[Any], Any], ...] = (
    reading.word,
    reading.instance_id,
    reading.snapshot_id,
    reading.volume_id,
    reading.time,
    reading.whole(1, 200),
    reading.flag,
)


def fits(read: Callable[[Any], Any], value: Any) -> bool:
    try:
        read(value)
    except ValueError:
        return False
    return True


@examples
@given(TEXTS | ANYTHING)
def test_no_reader_raises_anything_but_a_value_error(value: Any) -> None:
    for read in READERS:
        fits(read, value)


class TestAWord:
    @pytest.mark.parametrize("value", ["a", "/dev/sdf", "!~", "x" * 255])
    def test_is_what_it_is(self, value: str) -> None:
        assert reading.word(value) == value

    @pytest.mark.parametrize("value", ["", " ", "a b", "a\n", "\ta", "é", "\ud800", "x" * 256, None, 7, ["a"], b"a"])
    def test_is_printable_ascii_without_blanks(self, value: Any) -> None:
        assert not fits(reading.word, value)


class TestAnId:
    @pytest.mark.parametrize("value", ["i-01234567", "i-0123456789abcdef0"])
    def test_of_an_instance(self, value: str) -> None:
        assert reading.instance_id(value) == value

    @pytest.mark.parametrize(
        "value", ["", "*", "i-*", "i-0123456?", "i-0123456", "i-0123456789abcdef01", "I-01234567", "i-01234567\n", None]
    )
    def test_has_no_wildcard_and_no_other_length(self, value: Any) -> None:
        assert not fits(reading.instance_id, value)

    def test_is_of_one_kind(self) -> None:
        assert reading.snapshot_id("snap-01234567") == "snap-01234567"
        assert reading.volume_id("vol-01234567") == "vol-01234567"
        assert not fits(reading.snapshot_id, "vol-01234567")
        assert not fits(reading.volume_id, "snap-01234567")


class TestATime:
    @pytest.mark.parametrize(
        ("text", "time"),
        [
            ("2026-01-05T10:00:00+00:00", datetime(2026, 1, 5, 10, tzinfo=UTC)),
            ("2026-01-05T10:00:00.000001Z", datetime(2026, 1, 5, 10, 0, 0, 1, tzinfo=UTC)),
            ("2026-01-05T10:00:00+09:00", datetime(2026, 1, 5, 1, tzinfo=UTC)),
        ],
    )
    def test_is_in_utc(self, text: str, time: datetime) -> None:
        assert reading.time(text) == time
        assert reading.time(text).tzinfo is UTC

    @pytest.mark.parametrize(
        ("text", "why"),
        [
            ("2026-01-05T10:00:00", "no time zone"),
            ("2026-01-05", "no time zone"),
            ("2005-12-31T23:59:59+00:00", "not of the years"),
            ("2200-01-01T00:00:00+00:00", "not of the years"),
            ("9999-12-31T23:59:59-23:59", "not of the years"),
            ("0001-01-01T00:00:00+23:59", "not of the years"),
            ("2026-01-05 10:00:00+00:00", "not a word"),
            ("2026-13-01T00:00:00+00:00", "month"),
            ("now", "now"),
            (None, "not a word"),
            (1767607200, "not a word"),
        ],
    )
    def test_that_is_none_says_why(self, text: Any, why: str) -> None:
        with pytest.raises(ValueError, match=why):
            reading.time(text)

    @pytest.mark.parametrize("edge", ["2006-01-01T00:00:00+23:59", "2199-12-31T23:59:59.999999-23:59"])
    def test_leaves_room_for_every_time_span_of_ours(self, edge: str) -> None:
        """The longest is that between two such times."""
        span = reading.time("2199-12-31T23:59:59+00:00") - reading.time("2006-01-01T00:00:00+00:00")

        assert reading.time(edge) + span + timedelta(days=36_500) < datetime.max.replace(tzinfo=UTC)
        assert reading.time(edge) - span > datetime.min.replace(tzinfo=UTC)


class TestAWholeNumber:
    @pytest.mark.parametrize(("value", "number"), [("1", 1), ("200", 200), ("007", 7), (1, 1), (200, 200)])
    def test_is_in_its_range(self, value: Any, number: int) -> None:
        assert reading.whole(1, 200)(value) == number

    @pytest.mark.parametrize(
        "value",
        [
            *("0", "201", "-1", "+1", "1.0", "1e2", "1_0", " 1", "1\n", "", "\u0661", "\u00b2", "9" * 5000),
            *(0, 201, -1, 1.0, float("inf"), float("nan"), True, None, [], {}),
        ],
        ids=ascii,
    )
    def test_is_nothing_else(self, value: Any) -> None:
        assert not fits(reading.whole(1, 200), value)


class TestAFlag:
    @pytest.mark.parametrize(("value", "flag"), [("true", True), ("false", False), (True, True), (False, False)])
    def test_is_true_or_false(self, value: Any, flag: bool) -> None:
        assert reading.flag(value) is flag

    @pytest.mark.parametrize("value", ["True", "yes", "", "1", 1, 0, None, [], {}])
    def test_is_nothing_else(self, value: Any) -> None:
        assert not fits(reading.flag, value)


class TestReadFrom:
    def test_names_what_is_missing(self) -> None:
        with pytest.raises(ValueError, match="size is missing"):
            reading.read_from({}, "size", reading.whole(1, 2))

    def test_names_and_quotes_what_does_not_fit(self) -> None:
        with pytest.raises(ValueError, match="size is '3': it is not a whole number from 1 to 2"):
            reading.read_from({"size": "3"}, "size", reading.whole(1, 2))
