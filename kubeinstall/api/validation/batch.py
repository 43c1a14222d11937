"""batch/v1: Jobs and CronJobs."""

from __future__ import annotations

import copy
from typing import Any

from kubeinstall.api.selectors import LabelSelector
from kubeinstall.api.types import Object
from kubeinstall.api.validation.cron import cron_error
from kubeinstall.api.validation.errors import Errors
from kubeinstall.api.validation.formats import domain_prefixed_path, qualified_name
from kubeinstall.api.validation.labels import check_label_selector
from kubeinstall.api.validation.pod.spec import check_pod_template

_CONCURRENCY = ("Allow", "Forbid", "Replace")
_ACTIONS = ("Count", "FailIndex", "FailJob", "Ignore")
_MOST_INDEXES = 100_000


def check_job(errors: Errors, job: Object) -> None:
    """A Job: spec, and a selector that the server made unless manualSelector."""
    spec = job.get("spec") or {}
    check_job_spec(errors, spec, "spec")
    selector = spec.get("selector")
    if selector is None:
        errors.required("spec.selector")
    else:
        check_label_selector(errors, selector, "spec.selector")
        labels = ((spec.get("template") or {}).get("metadata") or {}).get("labels") or {}
        if not LabelSelector.from_object(selector).matches(labels):
            message = "`selector` does not match template `labels`"
            errors.invalid("spec.template.metadata.labels", labels, message)
    _check_name(errors, job, spec)


def _check_name(errors: Errors, job: Object, spec: Object) -> None:
    """Pods of an Indexed job are named NAME-INDEX, which must still be a label."""
    if spec.get("completionMode") != "Indexed":
        return
    name, count = job["metadata"].get("name", ""), spec.get("completions") or 0
    longest = len(f"{name}-{max(count - 1, 0)}")
    if longest > 63:
        message = (
            "will not able to create pod with invalid DNS label: " + f"{name}-{max(count - 1, 0)}"
        )
        errors.invalid("metadata.name", name, message)


def check_job_spec(errors: Errors, spec: Object, path: str) -> None:
    """`spec` of a Job, of a CronJob's template too."""
    for field in (
        "parallelism",
        "completions",
        "activeDeadlineSeconds",
        "backoffLimit",
        "ttlSecondsAfterFinished",
    ):
        errors.not_negative(f"{path}.{field}", spec.get(field))
    errors.not_negative(f"{path}.maxFailedIndexes", spec.get("maxFailedIndexes"))
    errors.not_negative(f"{path}.backoffLimitPerIndex", spec.get("backoffLimitPerIndex"))
    _check_mode(errors, spec, path)
    manager = spec.get("managedBy")
    if manager is not None:
        errors.each(f"{path}.managedBy", manager, domain_prefixed_path(manager))
        if len(manager) > 63:
            errors.too_long(f"{path}.managedBy", 63)
    template = spec.get("template") or {}
    if spec.get("podFailurePolicy") is not None:
        _check_failure_policy(errors, spec, f"{path}.podFailurePolicy")
    if spec.get("successPolicy") is not None:
        _check_success_policy(errors, spec, f"{path}.successPolicy")
    replacement = spec.get("podReplacementPolicy")
    if replacement is not None:
        known = (
            ("Failed",)
            if spec.get("podFailurePolicy") is not None
            else ("Failed", "TerminatingOrFailed")
        )
        errors.one_of(f"{path}.podReplacementPolicy", replacement, known)
    check_pod_template(errors, template, f"{path}.template")
    policy = (template.get("spec") or {}).get("restartPolicy", "")
    if policy in {"", "Always"}:
        errors.required(f"{path}.template.spec.restartPolicy", 'valid values: "OnFailure", "Never"')
    elif policy not in {"Never", "OnFailure"}:
        errors.not_supported(f"{path}.template.spec.restartPolicy", policy, ("OnFailure", "Never"))
    elif spec.get("podFailurePolicy") is not None and policy != "Never":
        message = 'only "Never" is supported when podFailurePolicy is specified'
        errors.invalid(f"{path}.template.spec.restartPolicy", policy, message)


def _check_mode(errors: Errors, spec: Object, path: str) -> None:
    mode = spec.get("completionMode")
    if mode is None:
        return
    if mode not in {"NonIndexed", "Indexed"}:
        errors.not_supported(f"{path}.completionMode", mode, ("Indexed", "NonIndexed"))
    if mode == "Indexed":
        completions = spec.get("completions")
        if completions is None:
            errors.required(f"{path}.completions", "when completion mode is Indexed")
        if (spec.get("parallelism") or 0) > _MOST_INDEXES:
            message = (
                f"must be less than or equal to {_MOST_INDEXES} when completion mode is Indexed"
            )
            errors.invalid(f"{path}.parallelism", spec["parallelism"], message)
        return
    for field in ("backoffLimitPerIndex", "maxFailedIndexes"):
        if spec.get(field) is not None:
            message = "requires indexed completion mode"
            errors.invalid(f"{path}.{field}", spec[field], message)


def _check_failure_policy(errors: Errors, spec: Object, path: str) -> None:
    rules = spec["podFailurePolicy"].get("rules") or []
    if len(rules) > 20:
        errors.too_many(f"{path}.rules", len(rules), 20)
    pod = (spec.get("template") or {}).get("spec") or {}
    names = {c.get("name") for f in ("containers", "initContainers") for c in pod.get(f) or []}
    for index, rule in enumerate(rules):
        at = f"{path}.rules[{index}]"
        action = rule.get("action", "")
        if not action:
            errors.required(
                f"{at}.action", f"valid values: {', '.join(_quote(a) for a in _ACTIONS)}"
            )
        elif action == "FailIndex" and spec.get("backoffLimitPerIndex") is None:
            message = "requires the backoffLimitPerIndex to be set"
            errors.invalid(f"{at}.action", action, message)
        else:
            errors.one_of(f"{at}.action", action, _ACTIONS)
        codes, conditions = rule.get("onExitCodes"), rule.get("onPodConditions")
        if codes is not None:
            _check_exit_codes(errors, codes, f"{at}.onExitCodes", names)
        for number, condition in enumerate(conditions or []):
            _check_pattern(errors, condition, f"{at}.onPodConditions[{number}]")
        if codes is not None and conditions:
            errors.invalid(
                at, None, "specifying both OnExitCodes and OnPodConditions is not supported"
            )
        elif codes is None and not conditions:
            errors.invalid(
                at, None, "specifying one of OnExitCodes and OnPodConditions is required"
            )


def _quote(text: str) -> str:
    return f'"{text}"'


def _check_exit_codes(errors: Errors, codes: Object, path: str, names: set[Any]) -> None:
    operator, values = codes.get("operator", ""), codes.get("values") or []
    if not operator:
        errors.required(f"{path}.operator", 'valid values: "In", "NotIn"')
    else:
        errors.one_of(f"{path}.operator", operator, ("In", "NotIn"))
    container = codes.get("containerName")
    if container is not None and container not in names:
        message = "must be one of the container or initContainer names in the pod template"
        errors.invalid(f"{path}.containerName", container, message)
    if not values:
        errors.invalid(f"{path}.values", values, "at least one value is required")
    elif len(values) > 255:
        errors.too_many(f"{path}.values", len(values), 255)
    ordered = True
    for index, value in enumerate(values):
        if operator == "In" and value == 0:
            errors.invalid(f"{path}.values[{index}]", value, "must not be 0 for the In operator")
        if index and values[index - 1] > value:
            ordered = False
        if index and value in values[:index]:
            errors.duplicate(f"{path}.values[{index}]", value)
    if not ordered:
        errors.invalid(f"{path}.values", values, "must be ordered")


def _check_pattern(errors: Errors, condition: Object, path: str) -> None:
    kind, status = condition.get("type", ""), condition.get("status", "")
    errors.each(f"{path}.type", kind, qualified_name(kind))
    if not status:
        errors.required(f"{path}.status", 'valid values: "False", "True", "Unknown"')
    else:
        errors.one_of(f"{path}.status", status, ("False", "True", "Unknown"))


def _check_success_policy(errors: Errors, spec: Object, path: str) -> None:
    if spec.get("completionMode") != "Indexed":
        errors.invalid(path, spec["successPolicy"], "requires indexed completion mode")
        return
    rules = spec["successPolicy"].get("rules") or []
    if not rules:
        errors.required(
            f"{path}.rules",
            "at least one rules must be specified when the successPolicy is specified",
        )
    if len(rules) > 20:
        errors.too_many(f"{path}.rules", len(rules), 20)
    for index, rule in enumerate(rules):
        at = f"{path}.rules[{index}]"
        count, indexes = rule.get("succeededCount"), rule.get("succeededIndexes")
        if count is None and indexes is None:
            errors.required(
                at, "at least one of succeededCount or succeededIndexes must be specified"
            )
        if count is not None and count <= 0:
            errors.invalid(f"{at}.succeededCount", count, "must be greater than 0")
        if count is not None and count > (spec.get("completions") or 0):
            message = f"must be less than or equal to {spec.get('completions')} (the number of specified completions)"
            errors.invalid(f"{at}.succeededCount", count, message)


def check_job_update(errors: Errors, new: Object, old: Object) -> None:
    """A Job's template, selector and completions are fixed; a suspended one's scheduling may change."""
    check_job(errors, new)
    now, before = new.get("spec") or {}, old.get("spec") or {}
    _check_completions(errors, now, before)
    errors.immutable("spec.selector", now.get("selector"), before.get("selector"))
    _check_template_update(errors, now, before, old)
    for field in (
        "completionMode",
        "podFailurePolicy",
        "backoffLimitPerIndex",
        "managedBy",
        "successPolicy",
    ):
        errors.immutable(f"spec.{field}", now.get(field), before.get(field))


def _check_completions(errors: Errors, now: Object, before: Object) -> None:
    new, old = now.get("completions"), before.get("completions")
    if new == old:
        return
    if before.get("completionMode") != "Indexed" or new is None or old is None:
        errors.immutable("spec.completions", new, old)
    elif new != now.get("parallelism"):
        message = "can only be modified in tandem with spec.parallelism"
        errors.invalid("spec.completions", new, message)


def _check_template_update(errors: Errors, now: Object, before: Object, old: Object) -> None:
    new_template, old_template = (
        copy.deepcopy(now.get("template") or {}),
        copy.deepcopy(before.get("template") or {}),
    )
    status = old.get("status") or {}
    suspended = any(
        c.get("type") == "Suspended" and c.get("status") == "True"
        for c in status.get("conditions") or []
    )
    if (before.get("suspend") and status.get("startTime") is None) or (
        suspended and before.get("suspend")
    ):
        for field in ("nodeSelector", "tolerations", "schedulingGates", "affinity", "resources"):
            new_template.get("spec", {}).pop(field, None)
            old_template.get("spec", {}).pop(field, None)
        for template in (new_template, old_template):
            template.get("metadata", {}).pop("labels", None)
            template.get("metadata", {}).pop("annotations", None)
            for container in template.get("spec", {}).get("containers") or []:
                container.pop("resources", None)
    if new_template.get("metadata") != old_template.get("metadata"):
        errors.invalid("spec.template", now.get("template"), "field is immutable")
    elif new_template.get("spec") != old_template.get("spec"):
        errors.invalid(
            "spec.template.spec", (now.get("template") or {}).get("spec"), "field is immutable"
        )


def check_cron_job(errors: Errors, item: Object) -> None:
    """A CronJob; its name leaves room for the time that job names end in."""
    name = item["metadata"].get("name", "")
    if len(name) > 52:
        errors.invalid("metadata.name", name, "must be no more than 52 characters")
    spec = item.get("spec") or {}
    schedule = spec.get("schedule", "")
    if not schedule:
        errors.required("spec.schedule")
    else:
        _check_schedule(errors, schedule)
    errors.not_negative("spec.startingDeadlineSeconds", spec.get("startingDeadlineSeconds"))
    _check_zone(errors, spec.get("timeZone"))
    policy = spec.get("concurrencyPolicy", "")
    if not policy:
        errors.required("spec.concurrencyPolicy")
    else:
        errors.one_of("spec.concurrencyPolicy", policy, _CONCURRENCY)
    template = (spec.get("jobTemplate") or {}).get("spec") or {}
    if template.get("manualSelector"):
        errors.not_supported("spec.jobTemplate.spec.manualSelector", True, ("nil", "false"))
    check_job_spec(errors, template, "spec.jobTemplate.spec")
    for field in ("successfulJobsHistoryLimit", "failedJobsHistoryLimit"):
        errors.not_negative(f"spec.{field}", spec.get(field))


def _check_schedule(errors: Errors, schedule: str) -> None:
    problem = cron_error(schedule)
    if problem:
        errors.invalid("spec.schedule", schedule, problem)
    if "TZ" in schedule:
        message = "cannot use TZ or CRON_TZ in schedule, use timeZone field instead"
        errors.invalid("spec.schedule", schedule, message)


def _check_zone(errors: Errors, zone: str | None) -> None:
    if zone is None:
        return
    if not zone:
        errors.invalid("spec.timeZone", zone, "timeZone must be nil or non-empty string")
        return
    from zoneinfo import ZoneInfo

    try:
        known = zone.lower() != "local" and ZoneInfo(zone) is not None
    except (ValueError, OSError):
        known = False
    if zone.lower() == "local":
        message = (
            "timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones"
        )
        errors.invalid("spec.timeZone", zone, message)
    elif not known:
        errors.invalid("spec.timeZone", zone, f"unknown time zone {zone}")
