"""The identity of an API server as a Lease in kube-system (KEP-1965), and the end of those of servers long gone.

Flag names, periods, labels and the form of the name are upstream's.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import socket
import time
import uuid

from kubeinstall.api import times
from kubeinstall.api.types import Object
from kubeinstall.apiserver.authz.kinds import kind
from kubeinstall.apiserver.bootstrap.cluster import ensure
from kubeinstall.apiserver.registry import Registry
from kubeinstall.errors import NotFound

NAMESPACE = "kube-system"
DURATION_SECONDS = 3600
RENEW_SECONDS = 10.0
COLLECT_SECONDS = 3600.0
_COMPONENT_LABEL = "apiserver.kubernetes.io/identity"
_HOST_LABEL = "kubernetes.io/hostname"
_COMPONENT = "kube-apiserver"


def identity_name(hostname: str) -> str:
    """`apiserver-<hash>`: one for each host and component, whatever its processes."""
    parts = (hostname.encode(), _COMPONENT.encode())
    whole = b"".join(len(part).to_bytes(2, "big") + part for part in parts)
    digest = hashlib.sha256(whole).digest()[:16]
    return "apiserver-" + base64.b32encode(digest).decode().rstrip("=").lower()


class IdentityLease:
    """This server's Lease, and the collection of expired ones."""

    def __init__(self, registry: Registry, hostname: str = "") -> None:
        self._registry = registry
        self._hostname = hostname or socket.gethostname()
        self.name = identity_name(self._hostname)
        self._holder = f"{self.name}_{uuid.uuid4()}"

    async def renew(self) -> None:
        """Make the Lease or write its time again."""
        labels = {_COMPONENT_LABEL: _COMPONENT, _HOST_LABEL: self._hostname}
        spec = {
            "holderIdentity": self._holder,
            "leaseDurationSeconds": DURATION_SECONDS,
            "renewTime": times.now_micro(),
        }

        def again(current: Object) -> Object | None:
            metadata = current["metadata"]
            metadata["labels"] = {**(metadata.get("labels") or {}), **labels}
            current["spec"] = {**(current.get("spec") or {}), **spec}
            return current

        made = {
            "metadata": {"name": self.name, "namespace": NAMESPACE, "labels": labels},
            "spec": spec,
        }
        await ensure(self._registry, kind("leases", "coordination.k8s.io"), made, again)

    async def forget(self) -> None:
        """Delete this host's Lease: one that a former process left, or one's own at the end."""
        resource = kind("leases", "coordination.k8s.io")
        with contextlib.suppress(NotFound):
            await self._registry.delete(resource, NAMESPACE, self.name)

    async def collect(self) -> None:
        """Delete the Leases of API servers that have not renewed them in their duration."""
        resource = kind("leases", "coordination.k8s.io")
        selector = f"{_COMPONENT_LABEL}={_COMPONENT}"
        for lease in self._registry.list(resource, NAMESPACE, selector):
            if not _expired(lease):
                continue
            metadata = lease["metadata"]
            options = {"preconditions": {"resourceVersion": metadata["resourceVersion"]}}
            try:
                await self._registry.delete(resource, NAMESPACE, metadata["name"], options=options)
            except NotFound:
                continue  # another server was faster


def _expired(lease: Object) -> bool:
    """Upstream collects what has no times as well."""
    spec = lease.get("spec") or {}
    renewed, duration = spec.get("renewTime"), spec.get("leaseDurationSeconds")
    if not renewed or duration is None:
        return True
    return bool(times.unix(renewed) + duration < time.time())
