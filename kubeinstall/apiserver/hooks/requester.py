"""Objects that record who made them, which strategies cannot know."""

from __future__ import annotations

from kubeinstall.api.resources import Resource
from kubeinstall.api.types import Object
from kubeinstall.apiserver.request import User


def record_requester(resource: Resource, obj: Object, user: User) -> None:
    """Say in a new CertificateSigningRequest who asks; to be called behind the strategy, which has
    taken away what the client wrote there."""
    if (resource.group, resource.name) != ("certificates.k8s.io", "certificatesigningrequests"):
        return
    spec = obj.setdefault("spec", {})
    spec["username"] = user.name
    if user.uid:
        spec["uid"] = user.uid
    if user.groups:
        spec["groups"] = list(user.groups)
    if user.extra:
        spec["extra"] = {key: list(values) for key, values in user.extra.items()}
