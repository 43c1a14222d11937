"""containerd's own events, on the socket that also speaks CRI."""

from __future__ import annotations

from collections.abc import AsyncIterator

import grpc.aio

from kubeinstall._wire.containerd.events.v1 import events_pb2 as wire
from kubeinstall.kubelet.cri.client import CRI, CRIError

_FILTERS = ('topic=="/tasks/exit",namespace==k8s.io', 'topic=="/tasks/oom",namespace==k8s.io')


async def exits(cri: CRI) -> AsyncIterator[None]:
    """Yields once when listening, then each time a container (not a process inside one) ends."""
    subscribe = cri.channel.unary_stream(
        "/containerd.services.events.v1.Events/Subscribe",
        request_serializer=wire.SubscribeRequest.SerializeToString,
        response_deserializer=wire.Envelope.FromString,
    )
    call = subscribe(wire.SubscribeRequest(filters=_FILTERS))
    try:
        await call.initial_metadata()
        yield
        async for envelope in call:
            exit_event = wire.TaskExit.FromString(envelope.event.value)
            if not exit_event.id or exit_event.id == exit_event.container_id:
                yield
    except grpc.aio.AioRpcError as error:
        raise CRIError(error.code().name, error.details() or "") from error
    finally:
        call.cancel()
