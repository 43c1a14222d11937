"""Events about services whose addresses or ports are wrong, as upstream's repair loops write them."""

from __future__ import annotations

import hashlib
import socket

import structlog

from kubeinstall.api import times
from kubeinstall.api.types import Object
from kubeinstall.apiserver.authz.kinds import kind
from kubeinstall.apiserver.registry import Registry
from kubeinstall.errors import AlreadyExists, KubeinstallError

_log = structlog.get_logger(__name__)


class RepairEvents:
    """Writes events of one controller. The same event again counts up its series."""

    def __init__(self, registry: Registry, controller: str, action: str) -> None:
        """`controller` is who reports, `action` what it was doing (upstream's words)."""
        self._registry = registry
        self._controller = controller
        self._action = action

    async def warn(self, regarding: Object, reason: str, note: str) -> None:
        """One Warning; a failure to write it is only logged."""
        metadata = regarding["metadata"]
        about = f"{metadata.get('namespace', '')}/{metadata['name']}"
        _log.warning("service allocation", about=about, reason=reason, note=note)
        event = self._event(regarding, reason, note)
        resource = kind("events", "events.k8s.io")
        now = event["eventTime"]

        def again(current: Object) -> Object | None:
            count = int((current.get("series") or {}).get("count") or 1)
            current["series"] = {"count": count + 1, "lastObservedTime": now}
            return current

        namespace, name = event["metadata"]["namespace"], event["metadata"]["name"]
        try:
            try:
                await self._registry.create(resource, event)
            except AlreadyExists:
                await self._registry.update(resource, namespace, name, again)
        except KubeinstallError as error:
            _log.warning("event not written", event_name=name, error=str(error))

    def _event(self, regarding: Object, reason: str, note: str) -> Object:
        metadata = regarding["metadata"]
        digest = hashlib.sha256(f"{metadata.get('uid')} {reason} {note}".encode()).hexdigest()
        namespace = metadata.get("namespace") or "default"
        return {
            "apiVersion": "events.k8s.io/v1",
            "kind": "Event",
            "metadata": {"name": f"{metadata['name']}.{digest[:16]}", "namespace": namespace},
            "eventTime": times.now_micro(),
            "type": "Warning",
            "reason": reason,
            "action": self._action,
            "note": note,
            "reportingController": self._controller,
            "reportingInstance": f"{self._controller}-{socket.gethostname()}"[:128],
            "regarding": {
                "apiVersion": regarding.get("apiVersion", "v1"),
                "kind": regarding.get("kind", "Service"),
                "name": metadata["name"],
                "namespace": metadata.get("namespace", ""),
                "uid": metadata.get("uid", ""),
                "resourceVersion": metadata.get("resourceVersion", ""),
            },
        }
