"""Transforms that keep of an object what names are made of."""

from __future__ import annotations

from kubeinstall.api.types import Object

_SPEC = ("clusterIP", "clusterIPs", "externalName", "ports", "type")
_PORT = ("name", "port", "protocol")


def _metadata(obj: Object, *more: str) -> Object:
    meta = obj["metadata"]
    return {k: meta[k] for k in ("name", "namespace", "uid", "resourceVersion", *more) if k in meta}


def _ports(ports: list[Object] | None) -> list[Object]:
    return [{key: port[key] for key in _PORT if key in port} for port in ports or []]


def slim_service(service: Object) -> Object:
    """Addresses and ports."""
    spec = {k: v for k, v in (service.get("spec") or {}).items() if k in _SPEC}
    spec["ports"] = _ports(spec.get("ports"))
    return {"metadata": _metadata(service), "spec": spec}


def slim_slice(piece: Object) -> Object:
    """Ready addresses, hostnames and ports."""
    return {
        "metadata": _metadata(piece, "labels"),
        "ports": _ports(piece.get("ports")),
        "endpoints": [
            {key: entry[key] for key in ("addresses", "hostname") if key in entry}
            for entry in piece.get("endpoints") or []
            if (entry.get("conditions") or {}).get("ready") is not False
        ],
    }


def slim_namespace(namespace: Object) -> Object:
    """The name."""
    return {"metadata": _metadata(namespace)}
