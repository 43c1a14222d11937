"""Transforms that keep of an object what the proxy reads: the cache of a big cluster stays small."""

from __future__ import annotations

from kubeinstall.api.types import Object

_META = ("name", "namespace", "uid", "resourceVersion", "labels", "deletionTimestamp")
_ENDPOINT = ("addresses", "conditions", "hints", "nodeName")


def _metadata(obj: Object) -> Object:
    return {key: obj["metadata"][key] for key in _META if key in obj["metadata"]}


def slim_service(service: Object) -> Object:
    """Metadata, spec without the selector, and the load balancer's addresses."""
    spec = {k: v for k, v in (service.get("spec") or {}).items() if k != "selector"}
    return {"metadata": _metadata(service), "spec": spec, "status": service.get("status") or {}}


def slim_slice(piece: Object) -> Object:
    """Addresses, conditions, hints and node names of the endpoints."""
    return {
        "metadata": _metadata(piece),
        "addressType": piece.get("addressType"),
        "ports": piece.get("ports"),
        "endpoints": [
            {key: entry[key] for key in _ENDPOINT if key in entry}
            for entry in piece.get("endpoints") or []
        ],
    }


def slim_node(node: Object) -> Object:
    """Labels and taints."""
    return {
        "metadata": _metadata(node),
        "spec": {"taints": (node.get("spec") or {}).get("taints") or []},
    }
