"""Security contexts: a container's over its pod's, as CRI wants them.

Follows upstream's `securitycontext.DetermineEffectiveSecurityContext` and `kuberuntime/security_context.go`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from kubeinstall._wire.cri.v1 import api_pb2 as api
from kubeinstall.api.types import Object
from kubeinstall.errors import KubeinstallError
from kubeinstall.kubelet.pod import spec

MASKED_PATHS = (
    "/proc/asound",
    "/proc/acpi",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/sys/firmware",
    "/sys/devices/virtual/powercap",
)
READONLY_PATHS = ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger")


_PROFILE_TYPES = {
    "RuntimeDefault": api.SecurityProfile.RuntimeDefault,
    "Unconfined": api.SecurityProfile.Unconfined,
    "Localhost": api.SecurityProfile.Localhost,
}


class SecurityError(KubeinstallError):
    """The container may not run as asked; becomes CreateContainerConfigError."""


def effective(pod: Object, container: Object) -> dict[str, Any]:
    """The container's security context with what the pod's adds."""
    of_pod = pod["spec"].get("securityContext") or {}
    inherited = (
        "seLinuxOptions",
        "runAsUser",
        "runAsGroup",
        "runAsNonRoot",
        "seccompProfile",
        "appArmorProfile",
    )
    merged = {name: of_pod[name] for name in inherited if of_pod.get(name) is not None}
    own = container.get("securityContext") or {}
    merged.update({name: value for name, value in own.items() if value is not None})
    return merged


def namespace_options(pod: Object, *, container: bool, target_id: str = "") -> Any:
    """Which namespaces are the host's, the pod's or the container's own."""
    pod_spec = pod["spec"]
    pid = api.CONTAINER
    if pod_spec.get("hostPID"):
        pid = api.NODE
    elif pod_spec.get("shareProcessNamespace"):
        pid = api.POD
    options = api.NamespaceOption(
        network=api.NODE if pod_spec.get("hostNetwork") else api.POD,
        ipc=api.NODE if pod_spec.get("hostIPC") else api.POD,
        pid=pid,
    )
    if container and target_id:
        options.pid = api.TARGET
        options.target_id = target_id
    return options


def sandbox_security(pod: Object, *, seccomp_root: Path) -> Any:
    """`LinuxSandboxSecurityContext`."""
    context = pod["spec"].get("securityContext") or {}
    made = api.LinuxSandboxSecurityContext(
        namespace_options=namespace_options(pod, container=False),
        privileged=any(
            (c.get("securityContext") or {}).get("privileged") for c in spec.all_containers(pod)
        ),
        supplemental_groups=_groups(context),
        # The sandbox only waits: nothing of the pod's profile is needed, the default is the safest.
        seccomp=api.SecurityProfile(profile_type=api.SecurityProfile.RuntimeDefault),
    )
    if context.get("runAsUser") is not None:
        made.run_as_user.value = int(context["runAsUser"])
    if context.get("runAsGroup") is not None and context.get("runAsUser") is not None:
        made.run_as_group.value = int(context["runAsGroup"])
    if context.get("supplementalGroupsPolicy") == "Strict":
        made.supplemental_groups_policy = api.Strict
    _selinux(made.selinux_options, context.get("seLinuxOptions"))
    return made


def container_security(
    pod: Object,
    container: Object,
    *,
    image_uid: int | None,
    image_user: str,
    seccomp_root: Path,
    seccomp_default: bool,
    target_id: str = "",
    apparmor: bool = False,
) -> Any:
    """`LinuxContainerSecurityContext`; raises `SecurityError`."""
    context = effective(pod, container)
    verify_non_root(pod, container, context, image_uid, image_user)
    of_pod = pod["spec"].get("securityContext") or {}
    made = api.LinuxContainerSecurityContext(
        namespace_options=namespace_options(pod, container=True, target_id=target_id),
        privileged=bool(context.get("privileged")),
        readonly_rootfs=bool(context.get("readOnlyRootFilesystem")),
        no_new_privs=context.get("allowPrivilegeEscalation") is False,
        supplemental_groups=_groups(of_pod),
    )
    if context.get("runAsUser") is not None:
        made.run_as_user.value = int(context["runAsUser"])
    elif image_uid is not None:
        made.run_as_user.value = image_uid
    else:
        made.run_as_username = image_user
    if context.get("runAsGroup") is not None:
        made.run_as_group.value = int(context["runAsGroup"])
    if of_pod.get("supplementalGroupsPolicy") == "Strict":
        made.supplemental_groups_policy = api.Strict
    capabilities = context.get("capabilities") or {}
    made.capabilities.add_capabilities.extend(capabilities.get("add") or [])
    made.capabilities.drop_capabilities.extend(capabilities.get("drop") or [])
    if context.get("procMount", "Default") == "Default" and not context.get("privileged"):
        made.masked_paths.extend(MASKED_PATHS)
        made.readonly_paths.extend(READONLY_PATHS)
    made.seccomp.CopyFrom(_seccomp(context, seccomp_root, default=seccomp_default))
    profile = _apparmor(pod, container, context)
    if profile is not None and apparmor:
        made.apparmor.CopyFrom(profile)
        made.apparmor_profile = _legacy_apparmor(profile)
    elif profile is not None and profile.profile_type != api.SecurityProfile.Unconfined:
        raise SecurityError("Cannot enforce AppArmor: AppArmor is not enabled on the host")
    _selinux(made.selinux_options, context.get("seLinuxOptions"))
    return made


def verify_non_root(
    pod: Object,
    container: Object,
    context: dict[str, Any],
    image_uid: int | None,
    image_user: str,
) -> None:
    """Refuse root where runAsNonRoot is set; raises `SecurityError` with upstream's words."""
    if not context.get("runAsNonRoot"):
        return
    where = f'(pod: "{spec.title(pod)}", container: {container["name"]})'
    if context.get("runAsUser") is not None:
        if int(context["runAsUser"]) == 0:
            raise SecurityError(f"container's runAsUser breaks non-root policy {where}")
        return
    if image_uid == 0:
        raise SecurityError(f"container has runAsNonRoot and image will run as root {where}")
    if image_uid is None and image_user:
        raise SecurityError(
            f"container has runAsNonRoot and image has non-numeric user ({image_user}), "
            f"cannot verify user is non-root {where}"
        )


def _groups(of_pod: dict[str, Any]) -> list[int]:
    groups = [int(of_pod["fsGroup"])] if of_pod.get("fsGroup") is not None else []
    return groups + [int(group) for group in of_pod.get("supplementalGroups") or []]


def _seccomp(context: dict[str, Any], root: Path, *, default: bool) -> Any:
    profile = context.get("seccompProfile") or {}
    kind = profile.get("type")
    if kind == "RuntimeDefault" or (kind is None and default):
        return api.SecurityProfile(profile_type=api.SecurityProfile.RuntimeDefault)
    if kind == "Localhost":
        name = profile.get("localhostProfile")
        if not name:
            raise SecurityError("localhostProfile must be set if seccompProfile type is Localhost.")
        return api.SecurityProfile(
            profile_type=api.SecurityProfile.Localhost, localhost_ref=str(root / name)
        )
    return api.SecurityProfile(profile_type=api.SecurityProfile.Unconfined)


def _apparmor(pod: Object, container: Object, context: dict[str, Any]) -> Any | None:
    profile = context.get("appArmorProfile")
    if not profile:
        text = spec.pod_annotations(pod).get(
            f"container.apparmor.security.beta.kubernetes.io/{container['name']}", ""
        )
        if text == "runtime/default":
            profile = {"type": "RuntimeDefault"}
        elif text == "unconfined":
            profile = {"type": "Unconfined"}
        elif text.startswith("localhost/"):
            profile = {"type": "Localhost", "localhostProfile": text.removeprefix("localhost/")}
    if not profile:
        return None
    return api.SecurityProfile(
        profile_type=_PROFILE_TYPES[profile["type"]],
        localhost_ref=profile.get("localhostProfile", ""),
    )


def _legacy_apparmor(profile: Any) -> str:
    if profile.profile_type == api.SecurityProfile.Localhost:
        return f"localhost/{profile.localhost_ref}"
    if profile.profile_type == api.SecurityProfile.Unconfined:
        return "unconfined"
    return "runtime/default"


def _selinux(target: Any, options: dict[str, str] | None) -> None:
    for name in ("user", "role", "type", "level"):
        if options and options.get(name):
            setattr(target, name, options[name])
