"""The baseline level: nothing known to raise privileges. Upstream: "Pod Security Standards"."""

from __future__ import annotations

from typing import Final

from kubeinstall.api.types import Object
from kubeinstall.apiserver.admission.security.wording import (
    Check,
    Finding,
    bad_containers,
    containers,
    context,
    holders,
    quoted,
    subject,
)

_CAPABILITIES = frozenset(
    {
        "AUDIT_WRITE",
        "CHOWN",
        "DAC_OVERRIDE",
        "FOWNER",
        "FSETID",
        "KILL",
        "MKNOD",
        "NET_BIND_SERVICE",
        "SETFCAP",
        "SETGID",
        "SETPCAP",
        "SETUID",
        "SYS_CHROOT",
    }
)
_SELINUX_TYPES = frozenset(
    {"", "container_t", "container_init_t", "container_kvm_t", "container_engine_t"}
)
_SYSCTLS = frozenset(
    {
        "kernel.shm_rmid_forced",
        "net.ipv4.ip_local_port_range",
        "net.ipv4.tcp_syncookies",
        "net.ipv4.ping_group_range",
        "net.ipv4.ip_unprivileged_port_start",
        "net.ipv4.ip_local_reserved_ports",
        "net.ipv4.tcp_keepalive_time",
        "net.ipv4.tcp_fin_timeout",
        "net.ipv4.tcp_keepalive_intvl",
        "net.ipv4.tcp_keepalive_probes",
        "net.ipv4.tcp_rmem",
        "net.ipv4.tcp_wmem",
    }
)
_APPARMOR_ANNOTATION = "container.apparmor.security.beta.kubernetes.io/"


def app_armor(pod: Object) -> Finding | None:
    """AppArmor stays on."""

    def unconfined(holder: Object) -> bool:
        return (holder.get("appArmorProfile") or {}).get("type") == "Unconfined"

    problems = [
        f'{who} must not set AppArmor profile type to "Unconfined"'
        for who in holders(pod, unconfined)
    ]
    annotations = pod["metadata"].get("annotations") or {}
    bad = sorted(
        f'{key}="{value}"'
        for key, value in annotations.items()
        if key.startswith(_APPARMOR_ANNOTATION)
        and not (value in ("", "runtime/default") or value.startswith("localhost/"))
    )
    if bad:
        word = "annotation" if len(bad) == 1 else "annotations"
        problems.append(f"{word} {', '.join(bad)}")
    if not problems:
        return None
    plural = "s" if len(problems) > 1 else ""
    return Finding(f"forbidden AppArmor profile{plural}", "; ".join(problems))


def capabilities(pod: Object) -> Finding | None:
    """No capabilities beyond the runtimes' usual ones."""
    forbidden: dict[str, None] = {}
    bad: list[str] = []
    for container in containers(pod):
        added = (context(container).get("capabilities") or {}).get("add") or []
        wrong = [name for name in added if name not in _CAPABILITIES]
        if wrong:
            bad.append(container["name"])
            forbidden.update(dict.fromkeys(wrong))
    if not bad:
        return None
    return Finding(
        "non-default capabilities",
        f"{subject('container', bad)} must not include {quoted(sorted(forbidden))} in "
        "securityContext.capabilities.add",
    )


def host_namespaces(pod: Object) -> Finding | None:
    """Nothing shared with the host."""
    spec = pod["spec"]
    shared = [f"{f}=true" for f in ("hostNetwork", "hostPID", "hostIPC") if spec.get(f)]
    return Finding("host namespaces", ", ".join(shared)) if shared else None


def host_path_volumes(pod: Object) -> Finding | None:
    """No directories of the host."""
    names = [v["name"] for v in pod["spec"].get("volumes") or () if v.get("hostPath") is not None]
    return Finding("hostPath volumes", subject("volume", names)) if names else None


def host_ports(pod: Object) -> Finding | None:
    """No ports of the host."""
    bad: list[str] = []
    ports: set[int] = set()
    for container in containers(pod):
        used = {p["hostPort"] for p in container.get("ports") or () if p.get("hostPort")}
        if used:
            bad.append(container["name"])
            ports |= used
    if not bad:
        return None
    verb = "uses" if len(bad) == 1 else "use"
    word = "hostPort" if len(ports) == 1 else "hostPorts"
    shown = ", ".join(str(port) for port in sorted(ports))
    return Finding("hostPort", f"{subject('container', bad)} {verb} {word} {shown}")


def host_probes(pod: Object) -> Finding | None:
    """Probes and hooks ask the pod itself, nobody else."""
    bad: list[str] = []
    hosts: set[str] = set()
    for container in containers(pod):
        found = {host for host in _probe_hosts(container) if host not in ("", "127.0.0.1", "::1")}
        if found:
            bad.append(container["name"])
            hosts |= found
    if not bad:
        return None
    verb = "uses" if len(bad) == 1 else "use"
    word = "host" if len(hosts) == 1 else "hosts"
    return Finding(
        "probe or lifecycle host",
        f"{subject('container', bad)} {verb} probe or lifecycle {word} {quoted(sorted(hosts))}",
    )


def _probe_hosts(container: Object) -> list[str]:
    handlers = [container.get(f) or {} for f in ("livenessProbe", "readinessProbe", "startupProbe")]
    lifecycle = container.get("lifecycle") or {}
    handlers += [lifecycle.get(f) or {} for f in ("postStart", "preStop")]
    return [
        (handler.get(action) or {}).get("host", "")
        for handler in handlers
        for action in ("httpGet", "tcpSocket")
    ]


def privileged(pod: Object) -> Finding | None:
    """No privileged containers."""
    bad = bad_containers(pod, lambda c: bool(context(c).get("privileged")))
    if not bad:
        return None
    return Finding(
        "privileged", f"{subject('container', bad)} must not set securityContext.privileged=true"
    )


def proc_mount(pod: Object) -> Finding | None:
    """/proc stays masked."""
    bad: list[str] = []
    values: set[str] = set()
    if pod["spec"].get("hostUsers") is False:
        return None
    for container in containers(pod):
        value = context(container).get("procMount")
        if value not in (None, "Default"):
            bad.append(container["name"])
            values.add(str(value))
    if not bad:
        return None
    return Finding(
        "procMount",
        f"{subject('container', bad)} must not set securityContext.procMount to "
        f"{quoted(sorted(values))}",
    )


def selinux(pod: Object) -> Finding | None:
    """SELinux types of containers only; users and roles stay."""
    types: set[str] = set()
    fields: set[str] = set()

    def wrong(security: Object) -> bool:
        options = security.get("seLinuxOptions") or {}
        kind = options.get("type", "")
        bad_type = kind not in _SELINUX_TYPES
        if bad_type:
            types.add(kind)
        bad_fields = {field for field in ("user", "role") if options.get(field)}
        fields.update(bad_fields)
        return bad_type or bool(bad_fields)

    who = holders(pod, wrong)
    if not who:
        return None
    told: list[str] = []
    if types:
        word = "type" if len(types) == 1 else "types"
        told.append(f"{word} {quoted(sorted(types))}")
    told.extend(f"{field} may not be set" for field in ("user", "role") if field in fields)
    return Finding(
        "seLinuxOptions",
        f"{' and '.join(who)} set forbidden securityContext.seLinuxOptions: {'; '.join(told)}",
    )


def seccomp(pod: Object) -> Finding | None:
    """Seccomp is not turned off."""

    def unconfined(security: Object) -> bool:
        return (security.get("seccompProfile") or {}).get("type") == "Unconfined"

    who = holders(pod, unconfined)
    if not who:
        return None
    return Finding(
        "seccompProfile",
        f'{" and ".join(who)} must not set securityContext.seccompProfile.type to "Unconfined"',
    )


def sysctls(pod: Object) -> Finding | None:
    """Only sysctls that are safe for the others on the node."""
    names = [
        s["name"] for s in context(pod["spec"]).get("sysctls") or () if s["name"] not in _SYSCTLS
    ]
    return Finding("forbidden sysctls", ", ".join(names)) if names else None


def windows_host_process(pod: Object) -> Finding | None:
    """No host processes."""

    def host_process(security: Object) -> bool:
        return bool((security.get("windowsOptions") or {}).get("hostProcess"))

    who = holders(pod, host_process)
    if not who:
        return None
    return Finding(
        "hostProcess",
        f"{' and '.join(who)} must not set securityContext.windowsOptions.hostProcess=true",
    )


#: (check, since minor version, whether a check of the restricted level replaces it)
CHECKS: Final[tuple[tuple[Check, int, bool], ...]] = (
    (app_armor, 0, False),
    (capabilities, 0, True),
    (host_namespaces, 0, False),
    (host_path_volumes, 0, True),
    (host_ports, 0, False),
    (host_probes, 34, False),
    (privileged, 0, False),
    (proc_mount, 0, False),
    (selinux, 0, False),
    (seccomp, 19, True),
    (sysctls, 0, False),
    (windows_host_process, 0, False),
)
