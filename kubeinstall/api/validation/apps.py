"""apps/v1: Deployments, ReplicaSets, StatefulSets, DaemonSets, ControllerRevisions."""

from __future__ import annotations

import copy
import re
from typing import Any

from kubeinstall.api.selectors import LabelSelector
from kubeinstall.api.types import Object
from kubeinstall.api.validation.core.claims import check_claim_spec
from kubeinstall.api.validation.errors import Errors
from kubeinstall.api.validation.formats import dns1123_label, percent
from kubeinstall.api.validation.labels import check_label_selector, selector_is_empty
from kubeinstall.api.validation.pod.spec import check_pod_template

_PERCENT = re.compile(r"([0-9]+)%")
_STATEFULSET_UPDATE = (
    "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', "
    "'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden"
)


def percent_of(value: Any) -> int | None:
    """The number of a percentage, None for anything else."""
    found = _PERCENT.fullmatch(value) if isinstance(value, str) else None
    return int(found[1]) if found else None


def check_int_or_percent(errors: Errors, value: Any, path: str) -> None:
    """A number that is not negative, or a percentage."""
    if isinstance(value, str):
        errors.each(path, value, percent(value))
    else:
        errors.not_negative(path, value)


def check_at_most_all(errors: Errors, value: Any, path: str) -> None:
    """A percentage of at most 100."""
    share = percent_of(value)
    if share is not None and share > 100:
        errors.invalid(path, value, "must not be greater than 100%")


def check_selector_and_template(errors: Errors, spec: Object, path: str = "spec") -> None:
    """The selector is there, well formed and selects the template; the template restarts always."""
    selector = spec.get("selector")
    before = len(errors)
    if selector is None:
        errors.required(f"{path}.selector")
    else:
        check_label_selector(errors, selector, f"{path}.selector")
        if selector_is_empty(selector):
            errors.invalid(f"{path}.selector", selector, "empty selector is invalid for deployment")
    if len(errors) > before and selector is not None:
        errors.invalid(f"{path}.selector", selector, "invalid label selector")
        selector = None
    template = spec.get("template") or {}
    labels = (template.get("metadata") or {}).get("labels")
    if selector and not LabelSelector.from_object(selector).matches(labels or {}):
        message = "`selector` does not match template `labels`"
        errors.invalid(f"{path}.template.metadata.labels", labels, message)
    check_pod_template(errors, template, f"{path}.template")
    policy = (template.get("spec") or {}).get("restartPolicy", "Always")
    if policy != "Always":
        errors.not_supported(f"{path}.template.spec.restartPolicy", policy, ("Always",))
    if (template.get("spec") or {}).get("activeDeadlineSeconds") is not None:
        kind = "ReplicaSet"
        message = f"activeDeadlineSeconds in {kind} is not Supported"
        errors.forbidden(f"{path}.template.spec.activeDeadlineSeconds", message)


def check_deployment(errors: Errors, item: Object) -> None:
    """A Deployment."""
    spec = item.get("spec") or {}
    errors.not_negative("spec.replicas", spec.get("replicas"))
    check_selector_and_template(errors, spec)
    _check_deployment_strategy(errors, spec.get("strategy") or {}, "spec.strategy")
    for field in ("minReadySeconds", "revisionHistoryLimit", "progressDeadlineSeconds"):
        errors.not_negative(f"spec.{field}", spec.get(field))
    deadline, ready = spec.get("progressDeadlineSeconds"), spec.get("minReadySeconds", 0)
    if deadline is not None and deadline <= ready:
        errors.invalid(
            "spec.progressDeadlineSeconds", deadline, "must be greater than minReadySeconds"
        )


def _check_deployment_strategy(errors: Errors, strategy: Object, path: str) -> None:
    kind, rolling = strategy.get("type", ""), strategy.get("rollingUpdate")
    if kind == "Recreate":
        if rolling is not None:
            message = "may not be specified when strategy `type` is 'Recreate'"
            errors.forbidden(f"{path}.rollingUpdate", message)
    elif kind == "RollingUpdate":
        if rolling is None:
            errors.required(f"{path}.rollingUpdate", "this should be defaulted and never be nil")
        else:
            _check_rolling(errors, rolling, f"{path}.rollingUpdate")
    else:
        errors.not_supported(path, strategy, ("Recreate", "RollingUpdate"))


def _check_rolling(errors: Errors, rolling: Object, path: str) -> None:
    unavailable, surge = rolling.get("maxUnavailable", 0), rolling.get("maxSurge", 0)
    check_int_or_percent(errors, unavailable, f"{path}.maxUnavailable")
    check_int_or_percent(errors, surge, f"{path}.maxSurge")
    if unavailable in {0, "0%"} and surge in {0, "0%"}:
        errors.invalid(f"{path}.maxUnavailable", unavailable, "may not be 0 when `maxSurge` is 0")
    check_at_most_all(errors, unavailable, f"{path}.maxUnavailable")


def check_workload_update(check: Any) -> Any:
    """Rules of an update: those of a new object, and a selector that never changes."""

    def update(errors: Errors, new: Object, old: Object) -> None:
        check(errors, new)
        now, before = (x.get("spec") or {} for x in (new, old))
        errors.immutable("spec.selector", now.get("selector"), before.get("selector"))

    return update


def check_replica_set(errors: Errors, item: Object) -> None:
    """A ReplicaSet."""
    spec = item.get("spec") or {}
    errors.not_negative("spec.replicas", spec.get("replicas"))
    errors.not_negative("spec.minReadySeconds", spec.get("minReadySeconds"))
    check_selector_and_template(errors, spec)


def check_daemon_set(errors: Errors, item: Object) -> None:
    """A DaemonSet."""
    spec = item.get("spec") or {}
    check_selector_and_template(errors, spec)
    errors.not_negative("spec.minReadySeconds", spec.get("minReadySeconds"))
    _check_daemon_strategy(errors, spec.get("updateStrategy") or {}, "spec.updateStrategy")
    errors.not_negative("spec.revisionHistoryLimit", spec.get("revisionHistoryLimit"))


def _check_daemon_strategy(errors: Errors, strategy: Object, path: str) -> None:
    kind, rolling = strategy.get("type", ""), strategy.get("rollingUpdate")
    if kind == "OnDelete":
        return
    if kind != "RollingUpdate":
        errors.not_supported(path, strategy, ("OnDelete", "RollingUpdate"))
        return
    at = f"{path}.rollingUpdate"
    if rolling is None:
        errors.required(at)
        return
    unavailable, surge = rolling.get("maxUnavailable", 0), rolling.get("maxSurge", 0)
    check_int_or_percent(errors, unavailable, f"{at}.maxUnavailable")
    check_int_or_percent(errors, surge, f"{at}.maxSurge")
    has_unavailable, has_surge = unavailable not in {0, "0%"}, surge not in {0, "0%"}
    if has_unavailable and has_surge:
        errors.invalid(f"{at}.maxSurge", surge, "may not be set when maxUnavailable is non-zero")
    if not has_unavailable and not has_surge:
        errors.required(f"{at}.maxUnavailable", "cannot be 0 when maxSurge is 0")
    check_at_most_all(errors, unavailable, f"{at}.maxUnavailable")
    check_at_most_all(errors, surge, f"{at}.maxSurge")


def check_stateful_set(errors: Errors, item: Object) -> None:
    """A StatefulSet."""
    spec = item.get("spec") or {}
    policy = spec.get("podManagementPolicy", "")
    if not policy:
        errors.required("spec.podManagementPolicy")
    elif policy not in {"OrderedReady", "Parallel"}:
        message = "must be 'OrderedReady' or 'Parallel'"
        errors.invalid("spec.podManagementPolicy", policy, message)
    _check_stateful_strategy(errors, spec.get("updateStrategy") or {}, "spec.updateStrategy")
    _check_retention(errors, spec.get("persistentVolumeClaimRetentionPolicy"))
    errors.not_negative("spec.replicas", spec.get("replicas"))
    errors.not_negative("spec.minReadySeconds", spec.get("minReadySeconds"))
    errors.not_negative("spec.ordinals.start", (spec.get("ordinals") or {}).get("start"))
    name = spec.get("serviceName", "")
    if name:
        errors.each("spec.serviceName", name, dns1123_label(name))
    check_selector_and_template(errors, _with_claims(spec))
    for index, claim in enumerate(spec.get("volumeClaimTemplates") or []):
        at = f"spec.volumeClaimTemplates[{index}]"
        check_claim_spec(errors, claim.get("spec") or {}, f"{at}.spec")


def _with_claims(spec: Object) -> Object:
    """The spec whose template has the volumes that its pods get for the claim templates, so that mounts find them."""
    template = spec.get("template") or {}
    pod = template.get("spec") or {}
    listed = [
        claim.get("metadata", {}).get("name") for claim in spec.get("volumeClaimTemplates") or []
    ]
    claims = [{"name": n, "persistentVolumeClaim": {"claimName": n}} for n in listed if n]
    if not claims:
        return spec
    taken = {claim["name"] for claim in claims}
    own = [volume for volume in pod.get("volumes") or [] if volume.get("name") not in taken]
    return {**spec, "template": {**template, "spec": {**pod, "volumes": [*own, *claims]}}}


def _check_stateful_strategy(errors: Errors, strategy: Object, path: str) -> None:
    kind, rolling = strategy.get("type", ""), strategy.get("rollingUpdate")
    if not kind:
        errors.required(path)
    elif kind == "OnDelete":
        if rolling is not None:
            message = "only allowed for updateStrategy 'RollingUpdate'"
            errors.invalid(f"{path}.rollingUpdate", rolling, message)
    elif kind == "RollingUpdate":
        if rolling is not None:
            errors.not_negative(f"{path}.rollingUpdate.partition", rolling.get("partition"))
            if rolling.get("maxUnavailable") is not None:
                check_int_or_percent(
                    errors, rolling["maxUnavailable"], f"{path}.rollingUpdate.maxUnavailable"
                )
                check_at_most_all(
                    errors, rolling["maxUnavailable"], f"{path}.rollingUpdate.maxUnavailable"
                )
    else:
        errors.invalid(path, strategy, "must be 'RollingUpdate' or 'OnDelete'")


def _check_retention(errors: Errors, policy: Object | None) -> None:
    for field in ("whenDeleted", "whenScaled"):
        value = (policy or {}).get(field)
        if value is not None:
            errors.one_of(
                f"spec.persistentVolumeClaimRetentionPolicy.{field}", value, ("Delete", "Retain")
            )


def check_stateful_set_update(errors: Errors, new: Object, old: Object) -> None:
    """Most of a StatefulSet's spec is fixed."""
    check_stateful_set(errors, new)
    now, before = copy.deepcopy(new.get("spec") or {}), old.get("spec") or {}
    for field in (
        "replicas",
        "template",
        "updateStrategy",
        "minReadySeconds",
        "ordinals",
        "revisionHistoryLimit",
        "persistentVolumeClaimRetentionPolicy",
    ):
        now.pop(field, None)
        if field in before:
            now[field] = before[field]
    if now != before:
        errors.forbidden("spec", _STATEFULSET_UPDATE)


def check_revision(errors: Errors, item: Object) -> None:
    """A ControllerRevision: data is there and the revision counts up from zero."""
    if item.get("data") is None:
        errors.required("data", "data is mandatory")
    errors.not_negative("revision", item.get("revision"))


def check_revision_update(errors: Errors, new: Object, old: Object) -> None:
    """Its data never changes."""
    check_revision(errors, new)
    errors.immutable("data", new.get("data"), old.get("data"))


def check_scale(errors: Errors, item: Object) -> None:
    """The Scale subresource."""
    errors.not_negative("spec.replicas", (item.get("spec") or {}).get("replicas"))
