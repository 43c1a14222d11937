"""The volumes of all pods: set up once, refreshed when what they show changes, taken away at the end."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from kubeinstall.api.types import Object
from kubeinstall.client import ApiClient
from kubeinstall.errors import KubeinstallError, StatusError
from kubeinstall.kubelet.images import ImageProblem
from kubeinstall.kubelet.objects import Objects
from kubeinstall.kubelet.paths import Paths
from kubeinstall.kubelet.pod import resources, spec
from kubeinstall.kubelet.tokens import Tokens
from kubeinstall.kubelet.volumes import atomic, hostpath, mounts
from kubeinstall.kubelet.volumes.image import PLUGIN as IMAGE
from kubeinstall.kubelet.volumes.image import ImageVolumes
from kubeinstall.kubelet.volumes.ownership import set_group
from kubeinstall.kubelet.volumes.payload import PayloadProblem, Sources, make_payload

_PLUGINS = {
    "configMap": "configmap",
    "secret": "secret",
    "downwardAPI": "downward-api",
    "projected": "projected",
}
_SECRET_KINDS = frozenset({"secret", "downwardAPI", "projected"})


class VolumeProblem(KubeinstallError):
    """A volume could not be set up; the message is that of upstream's FailedMount event."""

    def __init__(self, volume: str, why: str) -> None:
        super().__init__(f'MountVolume.SetUp failed for volume "{volume}" : {why}')
        self.volume = volume


@dataclass(frozen=True, slots=True)
class Mounted:
    """A volume on the host. `device` is a block volume's; with a `problem` it is not there yet."""

    path: Path
    readonly: bool = False
    device: str = ""
    problem: ImageProblem | None = None


class Volumes:
    """Sets up, refreshes and tears down; every step may be repeated after a crash at any point."""

    def __init__(
        self,
        client: ApiClient,
        paths: Paths,
        objects: Objects,
        tokens: Tokens,
        allocatable: dict[str, str],
        images: ImageVolumes,
    ) -> None:
        self._client = client
        self._paths = paths
        self._objects = objects
        self._tokens = tokens
        self._allocatable = allocatable
        self._images = images
        self._mounted: dict[str, dict[str, Mounted]] = {}

    async def set_up(self, pod: Object) -> dict[str, Mounted]:
        """Every volume that a container mounts, by name. Raises `VolumeProblem`.

        An image that cannot be had holds back only the containers that mount it: its volume has a `problem`.
        """
        uid = spec.uid(pod)
        known = self._mounted.setdefault(uid, {})
        missing: dict[str, Mounted] = {}
        used = {
            mount["name"]
            for container in spec.all_containers(pod)
            for mount in (
                *(container.get("volumeMounts") or []),
                *(container.get("volumeDevices") or []),
            )
        }
        for volume in pod["spec"].get("volumes") or []:
            name = volume["name"]
            if name in known or name not in used:
                continue
            made = await self._guarded(pod, volume)
            if made.problem is None:
                known[name] = made
            else:
                missing[name] = made
        return {**known, **missing}

    async def refresh(self, pod: Object) -> None:
        """Write changed configMap, secret, downwardAPI and projected content into set-up volumes."""
        known = self._mounted.get(spec.uid(pod), {})
        for volume in pod["spec"].get("volumes") or []:
            if volume["name"] in known and _kind(volume) in _PLUGINS:
                known[volume["name"]] = await self._guarded(pod, volume)

    def due(self, uid: str) -> bool:
        """Whether a token that a volume shows must be renewed."""
        return self._tokens.needs_renewal(uid)

    def known(self, uid: str) -> dict[str, Mounted]:
        """What is set up."""
        return self._mounted.get(uid, {})

    def is_set_up(self, uid: str) -> bool:
        """Whether this process set up volumes of the pod."""
        return uid in self._mounted

    async def tear_down(self, uid: str) -> None:
        """Unmount everything of the pod and remove its folder."""
        folder = self._paths.pod(uid)
        for point in mounts.mounts_under(folder):
            mounts.unmount(point)
        await self._images.tear_down(folder)
        if folder.exists():
            await asyncio.to_thread(_remove, folder)
        self._mounted.pop(uid, None)
        self._objects.release(uid)
        self._tokens.release(uid)

    async def _guarded(self, pod: Object, volume: Object) -> Mounted:
        try:
            return await self._set_up_one(pod, volume)
        except VolumeProblem:
            raise
        except KubeinstallError as error:
            why = error.message if isinstance(error, StatusError) else str(error)
            raise VolumeProblem(volume["name"], why) from error
        except OSError as error:
            raise VolumeProblem(volume["name"], str(error)) from error

    async def _set_up_one(self, pod: Object, volume: Object) -> Mounted:
        kind = _kind(volume)
        if kind in _PLUGINS:
            return await self._content(pod, volume, kind)
        if kind == "emptyDir":
            return await self._empty_dir(pod, volume)
        if kind == "hostPath":
            path = Path(volume["hostPath"]["path"])
            hostpath.prepare(path, volume["hostPath"].get("type") or "")
            return Mounted(path)
        if kind in ("persistentVolumeClaim", "ephemeral"):
            return await self._claim(pod, volume, kind)
        if kind == "nfs":
            return self._nfs(spec.uid(pod), volume["name"], volume["nfs"])
        if kind == IMAGE:
            target = self._paths.volume(spec.uid(pod), IMAGE, volume["name"])
            try:
                await self._images.set_up(pod, volume, target)
            except ImageProblem as error:
                return Mounted(target, readonly=True, problem=error)
            return Mounted(target, readonly=True)
        raise PayloadProblem(f"no volume plugin matched: {kind}")

    async def _content(self, pod: Object, volume: Object, kind: str) -> Mounted:
        uid = spec.uid(pod)

        async def fetch(resource: str, namespace: str, name: str) -> Object:
            return await self._objects.get(uid, resource, namespace, name)

        sources = Sources(fetch, self._bundles, self._tokens, self._allocatable)
        payload = await make_payload(pod, volume, sources)
        target = self._paths.volume(uid, _PLUGINS[kind], volume["name"])
        target.mkdir(parents=True, exist_ok=True)
        if kind in _SECRET_KINDS and not mounts.is_mount_point(target):
            # Secrets live in memory only.
            mounts.mount("tmpfs", target, "tmpfs", mounts.MS_NOSUID | mounts.MS_NODEV)
        group = _fs_group(pod)
        atomic.write(target, payload, group)
        target.chmod(0o777 | (0o2000 if group is not None else 0) | 0o1000)
        if group is not None:
            os.chown(target, -1, group)
        return Mounted(target, readonly=True)

    async def _empty_dir(self, pod: Object, volume: Object) -> Mounted:
        source = volume["emptyDir"] or {}
        path = self._paths.volume(spec.uid(pod), "empty-dir", volume["name"])
        fresh = not path.exists()
        path.mkdir(parents=True, exist_ok=True)
        medium = source.get("medium") or ""
        if medium and not mounts.is_mount_point(path):
            if medium == "Memory":
                size = _memory_size(pod, source)
                options = f"size={size},mode=0777" if size else "mode=0777"
                mounts.mount("tmpfs", path, "tmpfs", 0, options)
            elif medium.startswith("HugePages"):
                page = medium.partition("-")[2].removesuffix("i")
                mounts.mount("nodev", path, "hugetlbfs", 0, f"pagesize={page}" if page else "")
            fresh = True
        if fresh:
            path.chmod(0o777)
            group = _fs_group(pod)
            if group is not None:
                await asyncio.to_thread(set_group, path, group)
        return Mounted(path)

    async def _claim(self, pod: Object, volume: Object, kind: str) -> Mounted:
        namespace = spec.namespace(pod)
        if kind == "ephemeral":
            name, readonly = f"{spec.name(pod)}-{volume['name']}", False
        else:
            source = volume["persistentVolumeClaim"]
            name, readonly = source["claimName"], bool(source.get("readOnly"))
        claim = await self._client.get("v1/persistentvolumeclaims", name, namespace)
        volume_name = claim["spec"].get("volumeName")
        if (claim.get("status") or {}).get("phase") != "Bound" or not volume_name:
            raise PayloadProblem(f"PVC {namespace}/{name} is not bound")
        pv = await self._client.get("v1/persistentvolumes", volume_name)
        mounted = self._persistent(spec.uid(pod), volume_name, pv["spec"])
        group = _fs_group(pod)
        if group is not None and "local" in pv["spec"] and not readonly:
            policy = pod["spec"]["securityContext"].get("fsGroupChangePolicy") or "Always"
            await asyncio.to_thread(set_group, mounted.path, group, policy=policy)
        return Mounted(mounted.path, readonly or mounted.readonly, mounted.device)

    def _persistent(self, uid: str, name: str, source: Object) -> Mounted:
        if "hostPath" in source:
            path = Path(source["hostPath"]["path"])
            hostpath.prepare(path, source["hostPath"].get("type") or "")
            return Mounted(path)
        if "local" in source:
            path = Path(source["local"]["path"])
            if not path.exists():
                raise PayloadProblem(f'path "{path}" does not exist')
            if source.get("volumeMode") == "Block":
                return Mounted(path, device=str(path.resolve()))
            return Mounted(path)
        if "nfs" in source:
            return self._nfs(uid, name, source["nfs"])
        kinds = sorted(set(source) & {"csi", "iscsi", "fc", "rbd", "cephfs"})
        raise PayloadProblem(f"no volume plugin matched: {', '.join(kinds) or 'unknown'}")

    def _nfs(self, uid: str, name: str, source: Object) -> Mounted:
        target = self._paths.volume(uid, "nfs", name)
        target.mkdir(parents=True, exist_ok=True)
        if not mounts.is_mount_point(target):
            readonly = mounts.MS_RDONLY if source.get("readOnly") else 0
            remote = f"{source['server']}:{source['path']}"
            mounts.mount(remote, target, "nfs4", readonly, f"addr={source['server']}")
        return Mounted(target, readonly=bool(source.get("readOnly")))

    async def _bundles(self, source: Object) -> list[Object]:
        gvr = "certificates.k8s.io/v1beta1/clustertrustbundles"
        if source.get("name"):
            with contextlib.suppress(StatusError):
                return [await self._client.get(gvr, source["name"])]
            return []
        selector = source.get("labelSelector")
        if selector is None:
            return []
        labels = ",".join(f"{k}={v}" for k, v in (selector.get("matchLabels") or {}).items())
        listed = await self._client.list(
            gvr, label_selector=labels, field_selector=f"spec.signerName={source['signerName']}"
        )
        return list(listed["items"])


def _kind(volume: Object) -> str:
    for name, value in volume.items():
        if name != "name" and value is not None:
            return name
    return "emptyDir"


def _fs_group(pod: Object) -> int | None:
    group = (pod["spec"].get("securityContext") or {}).get("fsGroup")
    return None if group is None else int(group)


def _memory_size(pod: Object, source: Object) -> int:
    """Bytes: the size limit, no more than the pod's memory limit where it has one."""
    listed = resources.pod_cgroup_limits(pod).memory
    limit = source.get("sizeLimit")
    sizes = [listed] if listed else []
    if limit:
        sizes.append(resources.amounts({"size": limit})["size"].value)
    return min(sizes, default=0)


def _remove(folder: Path) -> None:
    """Remove a pod's folder, but never what another file system holds."""
    if mounts.mounts_under(folder):
        raise OSError(16, "something is still mounted", str(folder))
    shutil.rmtree(folder)
