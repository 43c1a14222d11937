"""Kubernetes quantities."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from kubeinstall.api.cel.errors import EvalError
from kubeinstall.api.cel.functions import define
from kubeinstall.api.cel.values import INT_MAX, INT_MIN
from kubeinstall.api.quantity import Quantity, QuantityError

_Q = "kubernetes.Quantity"


@dataclass(frozen=True, slots=True)
class QuantityValue:
    """A quantity as a value."""

    cel_type: ClassVar[str] = _Q
    of: Quantity


@define(f"quantity(string)->{_Q}")
def _quantity(text: str) -> QuantityValue:
    try:
        return QuantityValue(Quantity.parse(text))
    except QuantityError as error:
        raise EvalError(str(error)) from error


@define("isQuantity(string)->bool")
def _is_quantity(text: str) -> bool:
    try:
        Quantity.parse(text)
    except QuantityError:
        return False
    return True


@define(f"{_Q}.isInteger()->bool")
def _is_integer(quantity: QuantityValue) -> bool:
    value = quantity.of.value
    return Quantity.of(value) == quantity.of and INT_MIN <= value <= INT_MAX


@define(f"{_Q}.asInteger()->int")
def _as_integer(quantity: QuantityValue) -> int:
    if not _is_integer(quantity):
        raise EvalError("cannot convert value to integer")
    return int(quantity.of.value)


@define(f"{_Q}.asApproximateFloat()->double")
def _as_float(quantity: QuantityValue) -> float:
    return float(quantity.of)


@define(f"{_Q}.sign()->int")
def _sign(quantity: QuantityValue) -> int:
    return int(_compare(quantity, QuantityValue(Quantity.of(0))))


@define(f"{_Q}.isGreaterThan({_Q})->bool")
def _greater(one: QuantityValue, other: QuantityValue) -> bool:
    return other.of < one.of


@define(f"{_Q}.isLessThan({_Q})->bool")
def _less(one: QuantityValue, other: QuantityValue) -> bool:
    return one.of < other.of


@define(f"{_Q}.compareTo({_Q})->int")
def _compare(one: QuantityValue, other: QuantityValue) -> int:
    return 0 if one.of == other.of else -1 if one.of < other.of else 1


@define(f"{_Q}.add({_Q})->{_Q}", f"{_Q}.add(int)->{_Q}")
def _add(one: QuantityValue, other: QuantityValue | int) -> QuantityValue:
    more = Quantity.of(other) if isinstance(other, int) else other.of
    return QuantityValue(one.of + more)


@define(f"{_Q}.sub({_Q})->{_Q}", f"{_Q}.sub(int)->{_Q}")
def _sub(one: QuantityValue, other: QuantityValue | int) -> QuantityValue:
    more = Quantity.of(other) if isinstance(other, int) else other.of
    return QuantityValue(one.of - more)
