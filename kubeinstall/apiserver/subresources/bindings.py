"""pods/binding and bindings: put a pod on a node."""

from __future__ import annotations

from kubeinstall.api import times
from kubeinstall.api.types import Object
from kubeinstall.apiserver.authz.kinds import kind
from kubeinstall.apiserver.request import SubresourceContext
from kubeinstall.apiserver.subresources.answers import admit, require_same_name, success
from kubeinstall.errors import Conflict, FieldError, StatusError


async def bind(context: SubresourceContext) -> Object:
    """Bind the pod that the Binding names to its target node."""
    name = require_same_name(context, "Binding")
    binding = context.body
    _validate(binding)
    await admit(context, name)
    metadata, target = binding.get("metadata") or {}, binding["target"]

    def assign(pod: Object) -> Object:
        _check(pod, metadata, name)
        spec = pod["spec"]
        spec["nodeName"] = target["name"]
        for field in ("annotations", "labels"):
            if metadata.get(field):
                pod["metadata"][field] = {**(pod["metadata"].get(field) or {}), **metadata[field]}
        _mark_scheduled(pod)
        return pod

    await context.registry.update(
        kind("pods"),
        context.info.namespace,
        name,
        assign,
        subresource="binding",
        user=context.user,
        dry_run=context.dry_run,
        admit=False,
    )
    return success()


def _validate(binding: Object) -> None:
    """Upstream answers these as plain errors of the server."""
    target = binding.get("target") or {}
    errors: list[FieldError] = []
    what = target.get("kind", "")
    if what not in ("", "Node"):
        errors.append(
            FieldError(
                "FieldValueNotSupported",
                "target.kind",
                f'Unsupported value: "{what}": supported values: "Node", "<empty>"',
            )
        )
    if not target.get("name"):
        errors.append(FieldError("FieldValueRequired", "target.name", "Required value"))
    if errors:
        texts = [str(error) for error in errors]
        message = texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]"
        raise StatusError(message, code=500, reason="")


def _check(pod: Object, binding: Object, name: str) -> None:
    metadata, spec = pod["metadata"], pod["spec"]
    for field, what in (("uid", "UID"), ("resourceVersion", "ResourceVersion")):
        wanted, actual = binding.get(field), metadata.get(field)
        if wanted and wanted != actual:
            raise _conflict(
                name,
                f"Precondition failed: {what} in precondition: {wanted}, "
                f"{what} in object meta: {actual}",
            )
    if metadata.get("deletionTimestamp"):
        raise _conflict(name, f"pod {name} is being deleted, cannot be assigned to a host")
    if spec.get("nodeName"):
        raise _conflict(name, f'pod {name} is already assigned to node "{spec["nodeName"]}"')
    if spec.get("schedulingGates"):
        raise _conflict(name, f"pod {name} has non-empty .spec.schedulingGates")


def _conflict(name: str, why: str) -> Conflict:
    return Conflict(
        f'Operation cannot be fulfilled on pods/binding "{name}": {why}',
        details={"name": name, "kind": "pods/binding"},
    )


def _mark_scheduled(pod: Object) -> None:
    status = pod.setdefault("status", {})
    others: list[Object] = []
    since = times.now()
    for condition in status.get("conditions") or ():
        if condition.get("type") != "PodScheduled":
            others.append(condition)
        elif condition.get("status") == "True":
            since = condition.get("lastTransitionTime") or since
    scheduled: Object = {
        "type": "PodScheduled",
        "status": "True",
        "lastProbeTime": None,
        "lastTransitionTime": since,
    }
    if pod["metadata"].get("generation"):
        scheduled["observedGeneration"] = pod["metadata"]["generation"]
    status["conditions"] = [*others, scheduled]
