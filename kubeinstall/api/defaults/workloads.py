"""apps, batch and autoscaling."""

from __future__ import annotations

from typing import Any, Final

from kubeinstall.api.defaults import claims, pods
from kubeinstall.api.defaults.common import each, fill, fill_empty, part, round_resources
from kubeinstall.api.types import Object

_MAX_INT32: Final = 2**31 - 1
_DEFAULT_UTILIZATION: Final = 80
_BACKOFF: Final = 6
#: Where the version without a field for it keeps a DaemonSet's template generation.
TEMPLATE_GENERATION: Final = "deprecated.daemonset.template.generation"


def deployment(obj: Object) -> None:
    """apps/v1 Deployment."""
    spec = part(obj, "spec")
    pods.template(part(spec, "template"))
    strategy = part(spec, "strategy")
    fill_empty(strategy, {"type": "RollingUpdate"})
    if strategy["type"] == "RollingUpdate":
        fill(part(strategy, "rollingUpdate"), {"maxUnavailable": "25%", "maxSurge": "25%"})
    fill(spec, {"replicas": 1, "revisionHistoryLimit": 10, "progressDeadlineSeconds": 600})


def replica_set(obj: Object) -> None:
    """apps/v1 ReplicaSet."""
    spec = part(obj, "spec")
    pods.template(part(spec, "template"))
    fill(spec, {"replicas": 1})


def daemon_set(obj: Object) -> None:
    """apps/v1 DaemonSet."""
    spec = part(obj, "spec")
    pods.template(part(spec, "template"))
    strategy = part(spec, "updateStrategy")
    fill_empty(strategy, {"type": "RollingUpdate"})
    if strategy["type"] == "RollingUpdate":
        fill(part(strategy, "rollingUpdate"), {"maxUnavailable": 1, "maxSurge": 0})
    fill(spec, {"revisionHistoryLimit": 10})
    # Upstream's conversion writes it always, so that even a new object's owner is said to set it.
    fill(part(part(obj, "metadata"), "annotations"), {TEMPLATE_GENERATION: "0"})


def stateful_set(obj: Object) -> None:
    """apps/v1 StatefulSet."""
    spec = part(obj, "spec")
    pods.template(part(spec, "template"))
    fill_empty(spec, {"podManagementPolicy": "OrderedReady"})
    strategy = part(spec, "updateStrategy")
    if not strategy.get("type"):
        strategy["type"] = "RollingUpdate"
        part(strategy, "rollingUpdate")
    rolling = strategy.get("rollingUpdate")
    if strategy["type"] == "RollingUpdate" and rolling is not None:
        fill(rolling, {"partition": 0})
    retention = part(spec, "persistentVolumeClaimRetentionPolicy")
    fill_empty(retention, {"whenDeleted": "Retain", "whenScaled": "Retain"})
    fill(spec, {"replicas": 1, "revisionHistoryLimit": 10})
    for claim in each(spec, "volumeClaimTemplates"):
        # Upstream's conversion names the kind, for clients that look at it.
        claim["apiVersion"], claim["kind"] = "v1", "PersistentVolumeClaim"
        claims.claim(claim)


def job(obj: Object) -> None:
    """batch/v1 Job; the selector and labels by uid are the strategy's."""
    spec = part(obj, "spec")
    _job_spec_parts(spec)
    if "completions" not in spec and "parallelism" not in spec:
        spec["completions"] = 1
    policy = "Failed" if spec.get("podFailurePolicy") is not None else "TerminatingOrFailed"
    backoff = _MAX_INT32 if spec.get("backoffLimitPerIndex") is not None else _BACKOFF
    fill(
        spec,
        {
            "parallelism": 1,
            "backoffLimit": backoff,
            "completionMode": "NonIndexed",
            "suspend": False,
            "manualSelector": False,
            "podReplacementPolicy": policy,
        },
    )
    labels = (part(spec, "template").get("metadata") or {}).get("labels")
    if labels:
        fill_empty(part(obj, "metadata"), {"labels": dict(labels)})


def cron_job(obj: Object) -> None:
    """batch/v1 CronJob; the job template gets its pod's defaults only."""
    spec = part(obj, "spec")
    _job_spec_parts(part(part(spec, "jobTemplate"), "spec"))
    fill_empty(spec, {"concurrencyPolicy": "Allow"})
    fill(spec, {"suspend": False, "successfulJobsHistoryLimit": 3, "failedJobsHistoryLimit": 1})


def _job_spec_parts(spec: Object) -> None:
    pods.template(part(spec, "template"))
    for rule in each(spec.get("podFailurePolicy") or {}, "rules"):
        for pattern in each(rule, "onPodConditions"):
            fill_empty(pattern, {"status": "True"})


def autoscaler_v1(obj: Object) -> None:
    """autoscaling/v1: the target utilization is a default of the storage version."""
    fill(part(obj, "spec"), {"minReplicas": 1})


def autoscaler_v2(obj: Object) -> None:
    """autoscaling/v2 HorizontalPodAutoscaler."""
    spec = part(obj, "spec")
    fill(spec, {"minReplicas": 1})
    if not spec.get("metrics"):
        target = {"type": "Utilization", "averageUtilization": _DEFAULT_UTILIZATION}
        spec["metrics"] = [{"type": "Resource", "resource": {"name": "cpu", "target": target}}]
    behavior = spec.get("behavior")
    if behavior is not None:
        behavior["scaleUp"] = {**_scale_up(), **(behavior.get("scaleUp") or {})}
        behavior["scaleDown"] = {**_scale_down(), **(behavior.get("scaleDown") or {})}


def _scale_up() -> dict[str, Any]:
    policies = [
        {"type": "Pods", "value": 4, "periodSeconds": 15},
        {"type": "Percent", "value": 100, "periodSeconds": 15},
    ]
    return {"stabilizationWindowSeconds": 0, "selectPolicy": "Max", "policies": policies}


def _scale_down() -> dict[str, Any]:
    policies = [{"type": "Percent", "value": 100, "periodSeconds": 15}]
    return {"selectPolicy": "Max", "policies": policies}


def runtime_class(obj: Object) -> None:
    """node.k8s.io/v1 RuntimeClass: a rounded overhead."""
    overhead = obj.get("overhead")
    if overhead:
        round_resources(overhead.get("podFixed"))
