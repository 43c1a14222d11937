"""Authorization: RBAC, Node, AlwaysAllow, AlwaysDeny, and the checks against escalation."""

from kubeinstall.apiserver.authz.authorizer import (
    Authorizer,
    build,
    describe_denial,
    forbidden,
    forbidden_object,
)

__all__ = ["Authorizer", "build", "describe_denial", "forbidden", "forbidden_object"]
