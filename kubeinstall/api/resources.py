"""Every resource that an API server of v1.36 serves by default, as discovery shows it.

Groups and versions that upstream turns off by default (alpha and new beta versions) are left out.
Custom resources are not here: the API server makes their `Resource` from definitions at run time.

    >>> find("apps", "v1", "deployments").kind
    'Deployment'
    >>> find_kind("", "v1", "Pod").name
    'pods'
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from kubeinstall.api.custom.schema import CustomType

#: What discovery lists for an ordinary stored resource (in its order).
STANDARD: Final = (
    "create",
    "delete",
    "deletecollection",
    "get",
    "list",
    "patch",
    "update",
    "watch",
)
_READ_WRITE: Final = ("get", "patch", "update")
_CREATE: Final = ("create",)
_PROXY: Final = ("create", "delete", "get", "patch", "update")
_STREAM: Final = ("create", "get")


@dataclass(frozen=True, slots=True)
class Subresource:
    """One subresource: `group` and `version` are empty when the kind is of the parent's version."""

    name: str
    kind: str
    verbs: tuple[str, ...]
    group: str = ""
    version: str = ""


@dataclass(frozen=True, slots=True)
class Resource:
    """One resource of one served version.

    `name` is the plural of the URL, `singular` its lower-case singular. `storage_version` is the
    apiVersion ("v1", "autoscaling/v2") in which objects are kept: another version of this resource,
    or of another group (`events.k8s.io` events are kept as core events). It is empty for what is
    never stored (reviews, bindings).
    """

    group: str
    version: str
    name: str
    singular: str
    kind: str
    list_kind: str
    namespaced: bool
    verbs: tuple[str, ...] = STANDARD
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    subresources: tuple[Subresource, ...] = ()
    storage_version: str = ""
    #: False for a custom resource.
    builtin: bool = field(default=True, compare=False)
    #: Schema, columns and merge rules of a custom resource; None for a built-in one.
    custom: CustomType | None = field(default=None, compare=False, repr=False)

    @property
    def api_version(self) -> str:
        """`apps/v1`, and `v1` for core."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def group_resource(self) -> str:
        """`deployments.apps`, and `pods` for core: how messages name it."""
        return f"{self.name}.{self.group}" if self.group else self.name

    @property
    def stored(self) -> bool:
        """Whether objects of it are kept in the datastore."""
        return bool(self.storage_version)

    def subresource(self, name: str) -> Subresource | None:
        """The subresource of that name, or None."""
        for one in self.subresources:
            if one.name == name:
                return one
        return None


_SCALE: Final = Subresource("scale", "Scale", _READ_WRITE, "autoscaling", "v1")


def _status(kind: str) -> Subresource:
    return Subresource("status", kind, _READ_WRITE)


def _resource(
    group_version: str,
    name: str,
    kind: str,
    scope: str,
    *,
    verbs: tuple[str, ...] = STANDARD,
    short: str = "",
    category: str = "",
    status: bool = False,
    extra: tuple[Subresource, ...] = (),
    storage: str | None = None,
) -> Resource:
    group, _, version = group_version.rpartition("/")
    subresources = (*extra, _status(kind)) if status else extra
    if storage is None:
        storage = group_version if "list" in verbs else ""
    return Resource(
        group=group,
        version=version,
        name=name,
        singular=kind.lower(),
        kind=kind,
        list_kind=f"{kind}List",
        namespaced=scope == "namespaced",
        verbs=verbs,
        short_names=tuple(short.split()),
        categories=tuple(category.split()),
        subresources=tuple(sorted(subresources, key=lambda one: one.name)),
        storage_version=storage,
    )


_N: Final = "namespaced"
_C: Final = "cluster"

_POD_SUBRESOURCES: Final = (
    Subresource("attach", "PodAttachOptions", _STREAM),
    Subresource("binding", "Binding", _CREATE),
    Subresource("ephemeralcontainers", "Pod", _READ_WRITE),
    Subresource("eviction", "Eviction", _CREATE, "policy", "v1"),
    Subresource("exec", "PodExecOptions", _STREAM),
    Subresource("log", "Pod", ("get",)),
    Subresource("portforward", "PodPortForwardOptions", _STREAM),
    Subresource("proxy", "PodProxyOptions", _PROXY),
    Subresource("resize", "Pod", _READ_WRITE),
)

_CORE: Final = (
    _resource("v1", "bindings", "Binding", _N, verbs=_CREATE),
    _resource(
        "v1",
        "componentstatuses",
        "ComponentStatus",
        _C,
        verbs=("get", "list"),
        short="cs",
        storage="",
    ),
    _resource("v1", "configmaps", "ConfigMap", _N, short="cm"),
    _resource("v1", "endpoints", "Endpoints", _N, short="ep"),
    _resource("v1", "events", "Event", _N, short="ev"),
    _resource("v1", "limitranges", "LimitRange", _N, short="limits"),
    _resource(
        "v1",
        "namespaces",
        "Namespace",
        _C,
        short="ns",
        verbs=tuple(verb for verb in STANDARD if verb != "deletecollection"),
        status=True,
        extra=(Subresource("finalize", "Namespace", ("update",)),),
    ),
    _resource(
        "v1",
        "nodes",
        "Node",
        _C,
        short="no",
        status=True,
        extra=(Subresource("proxy", "NodeProxyOptions", _PROXY),),
    ),
    _resource(
        "v1", "persistentvolumeclaims", "PersistentVolumeClaim", _N, short="pvc", status=True
    ),
    _resource("v1", "persistentvolumes", "PersistentVolume", _C, short="pv", status=True),
    _resource(
        "v1", "pods", "Pod", _N, short="po", category="all", status=True, extra=_POD_SUBRESOURCES
    ),
    _resource("v1", "podtemplates", "PodTemplate", _N),
    _resource(
        "v1",
        "replicationcontrollers",
        "ReplicationController",
        _N,
        short="rc",
        category="all",
        status=True,
        extra=(_SCALE,),
    ),
    _resource("v1", "resourcequotas", "ResourceQuota", _N, short="quota", status=True),
    _resource("v1", "secrets", "Secret", _N),
    _resource(
        "v1",
        "serviceaccounts",
        "ServiceAccount",
        _N,
        short="sa",
        extra=(Subresource("token", "TokenRequest", _CREATE, "authentication.k8s.io", "v1"),),
    ),
    _resource(
        "v1",
        "services",
        "Service",
        _N,
        short="svc",
        category="all",
        status=True,
        extra=(Subresource("proxy", "ServiceProxyOptions", _PROXY),),
    ),
)

_ADMISSION: Final = "admissionregistration.k8s.io/v1"
_EXTENSION: Final = "api-extensions"
_EXTENSIONS: Final = (
    _resource(
        _ADMISSION, "mutatingadmissionpolicies", "MutatingAdmissionPolicy", _C, category=_EXTENSION
    ),
    _resource(
        _ADMISSION,
        "mutatingadmissionpolicybindings",
        "MutatingAdmissionPolicyBinding",
        _C,
        category=_EXTENSION,
    ),
    _resource(
        _ADMISSION,
        "mutatingwebhookconfigurations",
        "MutatingWebhookConfiguration",
        _C,
        category=_EXTENSION,
    ),
    _resource(
        _ADMISSION,
        "validatingadmissionpolicies",
        "ValidatingAdmissionPolicy",
        _C,
        category=_EXTENSION,
        status=True,
    ),
    _resource(
        _ADMISSION,
        "validatingadmissionpolicybindings",
        "ValidatingAdmissionPolicyBinding",
        _C,
        category=_EXTENSION,
    ),
    _resource(
        _ADMISSION,
        "validatingwebhookconfigurations",
        "ValidatingWebhookConfiguration",
        _C,
        category=_EXTENSION,
    ),
    _resource(
        "apiextensions.k8s.io/v1",
        "customresourcedefinitions",
        "CustomResourceDefinition",
        _C,
        short="crd crds",
        category=_EXTENSION,
        status=True,
    ),
    _resource(
        "apiregistration.k8s.io/v1",
        "apiservices",
        "APIService",
        _C,
        category=_EXTENSION,
        status=True,
    ),
)

_APPS: Final = "apps/v1"
_WORKLOADS: Final = (
    _resource(_APPS, "controllerrevisions", "ControllerRevision", _N),
    _resource(_APPS, "daemonsets", "DaemonSet", _N, short="ds", category="all", status=True),
    _resource(
        _APPS,
        "deployments",
        "Deployment",
        _N,
        short="deploy",
        category="all",
        status=True,
        extra=(_SCALE,),
    ),
    _resource(
        _APPS,
        "replicasets",
        "ReplicaSet",
        _N,
        short="rs",
        category="all",
        status=True,
        extra=(_SCALE,),
    ),
    _resource(
        _APPS,
        "statefulsets",
        "StatefulSet",
        _N,
        short="sts",
        category="all",
        status=True,
        extra=(_SCALE,),
    ),
    _resource(
        "autoscaling/v1",
        "horizontalpodautoscalers",
        "HorizontalPodAutoscaler",
        _N,
        short="hpa",
        category="all",
        status=True,
        storage="autoscaling/v2",
    ),
    _resource(
        "autoscaling/v2",
        "horizontalpodautoscalers",
        "HorizontalPodAutoscaler",
        _N,
        short="hpa",
        category="all",
        status=True,
    ),
    _resource("batch/v1", "cronjobs", "CronJob", _N, short="cj", category="all", status=True),
    _resource("batch/v1", "jobs", "Job", _N, category="all", status=True),
    _resource(
        "policy/v1", "poddisruptionbudgets", "PodDisruptionBudget", _N, short="pdb", status=True
    ),
    _resource("scheduling.k8s.io/v1", "priorityclasses", "PriorityClass", _C, short="pc"),
)

_AUTHENTICATION: Final = "authentication.k8s.io/v1"
_AUTHORIZATION: Final = "authorization.k8s.io/v1"
_RBAC: Final = "rbac.authorization.k8s.io/v1"
_CERTIFICATES: Final = "certificates.k8s.io/v1"
_FLOW: Final = "flowcontrol.apiserver.k8s.io/v1"
_ACCESS: Final = (
    _resource(_AUTHENTICATION, "selfsubjectreviews", "SelfSubjectReview", _C, verbs=_CREATE),
    _resource(_AUTHENTICATION, "tokenreviews", "TokenReview", _C, verbs=_CREATE),
    _resource(
        _AUTHORIZATION, "localsubjectaccessreviews", "LocalSubjectAccessReview", _N, verbs=_CREATE
    ),
    _resource(
        _AUTHORIZATION, "selfsubjectaccessreviews", "SelfSubjectAccessReview", _C, verbs=_CREATE
    ),
    _resource(
        _AUTHORIZATION, "selfsubjectrulesreviews", "SelfSubjectRulesReview", _C, verbs=_CREATE
    ),
    _resource(_AUTHORIZATION, "subjectaccessreviews", "SubjectAccessReview", _C, verbs=_CREATE),
    _resource(
        _CERTIFICATES,
        "certificatesigningrequests",
        "CertificateSigningRequest",
        _C,
        short="csr",
        status=True,
        extra=(Subresource("approval", "CertificateSigningRequest", _READ_WRITE),),
    ),
    _resource(_FLOW, "flowschemas", "FlowSchema", _C, status=True),
    _resource(_FLOW, "prioritylevelconfigurations", "PriorityLevelConfiguration", _C, status=True),
    _resource(_RBAC, "clusterrolebindings", "ClusterRoleBinding", _C),
    _resource(_RBAC, "clusterroles", "ClusterRole", _C),
    _resource(_RBAC, "rolebindings", "RoleBinding", _N),
    _resource(_RBAC, "roles", "Role", _N),
)

_NETWORKING: Final = "networking.k8s.io/v1"
_RESOURCE: Final = "resource.k8s.io/v1"
_STORAGE: Final = "storage.k8s.io/v1"
_INFRASTRUCTURE: Final = (
    _resource("coordination.k8s.io/v1", "leases", "Lease", _N),
    _resource("discovery.k8s.io/v1", "endpointslices", "EndpointSlice", _N),
    _resource("events.k8s.io/v1", "events", "Event", _N, short="ev", storage="v1"),
    _resource(_NETWORKING, "ingressclasses", "IngressClass", _C),
    _resource(_NETWORKING, "ingresses", "Ingress", _N, short="ing", status=True),
    _resource(_NETWORKING, "ipaddresses", "IPAddress", _C, short="ip"),
    _resource(_NETWORKING, "networkpolicies", "NetworkPolicy", _N, short="netpol"),
    _resource(_NETWORKING, "servicecidrs", "ServiceCIDR", _C, status=True),
    _resource("node.k8s.io/v1", "runtimeclasses", "RuntimeClass", _C),
    _resource(_RESOURCE, "deviceclasses", "DeviceClass", _C),
    _resource(_RESOURCE, "resourceclaims", "ResourceClaim", _N, status=True),
    _resource(_RESOURCE, "resourceclaimtemplates", "ResourceClaimTemplate", _N),
    _resource(_RESOURCE, "resourceslices", "ResourceSlice", _C),
    _resource(_STORAGE, "csidrivers", "CSIDriver", _C),
    _resource(_STORAGE, "csinodes", "CSINode", _C),
    _resource(_STORAGE, "csistoragecapacities", "CSIStorageCapacity", _N),
    _resource(_STORAGE, "storageclasses", "StorageClass", _C, short="sc"),
    _resource(_STORAGE, "volumeattachments", "VolumeAttachment", _C, status=True),
    _resource(_STORAGE, "volumeattributesclasses", "VolumeAttributesClass", _C, short="vac"),
)

_BUILTIN: Final = (*_CORE, *_EXTENSIONS, *_WORKLOADS, *_ACCESS, *_INFRASTRUCTURE)
_BY_NAME: Final = {(one.group, one.version, one.name): one for one in _BUILTIN}
_BY_KIND: Final = {(one.group, one.version, one.kind): one for one in _BUILTIN}
_VERSIONS: Final = {
    (one.group, one.name): tuple(
        sorted(
            (each for each in _BUILTIN if (each.group, each.name) == (one.group, one.name)),
            key=lambda each: each.version,
            reverse=True,
        )
    )
    for one in _BUILTIN
}


def builtin() -> tuple[Resource, ...]:
    """All built-in resources, once per served version."""
    return _BUILTIN


def find(group: str, version: str, name: str) -> Resource | None:
    """The built-in resource with that plural name ("" is the core group)."""
    return _BY_NAME.get((group, version, name))


def find_kind(group: str, version: str, kind: str) -> Resource | None:
    """The built-in resource that serves that kind."""
    return _BY_KIND.get((group, version, kind))


def find_storage(resource: Resource) -> Resource:
    """The resource in whose version objects of `resource` are stored (often itself)."""
    group, _, version = resource.storage_version.rpartition("/")
    return _BY_NAME.get((group, version, resource.name), resource)


def served_versions(group: str, name: str) -> tuple[Resource, ...]:
    """All served versions of a built-in resource, the preferred one first."""
    return _VERSIONS.get((group, name), ())
