"""Checks of a configuration that need to know the components: done before anything is touched."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

from kubeinstall.ansible.components import component_settings, kubelet_configuration
from kubeinstall.ansible.patches import patched
from kubeinstall.config import ConfigError, InitConfig, Problem
from kubeinstall.errors import SettingsError

#: Component → its settings class; importing it costs little, the component itself much.
SETTINGS = {
    "kube-apiserver": "kubeinstall.apiserver.config:ApiServerSettings",
    "kube-controller-manager": "kubeinstall.controllers.config:ControllerManagerSettings",
    "kube-scheduler": "kubeinstall.scheduler.config:SchedulerSettings",
    "kubelet": "kubeinstall.kubelet.config:KubeletSettings",
    "kube-proxy": "kubeinstall.proxy.config:ProxySettings",
    "kube-podnet": "kubeinstall.podnet.config:PodNetworkSettings",
    "kube-dns": "kubeinstall.dns.config:DnsSettings",
    "kube-servers": "kubeinstall.balancer.config:BalancerSettings",
}


def settings_class(name: str) -> Any:
    """The settings dataclass of a component."""
    module, _, attribute = SETTINGS[name].partition(":")
    return getattr(import_module(module), attribute)


def check_settings(config: InitConfig) -> None:
    """Read every component's settings as the component will; ConfigError for a wrong extraArg."""
    from kubeinstall.runtime.settings import load

    documents = as_variables(config)
    problems = []
    for name, flags in component_settings(documents).items():
        try:
            load(settings_class(name), flags, name)
        except SettingsError as error:
            problems.append(Problem("configuration", 0, "extraArgs", str(error)))
    try:
        from kubeinstall.kubelet.config import from_document

        kubelet = patched(
            kubelet_configuration(documents, systemd_cgroup=False),
            (config.init.get("patches") or {}).get("directory") or "",
        )
        from_document(kubelet, "KubeletConfiguration")
    except SettingsError as error:
        problems.append(Problem("configuration", 0, "", str(error)))
    if problems:
        raise ConfigError(problems)


def absolute_patches(document: dict[str, Any]) -> dict[str, str]:
    """`patches` of an Init- or JoinConfiguration; modules run in a directory of their own."""
    given = (document.get("patches") or {}).get("directory") or ""
    return {"directory": str(Path(given).absolute())} if given else {}


def as_variables(config: InitConfig) -> dict[str, Any]:
    """The documents as the roles take them (`kubeinstall_config`)."""
    return {
        "init": {**config.init, "patches": absolute_patches(config.init)},
        "cluster": config.cluster,
        "kubelet": config.kubelet,
        "proxy": config.proxy,
    }
