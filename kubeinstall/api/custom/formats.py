"""String formats that upstream checks in custom resources; formats that it does not know pass."""

from __future__ import annotations

import base64
import binascii
import ipaddress
import re
from collections.abc import Callable
from datetime import datetime
from urllib.parse import urlsplit
from uuid import UUID

_DURATION = re.compile(r"[-+]?(\d+(\.\d*)?(ns|us|µs|ms|s|m|h))+")
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+")
_HOSTNAME = re.compile(
    r"([a-zA-Z0-9_]([-a-zA-Z0-9_]{0,61}[a-zA-Z0-9_])?\.)*[a-zA-Z0-9_]([-a-zA-Z0-9_]{0,61}[a-zA-Z0-9_])?"
)
_MAC = re.compile(r"[0-9A-Fa-f]{2}([:-][0-9A-Fa-f]{2}){5}")
_DATE_TIME = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)")


def format_error(name: str, text: str) -> bool:
    """Whether `text` breaks the format."""
    check = _FORMATS.get(name)
    if check is None:
        return False
    try:
        return not check(text)
    except (ValueError, binascii.Error):
        return True


def _date(text: str) -> bool:
    return datetime.strptime(text, "%Y-%m-%d") is not None  # noqa: DTZ007 - a date has no zone


def _date_time(text: str) -> bool:
    return _DATE_TIME.fullmatch(text) is not None and datetime.fromisoformat(text[:19]) is not None


def _cidr(text: str) -> bool:
    return "/" in text and ipaddress.ip_network(text, strict=False) is not None


def _uuid(version: int) -> Callable[[str], bool]:
    return lambda text: UUID(text).version == version


_FORMATS: dict[str, Callable[[str], bool]] = {
    "date": _date,
    "date-time": _date_time,
    "datetime": _date_time,
    "duration": lambda text: _DURATION.fullmatch(text) is not None,
    "email": lambda text: _EMAIL.fullmatch(text) is not None,
    "hostname": lambda text: len(text) <= 255 and _HOSTNAME.fullmatch(text) is not None,
    "ipv4": lambda text: ipaddress.IPv4Address(text) is not None,
    "ipv6": lambda text: ipaddress.IPv6Address(text) is not None,
    "cidr": _cidr,
    "mac": lambda text: _MAC.fullmatch(text) is not None,
    "uri": lambda text: bool(urlsplit(text).scheme),
    "uuid": lambda text: UUID(text) is not None,
    "uuid3": _uuid(3),
    "uuid4": _uuid(4),
    "uuid5": _uuid(5),
    "byte": lambda text: base64.b64decode(text, validate=True) is not None,
}
