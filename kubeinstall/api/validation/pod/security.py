"""Security contexts of pods and containers."""

from __future__ import annotations

import re

from kubeinstall.api.types import Object
from kubeinstall.api.validation.errors import Errors

_MOST = 2**31 - 1
_SYSCTL = re.compile(r"([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?")
_PROFILE_TYPES = ("Localhost", "RuntimeDefault", "Unconfined")


def check_pod_security(errors: Errors, spec: Object, path: str) -> None:
    """`spec.securityContext` and the host namespaces that upstream keeps with it."""
    context: Object = spec.get("securityContext") or {}
    for field in ("fsGroup", "runAsGroup", "runAsUser"):
        _check_id(errors, context.get(field), f"{path}.{field}")
    for index, group in enumerate(context.get("supplementalGroups") or []):
        _check_id(errors, group, f"{path}.supplementalGroups[{index}]")
    if spec.get("shareProcessNamespace") and spec.get("hostPID"):
        message = "ShareProcessNamespace and HostPID cannot both be enabled"
        errors.invalid(f"{path}.shareProcessNamespace", True, message)
    _check_sysctls(errors, context.get("sysctls") or [], spec, f"{path}.sysctls")
    if context.get("fsGroupChangePolicy") is not None:
        errors.one_of(
            f"{path}.fsGroupChangePolicy",
            context["fsGroupChangePolicy"],
            ("Always", "OnRootMismatch"),
        )
    _check_profiles(errors, context, path)
    if context.get("supplementalGroupsPolicy") is not None:
        errors.one_of(
            f"{path}.supplementalGroupsPolicy",
            context["supplementalGroupsPolicy"],
            ("Merge", "Strict"),
        )
    if context.get("seLinuxChangePolicy") is not None:
        errors.one_of(
            f"{path}.seLinuxChangePolicy",
            context["seLinuxChangePolicy"],
            ("MountOption", "Recursive"),
        )


def check_container_security(
    errors: Errors, context: Object | None, path: str, *, host_users: bool = True
) -> None:
    """`securityContext` of a container."""
    if context is None:
        return
    for field in ("runAsUser", "runAsGroup"):
        _check_id(errors, context.get(field), f"{path}.{field}")
    proc_mount = context.get("procMount")
    if proc_mount is not None:
        errors.one_of(f"{path}.procMount", proc_mount, ("Default", "Unmasked"))
        if proc_mount == "Unmasked" and host_users:
            message = "`hostUsers` must be false to use `Unmasked`"
            errors.invalid(f"{path}.procMount", proc_mount, message)
    _check_profiles(errors, context, path)
    if context.get("allowPrivilegeEscalation") is False:
        if context.get("privileged"):
            message = "cannot set `allowPrivilegeEscalation` to false and `privileged` to true"
            errors.invalid(path, context, message)
        if "CAP_SYS_ADMIN" in ((context.get("capabilities") or {}).get("add") or []):
            message = "cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` CAP_SYS_ADMIN"
            errors.invalid(path, context, message)


def _check_id(errors: Errors, number: int | None, path: str) -> None:
    if number is not None and not 0 <= number <= _MOST:
        errors.invalid(path, number, f"must be between 0 and {_MOST}, inclusive")


def _check_profiles(errors: Errors, context: Object, path: str) -> None:
    for field in ("seccompProfile", "appArmorProfile"):
        profile = context.get(field)
        if profile is not None:
            _check_profile(errors, profile, f"{path}.{field}")


def _check_profile(errors: Errors, profile: Object, path: str) -> None:
    kind = profile.get("type", "")
    local = profile.get("localhostProfile")
    if not kind:
        errors.required(
            f"{path}.type",
            "type is required when seccompProfile is set" if "seccomp" in path else "",
        )
    elif kind not in _PROFILE_TYPES:
        errors.not_supported(f"{path}.type", kind, _PROFILE_TYPES)
    elif kind == "Localhost":
        if not local:
            field = "seccompProfile" if "seccomp" in path else "appArmorProfile"
            errors.required(
                f"{path}.localhostProfile", f"must be set when {field} type is Localhost"
            )
        else:
            check_descending_path(errors, local, f"{path}.localhostProfile")
    elif local is not None:
        text = "can only be set when seccompProfile type is Localhost"
        if "appArmor" in path:
            text = "can only be set when AppArmor type is Localhost"
        errors.invalid(f"{path}.localhostProfile", local, text)


def check_descending_path(errors: Errors, text: str, path: str) -> None:
    """A relative path that never climbs."""
    if text.startswith("/"):
        errors.invalid(path, text, "must be a relative path")
    check_no_backsteps(errors, text, path)


def check_no_backsteps(errors: Errors, text: str, path: str) -> None:
    """No `..` among the parts."""
    if ".." in text.split("/"):
        errors.invalid(path, text, "must not contain '..'")


def _check_sysctls(errors: Errors, sysctls: list[Object], spec: Object, path: str) -> None:
    seen: set[str] = set()
    for index, item in enumerate(sysctls):
        at, name = f"{path}[{index}]", item.get("name", "")
        plain = name.replace("/", ".")
        if not name:
            errors.required(f"{at}.name")
        elif len(name) > 253 or not _SYSCTL.fullmatch(name):
            message = f"must have at most 253 characters and match regex ^{_SYSCTL.pattern}$"
            errors.invalid(f"{at}.name", name, message)
        elif plain in seen:
            errors.duplicate(f"{at}.name", name)
        if plain.startswith("net.") and spec.get("hostNetwork"):
            errors.invalid(f"{at}.name", name, "may not be specified when 'hostNetwork' is true")
        if plain.startswith(("kernel.shm", "kernel.msg", "kernel.sem", "fs.mqueue.")) and spec.get(
            "hostIPC"
        ):
            errors.invalid(f"{at}.name", name, "may not be specified when 'hostIPC' is true")
        seen.add(plain)
