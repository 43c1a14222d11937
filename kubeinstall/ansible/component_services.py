"""Our components as services: their settings file, and the processes that read it."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from kubeinstall import __version__
from kubeinstall.ansible import hostinfo, paths
from kubeinstall.ansible.components import component_settings, kubelet_configuration
from kubeinstall.ansible.encryption import ensure_encryption
from kubeinstall.ansible.outcome import Outcome
from kubeinstall.ansible.services import Service, ensure_services, interpreter
from kubeinstall.ansible.textfiles import ensure_text

Object = dict[str, Any]

_HEADER = "# Written by kubeinstall from its configuration; changes are overwritten.\n"

#: Without systemd, components share processes to save memory. Process → its components.
GROUPS = {
    "kube-apiserver": ("kube-apiserver",),
    "kube-control": ("kube-controller-manager", "kube-scheduler"),
    "kube-node": ("kubelet", "kube-proxy", "kube-podnet", "kube-dns", "kube-servers"),
}
_DESCRIPTIONS = {
    "kube-apiserver": "Kubernetes API server",
    "kube-controller-manager": "Kubernetes controller manager",
    "kube-scheduler": "Kubernetes scheduler",
    "kubelet": "Kubernetes node agent",
    "kube-proxy": "Kubernetes service proxy",
    "kube-podnet": "Kubernetes pod network",
    "kube-dns": "Kubernetes cluster DNS",
    "kube-servers": "List of API servers for this host's load balancer",
}


def ensure_components(config: Object, names: Sequence[str], *, start: bool, check: bool) -> Outcome:
    """Write the named components' settings, and with `start` run them and those written before.

    Only processes whose settings, certificates or kubeconfigs changed are restarted.
    """
    wanted = component_settings(config)
    known = _read_settings()
    settings = {**known, **{name: wanted[name] for name in names if name in wanted}}
    outcome = Outcome()
    if not check:
        _make_directories()
    text = _HEADER + yaml.safe_dump(settings, sort_keys=True)
    outcome.extend(ensure_text(paths.COMPONENTS, text, check=check, mode=0o600))
    if "kube-apiserver" in names and "host" not in config:  # a host of a group is given the keys
        outcome.extend(ensure_encryption(config, check=check))
    if "kubelet" in names:
        outcome.extend(_kubelet_file(config, check=check))
    if start:
        services = component_services(settings, names, systemd=hostinfo.under_systemd())
        outcome.extend(ensure_services(services, check=check))
    return outcome


def _read_settings() -> dict[str, Object]:
    if not paths.COMPONENTS.exists():
        return {}
    return yaml.load(paths.COMPONENTS.read_text(), Loader=yaml.CSafeLoader) or {}


def _kubelet_file(config: Object, *, check: bool) -> Outcome:
    systemd_cgroup = hostinfo.under_systemd() and hostinfo.cgroup_version() == 2
    document = kubelet_configuration(config, systemd_cgroup=systemd_cgroup)
    if directory := (config["init"].get("patches") or {}).get("directory"):
        from kubeinstall.ansible.patches import patched  # half of what a stage would import

        document = patched(document, directory)
    text = _HEADER + yaml.safe_dump(document, sort_keys=True)
    return ensure_text(paths.KUBELET / "config.yaml", text, check=check)


def component_services(
    settings: dict[str, Object], wanted: Sequence[str], *, systemd: bool
) -> list[Service]:
    """The services that hold any of the `wanted` components: one a component under systemd, one a
    group elsewhere, with every configured member of the group."""
    services = []
    for process, members in GROUPS.items():
        present = [name for name in members if name in settings]
        if not set(present) & set(wanted):
            continue
        services += (
            [_service(name, [name], settings) for name in present]
            if systemd
            else [_service(process, present, settings)]
        )
    return services


def _service(process: str, names: list[str], settings: dict[str, Object]) -> Service:
    command = [*interpreter(), "component", "run", *names, "--config", str(paths.COMPONENTS)]
    return Service(
        name=process,
        command=tuple(command),
        description=", ".join(_DESCRIPTIONS[name] for name in names),
        digest=_digest({name: settings[name] for name in names}),
        after=_after(names),
        keep_children="kubelet" in names,
    )


def _after(names: list[str]) -> tuple[str, ...]:
    if "kube-apiserver" in names:
        return ()
    return ("containerd", "kube-apiserver") if "kubelet" in names else ("kube-apiserver",)


def _digest(settings: Object) -> str:
    """Changes when a setting or a file that a setting names does. The datastore is no such file."""
    digest = hashlib.sha256(f"{__version__} {runtime_id()}".encode())
    for name, flags in sorted(settings.items()):
        # A kubelet that bootstraps writes its own kubeconfig.
        own = {"kubeconfig", "bootstrap-kubeconfig"} if "bootstrap-kubeconfig" in flags else set()
        for flag, value in sorted(flags.items()):
            if flag in own:
                continue
            digest.update(f"{name}\0{flag}\0{value}\0".encode())
            if isinstance(value, str) and value.startswith("/"):
                path = Path(value)
                digest.update(path.read_bytes() if path.is_file() else b"")
        if "config" in flags:
            digest.update(_client_authority(Path(str(flags["config"]))))
    return digest.hexdigest()[:16]


def _client_authority(config: Path) -> bytes:
    """The authorities whose clients a kubelet with this configuration takes: read once, when it starts."""
    if not config.is_file():
        return b""
    document = yaml.load(config.read_text(), Loader=yaml.CSafeLoader) or {}
    authentication = document.get("authentication") or {}
    path = Path((authentication.get("x509") or {}).get("clientCAFile") or "-")
    return path.read_bytes() if path.is_file() else b""


def runtime_id() -> str:
    """Which runtime archive this is (its folder's name); empty for an ordinary installation."""
    prefix = Path(sys.prefix).resolve()
    return prefix.name if prefix.parent in paths.UNPACKED else ""


def _make_directories() -> None:
    paths.DATASTORE.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    for directory in (paths.KUBELET, paths.LOGS, paths.KUBERNETES / "manifests", paths.CNI_CONFIG):
        directory.mkdir(parents=True, exist_ok=True)
