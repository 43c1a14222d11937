"""Which certificates a control-plane host has: kubeadm's table, as data."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from kubeinstall.pki.certificates import Subject, Usage
from kubeinstall.pki.identity import ClusterIdentity

CA = "ca"
FRONT_PROXY_CA = "front-proxy-ca"
ETCD_CA = "etcd/ca"


@dataclass(frozen=True)
class AuthoritySpec:
    """`name` is the path below the pki directory without suffix; `phase` is kubeadm's name."""

    name: str
    phase: str
    common_name: str


@dataclass(frozen=True)
class CertificateSpec:
    """A leaf certificate: its file, kubeadm's phase name, its CA and its subject."""

    name: str
    phase: str
    authority: str
    subject: Callable[[ClusterIdentity], Subject]


AUTHORITIES = (
    AuthoritySpec(CA, "ca", "kubernetes"),
    AuthoritySpec(FRONT_PROXY_CA, "front-proxy-ca", "front-proxy-ca"),
    AuthoritySpec(ETCD_CA, "etcd-ca", "etcd-ca"),
)


def _apiserver(identity: ClusterIdentity) -> Subject:
    names = [
        identity.node_name,
        "kubernetes",
        "kubernetes.default",
        "kubernetes.default.svc",
        f"kubernetes.default.svc.{identity.dns_domain}",
        *identity.service_addresses,
        identity.advertise_address,
        identity.endpoint_host,
        *identity.cert_sans,
    ]
    sans = tuple(dict.fromkeys(name for name in names if name))
    return Subject("kube-apiserver", sans=sans, usage=Usage.SERVER)


def _etcd(identity: ClusterIdentity, extra: tuple[str, ...]) -> Subject:
    names = (identity.node_name, "localhost", identity.advertise_address, "127.0.0.1", "::1")
    sans = tuple(dict.fromkeys((*names, *extra)))
    return Subject(identity.node_name, sans=sans, usage=Usage.BOTH)


def _client(common_name: str) -> Callable[[ClusterIdentity], Subject]:
    return lambda _identity: Subject(common_name)


CERTIFICATES = (
    CertificateSpec("apiserver", "apiserver", CA, _apiserver),
    # No organization: a ClusterRoleBinding gives this user system:kubelet-api-admin.
    CertificateSpec(
        "apiserver-kubelet-client",
        "apiserver-kubelet-client",
        CA,
        _client("kube-apiserver-kubelet-client"),
    ),
    CertificateSpec(
        "front-proxy-client", "front-proxy-client", FRONT_PROXY_CA, _client("front-proxy-client")
    ),
    CertificateSpec("etcd/server", "etcd-server", ETCD_CA, lambda i: _etcd(i, i.etcd_server_sans)),
    CertificateSpec("etcd/peer", "etcd-peer", ETCD_CA, lambda i: _etcd(i, i.etcd_peer_sans)),
    CertificateSpec(
        "etcd/healthcheck-client",
        "etcd-healthcheck-client",
        ETCD_CA,
        _client("kube-etcd-healthcheck-client"),
    ),
    CertificateSpec(
        "apiserver-etcd-client",
        "apiserver-etcd-client",
        ETCD_CA,
        _client("kube-apiserver-etcd-client"),
    ),
)


def authorities(identity: ClusterIdentity) -> tuple[AuthoritySpec, ...]:
    """The CAs this cluster needs; an external etcd brings its own."""
    if identity.external_etcd:
        return tuple(spec for spec in AUTHORITIES if spec.name != ETCD_CA)
    return AUTHORITIES


def certificates(identity: ClusterIdentity) -> tuple[CertificateSpec, ...]:
    """The leaf certificates this host needs; an external etcd's client pair is the user's."""
    if identity.external_etcd:
        return tuple(spec for spec in CERTIFICATES if spec.authority != ETCD_CA)
    return CERTIFICATES
