"""Parts of timestamps and durations."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from kubeinstall.api.cel.functions import define
from kubeinstall.api.cel.values import Duration, Timestamp, parse_zone

_PARTS: dict[str, Callable[[datetime], int]] = {
    "getFullYear": lambda moment: moment.year,
    "getMonth": lambda moment: moment.month - 1,
    "getDayOfYear": lambda moment: moment.timetuple().tm_yday - 1,
    "getDayOfMonth": lambda moment: moment.day - 1,
    "getDate": lambda moment: moment.day,
    "getDayOfWeek": lambda moment: moment.isoweekday() % 7,
    "getHours": lambda moment: moment.hour,
    "getMinutes": lambda moment: moment.minute,
    "getSeconds": lambda moment: moment.second,
    "getMilliseconds": lambda moment: moment.microsecond // 1000,
}
_SPANS = {
    "getHours": 3600 * 10**9,
    "getMinutes": 60 * 10**9,
    "getSeconds": 10**9,
    "getMilliseconds": 10**6,
}


def _declare(name: str, part: Callable[[datetime], int]) -> None:
    def of_moment(moment: Timestamp, zone: str = "") -> int:
        return part(moment.at(parse_zone(zone) if zone else UTC))

    define(f"timestamp.{name}()->int", f"timestamp.{name}(string)->int")(of_moment)


def _declare_span(name: str, unit: int) -> None:
    def of_span(span: Duration) -> int:
        whole = abs(span.nanos) // unit
        return -whole if span.nanos < 0 else whole

    define(f"duration.{name}()->int")(of_span)


for _name, _part in _PARTS.items():
    _declare(_name, _part)
for _name, _unit in _SPANS.items():
    _declare_span(_name, _unit)
