"""`/containerLogs/<namespace>/<pod>/<container>`."""

from __future__ import annotations

import datetime
from pathlib import Path

from aiohttp import web

from kubeinstall.api.types import Object
from kubeinstall.kubelet.cri.types import CREATED, RUNNING
from kubeinstall.kubelet.logs.follow import LogOptions, read_log
from kubeinstall.kubelet.manager import PodManager
from kubeinstall.kubelet.pod import spec
from kubeinstall.kubelet.worker import PodWorker


async def container_logs(
    request: web.BaseRequest, manager: PodManager, namespace: str, pod: str, container: str
) -> web.StreamResponse:
    """Stream a log; 404 for no such pod or container, 400 where there is no log yet."""
    worker = manager.find(pod, namespace)
    if worker is None:
        return web.Response(status=404, text=f'pod "{pod}" does not exist\n')
    if not any(c["name"] == container for c in spec.all_containers(worker.pod)):
        return web.Response(status=404, text=f'container "{container}" not found in pod "{pod}"\n')
    try:
        options = _options(request)
    except ValueError as error:
        return web.Response(status=422, text=f"{error}\n")
    previous = request.query.get("previous") in ("true", "1")
    status = manager.parts.status.get(worker.pod)
    try:
        container_id = log_target(status, pod, container, previous=previous)
    except LookupError as error:
        return web.Response(status=400, text=str(error.args[0]))
    return await _send(request, manager, worker, container_id, options)


def log_target(status: Object, pod: str, container: str, *, previous: bool) -> str:
    """The id of the container whose log is asked for; LookupError with upstream's words."""
    listed = [
        entry
        for member in ("containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses")
        for entry in status.get(member) or []
    ]
    found = next((entry for entry in listed if entry["name"] == container), None)
    where = f'container "{container}" in pod "{pod}"'
    if found is None:
        raise LookupError(f"{where} is not available")
    state, last = found["state"], (found.get("lastState") or {}).get("terminated")
    if previous:
        if not last or not last.get("containerID"):
            raise LookupError(
                f'previous terminated container "{container}" in pod "{pod}" not found'
            )
        return str(last["containerID"]).partition("://")[2]
    if state.get("running") or state.get("terminated"):
        shown = (state.get("terminated") or {}).get("containerID") or found.get("containerID") or ""
        if shown:
            return str(shown).partition("://")[2]
        if last and last.get("containerID"):
            return str(last["containerID"]).partition("://")[2]
        raise LookupError(f"{where} is terminated")
    if last and last.get("containerID"):
        return str(last["containerID"]).partition("://")[2]
    reason = (state.get("waiting") or {}).get("reason", "")
    if reason == "ErrImagePull":
        raise LookupError(f"{where} is waiting to start: image can't be pulled")
    if reason == "ImagePullBackOff":
        raise LookupError(f"{where} is waiting to start: trying and failing to pull image")
    raise LookupError(f"{where} is waiting to start: {reason}")


async def _send(
    request: web.BaseRequest,
    manager: PodManager,
    worker: PodWorker,
    container_id: str,
    options: LogOptions,
) -> web.StreamResponse:
    known = manager.parts.runtime.get(worker.uid).by_id(container_id)
    if known is None or not _exists(known.log_path):
        text = f"unable to retrieve container logs for containerd://{container_id}"
        return web.Response(text=text)

    def alive() -> bool:
        current = manager.parts.runtime.get(worker.uid).by_id(container_id)
        return current is not None and current.state in (RUNNING, CREATED)

    response = web.StreamResponse(headers={"Content-Type": "text/plain"})
    response.enable_chunked_encoding()
    await response.prepare(request)
    async for chunk in read_log(Path(known.log_path), options, alive):
        await response.write(chunk)
    await response.write_eof()
    return response


def _exists(path: str) -> bool:
    return Path(path).exists()


def _options(request: web.BaseRequest) -> LogOptions:
    query = request.query

    def number(name: str) -> int | None:
        text = query.get(name)
        return None if text in (None, "") else int(str(text))

    tail = number("tailLines")
    if query.get("tail") not in (None, "", "all"):
        tail = number("tail")
    since = b""
    seconds = number("sinceSeconds")
    if seconds is not None:
        moment = datetime.datetime.now(datetime.UTC) - datetime.timedelta(seconds=seconds)
        since = moment.strftime("%Y-%m-%dT%H:%M:%S.%f000Z").encode()
    elif query.get("sinceTime"):
        moment = datetime.datetime.fromisoformat(query["sinceTime"]).astimezone(datetime.UTC)
        since = moment.strftime("%Y-%m-%dT%H:%M:%S.%f000Z").encode()
    return LogOptions(
        follow=query.get("follow") in ("true", "1"),
        timestamps=query.get("timestamps") in ("true", "1"),
        tail_lines=tail,
        limit_bytes=number("limitBytes"),
        since=since,
        stream=query.get("stream") or "All",
    )
