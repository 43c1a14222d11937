"""Makes the pods and claims of a StatefulSet, and judges whether a pod still has its identity."""

from __future__ import annotations

import copy

from kubeinstall.api.types import Object
from kubeinstall.controllers.common import owners
from kubeinstall.controllers.common.podcontrol import pod_from_template
from kubeinstall.controllers.statefulset import facts


def claim_name(template: Object, stateful_set: Object, number: int) -> str:
    """`<template>-<set>-<ordinal>`."""
    return f"{template['metadata']['name']}-{stateful_set['metadata']['name']}-{number}"


def new_pod(stateful_set: Object, template: Object, revision: str, number: int) -> Object:
    """The pod of one ordinal, made from one revision's template; not yet on the server."""
    meta = stateful_set["metadata"]
    reference = owners.new_controller_ref(stateful_set, "apps/v1", "StatefulSet")
    pod = pod_from_template(template, meta["namespace"], reference, meta["name"])
    made = pod["metadata"]
    made.pop("generateName", None)
    made["name"] = f"{meta['name']}-{number}"
    made.setdefault("labels", {})[facts.REVISION_LABEL] = revision
    give_identity(pod, number)
    pod["spec"]["hostname"] = made["name"]
    if stateful_set["spec"].get("serviceName"):
        pod["spec"]["subdomain"] = stateful_set["spec"]["serviceName"]
    _mount_claims(stateful_set, pod["spec"], number)
    return pod


def give_identity(pod: Object, number: int) -> None:
    """The labels that name the pod."""
    labels = pod["metadata"].setdefault("labels", {})
    labels[facts.NAME_LABEL] = pod["metadata"]["name"]
    labels[facts.INDEX_LABEL] = str(number)


def has_identity(pod: Object) -> bool:
    """The labels that name the pod are right."""
    labels = owners.labels_of(pod)
    return labels.get(facts.NAME_LABEL) == pod["metadata"]["name"] and labels.get(
        facts.INDEX_LABEL
    ) == str(facts.ordinal(pod))


def _mount_claims(stateful_set: Object, spec: Object, number: int) -> None:
    wanted = {}
    for template in stateful_set["spec"].get("volumeClaimTemplates") or ():
        name = template["metadata"]["name"]
        claim = {"claimName": claim_name(template, stateful_set, number), "readOnly": False}
        wanted[name] = {"name": name, "persistentVolumeClaim": claim}
    kept = [v for v in spec.get("volumes") or () if v["name"] not in wanted]
    if kept or wanted:
        spec["volumes"] = [*wanted.values(), *kept]


def claims(stateful_set: Object, number: int) -> list[Object]:
    """The claims that the pod of one ordinal needs."""
    meta = stateful_set["metadata"]
    selector = (stateful_set["spec"].get("selector") or {}).get("matchLabels") or {}
    made = []
    for template in stateful_set["spec"].get("volumeClaimTemplates") or ():
        given = template["metadata"]
        claim_meta = {
            "name": claim_name(template, stateful_set, number),
            "namespace": meta["namespace"],
            "labels": {**(given.get("labels") or {}), **selector},
        }
        if given.get("annotations"):
            claim_meta["annotations"] = dict(given["annotations"])
        made.append(
            {
                "apiVersion": "v1",
                "kind": "PersistentVolumeClaim",
                "metadata": claim_meta,
                "spec": copy.deepcopy(template.get("spec") or {}),
            }
        )
    return made


def claim_owners(
    stateful_set: Object, claim: Object, pod: Object, *, condemned: bool
) -> list[Object]:
    """The ownerReferences that the retention policy asks for."""
    when_deleted, when_scaled = facts.retention(stateful_set)
    name, set_uid = stateful_set["metadata"]["name"], stateful_set["metadata"]["uid"]
    kept = [
        ref
        for ref in claim["metadata"].get("ownerReferences") or ()
        if ref["uid"] != set_uid and not _is_pod_of(ref, pod)
    ]
    if when_scaled and condemned:
        if facts.created(pod):
            kept.append(_reference("v1", "Pod", pod["metadata"]["name"], pod["metadata"]["uid"]))
    elif when_deleted:
        kept.append(_reference("apps/v1", "StatefulSet", name, set_uid))
    return kept


def _is_pod_of(ref: Object, pod: Object) -> bool:
    return bool(ref["kind"] == "Pod" and ref["name"] == pod["metadata"]["name"])


def _reference(api_version: str, kind: str, name: str, uid: str) -> Object:
    return {"apiVersion": api_version, "kind": kind, "name": name, "uid": uid, "controller": True}
