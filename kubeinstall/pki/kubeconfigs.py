"""Kubeconfig files: kubeadm's five, and one for each node-side component of ours."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from kubeinstall.pki.certificates import (
    Authority,
    Subject,
    certificate_pem,
    common_name_of,
    is_signed_by,
    issue,
    load_certificates,
    organizations_of,
    parse_certificate,
)
from kubeinstall.pki.ensure import Change, load_authority
from kubeinstall.pki.errors import PkiError
from kubeinstall.pki.files import KEY_MODE, write_atomic
from kubeinstall.pki.identity import ClusterIdentity
from kubeinstall.pki.inventory import CA
from kubeinstall.pki.keys import key_pem


@dataclass(frozen=True)
class KubeconfigSpec:
    """`local`: talks to this host's API server even when there is a control-plane endpoint;
    `balanced`: to the host's own load balancer, where it has one."""

    file: str
    phase: str
    user: str
    organizations: tuple[str, ...] = ()
    local: bool = False
    balanced: bool = False


def kubeconfigs(identity: ClusterIdentity) -> tuple[KubeconfigSpec, ...]:
    """The kubeconfigs of a control-plane host that is also a node."""
    node = f"system:node:{identity.node_name}"
    return (
        KubeconfigSpec("admin.conf", "admin", "kubernetes-admin", ("kubeadm:cluster-admins",)),
        KubeconfigSpec(
            "super-admin.conf", "super-admin", "kubernetes-super-admin", ("system:masters",)
        ),
        KubeconfigSpec("kubelet.conf", "kubelet", node, ("system:nodes",), True, True),
        KubeconfigSpec(
            "controller-manager.conf",
            "controller-manager",
            "system:kube-controller-manager",
            local=True,
        ),
        KubeconfigSpec("scheduler.conf", "scheduler", "system:kube-scheduler", local=True),
        KubeconfigSpec("kube-proxy.conf", "kube-proxy", "system:kube-proxy", (), True, True),
        KubeconfigSpec("kube-podnet.conf", "kube-podnet", "system:kube-podnet", (), True, True),
        KubeconfigSpec("kube-dns.conf", "kube-dns", "system:kube-dns", (), True, True),
    )


def ensure_kubeconfigs(
    directory: Path,
    pki: Path,
    identity: ClusterIdentity,
    *,
    write: bool = True,
    only: Iterable[str] | None = None,
    now: datetime | None = None,
) -> list[Change]:
    """Make the kubeconfigs in `directory` (`/etc/kubernetes`) complete; returns the changes.

    Kept while server, CA and user are right and the client certificate has not expired. One that
    belongs to another CA or server is an error, as with kubeadm: it may be another cluster's.
    """
    moment = now or datetime.now(UTC)
    wanted = None if only is None else set(only)
    specs = [s for s in kubeconfigs(identity) if wanted is None or s.phase in wanted]
    missing = [spec for spec in specs if not (directory / spec.file).exists()]
    if not write and not (pki / f"{CA}.crt").exists():
        return [Change(directory / spec.file, "create", "missing") for spec in missing]
    changes = []
    for spec in specs:
        path = directory / spec.file
        reason = "missing"
        if path.exists():
            ca_pem = (pki / f"{CA}.crt").read_bytes()
            verdict = _why_rewrite(path, spec, _server(spec, identity), ca_pem, moment)
            if verdict is None:
                continue
            reason = verdict
        if write:
            write_kubeconfig(directory, load_authority(pki, CA), spec, identity, moment)
        changes.append(Change(path, "create" if reason == "missing" else "renew", reason))
    return changes


def write_kubeconfig(
    directory: Path,
    authority: Authority,
    spec: KubeconfigSpec,
    identity: ClusterIdentity,
    now: datetime,
) -> None:
    """Issue a client certificate and write the kubeconfig afresh, 0600."""
    document = client_kubeconfig(
        authority,
        Subject(spec.user, spec.organizations),
        identity,
        server=_server(spec, identity),
        now=now,
    )
    write_atomic(directory / spec.file, dump(document), KEY_MODE)


def reissue_kubeconfig(
    path: Path,
    authority: Authority,
    spec: KubeconfigSpec,
    identity: ClusterIdentity,
    now: datetime,
) -> None:
    """A fresh client certificate in a kubeconfig that is there; its server and its names stay."""
    document = read(path)
    cluster, user = _current(document, path)
    issued = issue(
        authority,
        Subject(spec.user, spec.organizations),
        identity.algorithm,
        identity.certificate_validity,
        now,
    )
    user.clear()
    user["client-certificate-data"] = _encode(certificate_pem(issued.certificate))
    user["client-key-data"] = _encode(key_pem(issued.key))
    cluster["certificate-authority-data"] = _encode(authority.trusted)
    write_atomic(path, dump(document), KEY_MODE)


def client_kubeconfig(
    authority: Authority,
    subject: Subject,
    identity: ClusterIdentity,
    *,
    server: str = "",
    now: datetime | None = None,
) -> dict[str, Any]:
    """A kubeconfig with a freshly issued client certificate for `subject`."""
    issued = issue(authority, subject, identity.algorithm, identity.certificate_validity, now)
    user = {
        "client-certificate-data": _encode(certificate_pem(issued.certificate)),
        "client-key-data": _encode(key_pem(issued.key)),
    }
    return build(
        server=server or identity.server,
        ca_pem=authority.trusted,
        user_name=subject.common_name,
        user=user,
        cluster_name=identity.cluster_name,
    )


def token_kubeconfig(
    authority: Authority, user_name: str, token: str, identity: ClusterIdentity
) -> dict[str, Any]:
    """A kubeconfig for who has a bearer token."""
    return build(
        server=identity.server,
        ca_pem=certificate_pem(authority.certificate),
        user_name=user_name,
        user={"token": token},
        cluster_name=identity.cluster_name,
    )


def build(
    *,
    server: str,
    ca_pem: bytes,
    user_name: str,
    user: dict[str, Any],
    cluster_name: str = "kubernetes",
) -> dict[str, Any]:
    """The kubeconfig document, with kubeadm's names (`USER@CLUSTER`)."""
    context = f"{user_name}@{cluster_name}"
    return {
        "apiVersion": "v1",
        "clusters": [
            {
                "cluster": {"certificate-authority-data": _encode(ca_pem), "server": server},
                "name": cluster_name,
            }
        ],
        "contexts": [{"context": {"cluster": cluster_name, "user": user_name}, "name": context}],
        "current-context": context,
        "kind": "Config",
        "users": [{"name": user_name, "user": user}],
    }


def dump(document: dict[str, Any]) -> bytes:
    """YAML, keys sorted, as upstream writes it."""
    return yaml.safe_dump(document, sort_keys=True, default_flow_style=False).encode()


def read(path: Path) -> dict[str, Any]:
    """The parsed kubeconfig; PkiError naming the file when it is not one."""
    try:
        document = yaml.safe_load(path.read_text())
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise PkiError(f"{path}: not a kubeconfig: {error}") from error
    if not isinstance(document, dict) or document.get("kind") != "Config":
        raise PkiError(f"{path}: not a kubeconfig (kind: Config is missing)")
    return document


def client_certificate(path: Path) -> bytes:
    """The PEM client certificate of the kubeconfig's current user; empty when it has none."""
    _cluster, user = _current(read(path), path)
    embedded = user.get("client-certificate-data")
    if embedded:
        return _decode(embedded, path)
    file = user.get("client-certificate")
    return Path(file).read_bytes() if file and Path(file).exists() else b""


def trusted(path: Path) -> bytes:
    """The authorities that the kubeconfig's current cluster trusts, PEM; empty when it names none."""
    cluster, _user = _current(read(path), path)
    embedded = cluster.get("certificate-authority-data")
    if embedded:
        return _decode(embedded, path)
    file = cluster.get("certificate-authority")
    return Path(file).read_bytes() if file and Path(file).exists() else b""


def trust(path: Path, bundle: bytes) -> bool:
    """Have the kubeconfig trust these authorities and keep its user; whether it was changed."""
    if trusted(path).strip() == bundle.strip():
        return False
    document = read(path)
    cluster, _user = _current(document, path)
    cluster.pop("certificate-authority", None)
    cluster["certificate-authority-data"] = _encode(bundle)
    write_atomic(path, dump(document), KEY_MODE)
    return True


def _server(spec: KubeconfigSpec, identity: ClusterIdentity) -> str:
    if spec.balanced and identity.balancer:
        return identity.balancer
    return identity.local_server if spec.local else identity.server


def _why_rewrite(
    path: Path, spec: KubeconfigSpec, server: str, ca_pem: bytes, now: datetime
) -> str | None:
    cluster, _user = _current(read(path), path)
    authority = parse_certificate(ca_pem, "ca.crt")
    known = _decode(cluster.get("certificate-authority-data", ""), path)
    if known.strip() != ca_pem.strip():
        if _share_an_authority(known, ca_pem):
            return "its authorities are being replaced"
        raise PkiError(
            f"{path}: trusts another certificate authority than pki/ca.crt; it belongs to another "
            "cluster. Remove it (kubeinstall reset), or put the right CA in place"
        )
    if cluster.get("server") != server:
        raise PkiError(
            f"{path}: points at {cluster.get('server')!r}, not {server!r}; remove it to have it "
            "written afresh"
        )
    pem = client_certificate(path)
    if not pem:
        return "has no client certificate"
    certificate = parse_certificate(pem, str(path))
    if not is_signed_by(certificate, authority):
        return "its client certificate is of another CA"
    if certificate.not_valid_after_utc <= now:
        return "its client certificate expired"
    same_groups = set(organizations_of(certificate)) == set(spec.organizations)
    if common_name_of(certificate) != spec.user or not same_groups:
        return "is for another user"
    return None


def _share_an_authority(one: bytes, other: bytes) -> bool:
    try:
        return bool(set(load_certificates(one)) & set(load_certificates(other)))
    except ValueError:
        return False


def _current(document: dict[str, Any], path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    contexts = {c["name"]: c["context"] for c in document.get("contexts") or []}
    context = contexts.get(document.get("current-context", ""))
    if context is None:
        raise PkiError(f"{path}: current-context is not among its contexts")
    clusters = {c["name"]: c["cluster"] for c in document.get("clusters") or []}
    users = {u["name"]: u["user"] for u in document.get("users") or []}
    return clusters.get(context.get("cluster"), {}), users.get(context.get("user"), {})


def _encode(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _decode(text: str, path: Path) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise PkiError(f"{path}: broken base64: {error}") from error
