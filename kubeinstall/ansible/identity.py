"""From configuration documents to what certificates need."""

from __future__ import annotations

from typing import Any

from kubeinstall.config.durations import parse_duration
from kubeinstall.pki import ClusterIdentity, KeyAlgorithm

Object = dict[str, Any]


def identity_of(config: Object) -> ClusterIdentity:
    """`config` is `{"init": …, "cluster": …}`, complete documents."""
    init, cluster = config["init"], config["cluster"]
    etcd = cluster["etcd"]
    local = etcd.get("local") or {}
    host = config.get("host") or {}
    return ClusterIdentity(
        node_name=init["nodeRegistration"]["name"],
        advertise_address=init["localAPIEndpoint"]["advertiseAddress"],
        bind_port=init["localAPIEndpoint"]["bindPort"],
        control_plane_endpoint=cluster.get("controlPlaneEndpoint") or "",
        service_cidr=cluster["networking"]["serviceSubnet"],
        dns_domain=cluster["networking"]["dnsDomain"],
        cluster_name=cluster["clusterName"],
        cert_sans=tuple(cluster["apiServer"].get("certSANs") or ()),
        etcd_server_sans=tuple(local.get("serverCertSANs") or ()),
        etcd_peer_sans=tuple(local.get("peerCertSANs") or ()),
        external_etcd=bool(etcd.get("external")),
        balancer=host.get("balancer") or "",
        algorithm=KeyAlgorithm(cluster["encryptionAlgorithm"]),
        ca_validity=parse_duration(cluster["caCertificateValidityPeriod"]),
        certificate_validity=parse_duration(cluster["certificateValidityPeriod"]),
    )
