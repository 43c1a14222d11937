"""Cron schedules: five fields or a `@` word, as CronJobs take them (robfig/cron's standard parser)."""

from __future__ import annotations

import re

_WORDS = frozenset(
    {"@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly"}
)
_BOUNDS = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 6))
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_DURATION = re.compile(r"(\d+(\.\d+)?(ns|us|µs|ms|s|m|h))+")


def cron_error(schedule: str) -> str:
    """What is wrong with the schedule, "" when nothing is."""
    text = schedule.strip()
    if text.startswith(("TZ=", "CRON_TZ=")):
        text = text.partition(" ")[2].strip()
    if text.startswith("@"):
        if text in _WORDS:
            return ""
        if text.startswith("@every "):
            rest = text.removeprefix("@every ")
            return "" if _DURATION.fullmatch(rest) else f"failed to parse duration {text}"
        return f"unrecognized descriptor: {text}"
    fields = text.split()
    if len(fields) != 5:
        return f"expected exactly 5 fields, found {len(fields)}: {fields_shown(fields)}"
    for index, field in enumerate(fields):
        for part in field.split(","):
            problem = _part_error(part, index)
            if problem:
                return problem
    return ""


def fields_shown(fields: list[str]) -> str:
    """Fields as Go prints a list of strings."""
    return f"[{' '.join(fields)}]"


def _part_error(part: str, index: int) -> str:
    low, high = _BOUNDS[index]
    whole, slash, step = part.partition("/")
    if slash and "/" in step:
        return f"too many slashes: {part}"
    start, dash, end = whole.partition("-")
    if dash and "-" in end:
        return f"too many hyphens: {part}"
    if slash and not step.isdecimal():
        return (
            f"failed to parse int from {step}: strconv.Atoi: parsing {_quote(step)}: invalid syntax"
        )
    if whole in {"*", "?"}:
        first, last = low, high
    else:
        for text in (start, end) if dash else (start,):
            if _number(text, index) is None:
                return f"failed to parse int from {text}: strconv.Atoi: parsing {_quote(text)}: invalid syntax"
        first = _number(start, index) or 0
        last = (_number(end, index) or 0) if dash else (high if slash else first)
    if first < low:
        return f"beginning of range ({first}) below minimum ({low}): {part}"
    if last > high:
        return f"end of range ({last}) above maximum ({high}): {part}"
    if first > last:
        return f"beginning of range ({first}) beyond end of range ({last}): {part}"
    if slash and int(step) == 0:
        return f"step of range should be a positive number: {part}"
    return ""


def _quote(text: str) -> str:
    return f'"{text}"'


def _number(text: str, index: int) -> int | None:
    if text.isdecimal():
        return int(text)
    names = {3: _MONTHS, 4: _DAYS}.get(index, ())
    if text.lower() in names:
        return names.index(text.lower()) + (1 if index == 3 else 0)
    return None
