"""What a node may see: the objects that the pods bound to it refer to.

Upstream's node authorizer keeps the same relation as a graph (secret → pod → node, …). Here each
referred object maps to the nodes it is reachable from, counted, because many pods share a secret.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from kubeinstall.api.types import Object
from kubeinstall.apiserver.authz.kinds import kind
from kubeinstall.apiserver.registry import Registry

Vertex = tuple[str, str, str]  # plural, namespace, name
_MIRROR = "kubernetes.io/config.mirror"


class NodeGraph:
    """Which nodes reach which objects."""

    def __init__(self, registry: Registry) -> None:
        self._nodes: dict[Vertex, Counter[str]] = {}
        # Volume → claim's namespace and name, and the secrets that its driver needs
        self._volumes: dict[str, tuple[str, str, frozenset[Vertex]]] = {}
        self._secret_volumes: dict[Vertex, set[str]] = {}
        registry.observe(kind("pods"), self._pod_changed)
        registry.observe(kind("persistentvolumes"), self._volume_changed)
        registry.observe(kind("volumeattachments", "storage.k8s.io"), self._attachment_changed)

    def reaches(self, node: str, plural: str, namespace: str, name: str) -> bool:
        """Whether a pod on `node` refers to the object."""
        if node in self._nodes.get((plural, namespace, name), ()):
            return True
        if plural == "persistentvolumes":
            return self._volume_on(node, name)
        if plural == "secrets":
            volumes = self._secret_volumes.get((plural, namespace, name), ())
            return any(self._volume_on(node, volume) for volume in volumes)
        return False

    def _volume_on(self, node: str, name: str) -> bool:
        known = self._volumes.get(name)
        if known is None:
            return False
        namespace, claim, _ = known
        return node in self._nodes.get(("persistentvolumeclaims", namespace, claim), ())

    def _pod_changed(self, old: Object | None, new: Object | None) -> None:
        before, after = set(_pod_edges(old)), set(_pod_edges(new))
        if before != after:  # most changes of pods are to their status
            self._apply(after - before, 1)
            self._apply(before - after, -1)

    def _apply(self, edges: Iterable[tuple[Vertex, str]], step: int) -> None:
        for vertex, node in edges:
            counts = self._nodes.setdefault(vertex, Counter())
            counts[node] += step
            if counts[node] <= 0:
                del counts[node]
            if not counts:
                del self._nodes[vertex]

    def _volume_changed(self, old: Object | None, new: Object | None) -> None:
        name = (new or old or {})["metadata"]["name"]
        for secret in self._volumes.pop(name, ("", "", frozenset()))[2]:
            volumes = self._secret_volumes[secret]
            volumes.discard(name)
            if not volumes:
                del self._secret_volumes[secret]
        claim = ((new or {}).get("spec") or {}).get("claimRef")
        if new is None or not claim:
            return
        namespace = claim.get("namespace", "")
        secrets = frozenset(_volume_secrets(new, namespace))
        self._volumes[name] = (namespace, claim.get("name", ""), secrets)
        for secret in secrets:
            self._secret_volumes.setdefault(secret, set()).add(name)

    def _attachment_changed(self, old: Object | None, new: Object | None) -> None:
        for obj, step in ((new, 1), (old, -1)):
            if obj is not None:
                vertex = ("volumeattachments", "", obj["metadata"]["name"])
                self._apply([(vertex, (obj.get("spec") or {}).get("nodeName", ""))], step)


def _pod_edges(pod: Object | None) -> Iterator[tuple[Vertex, str]]:
    """Mirror pods prove nothing: a node makes them itself."""
    spec = (pod or {}).get("spec") or {}
    node = spec.get("nodeName")
    if pod is None or not node:
        return
    metadata = pod["metadata"]
    namespace = metadata.get("namespace", "")
    yield ("pods", namespace, metadata["name"]), node
    if _MIRROR in (metadata.get("annotations") or {}):
        return
    for vertex in pod_references(pod, namespace):
        yield vertex, node


def pod_references(pod: Object, namespace: str) -> Iterator[Vertex]:
    """Everything that the pod refers to, as (plural, namespace, name), repetitions included."""
    spec = pod["spec"]
    if spec.get("serviceAccountName"):
        yield "serviceaccounts", namespace, spec["serviceAccountName"]
    for secret in spec.get("imagePullSecrets") or ():
        if secret.get("name"):
            yield "secrets", namespace, secret["name"]
    for field in ("initContainers", "containers", "ephemeralContainers"):
        for container in spec.get(field) or ():
            yield from _container_references(container, namespace)
    for volume in spec.get("volumes") or ():
        yield from _volume_references(volume, pod, namespace)
    for status in (pod.get("status") or {}).get("resourceClaimStatuses") or ():
        if status.get("resourceClaimName"):
            yield "resourceclaims", namespace, status["resourceClaimName"]
    for claim in spec.get("resourceClaims") or ():
        if claim.get("resourceClaimName"):
            yield "resourceclaims", namespace, claim["resourceClaimName"]


def _container_references(container: Object, namespace: str) -> Iterator[Vertex]:
    for source in container.get("envFrom") or ():
        for field, plural in (("configMapRef", "configmaps"), ("secretRef", "secrets")):
            name = (source.get(field) or {}).get("name")
            if name:
                yield plural, namespace, name
    for variable in container.get("env") or ():
        source = variable.get("valueFrom") or {}
        for field, plural in (("configMapKeyRef", "configmaps"), ("secretKeyRef", "secrets")):
            name = (source.get(field) or {}).get("name")
            if name:
                yield plural, namespace, name


_SECRET_REFS = {
    "azureFile": "secretName",
    "cephfs": "secretRef",
    "cinder": "secretRef",
    "csi": "nodePublishSecretRef",
    "flexVolume": "secretRef",
    "iscsi": "secretRef",
    "rbd": "secretRef",
    "scaleIO": "secretRef",
    "secret": "secretName",
    "storageos": "secretRef",
}


def _volume_references(volume: Object, pod: Object, namespace: str) -> Iterator[Vertex]:
    claim = (volume.get("persistentVolumeClaim") or {}).get("claimName")
    if claim:
        yield "persistentvolumeclaims", namespace, claim
    if volume.get("ephemeral"):
        yield "persistentvolumeclaims", namespace, f"{pod['metadata']['name']}-{volume['name']}"
    config_map = (volume.get("configMap") or {}).get("name")
    if config_map:
        yield "configmaps", namespace, config_map
    for source_kind, field in _SECRET_REFS.items():
        reference = (volume.get(source_kind) or {}).get(field)
        name = reference.get("name") if isinstance(reference, dict) else reference
        if name:
            yield "secrets", namespace, name
    for source in (volume.get("projected") or {}).get("sources") or ():
        for field, plural in (("configMap", "configmaps"), ("secret", "secrets")):
            name = (source.get(field) or {}).get("name")
            if name:
                yield plural, namespace, name


def _volume_secrets(volume: Object, claim_namespace: str) -> Iterator[Vertex]:
    spec = volume.get("spec") or {}
    for source in spec.values():
        if not isinstance(source, dict):
            continue
        for field in (
            "secretRef",
            "nodePublishSecretRef",
            "nodeStageSecretRef",
            "nodeExpandSecretRef",
        ):
            reference = source.get(field)
            if isinstance(reference, dict) and reference.get("name"):
                yield "secrets", reference.get("namespace") or claim_namespace, reference["name"]
    azure = spec.get("azureFile") or {}
    if azure.get("secretName"):
        yield "secrets", azure.get("secretNamespace") or claim_namespace, azure["secretName"]
