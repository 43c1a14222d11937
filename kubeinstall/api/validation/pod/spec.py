"""PodSpec: what a Pod and every pod template have in common."""

from __future__ import annotations

from collections.abc import Mapping

from kubeinstall.api.types import Object
from kubeinstall.api.validation.errors import Errors
from kubeinstall.api.validation.formats import dns1123_label, dns1123_subdomain, ip_address
from kubeinstall.api.validation.labels import check_annotations, check_labels
from kubeinstall.api.validation.pod.containers import PodFacts, check_containers
from kubeinstall.api.validation.pod.resources import check_quantity, check_requirements
from kubeinstall.api.validation.pod.scheduling import (
    check_affinity,
    check_gates,
    check_tolerations,
    check_topology_spread,
)
from kubeinstall.api.validation.pod.security import check_pod_security
from kubeinstall.api.validation.pod.volumes import check_volumes

MAX_INT32 = 2**31 - 1
_DNS_POLICIES = ("ClusterFirst", "ClusterFirstWithHostNet", "Default", "None")


def check_pod_template(errors: Errors, template: Object, path: str) -> None:
    """A `PodTemplateSpec`: labels, annotations, spec; no ephemeral containers."""
    meta = template.get("metadata") or {}
    check_labels(errors, meta.get("labels"), f"{path}.labels")
    check_annotations(errors, meta.get("annotations"), f"{path}.annotations")
    spec = template.get("spec") or {}
    check_pod_spec(errors, spec, f"{path}.spec")
    if spec.get("ephemeralContainers"):
        message = "ephemeral containers not allowed in pod template"
        errors.forbidden(f"{path}.spec.ephemeralContainers", message)


def check_pod_spec(errors: Errors, spec: Object, path: str) -> None:
    """`spec` of a pod; the order of the checks is upstream's, since it is the order of the answer."""
    facts = PodFacts(
        volumes=check_volumes(errors, spec.get("volumes") or [], f"{path}.volumes"),
        claims=_check_claims(errors, spec.get("resourceClaims") or [], f"{path}.resourceClaims"),
        grace=spec.get("terminationGracePeriodSeconds"),
        host_network=bool(spec.get("hostNetwork")),
        host_users=spec.get("hostUsers", True),
    )
    check_containers(errors, spec, path, facts)
    if spec.get("resources"):
        check_requirements(errors, spec["resources"], f"{path}.resources", facts.claims, pod=True)
    _check_policies(errors, spec, path)
    check_labels(errors, spec.get("nodeSelector"), f"{path}.nodeSelector")
    check_pod_security(errors, spec, f"{path}.securityContext")
    _check_pull_secrets(errors, spec.get("imagePullSecrets") or [], f"{path}.imagePullSecrets")
    check_affinity(errors, spec.get("affinity"), f"{path}.affinity")
    _check_dns_config(errors, spec, path)
    check_gates(errors, spec, path)
    constraints = spec.get("topologySpreadConstraints") or []
    check_topology_spread(errors, constraints, f"{path}.topologySpreadConstraints")
    _check_host_users(errors, spec, path)
    _check_names(errors, spec, path)
    check_tolerations(errors, spec.get("tolerations") or [], f"{path}.tolerations")
    _check_host_aliases(errors, spec.get("hostAliases") or [], f"{path}.hostAliases")
    _check_classes(errors, spec, path)


def _check_policies(errors: Errors, spec: Object, path: str) -> None:
    restart, dns = spec.get("restartPolicy", ""), spec.get("dnsPolicy", "")
    if not restart:
        errors.required(f"{path}.restartPolicy")
    else:
        errors.one_of(f"{path}.restartPolicy", restart, ("Always", "Never", "OnFailure"))
    if not dns:
        errors.required(f"{path}.dnsPolicy")
    else:
        errors.one_of(f"{path}.dnsPolicy", dns, _DNS_POLICIES)


def _check_claims(errors: Errors, claims: list[Object], path: str) -> set[str]:
    names: set[str] = set()
    for index, claim in enumerate(claims):
        at, name = f"{path}[{index}]", claim.get("name", "")
        if not name:
            errors.required(f"{at}.name")
        elif name in names:
            errors.duplicate(f"{at}.name", name)
        else:
            errors.each(f"{at}.name", name, dns1123_label(name))
        names.add(name)
        sources = [f for f in ("resourceClaimName", "resourceClaimTemplateName") if claim.get(f)]
        if len(sources) != 1:
            message = (
                "must specify one of: `resourceClaimName`, `resourceClaimTemplateName`"
                if not sources
                else "at most one of `resourceClaimName` or `resourceClaimTemplateName` may be specified"
            )
            errors.invalid(at, claim, message)
    return names


def _check_pull_secrets(errors: Errors, secrets: list[Object], path: str) -> None:
    for index, secret in enumerate(secrets):
        if set(secret) - {"name"}:
            errors.invalid(f"{path}[{index}]", secret, "only name may be set")


def _check_dns_config(errors: Errors, spec: Object, path: str) -> None:
    policy, config = spec.get("dnsPolicy"), spec.get("dnsConfig")
    at = f"{path}.dnsConfig"
    if policy == "None":
        if config is None:
            errors.required(at, "must provide `dnsConfig` when `dnsPolicy` is None")
            return
        if not config.get("nameservers"):
            message = "must provide at least one DNS nameserver when `dnsPolicy` is None"
            errors.required(f"{at}.nameservers", message)
            return
    if config is None:
        return
    _check_resolver(errors, config, at)


def _check_resolver(errors: Errors, config: Object, at: str) -> None:
    servers = config.get("nameservers") or []
    if len(servers) > 3:
        errors.invalid(f"{at}.nameservers", servers, "must not have more than 3 nameservers")
    for index, server in enumerate(servers):
        errors.each(f"{at}.nameservers[{index}]", server, ip_address(server))
    searches = config.get("searches") or []
    if len(searches) > 32:
        errors.invalid(f"{at}.searches", searches, "must not have more than 32 search paths")
    if len(" ".join(searches)) > 2048:
        message = "must not have more than 2048 characters (including spaces) in the search list"
        errors.invalid(f"{at}.searches", searches, message)
    for index, search in enumerate(searches):
        if search == ".":
            continue
        plain = search.removesuffix(".").replace("_", "a")
        errors.each(f"{at}.searches[{index}]", search, dns1123_subdomain(plain))
    for index, option in enumerate(config.get("options") or []):
        if not option.get("name"):
            errors.required(f"{at}.options[{index}]", "must not be empty")


def _check_host_users(errors: Errors, spec: Object, path: str) -> None:
    if spec.get("hostUsers", True) is not False:
        return
    for field in ("hostNetwork", "hostPID", "hostIPC"):
        if spec.get(field):
            errors.forbidden(f"{path}.{field}", "when `hostUsers` is false")


def _check_names(errors: Errors, spec: Object, path: str) -> None:
    account, node = spec.get("serviceAccountName", ""), spec.get("nodeName", "")
    if account:
        errors.each(f"{path}.serviceAccountName", account, dns1123_subdomain(account))
    if node:
        errors.each(f"{path}.nodeName", node, dns1123_subdomain(node))
    deadline = spec.get("activeDeadlineSeconds")
    if deadline is not None and not 1 <= deadline <= MAX_INT32:
        errors.invalid(
            f"{path}.activeDeadlineSeconds",
            deadline,
            f"must be between 1 and {MAX_INT32}, inclusive",
        )
    for field in ("hostname", "subdomain"):
        name = spec.get(field, "")
        if name:
            errors.each(f"{path}.{field}", name, dns1123_label(name))
    grace = spec.get("terminationGracePeriodSeconds")
    errors.not_negative(f"{path}.terminationGracePeriodSeconds", grace)


def _check_host_aliases(errors: Errors, aliases: list[Object], path: str) -> None:
    for index, alias in enumerate(aliases):
        at = f"{path}[{index}]"
        errors.each(f"{at}.ip", alias.get("ip", ""), ip_address(alias.get("ip", "")))
        for name in alias.get("hostnames") or []:
            errors.each(f"{at}.hostnames", name, dns1123_subdomain(name))


def _check_classes(errors: Errors, spec: Object, path: str) -> None:
    for field in ("priorityClassName", "runtimeClassName"):
        name = spec.get(field, "")
        if name:
            errors.each(f"{path}.{field}", name, dns1123_subdomain(name))
    policy = spec.get("preemptionPolicy")
    if policy is not None:
        errors.one_of(f"{path}.preemptionPolicy", policy, ("Never", "PreemptLowerPriority"))
    overhead: Mapping[str, str] = spec.get("overhead") or {}
    for name, text in overhead.items():
        check_quantity(errors, name, text, f"{path}.overhead[{name}]")
    system = (spec.get("os") or {}).get("name")
    if spec.get("os") is not None:
        if not system:
            errors.required(f"{path}.os.name")
        else:
            errors.one_of(f"{path}.os", system, ("linux", "windows"))
    if system == "windows":
        _check_windows(errors, spec, path)


def _check_windows(errors: Errors, spec: Object, path: str) -> None:
    for field in ("hostPID", "hostIPC", "hostUsers", "shareProcessNamespace"):
        if spec.get(field) is not None and spec.get(field) is not False:
            errors.forbidden(f"{path}.{field}", "cannot be set for a windows pod")
    context: Object = spec.get("securityContext") or {}
    for field in (
        "seLinuxOptions",
        "seccompProfile",
        "fsGroup",
        "runAsUser",
        "runAsGroup",
        "sysctls",
    ):
        if context.get(field) is not None:
            errors.forbidden(f"{path}.securityContext.{field}", "cannot be set for a windows pod")
