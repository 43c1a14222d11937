"""Formats and cron schedules."""

from __future__ import annotations

import pytest

from kubeinstall.api.validation import formats
from kubeinstall.api.validation.cron import cron_error


@pytest.mark.parametrize(
    ("check", "good", "bad"),
    [
        (formats.dns1123_label, ["a", "a-b", "1"], ["", "A", "a.b", "-a", "a" * 64]),
        (formats.dns1123_subdomain, ["a.b", "a"], ["a..b", "A", "a_b", "a" * 254]),
        (formats.dns1035_label, ["a1"], ["1a", "a."]),
        (formats.qualified_name, ["a", "a.b/C_d"], ["", "/a", "a/", "a/b/c", "a b"]),
        (formats.label_value, ["", "A.b"], ["-", "a b", "a" * 64]),
        (formats.config_key, ["a", ".b"], ["", ".", "..", "..a", "a b"]),
        (formats.port_name, ["http", "h-2"], ["", "80", "a--b", "UP", "a" * 16]),
        (formats.ip_address, ["10.0.0.1", "::1"], ["10.0.0.256", "x", "10.0.0.1/8"]),
        (formats.cidr, ["10.0.0.0/8", "fd00::/64"], ["10.0.0.0", "x/8", "10.0.0.0/33"]),
        (formats.fully_qualified_name, ["a.b.c"], ["a.b", "A.b.c"]),
        (formats.wildcard_subdomain, ["*.a.b"], ["*", "a.*", "*.A"]),
    ],
)
def test_formats(check: formats.Check, good: list[str], bad: list[str]) -> None:
    assert [text for text in good if check(text)] == []
    assert [text for text in bad if not check(text)] == []


@pytest.mark.parametrize(
    "text", ["*/5 * * * *", "0 0 1 jan sun", "@daily", "@every 1h30m", "1-5,7 * * * 0-6/2"]
)
def test_schedules_that_are_good(text: str) -> None:
    assert cron_error(text) == ""


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("* * * *", "expected exactly 5 fields, found 4: [* * * *]"),
        ("61 * * * *", "end of range (61) above maximum (59): 61"),
        ("5-1 * * * *", "beginning of range (5) beyond end of range (1): 5-1"),
        ("x * * * *", "failed to parse int from x"),
        ("*/0 * * * *", "step of range should be a positive number: */0"),
        ("@often", "unrecognized descriptor: @often"),
    ],
)
def test_schedules_that_are_wrong(text: str, wanted: str) -> None:
    assert wanted in cron_error(text)
