"""A zone with a bit of everything."""

from __future__ import annotations

from typing import Any

from kubeinstall.dns.zone import Zone, parse_service


def service(name: str, **spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": name, "namespace": "default"}, "spec": spec}


def piece(ports: list[dict[str, Any]], *endpoints: dict[str, Any]) -> dict[str, Any]:
    return {"ports": ports, "endpoints": list(endpoints)}


HTTP = {"name": "http", "port": 80, "protocol": "TCP"}
DNS = {"name": "dns", "port": 53, "protocol": "UDP"}


def make_zone() -> Zone:
    zone = Zone("cluster.local")
    zone.set_namespace("default", True)
    zone.set_namespace("empty", True)

    def put(obj: dict[str, Any], *slices: dict[str, Any]) -> None:
        zone.set_service("default", obj["metadata"]["name"], parse_service(obj, slices))

    put(
        service(
            "web", clusterIP="10.96.0.7", clusterIPs=["10.96.0.7", "fd00::7"], ports=[HTTP, DNS]
        ),
        piece([{**HTTP, "port": 8080}], {"addresses": ["10.244.0.5"]}),
    )
    put(
        service("db", clusterIP="None", ports=[HTTP]),
        piece(
            [{**HTTP, "port": 5432}],
            {"addresses": ["10.244.0.6"], "hostname": "db-0"},
            {"addresses": ["10.244.0.7"]},
            {"addresses": ["10.244.0.8"], "conditions": {"ready": False}},
        ),
        piece([HTTP], {"addresses": ["fd00::6"], "hostname": "db-0"}),
    )
    put(service("void", clusterIP="None"), piece([]))
    put(service("portless", clusterIP="None"), piece([], {"addresses": ["10.244.0.9"]}))
    put(service("out", type="ExternalName", externalName="Example.com."))
    put(service("wrong", type="ExternalName", externalName=f"{'x' * 70}.example"))
    put(service("named", clusterIP="None"), piece([], {"addresses": ["host.example"]}))
    put(service("alias", type="ExternalName", externalName="web.default.svc.cluster.local"))
    put(
        service("many", clusterIP="None"),
        piece([], *[{"addresses": [f"10.244.{i // 250}.{i % 250 + 1}"]} for i in range(600)]),
    )
    return zone
