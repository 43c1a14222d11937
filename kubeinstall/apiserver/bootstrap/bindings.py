"""The default bindings, and the default Roles of namespaces.

Subjects are written `User:NAME`, `Group:NAME` or `ServiceAccount:NAMESPACE/NAME`.
"""

from __future__ import annotations

from kubeinstall.api.types import Object
from kubeinstall.apiserver.bootstrap.rule import READ, events, rule

_RBAC = "rbac.authorization.k8s.io"
_EVERYBODY = ("Group:system:authenticated", "Group:system:unauthenticated")


def cluster_role_bindings() -> dict[str, tuple[str, tuple[str, ...]]]:
    """Binding name → (ClusterRole, subjects), without the controllers' own."""
    return {
        "cluster-admin": ("cluster-admin", ("Group:system:masters",)),
        "system:monitoring": ("system:monitoring", ("Group:system:monitoring",)),
        "system:discovery": ("system:discovery", ("Group:system:authenticated",)),
        "system:basic-user": ("system:basic-user", ("Group:system:authenticated",)),
        "system:public-info-viewer": ("system:public-info-viewer", _EVERYBODY),
        "system:node-proxier": ("system:node-proxier", ("User:system:kube-proxy",)),
        "system:kube-controller-manager": (
            "system:kube-controller-manager",
            ("User:system:kube-controller-manager",),
        ),
        "system:kube-dns": ("system:kube-dns", ("ServiceAccount:kube-system/kube-dns",)),
        "system:kube-scheduler": ("system:kube-scheduler", ("User:system:kube-scheduler",)),
        "system:volume-scheduler": ("system:volume-scheduler", ("User:system:kube-scheduler",)),
        # Deliberately without subjects: nodes are authorized by the Node authorizer.
        "system:node": ("system:node", ()),
        "system:service-account-issuer-discovery": (
            "system:service-account-issuer-discovery",
            ("Group:system:serviceaccounts",),
        ),
    }


def namespace_roles() -> dict[tuple[str, str], list[Object]]:
    """(namespace, Role name) → rules."""
    leader = [
        rule(f"{READ} create update", "coordination", "leases"),
        rule(f"{READ} create update", "coordination", "leasecandidates"),
    ]
    return {
        ("kube-system", "extension-apiserver-authentication-reader"): [
            rule(READ, "core", "configmaps", "extension-apiserver-authentication")
        ],
        ("kube-system", "system:controller:bootstrap-signer"): [rule(READ, "core", "secrets")],
        ("kube-system", "system:controller:cloud-provider"): [
            rule(f"create {READ}", "core", "configmaps")
        ],
        ("kube-system", "system:controller:token-cleaner"): [
            rule(f"{READ} delete", "core", "secrets"),
            events(),
        ],
        ("kube-system", "system::leader-locking-kube-controller-manager"): leader,
        ("kube-system", "system::leader-locking-kube-scheduler"): leader,
        ("kube-public", "system:controller:bootstrap-signer"): [
            rule(READ, "core", "configmaps"),
            rule("update", "core", "configmaps", "cluster-info"),
            events(),
        ],
    }


def namespace_role_bindings() -> dict[tuple[str, str], tuple[str, tuple[str, ...]]]:
    """(namespace, RoleBinding name) → (Role, subjects)."""
    signer = ("ServiceAccount:kube-system/bootstrap-signer",)
    prefix = "system:controller:"
    return {
        ("kube-system", "system::extension-apiserver-authentication-reader"): (
            "extension-apiserver-authentication-reader",
            ("User:system:kube-controller-manager", "User:system:kube-scheduler"),
        ),
        ("kube-system", "system::leader-locking-kube-controller-manager"): (
            "system::leader-locking-kube-controller-manager",
            (
                "User:system:kube-controller-manager",
                "ServiceAccount:kube-system/kube-controller-manager",
            ),
        ),
        ("kube-system", "system::leader-locking-kube-scheduler"): (
            "system::leader-locking-kube-scheduler",
            ("User:system:kube-scheduler", "ServiceAccount:kube-system/kube-scheduler"),
        ),
        ("kube-system", f"{prefix}bootstrap-signer"): (f"{prefix}bootstrap-signer", signer),
        ("kube-system", f"{prefix}cloud-provider"): (
            f"{prefix}cloud-provider",
            ("ServiceAccount:kube-system/cloud-provider",),
        ),
        ("kube-system", f"{prefix}token-cleaner"): (
            f"{prefix}token-cleaner",
            ("ServiceAccount:kube-system/token-cleaner",),
        ),
        ("kube-public", f"{prefix}bootstrap-signer"): (f"{prefix}bootstrap-signer", signer),
    }


def subject(text: str) -> Object:
    """The `Subject` object of the notation above."""
    kind, _, name = text.partition(":")
    if kind == "ServiceAccount":
        namespace, _, account = name.partition("/")
        return {"kind": kind, "name": account, "namespace": namespace}
    return {"apiGroup": _RBAC, "kind": kind, "name": name}


def role_ref(kind: str, name: str) -> Object:
    """The `RoleRef` object."""
    return {"apiGroup": _RBAC, "kind": kind, "name": name}
