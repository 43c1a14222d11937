"""A short notation for the rules of the default roles."""

from __future__ import annotations

from kubeinstall.api.types import Object

READ = "get list watch"
WRITE = "create delete deletecollection patch update"
READ_WRITE = f"{READ} {WRITE}"

#: The names of API groups, as the tables of rules abbreviate them ("core" is "").
_GROUPS = {
    "core": "",
    "admissionregistration": "admissionregistration.k8s.io",
    "authentication": "authentication.k8s.io",
    "authorization": "authorization.k8s.io",
    "certificates": "certificates.k8s.io",
    "coordination": "coordination.k8s.io",
    "discovery": "discovery.k8s.io",
    "events": "events.k8s.io",
    "networking": "networking.k8s.io",
    "node": "node.k8s.io",
    "rbac": "rbac.authorization.k8s.io",
    "resource": "resource.k8s.io",
    "storage": "storage.k8s.io",
}


def rule(verbs: str, groups: str, resources: str, names: str = "") -> Object:
    """A rule from blank-separated words, each list sorted as upstream's are."""
    made: Object = {
        "apiGroups": sorted(_GROUPS.get(group, group) for group in groups.split()),
        "resources": sorted(resources.split()),
        "verbs": sorted(verbs.split()),
    }
    if names:
        made["resourceNames"] = sorted(names.split())
    return made


def urls(verbs: str, paths: str) -> Object:
    """A rule on paths that are no resources."""
    return {"nonResourceURLs": sorted(paths.split()), "verbs": sorted(verbs.split())}


def events() -> Object:
    """Everybody who reports events may do this."""
    return rule("create patch update", "core events", "events")
