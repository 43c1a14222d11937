"""What this host was made with, read back from what is installed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from kubeinstall.pki.certificates import load_certificate, sans_of

COMPONENTS = Path("/etc/kubernetes/components.yaml")

Object = dict[str, Any]


def installed_overrides() -> tuple[Object, Object]:
    """Partial Init- and ClusterConfiguration: names, addresses and ranges of the running host.

    Empty on a host without kubeinstall. The API server certificate's extra names are kept, so
    that renewing it loses none.
    """
    if not COMPONENTS.exists():
        return {}, {}
    import yaml

    settings: Object = yaml.safe_load(COMPONENTS.read_text()) or {}
    server, kubelet = settings.get("kube-apiserver") or {}, settings.get("kubelet") or {}
    dns = settings.get("kube-dns") or {}
    init: Object = {}
    cluster: Object = {}
    if server:
        init["localAPIEndpoint"] = {
            "advertiseAddress": server["advertise-address"],
            "bindPort": server["secure-port"],
        }
        cluster["networking"] = {"serviceSubnet": server["service-cluster-ip-range"]}
        certificate = Path(server["tls-cert-file"])
        cluster["certificatesDir"] = str(certificate.parent)
        if certificate.exists():
            cluster["apiServer"] = {"certSANs": sorted(sans_of(load_certificate(certificate)))}
        if "etcd-servers" in server:
            endpoints = str(server["etcd-servers"]).split(",")
            cluster["etcd"] = {"external": {"endpoints": endpoints}}
    if kubelet:
        init["nodeRegistration"] = {"name": kubelet["hostname-override"]}
    if dns:
        cluster.setdefault("networking", {})["dnsDomain"] = dns["cluster-domain"]
    return init, cluster
