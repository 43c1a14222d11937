"""Levels and versions, as the labels of a namespace name them, and judging a pod by them."""

from __future__ import annotations

import re
from typing import NamedTuple

from kubeinstall.api.types import Object
from kubeinstall.apiserver.admission.security import baseline, restricted
from kubeinstall.errors import FieldError

PREFIX = "pod-security.kubernetes.io/"
MODES = ("enforce", "audit", "warn")
LEVELS = ("privileged", "baseline", "restricted")
_LATEST = 1 << 30
_VERSION = re.compile(r"v1\.(0|[1-9][0-9]*)\Z")


class Level(NamedTuple):
    """A level of a version: `restricted:latest`."""

    name: str = "privileged"
    version: str = "latest"

    def __str__(self) -> str:
        return f"{self.name}:{self.version}"


class Policy(NamedTuple):
    """What a namespace asks for."""

    enforce: Level = Level()
    audit: Level = Level()
    warn: Level = Level()


def policy_of(labels: dict[str, str]) -> tuple[Policy, list[FieldError]]:
    """The policy in a namespace's labels, and what is wrong with them.

    A level that cannot be read counts as restricted, so that a typing error opens nothing.
    """
    errors: list[FieldError] = []
    levels = [_level(labels, mode, errors) for mode in MODES]
    if not any(f"{PREFIX}warn{suffix}" in labels for suffix in ("", "-version")):
        # Who enforces is told about workloads that would fail, too.
        levels[2] = levels[0]
    return Policy(*levels), errors


def _level(labels: dict[str, str], mode: str, errors: list[FieldError]) -> Level:
    name = labels.get(f"{PREFIX}{mode}", "privileged")
    version = labels.get(f"{PREFIX}{mode}-version", "latest")
    if name not in LEVELS:
        errors.append(_invalid(mode, name, f"must be one of {', '.join(LEVELS)}"))
        name = "restricted"
    if version != "latest" and not _VERSION.match(version):
        errors.append(_invalid(f"{mode}-version", version, 'must be "latest" or "v1.x"'))
        version = "latest"
    return Level(name, version)


def _invalid(label: str, value: str, why: str) -> FieldError:
    return FieldError(
        "FieldValueInvalid", f"metadata.labels[{PREFIX}{label}]", f'Invalid value: "{value}": {why}'
    )


def violations(level: Level, pod: Object) -> str:
    """What a pod does that the level forbids: `a (…), b (…)`, or ""."""
    if level.name == "privileged":
        return ""
    match = _VERSION.match(level.version)
    minor = int(match.group(1)) if match else _LATEST
    strict = level.name == "restricted"
    checks = [
        check
        for check, since, replaced in baseline.CHECKS
        if minor >= since and not (strict and replaced)
    ]
    if strict:
        checks += [check for check, since in restricted.CHECKS if minor >= since]
    found = [finding for check in checks if (finding := check(pod)) is not None]
    return ", ".join(str(finding) for finding in found)
