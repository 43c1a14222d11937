"""Rows of workloads: what makes pods."""

from __future__ import annotations

from typing import Any

from kubeinstall.api import times
from kubeinstall.api.table.cells import (
    NONE,
    UNSET,
    Cells,
    age_of,
    at,
    containers,
    deleting,
    is_true,
    labels_text,
    name_of,
    quantity_text,
    selector_text,
)
from kubeinstall.api.table.durations import human, since
from kubeinstall.api.types import Object


def _template(obj: Object, *path: str) -> Cells:
    return containers(at(obj, "spec", *path, "template", "spec"))


def pod_template(obj: Object, now: float) -> Cells:
    """PodTemplate."""
    template = obj.get("template") or {}
    labels = at(template, "metadata", "labels")
    return [name_of(obj), *containers(template.get("spec")), labels_text(labels)]


def replicas(obj: Object, now: float) -> Cells:
    """ReplicaSet and ReplicationController; the latter's selector is a plain map."""
    status = obj.get("status") or {}
    selector = at(obj, "spec", "selector")
    plain = selector and not ({"matchLabels", "matchExpressions"} & set(selector))
    shown = labels_text(selector) if plain else selector_text(selector)
    return [
        name_of(obj),
        at(obj, "spec", "replicas") or 0,
        status.get("replicas", 0),
        status.get("readyReplicas", 0),
        age_of(obj, now),
        *_template(obj),
        shown,
    ]


def deployment(obj: Object, now: float) -> Cells:
    """Deployment."""
    status = obj.get("status") or {}
    return [
        name_of(obj),
        f"{status.get('readyReplicas', 0)}/{at(obj, 'spec', 'replicas') or 0}",
        status.get("updatedReplicas", 0),
        status.get("availableReplicas", 0),
        age_of(obj, now),
        *_template(obj),
        selector_text(at(obj, "spec", "selector")),
    ]


def stateful_set(obj: Object, now: float) -> Cells:
    """StatefulSet."""
    ready = at(obj, "status", "readyReplicas") or 0
    return [
        name_of(obj),
        f"{ready}/{at(obj, 'spec', 'replicas') or 0}",
        age_of(obj, now),
        *_template(obj),
    ]


def daemon_set(obj: Object, now: float) -> Cells:
    """DaemonSet."""
    status = obj.get("status") or {}
    return [
        name_of(obj),
        status.get("desiredNumberScheduled", 0),
        status.get("currentNumberScheduled", 0),
        status.get("numberReady", 0),
        status.get("updatedNumberScheduled", 0),
        status.get("numberAvailable", 0),
        labels_text(at(obj, "spec", "template", "spec", "nodeSelector")),
        age_of(obj, now),
        *_template(obj),
        selector_text(at(obj, "spec", "selector")),
    ]


def job(obj: Object, now: float) -> Cells:
    """Job."""
    return [
        name_of(obj),
        _job_status(obj),
        _completions(obj),
        _job_duration(obj, now),
        age_of(obj, now),
        *_template(obj),
        selector_text(at(obj, "spec", "selector")),
    ]


def _job_status(obj: Object) -> str:
    if is_true(obj, "Complete"):
        return "Complete"
    if is_true(obj, "Failed"):
        return "Failed"
    if deleting(obj):
        return "Terminating"
    for name in ("Suspended", "FailureTarget", "SuccessCriteriaMet"):
        if is_true(obj, name):
            return name
    return "Running"


def _completions(obj: Object) -> str:
    done = at(obj, "status", "succeeded") or 0
    wanted = at(obj, "spec", "completions")
    if wanted is not None:
        return f"{done}/{wanted}"
    parallel = at(obj, "spec", "parallelism") or 0
    return f"{done}/1 of {parallel}" if parallel > 1 else f"{done}/1"


def _job_duration(obj: Object, now: float) -> str:
    started, ended = at(obj, "status", "startTime"), at(obj, "status", "completionTime")
    if not started:
        return ""
    return human((times.unix(ended) if ended else now) - times.unix(started))


def cron_job(obj: Object, now: float) -> Cells:
    """CronJob."""
    spec = obj.get("spec") or {}
    last = at(obj, "status", "lastScheduleTime")
    suspend = spec.get("suspend")
    return [
        name_of(obj),
        spec.get("schedule", ""),
        spec.get("timeZone") or NONE,
        UNSET if suspend is None else str(suspend),
        len(at(obj, "status", "active") or ()),
        since(last, now) if last else NONE,
        age_of(obj, now),
        *_template(obj, "jobTemplate", "spec"),
        selector_text(at(spec, "jobTemplate", "spec", "selector")),
    ]


def controller_revision(obj: Object, now: float) -> Cells:
    """ControllerRevision."""
    owner = NONE
    for each in at(obj, "metadata", "ownerReferences") or ():
        if each.get("controller"):
            group = each.get("apiVersion", "").rpartition("/")[0]
            kind = each.get("kind", "").lower()
            owner = f"{kind}.{group}/{each.get('name')}" if group else f"{kind}/{each.get('name')}"
    return [name_of(obj), owner, obj.get("revision", 0), age_of(obj, now)]


def disruption_budget(obj: Object, now: float) -> Cells:
    """PodDisruptionBudget."""
    spec = obj.get("spec") or {}

    def shown(key: str) -> str:
        return "N/A" if spec.get(key) is None else str(spec[key])

    allowed = at(obj, "status", "disruptionsAllowed") or 0
    return [name_of(obj), shown("minAvailable"), shown("maxUnavailable"), allowed, age_of(obj, now)]


def autoscaler(obj: Object, now: float) -> Cells:
    """HorizontalPodAutoscaler, in version v2 (v1 objects show what their target says)."""
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    target = spec.get("scaleTargetRef") or {}
    minimum = spec.get("minReplicas")
    return [
        name_of(obj),
        f"{target.get('kind', '')}/{target.get('name', '')}",
        _targets(_metrics(spec), status),
        UNSET if minimum is None else str(minimum),
        spec.get("maxReplicas", 0),
        status.get("currentReplicas", 0),
        age_of(obj, now),
    ]


def _metrics(spec: Object) -> list[Any]:
    percent = spec.get("targetCPUUtilizationPercentage")
    if percent is None:
        return spec.get("metrics") or []
    resource = {
        "name": "cpu",
        "target": {"type": "Utilization", "averageUtilization": percent},
    }
    return [{"type": "Resource", "resource": resource}]


def _targets(metrics: list[Any], status: Object) -> str:
    current = status.get("currentMetrics") or []
    percent = status.get("currentCPUUtilizationPercentage")
    if percent is not None:
        current = [{"resource": {"current": {"averageUtilization": percent}}}]
    if not metrics:
        return NONE
    shown = [
        _target(metric, current[index] if index < len(current) else {})
        for index, metric in enumerate(metrics)
    ]
    text = ", ".join(shown[:2])
    return f"{text} + {len(shown) - 2} more..." if len(shown) > 2 else text


def _target(metric: Object, status: Object) -> str:
    key = metric.get("type", "")
    if key not in ("External", "Pods", "Object", "Resource", "ContainerResource"):
        return "<unknown type>"
    key = key[0].lower() + key[1:]
    wanted = at(metric, key, "target") or {}
    found = at(status, key, "current") or {}
    resource = "esource" in key
    prefix = f"{at(metric, key, 'name')}: " if resource else ""
    if key == "pods" or wanted.get("averageValue") is not None:
        now = found.get("averageValue")
        suffix = " (avg)" if key in ("external", "object") else ""
        return f"{prefix}{_amount(now)}/{_amount(wanted.get('averageValue'))}{suffix}"
    if resource:
        percent, goal = found.get("averageUtilization"), wanted.get("averageUtilization")
        left = "<unknown>" if percent is None else f"{percent}%"
        return f"{prefix}{left}/{'<auto>' if goal is None else f'{goal}%'}"
    return f"{_amount(found.get('value'))}/{_amount(wanted.get('value'))}"


def _amount(value: Any) -> str:
    return "<unknown>" if value is None else quantity_text(value)
