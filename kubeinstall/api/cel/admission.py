"""The variables of admission's expressions: object, oldObject, request, params, namespaceObject, authorizer."""

from __future__ import annotations

from kubeinstall.api.cel import types as t
from kubeinstall.api.cel.library.authorizer import AUTHORIZER_TYPE, RESOURCE_CHECK_TYPE

_TEXTS = t.map_of(t.STRING, t.STRING)
_KIND = t.Type(
    "kubernetes.GroupVersionKind", (), {"group": t.STRING, "version": t.STRING, "kind": t.STRING}
)
_RESOURCE = t.Type(
    "kubernetes.GroupVersionResource",
    (),
    {"group": t.STRING, "version": t.STRING, "resource": t.STRING},
)
_USER = t.Type(
    "kubernetes.UserInfo",
    (),
    {
        "username": t.STRING,
        "uid": t.STRING,
        "groups": t.list_of(t.STRING),
        "extra": t.map_of(t.STRING, t.list_of(t.STRING)),
    },
)
_REQUEST = t.Type(
    "kubernetes.AdmissionRequest",
    (),
    {
        "kind": _KIND,
        "resource": _RESOURCE,
        "subResource": t.STRING,
        "requestKind": _KIND,
        "requestResource": _RESOURCE,
        "requestSubResource": t.STRING,
        "name": t.STRING,
        "namespace": t.STRING,
        "operation": t.STRING,
        "userInfo": _USER,
        "dryRun": t.BOOL,
        "options": t.DYN,
    },
)
_METADATA = t.Type(
    "kubernetes.NamespaceMetadata",
    (),
    {
        "name": t.STRING,
        "generateName": t.STRING,
        "namespace": t.STRING,
        "labels": _TEXTS,
        "annotations": _TEXTS,
        "UID": t.STRING,
        "creationTimestamp": t.TIMESTAMP,
        "deletionGracePeriodSeconds": t.INT,
        "deletionTimestamp": t.TIMESTAMP,
        "generation": t.INT,
        "resourceVersion": t.STRING,
        "finalizers": t.list_of(t.STRING),
    },
)
_NAMESPACE = t.Type(
    "kubernetes.Namespace",
    (),
    {
        "metadata": _METADATA,
        "spec": t.Type("kubernetes.NamespaceSpec", (), {"finalizers": t.list_of(t.STRING)}),
        "status": t.Type("kubernetes.NamespaceStatus", (), {"phase": t.STRING}),
    },
)
_OBJECTS = {"object": t.DYN, "oldObject": t.DYN, "request": _REQUEST}
_AUTHORIZER = {
    "authorizer": t.Type(AUTHORIZER_TYPE),
    "authorizer.requestResource": t.Type(RESOURCE_CHECK_TYPE),
}
#: Of matchConditions of webhooks.
CONDITIONS: dict[str, t.Type] = {**_OBJECTS, **_AUTHORIZER}


def policy_variables(*, params: bool, typed: dict[str, t.Type] | None = None) -> dict[str, t.Type]:
    """Of a policy's expressions; `typed` replaces types that are known better."""
    found = {**_OBJECTS, "namespaceObject": _NAMESPACE, **_AUTHORIZER}
    if params:
        found["params"] = t.DYN
    return {**found, **(typed or {})}
