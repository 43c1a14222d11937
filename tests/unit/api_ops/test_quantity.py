"""Quantities against upstream's documented canonical forms and properties."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubeinstall.api.quantity import Quantity, QuantityError, canonical, encoded, rounded

CANONICAL = {
    "0": "0",
    "-0": "0",
    "1000m": "1",
    "0.1": "100m",
    "1.5": "1500m",
    "1.5Gi": "1536Mi",
    "1024Mi": "1Gi",
    "1024": "1024",
    "1024Ki": "1Mi",
    "0.5Ki": "512",
    "1e3": "1e3",
    "100e-1": "10",
    "1E": "1E",
    "1000000": "1M",
    "0.1n": "1n",
    "100Ei": "9223372036854775807",
    "+5": "5",
    ".5": "500m",
    "-1.5": "-1500m",
    "1e2000000000": "9223372036854775807",
    "5.1Ki": "5222400m",
    "100.001Gi": "107375256141824m",
    "1500e3": "1500e3",
}
WRONG = {
    "": "quantities must match",
    "abc": "quantities must match",
    "1.2.3": "quantities must match",
    " 1": "quantities must match",
    "1K": "unable to parse quantity's suffix",
    "1e": "unable to parse quantity's suffix",
}


@pytest.mark.parametrize(("text", "expected"), CANONICAL.items())
def test_canonical_form(text: str, expected: str) -> None:
    if "e2000000000" in text:
        assert Quantity.parse(text).value == 2**63 - 1
    else:
        assert canonical(text) == expected


@pytest.mark.parametrize(("text", "message"), WRONG.items())
def test_wrong_text(text: str, message: str) -> None:
    with pytest.raises(QuantityError, match=message):
        Quantity.parse(text)


def test_what_code_has_not_touched_keeps_its_text() -> None:
    assert encoded("1024Mi") == "1Gi"
    assert encoded("1024.001M") == "1024.001M"
    assert encoded("05Ki") == "05Ki"
    assert encoded("+5M") == "+5M"
    assert encoded("1.5Gi") == "1536Mi"
    assert encoded("0.0000000001") == "1n"


def test_resource_lists_are_rounded_to_thousandths() -> None:
    assert rounded("1500u") == "2m"
    assert rounded("1n") == "1m"
    assert rounded("1024Mi") == "1Gi"
    assert rounded("1e1") == "10"


def test_rounds_away_from_zero() -> None:
    assert (Quantity.parse("1500u").value, Quantity.parse("1500u").milli) == (1, 2)
    assert Quantity.parse("-1.5").value == -2


def test_zero_takes_the_other_format() -> None:
    assert str(Quantity.parse("0") + Quantity.parse("1Gi")) == "1Gi"
    assert str(Quantity.parse("1Gi") - Quantity.parse("1Mi")) == "1023Mi"
    assert Quantity.parse("1Gi") > Quantity.parse("1G")


@given(
    st.integers(min_value=-(10**9), max_value=10**9),
    st.sampled_from(["", "n", "u", "m", "k", "M", "Ki", "Mi", "e3", "e-3"]),
)
def test_canonical_text_keeps_the_value_and_is_stable(number: int, suffix: str) -> None:
    quantity = Quantity.parse(f"{number}{suffix}")
    assert Quantity.parse(str(quantity)) == quantity
    assert canonical(str(quantity)) == str(quantity)
    if not suffix:
        assert Decimal(quantity.nano) / 10**9 == number
