from __future__ import annotations

import time

import pytest

from kubeinstall.api.cel import CompileError, compile_expression
from kubeinstall.api.cel.types import STRING
from kubeinstall.api.regex import RegexError, regex


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("(?!x)a", "invalid or unsupported Perl syntax: `(?!`"),
        (r"(a)\1", r"invalid escape sequence: `\1`"),
        ("a**", "invalid nested repetition operator: `**`"),
        ("*a", "missing argument to repetition operator: `*`"),
        ("[z-a]", "invalid character class range: `z-a`"),
        ("a(b", "missing closing ): `a(b`"),
        ("a)b", "unexpected ): `a)b`"),
        ("[a", "missing closing ]: `[a`"),
        ("a{1001}", "invalid repeat count: `{1001}`"),
        ("a\\", "trailing backslash at end of expression: ``"),
    ],
)
def test_what_is_wrong_is_told_as_go_does(text: str, message: str) -> None:
    with pytest.raises(RegexError) as caught:
        regex(text)
    assert str(caught.value) == f"error parsing regexp: {message}"


def test_time_is_linear() -> None:
    begun = time.monotonic()
    assert not regex("^(a+)+$").matches("a" * 50_000 + "b")
    assert time.monotonic() - begun < 5


def test_what_is_found() -> None:
    assert regex(r"\pL+").find_all("né1 Öx") == ["né", "Öx"]
    assert regex("[0-9]+").find_all("a1b22c333", 2) == ["1", "22"]
    assert regex(r"(?i)abc\z").matches("xABC")
    assert regex("").matches("é")


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("s.matches('(?=a)')", "invalid matches argument"),
        ("duration('1 day') == duration('1h')", "invalid duration argument"),
        (
            "timestamp('yesterday') == timestamp('2026-01-01T00:00:00Z')",
            "invalid timestamp argument",
        ),
    ],
)
def test_literals_are_judged_when_compiled(source: str, message: str) -> None:
    with pytest.raises(CompileError, match=message):
        compile_expression(source, {"s": STRING})


def test_find_in_expressions() -> None:
    program = compile_expression("s.find('[0-9]+') + s.findAll('[a-z]')[1]", {"s": STRING})
    assert program.evaluate({"s": "ab12"}) == "12b"
