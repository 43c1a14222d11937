"""How Pod Security speaks: upstream's sentences about pods, containers and volumes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from kubeinstall.api.types import Object


class Finding(NamedTuple):
    """What a check found: `reason (detail)`."""

    reason: str
    detail: str = ""

    def __str__(self) -> str:
        return f"{self.reason} ({self.detail})" if self.detail else self.reason


#: A check takes the pod and returns what it found, or None.
Check = Callable[[Object], Finding | None]


def containers(pod: Object) -> Iterator[Object]:
    """Init, ordinary and ephemeral containers."""
    for field in ("initContainers", "containers", "ephemeralContainers"):
        yield from (pod.get("spec") or {}).get(field) or ()


def context(holder: Object) -> Object:
    """The security context of a container or a pod spec."""
    found: Object = holder.get("securityContext") or {}
    return found


def quoted(names: Iterable[str]) -> str:
    """`"a", "b"`."""
    return ", ".join(f'"{name}"' for name in names)


def subject(word: str, names: list[str]) -> str:
    """`container "a"`, `containers "a", "b"`."""
    return f"{word if len(names) == 1 else word + 's'} {quoted(names)}"


def bad_containers(pod: Object, is_bad: Callable[[Object], bool]) -> list[str]:
    """Names of the containers that a predicate holds for."""
    return [container["name"] for container in containers(pod) if is_bad(container)]


def holders(pod: Object, is_bad: Callable[[Object], bool]) -> list[str]:
    """Who breaks a rule on security contexts: `pod`, then `containers …`."""
    who = ["pod"] if is_bad(context(pod.get("spec") or {})) else []
    names = bad_containers(pod, lambda container: is_bad(context(container)))
    return [*who, *([subject("container", names)] if names else [])]


def is_windows(pod: Object) -> bool:
    """Whether the pod says that it runs on Windows: some rules do not apply there."""
    return ((pod.get("spec") or {}).get("os") or {}).get("name") == "windows"
