"""`resource.Quantity`: numbers with a decimal or binary suffix, in upstream's canonical form.

A quantity is held as a whole number of nano units (upstream's smallest) and the format it was
written in. Parsing follows apimachinery's `ParseQuantity`: values finer than a nano round away
from zero, values with a binary suffix are capped at 2^63-1.
"""

from __future__ import annotations

from functools import lru_cache, total_ordering
from typing import Final

from kubeinstall.errors import KubeinstallError

NANO: Final = 10**9
DECIMAL_SI: Final = "DecimalSI"
DECIMAL_EXPONENT: Final = "DecimalExponent"
BINARY_SI: Final = "BinarySI"

_MILLI: Final = 10**6
_MAX_NANO: Final = (2**63 - 1) * NANO
_FORMAT_WRONG: Final = (
    "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
)
_NUMERIC: Final = "unable to parse numeric part of quantity"
_SUFFIX: Final = "unable to parse quantity's suffix"

_DECIMAL: Final = {
    "n": -9,
    "u": -6,
    "m": -3,
    "": 0,
    "k": 3,
    "M": 6,
    "G": 9,
    "T": 12,
    "P": 15,
    "E": 18,
}
_BINARY: Final = {"Ki": 10, "Mi": 20, "Gi": 30, "Ti": 40, "Pi": 50, "Ei": 60}
_DECIMAL_NAMES: Final = {exponent: name for name, exponent in _DECIMAL.items()}
_BINARY_NAMES: Final = {0: "", **{exponent: name for name, exponent in _BINARY.items()}}


class QuantityError(KubeinstallError, ValueError):
    """The text is not a quantity; the message is upstream's."""


@total_ordering
class Quantity:
    """An immutable amount. Compare, add and subtract freely; `str()` is upstream's canonical form."""

    __slots__ = ("_text", "format", "nano")

    def __init__(self, nano: int = 0, number_format: str = DECIMAL_SI) -> None:
        self.nano = nano
        self.format = number_format
        self._text: str | None = None

    @staticmethod
    def parse(text: str | int | float) -> Quantity:
        """The quantity that `text` writes ("100m", "1.5Gi", "1e3", or a JSON number).

        Raises QuantityError with upstream's message. Results of texts are cached and shared.
        """
        if isinstance(text, str):
            return _parse_cached(text)
        if isinstance(text, bool) or not isinstance(text, (int, float)):
            raise QuantityError(_FORMAT_WRONG)
        return _parse_cached(repr(text) if isinstance(text, float) else str(text))

    @classmethod
    def of(cls, value: int, number_format: str = DECIMAL_SI) -> Quantity:
        """A whole number of units."""
        return cls(value * NANO, number_format)

    @classmethod
    def of_milli(cls, value: int, number_format: str = DECIMAL_SI) -> Quantity:
        """A whole number of thousandths."""
        return cls(value * _MILLI, number_format)

    @property
    def value(self) -> int:
        """Whole units, rounded away from zero as upstream's `Value()`."""
        return _round_up(self.nano, NANO)

    @property
    def milli(self) -> int:
        """Thousandths, rounded away from zero as upstream's `MilliValue()`."""
        return _round_up(self.nano, _MILLI)

    def __add__(self, other: Quantity) -> Quantity:
        return Quantity(self.nano + other.nano, self.format if self.nano else other.format)

    def __sub__(self, other: Quantity) -> Quantity:
        return Quantity(self.nano - other.nano, self.format if self.nano else other.format)

    def __neg__(self) -> Quantity:
        return Quantity(-self.nano, self.format)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Quantity) and self.nano == other.nano

    def __lt__(self, other: Quantity) -> bool:
        return self.nano < other.nano

    def __hash__(self) -> int:
        return hash(self.nano)

    def __bool__(self) -> bool:
        return self.nano != 0

    def __float__(self) -> float:
        return self.nano / NANO

    def __str__(self) -> str:
        if self._text is None:
            self._text = _canonical(self.nano, self.format)
        return self._text

    def __repr__(self) -> str:
        return f"Quantity({str(self)!r})"


def canonical(text: str | int | float) -> str:
    """The canonical text of a quantity: `"1000m"` → `"1"`. Raises QuantityError."""
    return str(Quantity.parse(text))


def rounded(text: str | int | float) -> str:
    """The canonical text, rounded up to thousandths: what defaulting makes of every `ResourceList`."""
    quantity = Quantity.parse(text)
    if quantity.nano % _MILLI:
        return str(Quantity.of_milli(quantity.milli, quantity.format))
    return str(quantity)


def encoded(text: str) -> str:
    """What upstream encodes for a quantity that no code has touched.

    Its parser keeps the text of numbers that look canonical on a quick look ("+5M", "1024.001M",
    "05Ki"); any other is canonical ("1024Mi" becomes "1Gi"). Raises QuantityError.
    """
    quantity = Quantity.parse(text)
    if not _fits_fast_path(text):
        return str(quantity)
    _, whole, fraction, suffix = _split(text)
    base, exponent, _ = _interpret(suffix)
    digits = whole + fraction
    if base == 2:
        return text if int(digits) & 7 else str(quantity)
    short = digits[0] != "0" and not digits.endswith("000")
    return text if short and (exponent - len(fraction)) % 3 == 0 else str(quantity)


def _fits_fast_path(text: str) -> bool:
    _, whole, fraction, suffix = _split(text)
    base, exponent, _ = _interpret(suffix)
    if base == 10:
        return len(whole) + len(fraction) <= 18 and exponent - len(fraction) >= -9
    return not fraction and 15 - len(whole) - exponent * 3 // 10 - 1 >= 0


@lru_cache(maxsize=8192)
def _parse_cached(text: str) -> Quantity:
    # Bounded: the distinct quantities of a cluster are few, hostile input only evicts.
    return _parse(text)


def _round_up(number: int, unit: int) -> int:
    rounded = (abs(number) + unit - 1) // unit
    return rounded if number >= 0 else -rounded


def _split(text: str) -> tuple[bool, str, str, str]:
    """`(positive, whole digits, fraction digits, suffix)` of a quantity text."""
    if not text:
        raise QuantityError(_FORMAT_WRONG)
    position, end = 0, len(text)
    positive = True
    if text[0] in "+-":
        positive = text[0] == "+"
        position = 1
    start = position
    position = _skip(text, position, "0123456789")
    whole = text[start:position].lstrip("0") or "0"
    fraction = ""
    if position < end and text[position] == ".":
        start = position + 1
        position = _skip(text, start, "0123456789")
        fraction = text[start:position]
    start = position
    position = _skip(text, position, "eEinumkKMGTP")
    if position < end and text[position] in "+-":
        position += 1
    if _skip(text, position, "0123456789") < end:
        raise QuantityError(_FORMAT_WRONG)
    return positive, whole, fraction, text[start:]


def _skip(text: str, position: int, characters: str) -> int:
    while position < len(text) and text[position] in characters:
        position += 1
    return position


def _interpret(suffix: str) -> tuple[int, int, str]:
    """`(base, exponent, format)` of a suffix."""
    if suffix in _DECIMAL:
        return 10, _DECIMAL[suffix], DECIMAL_SI
    if suffix in _BINARY:
        return 2, _BINARY[suffix], BINARY_SI
    if len(suffix) > 1 and suffix[0] in "eE":
        digits = suffix[1:]
        bare = digits.lstrip("+-")
        if bare.isdigit() and len(digits) - len(bare) <= 1 and abs(int(digits)) < 2**31:
            return 10, int(digits), DECIMAL_EXPONENT
    raise QuantityError(_SUFFIX)


def _parse(text: str) -> Quantity:
    positive, whole, fraction, suffix = _split(text)
    base, exponent, number_format = _interpret(suffix)
    if text.lstrip("+-").startswith(".") and not fraction and whole == "0" and len(suffix) == 0:
        raise QuantityError(_NUMERIC)
    digits = int(whole + fraction)
    if base == 10:
        # Bound the power before computing it: "1e2000000000" must not take all memory.
        scale = exponent - len(fraction)
        if scale > 400:
            nano = 0 if digits == 0 else _MAX_NANO
        elif scale < -9 - 400 - len(whole) - len(fraction):
            nano = 1 if digits else 0
        else:
            nano = _scaled(digits, scale + 9)
    else:
        nano = _round_up(digits * NANO << exponent, 10 ** len(fraction))
        if 0 < nano < NANO:
            number_format = DECIMAL_SI
    if base == 2:
        nano = min(nano, _MAX_NANO)
    return Quantity(nano if positive else -nano, number_format)


def _scaled(digits: int, power: int) -> int:
    return digits * 10**power if power >= 0 else _round_up(digits, 10**-power)


def _canonical(nano: int, number_format: str) -> str:
    if nano == 0:
        return "0"
    # Fractions and small numbers are shown as decimals: a binary suffix would lose them.
    if number_format == BINARY_SI and abs(nano) >= 1024 * NANO and nano % NANO == 0:
        return _canonical_binary(nano // NANO)
    if number_format == BINARY_SI:
        number_format = DECIMAL_SI
    sign, mantissa, exponent = ("-" if nano < 0 else ""), abs(nano), -9
    while mantissa % 10 == 0:
        mantissa //= 10
        exponent += 1
    while exponent % 3:
        mantissa *= 10
        exponent -= 1
    if number_format == DECIMAL_SI and exponent in _DECIMAL_NAMES:
        return f"{sign}{mantissa}{_DECIMAL_NAMES[exponent]}"
    return f"{sign}{mantissa}e{exponent}" if exponent else f"{sign}{mantissa}"


def _canonical_binary(value: int) -> str:
    exponent = 0
    while value % 1024 == 0 and exponent < 60:
        value //= 1024
        exponent += 10
    return f"{value}{_BINARY_NAMES[exponent]}"
