"""Pods: creation, updates, and the subresources status, ephemeralcontainers and resize."""

from __future__ import annotations

import copy
import difflib
from typing import Any

import orjson

from kubeinstall.api.strategy.pods import qos_class
from kubeinstall.api.types import Object
from kubeinstall.api.validation.errors import Errors
from kubeinstall.api.validation.formats import dns1123_subdomain
from kubeinstall.api.validation.pod.spec import MAX_INT32, check_pod_spec

_UPDATE = (
    "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,"
    "`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),"
    "`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)"
)
_RESIZE = "only cpu and memory resources are mutable"


def check_create(errors: Errors, pod: Object) -> None:
    """A new pod."""
    spec = pod.get("spec") or {}
    check_pod_spec(errors, spec, "spec")
    if spec.get("ephemeralContainers"):
        errors.forbidden("spec.ephemeralContainers", "cannot be set on create")
    if spec.get("schedulingGates") and spec.get("nodeName"):
        message = "cannot be set until all schedulingGates have been cleared"
        errors.forbidden("spec.nodeName", message)


def check_update(errors: Errors, new: Object, old: Object) -> None:
    """An update of a pod: nearly everything is fixed once it exists."""
    new_spec, old_spec = new.get("spec") or {}, old.get("spec") or {}
    check_pod_spec(errors, new_spec, "spec")
    if len(new_spec.get("containers") or []) != len(old_spec.get("containers") or []):
        errors.forbidden("spec.containers", "pod updates may not add or remove containers")
        return
    if len(new_spec.get("initContainers") or []) != len(old_spec.get("initContainers") or []):
        errors.forbidden("spec.initContainers", "pod updates may not add or remove containers")
        return
    _check_deadline(errors, new_spec, old_spec)
    _check_gates(errors, new_spec, old_spec)
    _check_tolerations(errors, new_spec, old_spec)
    _check_fixed(errors, new_spec, old_spec)


def _check_deadline(errors: Errors, new: Object, old: Object) -> None:
    now, before = new.get("activeDeadlineSeconds"), old.get("activeDeadlineSeconds")
    path = "spec.activeDeadlineSeconds"
    if now is not None:
        if not 1 <= now <= MAX_INT32:
            errors.invalid(path, now, f"must be between 1 and {MAX_INT32}, inclusive")
        elif before is not None and now > before:
            errors.invalid(path, now, "must be less than or equal to previous value")
    elif before is not None:
        errors.invalid(path, None, "must not update from a positive integer to nil value")


def _check_gates(errors: Errors, new: Object, old: Object) -> None:
    known = {gate.get("name") for gate in old.get("schedulingGates") or []}
    for index, gate in enumerate(new.get("schedulingGates") or []):
        if gate.get("name") not in known:
            message = (
                f"only deletion is allowed, but found new scheduling gate '{gate.get('name')}'"
            )
            errors.forbidden(f"spec.schedulingGates[{index}].name", message)


def _check_tolerations(errors: Errors, new: Object, old: Object) -> None:
    """Tolerations may be added, and a tolerationSeconds changed."""

    def bare(item: Object) -> tuple[tuple[str, Any], ...]:
        return tuple(sorted((k, v) for k, v in item.items() if k != "tolerationSeconds"))

    now = {bare(item) for item in new.get("tolerations") or []}
    for item in old.get("tolerations") or []:
        if bare(item) not in now:
            message = "existing toleration can not be modified except its tolerationSeconds"
            errors.forbidden("spec.tolerations", message)
            return


def _check_fixed(errors: Errors, new: Object, old: Object) -> None:
    """Compare what is left when everything that may change has been made equal."""
    masked = copy.deepcopy(new)
    for field in ("containers", "initContainers"):
        for ours, theirs in zip(masked.get(field) or [], old.get(field) or [], strict=False):
            _copy_field(ours, theirs, "image")
    for field in ("activeDeadlineSeconds", "tolerations", "schedulingGates"):
        _copy_field(masked, old, field)
    if (old.get("terminationGracePeriodSeconds") or 0) < 0 and masked.get(
        "terminationGracePeriodSeconds"
    ) == 1:
        _copy_field(masked, old, "terminationGracePeriodSeconds")
    if old.get("schedulingGates"):
        _mask_gated(errors, masked, old)
    if masked != old:
        errors.forbidden("spec", f"{_UPDATE}\n{_difference(old, masked)}\n")


def _mask_gated(errors: Errors, masked: Object, old: Object) -> None:
    """While gated, a pod's node selector and required node affinity may become stricter (KEP-3838)."""
    before, now = old.get("nodeSelector") or {}, masked.get("nodeSelector") or {}
    if before != now:
        if any(now.get(key) != value for key, value in before.items()):
            errors.invalid(
                "spec.nodeSelector", now, "only additions to spec.nodeSelector are allowed"
            )
        _copy_field(masked, old, "nodeSelector")
    affinity = (masked.get("affinity") or {}).get("nodeAffinity")
    if affinity != (old.get("affinity") or {}).get("nodeAffinity"):
        rest = {k: v for k, v in (masked.get("affinity") or {}).items() if k != "nodeAffinity"}
        known = (old.get("affinity") or {}).get("nodeAffinity")
        if known is not None:
            rest["nodeAffinity"] = known
        if rest or old.get("affinity") is not None:
            masked["affinity"] = rest
        else:
            masked.pop("affinity", None)


def _copy_field(target: Object, source: Object, field: str) -> None:
    if field in source:
        target[field] = copy.deepcopy(source[field])
    else:
        target.pop(field, None)


def _difference(old: Any, new: Any) -> str:
    def lines(value: Any) -> list[str]:
        return (
            orjson.dumps(value, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS)
            .decode()
            .splitlines()
        )

    return "\n".join(list(difflib.unified_diff(lines(old), lines(new), lineterm="", n=3))[2:])


def check_status_update(errors: Errors, new: Object, old: Object) -> None:
    """The status subresource."""
    now, before = new.get("status") or {}, old.get("status") or {}
    nominated = now.get("nominatedNodeName")
    if nominated:
        errors.each("status.nominatedNodeName", nominated, dns1123_subdomain(nominated))
    node = (old.get("spec") or {}).get("nodeName")
    if (new.get("spec") or {}).get("nodeName") != node:
        message = "may not be changed directly"
        errors.forbidden("status.nodeName", message)
    _check_terminated(errors, now, before, old)


def _check_terminated(errors: Errors, now: Object, before: Object, old: Object) -> None:
    """A container that has ended does not run again unless the restart policy says so."""
    policy = (old.get("spec") or {}).get("restartPolicy", "Always")
    if policy == "Always":
        return
    running = {status.get("name"): status for status in now.get("containerStatuses") or []}
    for index, status in enumerate(before.get("containerStatuses") or []):
        ended = (status.get("state") or {}).get("terminated")
        if ended is None or (policy == "OnFailure" and ended.get("exitCode", 0) != 0):
            continue
        current = running.get(status.get("name"))
        if current is not None and (current.get("state") or {}).get("terminated") is None:
            message = "may not be transitioned to non-terminated state"
            errors.forbidden(f"status.containerStatuses[{index}].state", message)


def check_ephemeral_update(errors: Errors, new: Object, old: Object) -> None:
    """The ephemeralcontainers subresource: containers may be added, never changed or removed."""
    new_spec, old_spec = new.get("spec") or {}, old.get("spec") or {}
    check_pod_spec(errors, new_spec, "spec")
    now = {item.get("name"): item for item in new_spec.get("ephemeralContainers") or []}
    for item in old_spec.get("ephemeralContainers") or []:
        name = item.get("name")
        if name not in now:
            message = f"existing ephemeral containers {name!r} may not be removed\n".replace(
                "'", '"'
            )
            errors.forbidden("spec.ephemeralContainers", message)
        elif now[name] != item:
            message = f"existing ephemeral containers {name!r} may not be changed\n".replace(
                "'", '"'
            )
            errors.forbidden("spec.ephemeralContainers", message)


def check_resize_update(errors: Errors, new: Object, old: Object) -> None:
    """The resize subresource: only cpu and memory of containers (KEP-1287) and of the pod (KEP-5419)."""
    new_spec, old_spec = new.get("spec") or {}, old.get("spec") or {}
    check_pod_spec(errors, new_spec, "spec")
    masked = copy.deepcopy(new_spec)
    for field in ("containers", "initContainers"):
        for ours, theirs in zip(masked.get(field) or [], old_spec.get(field) or [], strict=False):
            _mask_resources(ours, theirs)
    if old_spec.get("resources"):
        _mask_resources(masked, old_spec)
    if masked != old_spec:
        errors.forbidden("spec", _RESIZE)
    # The status is no client's to write here: what counts is what the resources come to.
    before = (old.get("status") or {}).get("qosClass") or qos_class(old_spec)
    if qos_class(new_spec) != before:
        errors.invalid("spec", "", "Pod QOS Class may not change as a result of resizing")


def _mask_resources(ours: Object, theirs: Object) -> None:
    if "resources" not in ours and "resources" not in theirs:
        return
    new, old = ours.get("resources") or {}, theirs.get("resources") or {}
    for field in ("limits", "requests"):
        merged = {k: v for k, v in (new.get(field) or {}).items() if k not in {"cpu", "memory"}}
        merged |= {k: v for k, v in (old.get(field) or {}).items() if k in {"cpu", "memory"}}
        if merged or field in old:
            new[field] = merged
        else:
            new.pop(field, None)
    ours["resources"] = new
