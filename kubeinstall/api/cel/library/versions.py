"""Semantic versions."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, ClassVar

from kubeinstall.api.cel.errors import EvalError
from kubeinstall.api.cel.functions import define

_V = "kubernetes.Semver"
_STRICT = re.compile(
    r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(?:-([0-9A-Za-z.-]+))?(?:\+([0-9A-Za-z.-]+))?"
)
_LOOSE = re.compile(r"v?(\d+)(?:\.(\d+))?(?:\.(\d+))?(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?")


@dataclass(frozen=True, slots=True)
class SemverValue:
    """A version; equality leaves build data aside, as upstream."""

    cel_type: ClassVar[str] = _V
    core: tuple[int, int, int]
    pre: tuple[str, ...] = ()


def _parse(text: str, loose: bool) -> SemverValue | None:
    if loose:
        match = _LOOSE.fullmatch(text)
        if match is None:
            return None
        numbers = ".".join(str(int(one or 0)) for one in match.groups()[:3])
        text = numbers + (match[4] or "") + (match[5] or "")
    match = _STRICT.fullmatch(text)
    if match is None:
        return None
    pre = tuple(match[4].split(".")) if match[4] else ()
    if any(not one or (one.isdecimal() and len(one) > 1 and one[0] == "0") for one in pre):
        return None
    return SemverValue((int(match[1]), int(match[2]), int(match[3])), pre)


@define(f"semver(string)->{_V}", f"semver(string,bool)->{_V}")
def _semver(text: str, normalize: bool = False) -> SemverValue:
    found = _parse(text, normalize)
    if found is None:
        raise EvalError(f"Invalid Semantic Version: {text}")
    return found


@define("isSemver(string)->bool", "isSemver(string,bool)->bool")
def _is_semver(text: str, normalize: bool = False) -> bool:
    return _parse(text, normalize) is not None


@define(f"{_V}.major()->int")
def _major(version: SemverValue) -> int:
    return version.core[0]


@define(f"{_V}.minor()->int")
def _minor(version: SemverValue) -> int:
    return version.core[1]


@define(f"{_V}.patch()->int")
def _patch(version: SemverValue) -> int:
    return version.core[2]


def _order(version: SemverValue) -> tuple[Any, ...]:
    parts = tuple((0, int(p), "") if p.isdecimal() else (1, 0, p) for p in version.pre)
    return (version.core, not version.pre, parts)


@define(f"{_V}.isGreaterThan({_V})->bool")
def _greater(one: SemverValue, other: SemverValue) -> bool:
    return bool(_order(one) > _order(other))


@define(f"{_V}.isLessThan({_V})->bool")
def _less(one: SemverValue, other: SemverValue) -> bool:
    return bool(_order(one) < _order(other))


@define(f"{_V}.compareTo({_V})->int")
def _compare(one: SemverValue, other: SemverValue) -> int:
    return int(_order(one) > _order(other)) - int(_order(one) < _order(other))
