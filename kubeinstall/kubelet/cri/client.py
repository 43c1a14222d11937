"""CRI calls over one gRPC channel to the runtime's unix socket.

Messages are those of `proto/cri/v1/api.proto`, reached as `api.X`. A call that fails raises `CRIError`
with the gRPC code and the runtime's own words, which go into events as they are.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
import grpc.aio
from google.protobuf import message_factory

from kubeinstall._wire.cri.v1 import api_pb2 as api
from kubeinstall.errors import KubeinstallError

DEFAULT_TIMEOUT = 120.0
"""Seconds: upstream's runtimeRequestTimeout."""

_OPTIONS = (
    ("grpc.max_receive_message_length", 16 * 1024 * 1024),
    ("grpc.max_send_message_length", 16 * 1024 * 1024),
    # containerd may restart at any time: try again quickly and for ever.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 2000),
    ("grpc.enable_retries", 0),
    ("grpc.so_reuseport", 0),
)


class CRIError(KubeinstallError):
    """The runtime refused a call or could not be reached. `code` is the gRPC status name."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message

    def __str__(self) -> str:
        return f"rpc error: code = {_GO_NAMES.get(self.code, self.code)} desc = {self.message}"


_GO_NAMES = {
    "CANCELLED": "Canceled",
    "UNKNOWN": "Unknown",
    "INVALID_ARGUMENT": "InvalidArgument",
    "DEADLINE_EXCEEDED": "DeadlineExceeded",
    "NOT_FOUND": "NotFound",
    "ALREADY_EXISTS": "AlreadyExists",
    "PERMISSION_DENIED": "PermissionDenied",
    "RESOURCE_EXHAUSTED": "ResourceExhausted",
    "FAILED_PRECONDITION": "FailedPrecondition",
    "ABORTED": "Aborted",
    "OUT_OF_RANGE": "OutOfRange",
    "UNIMPLEMENTED": "Unimplemented",
    "INTERNAL": "Internal",
    "UNAVAILABLE": "Unavailable",
    "DATA_LOSS": "DataLoss",
    "UNAUTHENTICATED": "Unauthenticated",
}


class CRI:
    """The runtime and image services behind one socket (`unix:///run/containerd/containerd.sock`)."""

    def __init__(self, endpoint: str, *, timeout: float = DEFAULT_TIMEOUT) -> None:
        self.endpoint = endpoint if "://" in endpoint else f"unix://{endpoint}"
        self.timeout = timeout
        self.channel = grpc.aio.insecure_channel(self.endpoint, options=_OPTIONS)
        self._calls = _calls(self.channel)

    async def close(self) -> None:
        """End the channel; calls under way are cancelled."""
        await self.channel.close()

    async def call(self, method: str, request: Any, *, timeout: float | None = None) -> Any:
        """One unary call, e.g. `call("Version", api.VersionRequest())`. Seconds; 0 is no limit."""
        limit = self.timeout if timeout is None else timeout
        try:
            return await self._calls[method](request, timeout=limit or None)
        except grpc.aio.AioRpcError as error:
            raise CRIError(error.code().name, error.details() or "") from error
        except asyncio.CancelledError:
            # grpc.aio raises this too when the channel is closed under a call.
            raise

    async def stream(self, method: str, request: Any) -> AsyncIterator[Any]:
        """One server-streaming call."""
        call = self._calls[method](request)
        try:
            async for message in call:
                yield message
        except grpc.aio.AioRpcError as error:
            raise CRIError(error.code().name, error.details() or "") from error
        finally:
            call.cancel()

    # What is used in more than one place, with plain arguments.

    async def version(self) -> Any:
        """`VersionResponse`: runtime_name, runtime_version, runtime_api_version."""
        return await self.call("Version", api.VersionRequest(version="v1"), timeout=10)

    async def status(self) -> Any:
        """`StatusResponse` with the conditions RuntimeReady and NetworkReady."""
        return await self.call("Status", api.StatusRequest(verbose=False), timeout=10)

    async def list_sandboxes(self) -> list[Any]:
        """All sandboxes, running or not."""
        return list((await self.call("ListPodSandbox", api.ListPodSandboxRequest())).items)

    async def list_containers(self) -> list[Any]:
        """All containers, running or not."""
        return list((await self.call("ListContainers", api.ListContainersRequest())).containers)

    async def sandbox_status(self, sandbox_id: str) -> Any:
        """`PodSandboxStatus` of one sandbox."""
        request = api.PodSandboxStatusRequest(pod_sandbox_id=sandbox_id)
        return (await self.call("PodSandboxStatus", request)).status

    async def container_status(self, container_id: str) -> Any:
        """`ContainerStatus` of one container."""
        request = api.ContainerStatusRequest(container_id=container_id)
        return (await self.call("ContainerStatus", request)).status

    async def stop_sandbox(self, sandbox_id: str) -> None:
        """Stop a sandbox and all in it, and release its network; not found is done."""
        await self._ignore_missing(
            "StopPodSandbox", api.StopPodSandboxRequest(pod_sandbox_id=sandbox_id)
        )

    async def remove_sandbox(self, sandbox_id: str) -> None:
        """Remove a sandbox and its containers; not found is done."""
        await self._ignore_missing(
            "RemovePodSandbox", api.RemovePodSandboxRequest(pod_sandbox_id=sandbox_id)
        )

    async def stop_container(self, container_id: str, grace: int) -> None:
        """Stop signal, then SIGKILL after `grace` seconds; not found is done."""
        request = api.StopContainerRequest(container_id=container_id, timeout=grace)
        await self._ignore_missing("StopContainer", request, timeout=grace + self.timeout)

    async def remove_container(self, container_id: str) -> None:
        """Remove a container; not found is done."""
        await self._ignore_missing(
            "RemoveContainer", api.RemoveContainerRequest(container_id=container_id)
        )

    async def exec_sync(
        self, container_id: str, command: list[str], timeout: float
    ) -> tuple[int, bytes, bytes]:
        """Run a command in a container: exit code, standard output, standard error.

        Raises `CRIError` DEADLINE_EXCEEDED where it did not end within `timeout` seconds (0: no limit).
        """
        request = api.ExecSyncRequest(
            container_id=container_id, cmd=command, timeout=max(0, round(timeout))
        )
        limit = timeout + self.timeout if timeout else 0
        answer = await self.call("ExecSync", request, timeout=limit)
        return answer.exit_code, answer.stdout, answer.stderr

    async def image_status(self, image: str, *, verbose: bool = False) -> Any | None:
        """`ImageStatusResponse` where the image is on this node, else None."""
        request = api.ImageStatusRequest(image=api.ImageSpec(image=image), verbose=verbose)
        answer = await self.call("ImageStatus", request)
        return answer if answer.HasField("image") and answer.image.id else None

    async def list_images(self) -> list[Any]:
        """All images."""
        return list((await self.call("ListImages", api.ListImagesRequest())).images)

    async def _ignore_missing(
        self, method: str, request: Any, *, timeout: float | None = None
    ) -> None:
        try:
            await self.call(method, request, timeout=timeout)
        except CRIError as error:
            if error.code != "NOT_FOUND":
                raise


def _calls(channel: Any) -> dict[str, Any]:
    """Method name → callable, from the services of the proto file."""
    calls: dict[str, Any] = {}
    for service in api.DESCRIPTOR.services_by_name.values():
        for method in service.methods:
            kind = channel.unary_stream if method.server_streaming else channel.unary_unary
            request = message_factory.GetMessageClass(method.input_type)
            answer = message_factory.GetMessageClass(method.output_type)
            calls[method.name] = kind(
                f"/{service.full_name}/{method.name}",
                request_serializer=request.SerializeToString,
                response_deserializer=answer.FromString,
            )
    return calls
