"""The mounts of a container: its volumes, the hosts file, the termination message."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from pathlib import Path

from kubeinstall.api.types import Object
from kubeinstall.errors import KubeinstallError
from kubeinstall.kubelet.paths import Paths
from kubeinstall.kubelet.pod import spec
from kubeinstall.kubelet.pod.expand import expand_strict
from kubeinstall.kubelet.translate.container import DEFAULT_TERMINATION_PATH, Device, Mount
from kubeinstall.kubelet.translate.hosts import HOSTS_PATH, hosts_file
from kubeinstall.kubelet.volumes import subpath
from kubeinstall.kubelet.volumes.manager import Mounted
from kubeinstall.kubelet.volumes.payload import PayloadProblem


class MountProblem(KubeinstallError):
    """A mount cannot be made; becomes CreateContainerConfigError."""


@dataclass(slots=True)
class Mounts:
    """What a container gets."""

    mounts: list[Mount] = field(default_factory=list)
    devices: list[Device] = field(default_factory=list)


def make_mounts(
    pod: Object,
    container: Object,
    volumes: dict[str, Mounted],
    environment: dict[str, str],
    paths: Paths,
) -> Mounts:
    """The volume mounts in the container's order, parents before what is mounted inside them."""
    made = Mounts()
    for index, mount in enumerate(container.get("volumeMounts") or []):
        volume = volumes.get(mount["name"])
        if volume is None:
            raise MountProblem(
                f'cannot find volume "{mount["name"]}" to mount into container "{container["name"]}"'
            )
        host = _source(pod, container, mount, index, volume, environment, paths)
        target = str(mount["mountPath"])
        made.mounts.append(
            Mount(
                container_path=target if target.startswith("/") else f"/{target}",
                host_path=str(host),
                readonly=bool(mount.get("readOnly")) or volume.readonly,
                propagation=mount.get("mountPropagation") or "None",
            )
        )
    for device in container.get("volumeDevices") or []:
        volume = volumes.get(device["name"])
        if volume is None or not volume.device:
            raise MountProblem(f'cannot find block volume "{device["name"]}"')
        permissions = "r" if volume.readonly else "mrw"
        made.devices.append(Device(device["devicePath"], volume.device, permissions))
    return made


def _source(
    pod: Object,
    container: Object,
    mount: Object,
    index: int,
    volume: Mounted,
    environment: dict[str, str],
    paths: Paths,
) -> Path:
    part = str(mount.get("subPath") or "")
    if mount.get("subPathExpr"):
        try:
            part = expand_strict(mount["subPathExpr"], environment)
        except KeyError as error:
            raise MountProblem(
                f"missing value for {error.args[0]!r}: failed to expand subPathExpr"
            ) from error
    if not part:
        return volume.path
    target = paths.subpath(spec.uid(pod), mount["name"], container["name"], index)
    try:
        subpath.bind(volume.path, part, target)
    except PayloadProblem as error:
        raise MountProblem(
            f'failed to prepare subPath for volumeMount "{mount["name"]}" of container '
            f'"{container["name"]}": {error}'
        ) from error
    except OSError as error:
        raise MountProblem(
            f'failed to prepare subPath for volumeMount "{mount["name"]}" of container '
            f'"{container["name"]}": {error}'
        ) from error
    return target


def hosts_mount(
    pod: Object, container: Object, ips: list[str], domain: str, paths: Paths
) -> Mount | None:
    """The managed /etc/hosts; none where the container mounts one itself."""
    for mount in container.get("volumeMounts") or []:
        if mount.get("mountPath") == HOSTS_PATH:
            return None
    if not ips and not spec.host_network(pod):
        return None
    file = paths.hosts(spec.uid(pod))
    file.parent.mkdir(parents=True, exist_ok=True)
    text = hosts_file(pod, ips, domain)
    if not file.exists() or file.read_text() != text:
        file.write_text(text)  # in place: running containers have this very file mounted
        file.chmod(0o644)
    return Mount(HOSTS_PATH, str(file))


def termination_mount(pod: Object, container: Object, paths: Paths) -> Mount:
    """A fresh file for the container's last words, writable by whoever it runs as."""
    folder = paths.container(spec.uid(pod), container["name"])
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.iterdir():
        old.unlink(missing_ok=True)
    file = folder / secrets.token_hex(4)
    file.touch()
    file.chmod(0o666)
    return Mount(container.get("terminationMessagePath") or DEFAULT_TERMINATION_PATH, str(file))
