"""pods/eviction: delete a pod if its PodDisruptionBudget allows it.

Upstream documentation: "API-initiated eviction".
"""

from __future__ import annotations

from kubeinstall.api import times
from kubeinstall.api.selectors import LabelSelector
from kubeinstall.api.types import Object
from kubeinstall.apiserver.authz import forbidden_object
from kubeinstall.apiserver.authz.kinds import kind
from kubeinstall.apiserver.request import SubresourceContext
from kubeinstall.apiserver.subresources.answers import admit, require_same_name, success
from kubeinstall.errors import Conflict, NotFound, StatusError, TooManyRequests

_REFUSED = "Cannot evict pod as it would violate the pod's disruption budget."
_MAX_DISRUPTED = 2000
_STILL_PROCESSING_SECONDS = 10


async def evict(context: SubresourceContext) -> Object:
    """Check the budget, mark the pod as disrupted, delete it."""
    name, namespace = require_same_name(context, "Eviction"), context.info.namespace
    registry = context.registry
    options = dict(context.body.get("deleteOptions") or {})
    if options.get("dryRun"):
        context.dry_run = True
    pod = await registry.get_live(kind("pods"), name, namespace)
    await admit(context, name)
    _check_preconditions(pod, options.get("preconditions") or {})
    if not _needs_no_budget(pod):
        budgets = _budgets_of(context, pod)
        if len(budgets) > 1:
            raise StatusError(
                "This pod has more than one PodDisruptionBudget, which the eviction subresource "
                "does not currently support.",
                code=500,
            )
        if budgets and not _may_ignore(budgets[0], pod):
            await _take_from(context, budgets[0], name)
        # The pod that was judged must be the pod that is deleted.
        options["preconditions"] = {
            **(options.get("preconditions") or {}),
            "uid": pod["metadata"]["uid"],
        }
    await _mark_disrupted(context, name)
    await registry.delete(
        kind("pods"),
        namespace,
        name,
        options=options,
        user=context.user,
        dry_run=context.dry_run,
    )
    return success()


def _check_preconditions(pod: Object, wanted: Object) -> None:
    metadata = pod["metadata"]
    for field, what in (("uid", "UID"), ("resourceVersion", "ResourceVersion")):
        if wanted.get(field) and wanted[field] != metadata.get(field):
            raise Conflict.for_object(
                "",
                "pods",
                metadata["name"],
                f"Precondition failed: {what} in precondition: {wanted[field]}, "
                f"{what} in object meta: {metadata.get(field)}",
            )


def _needs_no_budget(pod: Object) -> bool:
    """Pods that are done, not started or going disturb nobody."""
    phase = (pod.get("status") or {}).get("phase")
    return phase in ("Succeeded", "Failed", "Pending") or bool(
        pod["metadata"].get("deletionTimestamp")
    )


def _budgets_of(context: SubresourceContext, pod: Object) -> list[Object]:
    labels = pod["metadata"].get("labels") or {}
    found = []
    for budget in context.registry.list(
        kind("poddisruptionbudgets", "policy"), context.info.namespace
    ):
        selector = (budget.get("spec") or {}).get("selector")
        if selector is not None and LabelSelector.from_object(selector).matches(labels):
            found.append(budget)
    return found


def _is_ready(pod: Object) -> bool:
    conditions = (pod.get("status") or {}).get("conditions") or ()
    return any(c.get("type") == "Ready" and c.get("status") == "True" for c in conditions)


def _may_ignore(budget: Object, pod: Object) -> bool:
    """Pods that are not ready cost the budget nothing, as far as its policy agrees."""
    if _is_ready(pod):
        return False
    if (budget.get("spec") or {}).get("unhealthyPodEvictionPolicy") == "AlwaysAllow":
        return True
    status = budget.get("status") or {}
    desired = int(status.get("desiredHealthy", 0))
    return desired > 0 and int(status.get("currentHealthy", 0)) >= desired


async def _take_from(context: SubresourceContext, budget: Object, pod_name: str) -> None:
    """Use up one disruption of the budget. Raises `TooManyRequests` when there is none."""
    name = budget["metadata"]["name"]

    def take(current: Object) -> Object | None:
        status = current.setdefault("status", {})
        metadata = current["metadata"]
        if int(status.get("observedGeneration", 0)) < int(metadata.get("generation", 0)):
            raise _too_many(
                f"The disruption budget {name} is still being processed by the server.",
                _STILL_PROCESSING_SECONDS,
            )
        allowed = int(status.get("disruptionsAllowed", 0))
        if allowed < 0:
            raise _forbid(name, "pdb disruptions allowed is negative")
        disrupted = dict(status.get("disruptedPods") or {})
        if len(disrupted) > _MAX_DISRUPTED:
            raise _forbid(
                name,
                "DisruptedPods map too big - too many evictions not confirmed by PDB controller",
            )
        if allowed == 0:
            raise _too_many(
                f"The disruption budget {name} needs {status.get('desiredHealthy', 0)} healthy "
                f"pods and has {status.get('currentHealthy', 0)} currently"
            )
        status["disruptionsAllowed"] = allowed - 1
        if allowed == 1:
            _mark_exhausted(current)
        disrupted[pod_name] = times.now()
        status["disruptedPods"] = disrupted
        return current

    await context.registry.update(
        kind("poddisruptionbudgets", "policy"),
        context.info.namespace,
        name,
        take,
        subresource="status",
        dry_run=context.dry_run,
        admit=False,
    )


def _mark_exhausted(budget: Object) -> None:
    conditions = [
        c for c in budget["status"].get("conditions") or () if c.get("type") != "DisruptionAllowed"
    ]
    budget["status"]["conditions"] = [
        *conditions,
        {
            "type": "DisruptionAllowed",
            "status": "False",
            "reason": "InsufficientPods",
            "message": "",
            "lastTransitionTime": times.now(),
            "observedGeneration": int(budget["status"].get("observedGeneration", 0)),
        },
    ]


def _too_many(message: str, retry_after: int | None = None) -> TooManyRequests:
    return TooManyRequests(
        _REFUSED,
        details={"causes": [{"reason": "DisruptionBudget", "message": message}]},
        retry_after=retry_after,
    )


def _forbid(name: str, why: str) -> StatusError:
    return forbidden_object("policy", "poddisruptionbudget", name, why)


async def _mark_disrupted(context: SubresourceContext, name: str) -> None:
    """Say in the pod's status why it ends."""

    def mark(pod: Object) -> Object | None:
        status = pod.setdefault("status", {})
        conditions = status.get("conditions") or []
        if any(
            c.get("type") == "DisruptionTarget" and c.get("status") == "True" for c in conditions
        ):
            return None
        condition: Object = {
            "type": "DisruptionTarget",
            "status": "True",
            "reason": "EvictionByEvictionAPI",
            "message": "Eviction API: evicting",
            "lastProbeTime": None,
            "lastTransitionTime": times.now(),
        }
        if pod["metadata"].get("generation"):
            condition["observedGeneration"] = pod["metadata"]["generation"]
        status["conditions"] = [
            *(c for c in conditions if c.get("type") != "DisruptionTarget"),
            condition,
        ]
        return pod

    try:
        await context.registry.update(
            kind("pods"),
            context.info.namespace,
            name,
            mark,
            subresource="status",
            dry_run=context.dry_run,
            admit=False,
        )
    except NotFound:
        raise NotFound.for_object("", "pods", name) from None
