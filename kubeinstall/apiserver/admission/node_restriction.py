"""NodeRestriction: a kubelet writes its own Node and the pods bound to it, nothing else.

Upstream documentation: "NodeRestriction". Only members of system:nodes are looked at.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator

from kubeinstall.api.types import Object
from kubeinstall.apiserver.admission.plugin import Plugin, is_mirror, refuse
from kubeinstall.apiserver.authz.graph import pod_references
from kubeinstall.apiserver.authz.kinds import kind
from kubeinstall.apiserver.authz.node import LEASE_NAMESPACE, node_name
from kubeinstall.apiserver.interfaces import Authorizer
from kubeinstall.apiserver.registry import Registry
from kubeinstall.apiserver.request import CREATE, DELETE, UPDATE, AdmissionAttributes, Attributes
from kubeinstall.errors import NotFound

_RESTRICTED = "node-restriction.kubernetes.io"
#: Labels in kubernetes.io and k8s.io that a kubelet may set on its node.
_KUBELET_LABELS = frozenset(
    {
        "kubernetes.io/hostname",
        "topology.kubernetes.io/zone",
        "topology.kubernetes.io/region",
        "beta.kubernetes.io/instance-type",
        "node.kubernetes.io/instance-type",
        "failure-domain.beta.kubernetes.io/zone",
        "failure-domain.beta.kubernetes.io/region",
        "beta.kubernetes.io/os",
        "beta.kubernetes.io/arch",
        "kubernetes.io/os",
        "kubernetes.io/arch",
    }
)
_KUBELET_DOMAINS = ("kubelet.kubernetes.io", "node.kubernetes.io")
_CONTROLLED_DOMAINS = ("kubernetes.io", "k8s.io")
_Check = Callable[[AdmissionAttributes, str], Awaitable[None]]


class NodeRestriction(Plugin):
    """Keeps kubelets to their own objects."""

    name = "NodeRestriction"
    operations = frozenset({CREATE, UPDATE, DELETE})

    def __init__(self, registry: Registry, authorizer: Authorizer) -> None:
        self._registry = registry
        self._authorizer = authorizer
        self._checks: dict[tuple[str, str, str], _Check] = {
            ("", "pods", ""): self._pod,
            ("", "pods", "status"): self._pod_status,
            ("", "pods", "eviction"): self._eviction,
            ("", "nodes", ""): self._node,
            ("", "nodes", "status"): self._node,
            ("", "persistentvolumeclaims", "status"): self._claim_status,
            ("", "serviceaccounts", "token"): self._token,
            ("coordination.k8s.io", "leases", ""): self._lease,
            ("storage.k8s.io", "csinodes", ""): self._csi_node,
            ("resource.k8s.io", "resourceslices", ""): self._resource_slice,
        }

    def handles(self, group: str, plural: str, subresource: str, operation: str) -> bool:
        """What kubelets may write at all; other subresources of pods and nodes are refused."""
        return operation in self.operations and (
            (group, plural, subresource) in self._checks
            or (not group and plural in ("pods", "nodes"))
        )

    def _find(self, plural: str, name: str, namespace: str = "") -> Object | None:
        """An object as it is now. Looked up, not kept: pods are many, and kubelets' writes few."""
        try:
            group = "storage.k8s.io" if plural == "csidrivers" else ""
            return self._registry.get(kind(plural, group), name, namespace)
        except NotFound:
            return None

    async def mutate(self, attributes: AdmissionAttributes) -> None:
        """Raises `Forbidden`."""
        node = node_name(attributes.user)
        if node is None:
            return
        if not node:
            raise refuse(
                attributes,
                f'could not determine node from user "{attributes.user.name}"',
            )
        resource = attributes.resource
        check = self._checks.get((resource.group, resource.name, attributes.subresource))
        if check is None:
            raise refuse(
                attributes,
                f'unexpected {resource.singular} subresource "{attributes.subresource}", only '
                "'status' is allowed",
            )
        await check(attributes, node)

    async def _pod(self, a: AdmissionAttributes, node: str) -> None:
        if a.operation == DELETE:
            pod = self._find("pods", a.name, a.namespace)
            if pod is None or (pod.get("spec") or {}).get("nodeName", "") != node:
                raise refuse(
                    a, f'node "{node}" can only delete pods with spec.nodeName set to itself'
                )
            return
        if a.operation != CREATE or a.object is None:
            raise refuse(
                a,
                f'unexpected operation "{a.operation}", node "{node}" can only create and delete '
                "mirror pods",
            )
        self._mirror_pod(a, a.object, node)

    def _mirror_pod(self, a: AdmissionAttributes, pod: Object, node: str) -> None:
        if not is_mirror(pod):
            raise refuse(
                a,
                'pod does not have "kubernetes.io/config.mirror" annotation, '
                f'node "{node}" can only create mirror pods',
            )
        spec = pod["spec"]
        if spec.get("nodeName", "") != node:
            raise refuse(a, f'node "{node}" can only create pods with spec.nodeName set to itself')
        problem = self._owner_problem(pod["metadata"].get("ownerReferences") or [], node)
        if problem:
            raise refuse(a, f'node "{node}" {problem}')
        self._no_references(a, pod, node)

    def _owner_problem(self, owners: list[Object], node: str) -> str:
        """What is wrong with a mirror pod's owners: there must be one, the node itself."""
        itself = "can only create pods with an owner reference set to itself"
        if len(owners) != 1:
            return itself
        owner = owners[0]
        if (owner.get("apiVersion"), owner.get("kind"), owner.get("name")) != ("v1", "Node", node):
            return itself
        if owner.get("controller") is not True:
            return "can only create pods with a controller owner reference set to itself"
        if owner.get("blockOwnerDeletion"):
            return "must not set blockOwnerDeletion on an owner reference"
        known = self._find("nodes", node)
        if known is None or owner.get("uid") != known["metadata"].get("uid"):
            return "can only create pods with an owner reference whose uid matches its own"
        return ""

    @staticmethod
    def _no_references(a: AdmissionAttributes, pod: Object, node: str) -> None:
        if pod["spec"].get("serviceAccountName"):
            raise refuse(a, f'node "{node}" can not create pods that reference a service account')
        for plural, _, _ in pod_references(pod, a.namespace):
            raise refuse(a, f'node "{node}" can not create pods that reference {plural}')

    async def _pod_status(self, a: AdmissionAttributes, node: str) -> None:
        if a.operation != UPDATE:
            raise refuse(a, f'unexpected operation "{a.operation}"')
        if ((a.old or {}).get("spec") or {}).get("nodeName", "") != node:
            only = "can only update pod status for pods with spec.nodeName set to itself"
            raise refuse(a, f'node "{node}" {only}')
        before = ((a.old or {}).get("metadata") or {}).get("labels") or {}
        after = ((a.object or {}).get("metadata") or {}).get("labels") or {}
        if before != after:
            raise refuse(a, f'node "{node}" cannot update labels through pod status')

    async def _eviction(self, a: AdmissionAttributes, node: str) -> None:
        name = a.name or ((a.object or {}).get("metadata") or {}).get("name", "")
        pod = self._find("pods", name, a.namespace)
        if pod is None or (pod.get("spec") or {}).get("nodeName", "") != node:
            raise refuse(a, f"node {node} can only evict pods with spec.nodeName set to itself")

    async def _node(self, a: AdmissionAttributes, node: str) -> None:
        requested = a.name or ((a.object or {}).get("metadata") or {}).get("name", "")
        if a.operation == DELETE:
            raise refuse(a, f'node "{node}" is not allowed to delete node "{requested}"')
        if requested != node:
            raise refuse(a, f'node "{node}" is not allowed to modify node "{requested}"')
        new = a.object or {}
        if a.operation == CREATE:
            if (new.get("spec") or {}).get("configSource"):
                raise refuse(
                    a, f'node "{node}" is not allowed to create pods with a non-nil configSource'
                )
            self._labels(a, node, {}, new["metadata"].get("labels") or {})
            return
        old = a.old or {}
        if (old.get("spec") or {}).get("taints") != (new.get("spec") or {}).get("taints"):
            raise refuse(a, f'node "{node}" is not allowed to modify taints')
        if old["metadata"].get("ownerReferences") != new["metadata"].get("ownerReferences"):
            raise refuse(a, f'node "{node}" is not allowed to modify ownerReferences')
        self._labels(
            a, node, old["metadata"].get("labels") or {}, new["metadata"].get("labels") or {}
        )

    @staticmethod
    def _labels(
        a: AdmissionAttributes, node: str, old: dict[str, str], new: dict[str, str]
    ) -> None:
        changed = {key for key in {*old, *new} if old.get(key) != new.get(key)}
        refused = ", ".join(sorted(key for key in changed if not _kubelet_label(key)))
        if not refused:
            return
        if a.operation == CREATE:
            raise refuse(a, f'node "{node}" is not allowed to set the following labels: {refused}')
        raise refuse(a, f"is not allowed to modify labels: {refused}")

    async def _claim_status(self, a: AdmissionAttributes, node: str) -> None:
        if a.operation != UPDATE:
            raise refuse(a, f'unexpected operation "{a.operation}"')
        old, new = a.old or {}, a.object or {}
        if old.get("spec") != new.get("spec"):
            raise refuse(a, f'node "{node}" is not allowed to update fields other than status')

    async def _token(self, a: AdmissionAttributes, node: str) -> None:
        spec = (a.object or {}).get("spec") or {}
        reference = spec.get("boundObjectRef") or {}
        if reference.get("apiVersion") != "v1" or reference.get("kind") != "Pod":
            raise refuse(a, "node requested token not bound to a pod")
        uid = reference.get("uid", "")
        if not uid:
            raise refuse(a, "node requested token with a pod binding without a uid")
        pod = self._find("pods", reference.get("name", ""), a.namespace)
        if pod is None:
            raise refuse(a, f'pod "{reference.get("name", "")}" not found')
        if pod["metadata"].get("uid") != uid:
            raise refuse(
                a,
                f"the UID in the bound object reference ({uid}) does not match the UID in record. "
                "The object might have been deleted and then recreated",
            )
        if (pod.get("spec") or {}).get("nodeName", "") != node:
            raise refuse(a, "node requested token bound to a pod scheduled on a different node")
        audiences = spec.get("audiences") or [""]
        if len(audiences) > 1:
            raise refuse(a, "node may only request 0 or 1 audiences")
        if audiences[0] not in self._audiences(pod, a.namespace) and not self._may_request(
            a, audiences[0]
        ):
            raise refuse(a, f'audience "{audiences[0]}" not found in pod spec volume')

    def _audiences(self, pod: Object, namespace: str) -> Iterator[str]:
        """The audiences that the pod's volumes ask tokens for; "" is this API."""
        for volume in pod["spec"].get("volumes") or ():
            for source in (volume.get("projected") or {}).get("sources") or ():
                if source.get("serviceAccountToken") is not None:
                    yield source["serviceAccountToken"].get("audience", "")
            driver_name = self._driver(volume, pod, namespace)
            driver = self._find("csidrivers", driver_name) if driver_name else None
            for request in ((driver or {}).get("spec") or {}).get("tokenRequests") or ():
                yield request.get("audience", "")

    def _driver(self, volume: Object, pod: Object, namespace: str) -> str:
        """The CSI driver behind a volume, or ""."""
        if volume.get("csi"):
            return str(volume["csi"].get("driver", ""))
        claim_name = (volume.get("persistentVolumeClaim") or {}).get("claimName")
        if volume.get("ephemeral"):
            claim_name = f"{pod['metadata']['name']}-{volume['name']}"
        claim = self._find("persistentvolumeclaims", claim_name, namespace) if claim_name else None
        name = ((claim or {}).get("spec") or {}).get("volumeName")
        bound = self._find("persistentvolumes", name) if name else None
        csi: Object = ((bound or {}).get("spec") or {}).get("csi") or {}
        return str(csi.get("driver", ""))

    def _may_request(self, a: AdmissionAttributes, audience: str) -> bool:
        """Whether a rule of its own lets the node have tokens for the audience."""
        return self._authorizer.authorize(
            Attributes(
                a.user,
                "request-serviceaccounts-token-audience",
                resource=audience,
                namespace=a.namespace,
                name=a.name,
            )
        ).allowed

    async def _lease(self, a: AdmissionAttributes, node: str) -> None:
        name = a.name or ((a.object or {}).get("metadata") or {}).get("name", "")
        if a.namespace != LEASE_NAMESPACE:
            raise refuse(
                a,
                f'can only access leases in the "{LEASE_NAMESPACE}" namespace, not "{a.namespace}"',
            )
        if name != node:
            raise refuse(a, "can only access node lease with the same name as the requesting node")

    async def _csi_node(self, a: AdmissionAttributes, node: str) -> None:
        name = a.name or ((a.object or {}).get("metadata") or {}).get("name", "")
        if name != node:
            raise refuse(a, "can only access CSINode with the same name as the requesting node")

    async def _resource_slice(self, a: AdmissionAttributes, node: str) -> None:
        holder = (a.old if a.operation == DELETE else a.object) or {}
        if (holder.get("spec") or {}).get("nodeName", "") != node:
            raise refuse(a, "can only access ResourceSlice of the requesting node")


def _kubelet_label(key: str) -> bool:
    domain, slash, _ = key.partition("/")
    if not slash or key in _KUBELET_LABELS:
        return True
    if _within(domain, _RESTRICTED):
        return False
    if any(_within(domain, allowed) for allowed in _KUBELET_DOMAINS):
        return True
    return not any(_within(domain, controlled) for controlled in _CONTROLLED_DOMAINS)


def _within(domain: str, parent: str) -> bool:
    return domain == parent or domain.endswith(f".{parent}")
