"""The restricted level: best practice for hardening. Upstream: "Pod Security Standards"."""

from __future__ import annotations

from typing import Final

from kubeinstall.api.types import Object
from kubeinstall.apiserver.admission.security.wording import (
    Check,
    Finding,
    bad_containers,
    containers,
    context,
    is_windows,
    quoted,
    subject,
)

_VOLUMES = frozenset(
    {
        "configMap",
        "csi",
        "downwardAPI",
        "emptyDir",
        "ephemeral",
        "persistentVolumeClaim",
        "projected",
        "secret",
        "image",
    }
)
_SECCOMP = ("RuntimeDefault", "Localhost")


def privilege_escalation(pod: Object) -> Finding | None:
    """Nothing gains privileges."""
    if is_windows(pod):
        return None
    bad = bad_containers(pod, lambda c: context(c).get("allowPrivilegeEscalation") is not False)
    if not bad:
        return None
    return Finding(
        "allowPrivilegeEscalation != false",
        f"{subject('container', bad)} must set securityContext.allowPrivilegeEscalation=false",
    )


def capabilities(pod: Object) -> Finding | None:
    """All capabilities dropped; only NET_BIND_SERVICE may come back."""
    if is_windows(pod):
        return None
    keeping: list[str] = []
    adding: list[str] = []
    added: set[str] = set()
    for container in containers(pod):
        chosen = context(container).get("capabilities") or {}
        if "ALL" not in (chosen.get("drop") or ()):
            keeping.append(container["name"])
        wrong = [name for name in chosen.get("add") or () if name != "NET_BIND_SERVICE"]
        if wrong:
            adding.append(container["name"])
            added.update(wrong)
    told = []
    if keeping:
        told.append(
            f'{subject("container", keeping)} must set securityContext.capabilities.drop=["ALL"]'
        )
    if adding:
        told.append(
            f"{subject('container', adding)} must not include {quoted(sorted(added))} in "
            "securityContext.capabilities.add"
        )
    return Finding("unrestricted capabilities", "; ".join(told)) if told else None


def volumes(pod: Object) -> Finding | None:
    """Only volumes that do not lead out of the cluster's own objects."""
    bad: list[str] = []
    kinds: set[str] = set()
    for volume in pod["spec"].get("volumes") or ():
        wrong = {field for field in volume if field != "name" and field not in _VOLUMES}
        if wrong:
            bad.append(volume["name"])
            kinds |= wrong
    if not bad:
        return None
    verb = "uses" if len(bad) == 1 else "use"
    word = "type" if len(kinds) == 1 else "types"
    return Finding(
        "restricted volume types",
        f"{subject('volume', bad)} {verb} restricted volume {word} {quoted(sorted(kinds))}",
    )


def run_as_non_root(pod: Object) -> Finding | None:
    """Everything runs as somebody who is not root."""
    if pod["spec"].get("hostUsers") is False:
        return None
    of_pod = context(pod["spec"]).get("runAsNonRoot")
    explicit = bad_containers(pod, lambda c: context(c).get("runAsNonRoot") is False)
    told = ["pod"] if of_pod is False else []
    if explicit:
        told.append(subject("container", explicit))
    if told:
        return Finding(
            "runAsNonRoot != true",
            f"{' and '.join(told)} must not set securityContext.runAsNonRoot=false",
        )
    if of_pod is True:
        return None
    silent = bad_containers(pod, lambda c: context(c).get("runAsNonRoot") is None)
    if not silent:
        return None
    return Finding(
        "runAsNonRoot != true",
        f"pod or {subject('container', silent)} must set securityContext.runAsNonRoot=true",
    )


def run_as_user(pod: Object) -> Finding | None:
    """Nobody asks to be user 0."""
    if pod["spec"].get("hostUsers") is False:
        return None
    told = ["pod"] if context(pod["spec"]).get("runAsUser") == 0 else []
    bad = bad_containers(pod, lambda c: context(c).get("runAsUser") == 0)
    if bad:
        told.append(subject("container", bad))
    return (
        Finding("runAsUser=0", f"{' and '.join(told)} must not set runAsUser=0") if told else None
    )


def seccomp(pod: Object) -> Finding | None:
    """A seccomp profile is set and is one of the good ones."""
    if is_windows(pod):
        return None
    of_pod = (context(pod["spec"]).get("seccompProfile") or {}).get("type")
    told: list[str] = []
    values: set[str] = set()
    if of_pod is not None and of_pod not in _SECCOMP:
        told.append("pod")
        values.add(of_pod)
    silent: list[str] = []
    bad: list[str] = []
    for container in containers(pod):
        kind = (context(container).get("seccompProfile") or {}).get("type")
        if kind is None:
            silent.append(container["name"])
        elif kind not in _SECCOMP:
            bad.append(container["name"])
            values.add(kind)
    if bad:
        told.append(subject("container", bad))
    if told:
        return Finding(
            "seccompProfile",
            f"{' and '.join(told)} must not set securityContext.seccompProfile.type to "
            f"{quoted(sorted(values))}",
        )
    if of_pod is not None or not silent:
        return None
    return Finding(
        "seccompProfile",
        f"pod or {subject('container', silent)} must set securityContext.seccompProfile.type to "
        '"RuntimeDefault" or "Localhost"',
    )


#: (check, since minor version)
CHECKS: Final[tuple[tuple[Check, int], ...]] = (
    (privilege_escalation, 8),
    (capabilities, 22),
    (volumes, 0),
    (run_as_non_root, 0),
    (run_as_user, 23),
    (seccomp, 19),
)
