"""Cron schedules: five fields, names, steps, ranges, `@daily` and friends, `@every 1h30m`.

Day of month and day of week are joined by *or* when both are restricted, as cron has always done.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

_MONTH_NAMES = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAY_NAMES = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_MONTHS = {name: number for number, name in enumerate(_MONTH_NAMES, start=1)}
_DAYS = {name: number for number, name in enumerate(_DAY_NAMES)}
_MACROS = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_BOUNDS: tuple[tuple[int, int, dict[str, int]], ...] = (
    (0, 59, {}),
    (0, 23, {}),
    (1, 31, {}),
    (1, 12, _MONTHS),
    (0, 6, _DAYS),
)
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|h|m|s)")
_UNIT_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
#: A schedule such as 30 February never comes: give up after so many years, as upstream's parser.
_YEARS = 5


@dataclass(frozen=True, slots=True)
class Schedule:
    """A parsed schedule; make it with `parse`."""

    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    any_day: bool
    any_weekday: bool
    every: float
    zone: ZoneInfo | None

    def next(self, after: datetime) -> datetime | None:
        """The first time after `after`, in UTC; None when there is none within five years."""
        if self.every:
            later = after + timedelta(seconds=self.every)
            return later.replace(microsecond=0)
        zone = self.zone or UTC
        local = after.astimezone(zone).replace(second=0, microsecond=0, tzinfo=None)
        last = local.year + _YEARS
        local += timedelta(minutes=1)
        while local.year <= last:
            skip = self._skip(local)
            if skip is not None:
                local = skip
                continue
            found = local.replace(tzinfo=zone).astimezone(UTC)
            # A wall time that the clocks jump over does not exist; one they repeat is taken once.
            exists = found.astimezone(zone).replace(tzinfo=None) == local
            if exists and found > after:
                return found
            local += timedelta(minutes=1)
        return None

    def _skip(self, local: datetime) -> datetime | None:
        """None when the time matches, else the next time worth looking at."""
        midnight = local.replace(hour=0, minute=0)
        if local.month not in self.months:
            first = midnight.replace(day=1)
            return (first + timedelta(days=32)).replace(day=1)
        if not self._day_matches(local):
            return midnight + timedelta(days=1)
        if local.hour not in self.hours:
            return local.replace(minute=0) + timedelta(hours=1)
        if local.minute not in self.minutes:
            return local + timedelta(minutes=1)
        return None

    def _day_matches(self, local: datetime) -> bool:
        day = local.day in self.days
        weekday = local.isoweekday() % 7 in self.weekdays
        if self.any_day or self.any_weekday:
            return day and weekday
        return day or weekday


def parse(text: str, zone: str | None = None) -> Schedule:
    """Parse a schedule; ValueError (also for an unknown time zone) says what is wrong."""
    try:
        where = ZoneInfo(zone) if zone else None
    except (KeyError, OSError) as error:
        raise ValueError(f"unknown time zone {zone}") from error
    text = text.strip()
    empty: frozenset[int] = frozenset()
    if text.startswith("@every "):
        seconds = _duration(text.removeprefix("@every ").strip())
        return Schedule(empty, empty, empty, empty, empty, True, True, seconds, where)
    if text.startswith("@"):
        if text not in _MACROS:
            raise ValueError(f"unrecognized descriptor: {text}")
        text = _MACROS[text]
    fields = text.split()
    if len(fields) != 5:
        raise ValueError(f"expected exactly 5 fields, found {len(fields)}: {fields}")
    sets = [
        _field(field, low, high, names)
        for field, (low, high, names) in zip(fields, _BOUNDS, strict=True)
    ]
    star = [field.partition("/")[0] in {"*", "?"} for field in fields]
    minutes, hours, days, months, weekdays = sets
    return Schedule(minutes, hours, days, months, weekdays, star[2], star[4], 0.0, where)


def _duration(text: str) -> float:
    parts = _DURATION.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise ValueError(f"failed to parse duration {text}")
    return max(1.0, sum(float(number) * _UNIT_SECONDS[unit] for number, unit in parts))


def _field(text: str, low: int, high: int, names: dict[str, int]) -> frozenset[int]:
    found: set[int] = set()
    for part in text.split(","):
        span, slash, step_text = part.partition("/")
        step = _number(step_text, {}) if slash else 1
        if step == 0:
            raise ValueError(f"step of range should be a positive number: {part}")
        if span in {"*", "?"}:
            first, last = low, high
        else:
            start, dash, end = span.partition("-")
            first = _number(start, names)
            last = _number(end, names) if dash else (high if slash else first)
        if first < low or last > high or first > last:
            raise ValueError(f"value out of range ({low} - {high}): {part}")
        found.update(range(first, last + 1, step))
    return frozenset(found)


def _number(text: str, names: dict[str, int]) -> int:
    named = names.get(text.lower())
    if named is not None:
        return named
    if not text.isdigit():
        raise ValueError(f"failed to parse int from {text!r}")
    return int(text)


def most_recent(
    schedule: Schedule, earliest: datetime, now: datetime
) -> tuple[datetime | None, bool]:
    """(the latest due time after `earliest`, more than 100 were missed)."""
    first = schedule.next(earliest)
    if first is None or now < first:
        return None, False
    second = schedule.next(first)
    if second is None or now < second:
        return first, False
    between = (second - first).total_seconds()
    missed = int((now - first).total_seconds() / between) + 1
    # Start close to now; irregular schedules need a few steps more.
    found: datetime | None = first
    candidate: datetime | None = first + timedelta(seconds=(missed - 2) * between)
    candidate = schedule.next(candidate - timedelta(seconds=1)) if candidate else None
    while candidate is not None and candidate <= now:
        found = candidate
        candidate = schedule.next(candidate)
    return found, missed > 100
