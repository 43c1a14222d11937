"""Times of the API: `metav1.Time` (RFC 3339, whole seconds) and `metav1.MicroTime`, always UTC."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime, timedelta, timezone
from functools import lru_cache
from typing import Final

_RFC3339: Final = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:[.,](\d+))?(Z|[+-]\d\d:\d\d)"
)


def now() -> str:
    """The present as `metav1.Time`: `2026-01-31T10:20:30Z`."""
    return from_unix(int(time.time()))


def now_micro() -> str:
    """The present as `metav1.MicroTime`: `2026-01-31T10:20:30.123456Z`."""
    return format_micro(datetime.now(UTC))


@lru_cache(maxsize=64)
def from_unix(seconds: int) -> str:
    """`metav1.Time` of a Unix time; cached, a busy server asks for the same second often."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def format_time(moment: datetime) -> str:
    """`metav1.Time` of an aware datetime, cut to the second."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def format_micro(moment: datetime) -> str:
    """`metav1.MicroTime` of an aware datetime."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


@lru_cache(maxsize=4096)
def parse(text: str) -> datetime:
    """The aware UTC datetime of an RFC 3339 text; finer than microseconds is cut.

    Raises ValueError when the text is not RFC 3339.
    """
    match = _RFC3339.fullmatch(text)
    if match is None:
        raise ValueError(f"not an RFC 3339 time: {text!r}")
    year, month, day, hour, minute, second, fraction, zone = match.groups()
    micro = int((fraction or "0")[:6].ljust(6, "0"))
    offset = timedelta()
    if zone != "Z":
        offset = timedelta(hours=int(zone[1:3]), minutes=int(zone[4:6]))
        offset = -offset if zone[0] == "-" else offset
    moment = datetime(
        int(year),
        int(month),
        int(day),
        int(hour),
        int(minute),
        int(second),
        micro,
        timezone(offset),
    )
    return moment.astimezone(UTC)


def canonical(text: str, *, micro: bool = False) -> str:
    """The text upstream encodes a time as: UTC, cut to seconds (or microseconds). Raises ValueError."""
    moment = parse(text)
    return format_micro(moment) if micro else format_time(moment)


def unix(text: str) -> float:
    """Seconds since 1970 of an RFC 3339 text. Raises ValueError."""
    return parse(text).timestamp()
