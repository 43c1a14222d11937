"""Cron schedules and which due time to start."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from kubeinstall.controllers.cronjob.schedule import most_recent, parse


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "after", "expected"),
    [
        ("*/15 * * * *", "2026-01-01T00:00:30", "2026-01-01T00:15:00"),
        ("0 0 29 2 *", "2026-03-01T00:00:00", "2028-02-29T00:00:00"),
        ("30 4 1,15 * 5", "2026-01-01T04:30:00", "2026-01-02T04:30:00"),
        ("0 12 * JAN-MAR mon", "2026-01-01T00:00:00", "2026-01-05T12:00:00"),
        ("@hourly", "2026-01-01T23:00:00", "2026-01-02T00:00:00"),
        ("5/20 * * * *", "2026-01-01T00:06:00", "2026-01-01T00:25:00"),
        ("@every 90s", "2026-01-01T00:00:00", "2026-01-01T00:01:30"),
    ],
)
def test_next(text: str, after: str, expected: str) -> None:
    assert parse(text).next(at(after)) == at(expected)


def test_time_zone_and_clock_change() -> None:
    schedule = parse("30 2 * * *", "Europe/Berlin")
    assert schedule.next(at("2026-01-01T00:00:00")) == at("2026-01-01T01:30:00")
    # 02:30 does not exist on 29 March 2026 in Berlin: the next is on the 30th.
    assert schedule.next(at("2026-03-29T00:00:00")) == at("2026-03-30T00:30:00")


@pytest.mark.parametrize(
    "text", ["", "* * * *", "60 * * * *", "* * * * 7", "*/0 * * * *", "@never", "a * * * *"]
)
def test_wrong_schedules(text: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        parse(text)


def test_impossible_date_never_comes() -> None:
    assert parse("0 0 31 2 *").next(at("2026-01-01T00:00:00")) is None


def test_most_recent() -> None:
    schedule = parse("*/10 * * * *")
    start = at("2026-01-01T00:00:00")
    assert most_recent(schedule, start, at("2026-01-01T00:09:59")) == (None, False)
    assert most_recent(schedule, start, at("2026-01-01T00:35:00")) == (
        at("2026-01-01T00:30:00"),
        False,
    )
    found, many = most_recent(schedule, start, at("2026-01-02T00:00:00"))
    assert found == at("2026-01-02T00:00:00")
    assert many
