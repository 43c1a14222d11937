"""`--patches`: files of a directory that change what kubeadm would write, named `target[suffix][+type].json|yaml`.

The kubelet's configuration is the one target that there is here. kubeadm's others are static pods and a Deployment;
our components are programs that take `extraArgs`, so a patch of those is refused rather than forgotten.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import yaml

from kubeinstall.api.patch import json_patch, merge_patch
from kubeinstall.errors import KubeinstallError, StatusError

Object = dict[str, Any]

KUBELET = "kubeletconfiguration"
_REFUSED = {
    "kube-apiserver": "use apiServer.extraArgs",
    "kube-controller-manager": "use controllerManager.extraArgs",
    "kube-scheduler": "use scheduler.extraArgs",
    "etcd": "use etcd.local.extraArgs",
    "corednsdeployment": "the cluster DNS is a program on every node",
}
_NAME = re.compile(r"(?P<head>[^+]+)(?:\+(?P<type>[^.]*))?\.(?P<form>json|yaml)")
# The configuration's lists have no merge keys, so that strategic is merge.
_TYPES: dict[str, Callable[[Any, Any], Any]] = {
    "strategic": merge_patch,
    "merge": merge_patch,
    "json": json_patch,
}


def kubelet_patches(directory: Path) -> list[tuple[Path, str, Any]]:
    """(file, type, patch) in the order of names. KubeinstallError names the file and what is wrong with it.

    Files of another form, or of no target of kubeadm's, are left alone, as kubeadm does.
    """
    try:
        files = sorted(path for path in directory.iterdir() if path.is_file())
    except OSError as error:
        raise KubeinstallError(f"--patches: {directory}: {error.strerror}") from error
    return [
        (path, kind, document) for path, kind in _chosen(files) for document in _documents(path)
    ]


def patched(document: Object, directory: str) -> Object:
    """The kubelet's configuration with the patches of a directory; as it is without one."""
    for path, kind, patch in kubelet_patches(Path(directory)) if directory else ():
        try:
            document = _TYPES[kind](document, patch)
        except (StatusError, TypeError, ValueError, KeyError) as error:
            raise KubeinstallError(f"--patches: {path}: it cannot be applied: {error}") from error
        if not isinstance(document, dict):
            raise KubeinstallError(f"--patches: {path}: what it makes is no configuration")
    return document


def _chosen(files: list[Path]) -> Iterator[tuple[Path, str]]:
    for path in files:
        match = _NAME.fullmatch(path.name)
        if match is None:
            continue
        head, kind = match["head"], match["type"] or "strategic"
        for target, instead in _REFUSED.items():
            if head.startswith(target):
                raise KubeinstallError(
                    f"--patches: {path}: there is no static pod or Deployment of {target} here; {instead}"
                )
        if not head.startswith(KUBELET):
            continue
        if kind not in _TYPES:
            known = ", ".join(_TYPES)
            raise KubeinstallError(f'--patches: {path}: unknown patch type "{kind}"; {known}')
        yield path, kind


def _documents(path: Path) -> list[Any]:
    try:
        text = path.read_text()
        found = [json.loads(text)] if path.suffix == ".json" else list(yaml.safe_load_all(text))
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise KubeinstallError(f"--patches: {path}: cannot be read: {error}") from error
    return [document for document in found if document is not None]
