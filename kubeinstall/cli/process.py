"""`component run` and `component supervise`: processes that live long and load little."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kubeinstall.errors import KubeinstallError, SettingsError

if TYPE_CHECKING:
    from kubeinstall.runtime.component import Component

COMPONENTS_FILE = Path("/etc/kubernetes/components.yaml")
SUPERVISOR_FILE = Path("/etc/kubernetes/supervisor.yaml")

#: Component → where its class is, imported only by the process that runs it.
CLASSES = {
    "kube-apiserver": "kubeinstall.apiserver.component:APIServer",
    "kube-controller-manager": "kubeinstall.controllers.component:ControllerManager",
    "kube-scheduler": "kubeinstall.scheduler.component:Scheduler",
    "kubelet": "kubeinstall.kubelet.component:Kubelet",
    "kube-proxy": "kubeinstall.proxy.component:Proxy",
    "kube-podnet": "kubeinstall.podnet.component:PodNetwork",
    "kube-dns": "kubeinstall.dns.component:ClusterDNS",
    "kube-servers": "kubeinstall.balancer.component:ServerList",
}


def load_class(name: str) -> type[Component[Any]]:
    """The class of a component; SettingsError for an unknown name."""
    if name not in CLASSES:
        raise SettingsError(f"there is no component {name!r}; there are {', '.join(CLASSES)}")
    module, _, attribute = CLASSES[name].partition(":")
    component: type[Component[Any]] = getattr(import_module(module), attribute)
    return component


def read_settings(path: Path) -> dict[str, dict[str, Any]]:
    """The components file: component → flag → value."""
    import yaml

    try:
        document = yaml.load(path.read_text(), Loader=yaml.CSafeLoader) or {}
    except (OSError, yaml.YAMLError) as error:
        raise SettingsError(f"{path}: cannot be read: {error}") from error
    if not isinstance(document, dict):
        raise SettingsError(f"{path}: must map component names to their settings")
    unknown = sorted(set(document) - set(CLASSES))
    if unknown:
        raise SettingsError(f"{path}: there is no component {unknown[0]!r}")
    return document


def run_process(command: str, arguments: Sequence[str]) -> int:
    """Run the command until it is told to end; the exit code."""
    options = _parser(command).parse_args(arguments)
    from kubeinstall.runtime import logs

    logs.configure(level=options.log_level, json=options.log_json)
    try:
        if command == "supervise":
            from kubeinstall.runtime.supervisor import Supervisor

            asyncio.run(Supervisor(options.config).run())
        else:
            from kubeinstall.runtime.host import run_components

            settings = read_settings(options.config)
            run_components(options.name, load_class, settings, str(options.config))
    except KubeinstallError as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    return 0


def _parser(command: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=f"kubeinstall component {command}")
    default = SUPERVISOR_FILE if command == "supervise" else COMPONENTS_FILE
    parser.add_argument("--config", type=Path, default=default, help="(default: %(default)s)")
    parser.add_argument(
        "--log-level", choices=["debug", "info", "warning", "error"], default="info"
    )
    parser.add_argument("--log-json", action="store_true", help="one JSON document a line")
    if command == "run":
        parser.add_argument(
            "name", nargs="+", choices=sorted(CLASSES), help="components to run in this process"
        )
        parser.description = "Run components in this process, until it is told to end."
    else:
        parser.description = "Keep the processes of the file alive, where there is no systemd."
    return parser
