"""Images for containers: pull policies, back-off, and upstream's events and error names.

Images that kubeinstall made on this host carry a label that says so. They have no registry behind them,
so `Always` is satisfied by what is here; every other image is pulled as upstream pulls it.
"""

from __future__ import annotations

import asyncio
import base64
import json
import re
import time
from dataclasses import dataclass
from typing import Any

from kubeinstall._wire.cri.v1 import api_pb2 as api
from kubeinstall.api.types import Object
from kubeinstall.client import EventRecorder
from kubeinstall.errors import KubeinstallError, NotFound, StatusError
from kubeinstall.kubelet.backoff import Backoffs
from kubeinstall.kubelet.cri import CRI, CRIError
from kubeinstall.kubelet.objects import Objects
from kubeinstall.kubelet.pod import spec

LOCAL_LABEL = "io.kubeinstall.local"
_REFERENCE = re.compile(
    r"^(?:[a-zA-Z0-9][a-zA-Z0-9.-]*(?::[0-9]+)?/)?[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*"
    r"(?:/[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*)*(?P<tag>:[\w][\w.-]{0,127})?(?P<digest>@[a-z0-9+.:-]+:[0-9a-fA-F]{32,})?$"
)


class ImageProblem(KubeinstallError):
    """The image is not there. `reason` is the container's waiting reason."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message


@dataclass(frozen=True, slots=True)
class Image:
    """An image on this node; `uid` and `user` are what it wants to run as."""

    ref: str
    uid: int | None
    user: str


class Images:
    """Makes images available, one pull at a time."""

    def __init__(self, cri: CRI, recorder: EventRecorder, objects: Objects) -> None:
        self._cri = cri
        self._recorder = recorder
        self._objects = objects
        self._backoffs = Backoffs()
        self._pulling = asyncio.Lock()
        self._failures: dict[str, tuple[float, str]] = {}

    async def ensure(self, pod: Object, container: Object, sandbox_config: Any) -> Image:
        """The image of a container, pulled if its policy says so. Raises `ImageProblem`."""
        name = _with_tag(str(container.get("image") or ""))
        if name is None:
            shown = container.get("image")
            message = f'Failed to apply default image tag "{shown}": couldn\'t parse image name'
            self._event(pod, container, "Warning", "InspectFailed", message)
            raise ImageProblem("InvalidImageName", message)
        policy = container.get("imagePullPolicy") or _default_policy(name)
        try:
            found = await self._cri.image_status(name, verbose=policy == "Always")
        except CRIError as error:
            message = f'Failed to inspect image "{name}": {error}'
            self._event(pod, container, "Warning", "InspectFailed", message)
            raise ImageProblem("ImageInspectError", message) from error
        if found is not None and (policy in ("IfNotPresent", "Never") or is_local(found)):
            shown = container["image"]
            message = f'Container image "{shown}" already present on machine and can be accessed by the pod'
            self._event(pod, container, "Normal", "Pulled", message)
            return _image(found.image)
        if policy == "Never":
            message = (
                f'Container image "{container["image"]}" is not present with pull policy of Never'
            )
            self._event(pod, container, "Warning", "ErrImageNeverPull", message)
            raise ImageProblem("ErrImageNeverPull", message)
        return await self._pull(pod, container, name, sandbox_config)

    async def _pull(self, pod: Object, container: Object, name: str, sandbox_config: Any) -> Image:
        shown = container["image"]
        key = f"{spec.uid(pod)}_{name}"
        if self._backoffs.waiting(key, self._last_failure(key)) > 0:
            message = f'Back-off pulling image "{shown}"'
            self._event(pod, container, "Normal", "BackOff", message)
            last = self._failures.get(key)
            detail = f": ErrImagePull: {last[1]}" if last else ""
            raise ImageProblem("ImagePullBackOff", message + detail)
        started = time.monotonic()
        self._event(pod, container, "Normal", "Pulling", f'Pulling image "{shown}"')
        async with self._pulling:
            begun = time.monotonic()
            try:
                await self._pull_with_secrets(pod, name, sandbox_config)
            except CRIError as error:
                self._failures[key] = (time.time(), str(error))
                while len(self._failures) > 1000:
                    self._failures.pop(next(iter(self._failures)))
                self._backoffs.next(key, time.time())
                self._event(
                    pod, container, "Warning", "Failed", f'Failed to pull image "{shown}": {error}'
                )
                raise ImageProblem("ErrImagePull", str(error)) from error
        self._backoffs.forget(key)
        self._failures.pop(key, None)
        found = await self._cri.image_status(name)
        if found is None:
            raise ImageProblem("ErrImagePull", f'image "{shown}" is gone after it was pulled')
        took, waited = time.monotonic() - begun, time.monotonic() - started
        self._event(
            pod, container, "Normal", "Pulled",
            f'Successfully pulled image "{shown}" in {_duration(took)} ({_duration(waited)} including '
            f"waiting). Image size: {found.image.size} bytes.",
        )  # fmt: skip
        return _image(found.image)

    def _last_failure(self, key: str) -> float:
        return self._failures.get(key, (0.0, ""))[0]

    async def _pull_with_secrets(self, pod: Object, name: str, sandbox_config: Any) -> None:
        credentials = await self._credentials(pod, name)
        last: CRIError | None = None
        for auth in credentials or [None]:
            request = api.PullImageRequest(
                image=api.ImageSpec(image=name), sandbox_config=sandbox_config
            )
            if auth is not None:
                request.auth.CopyFrom(auth)
            try:
                await self._cri.call("PullImage", request, timeout=0)
                return
            except CRIError as error:
                last = error
        if last is not None:
            raise last

    async def _credentials(self, pod: Object, name: str) -> list[Any]:
        """What imagePullSecrets say for the image's registry."""
        registry = _registry(name)
        made = []
        for reference in pod["spec"].get("imagePullSecrets") or []:
            try:
                secret = await self._objects.get(
                    spec.uid(pod), "v1/secrets", spec.namespace(pod), reference["name"]
                )
            except (NotFound, StatusError):
                continue  # upstream warns and tries without
            made += _auths(secret, registry)
        return made

    def _event(self, pod: Object, container: Object, kind: str, reason: str, text: str) -> None:
        path = spec.field_path(pod, container)
        self._recorder.event(pod, kind, reason, text, field_path=path)


def _with_tag(name: str) -> str | None:
    match = _REFERENCE.match(name)
    if match is None:
        return None
    return name if match["tag"] or match["digest"] else f"{name}:latest"


def _default_policy(name: str) -> str:
    return "Always" if name.endswith(":latest") else "IfNotPresent"


def _image(message: Any) -> Image:
    user = message.username.split(":", 1)[0]
    if message.HasField("uid"):
        return Image(message.id, message.uid.value, "")
    if not user:
        return Image(message.id, 0, "")
    return Image(message.id, None, user)


def is_local(answer: Any) -> bool:
    """Whether a verbose `ImageStatusResponse` is of an image made on this host, without a registry behind it."""
    text = answer.info.get("info")
    if not text:
        return False
    try:
        config = json.loads(text).get("imageSpec", {}).get("config", {})
    except ValueError:
        return False
    return bool((config.get("Labels") or {}).get(LOCAL_LABEL) == "true")


def _registry(name: str) -> str:
    first, slash, _ = name.partition("/")
    if slash and ("." in first or ":" in first or first == "localhost"):
        return first
    return "docker.io"


def _auths(secret: Object, registry: str) -> list[Any]:
    data = secret.get("data") or {}
    raw = data.get(".dockerconfigjson") or data.get(".dockercfg")
    if not raw:
        return []
    try:
        document = json.loads(base64.b64decode(raw))
        listed = document.get("auths", document)
        made = []
        for server, entry in listed.items():
            host = server.partition("://")[2] or server
            if host.split("/", 1)[0].removeprefix("index.") != registry:
                continue
            user, password = entry.get("username", ""), entry.get("password", "")
            if not user and entry.get("auth"):
                user, _, password = base64.b64decode(entry["auth"]).decode().partition(":")
            made.append(api.AuthConfig(username=user, password=password, server_address=server))
        return made
    except (ValueError, AttributeError):
        return []  # a malformed secret is no credential, as upstream


def _duration(seconds: float) -> str:
    return f"{seconds:.3f}s" if seconds >= 1 else f"{seconds * 1000:.0f}ms"
