"""Making a pod's sandbox."""

from __future__ import annotations

from typing import Any

from kubeinstall._wire.cri.v1 import api_pb2 as api
from kubeinstall.api.types import Object
from kubeinstall.errors import KubeinstallError
from kubeinstall.kubelet.cri import CRIError
from kubeinstall.kubelet.parts import Parts
from kubeinstall.kubelet.pod import spec
from kubeinstall.kubelet.translate.dns import pod_resolver
from kubeinstall.kubelet.translate.sandbox import SandboxInputs, sandbox_config
from kubeinstall.runtime.logs import get_logger

log = get_logger("kubelet")


class SandboxProblem(KubeinstallError):
    """The sandbox could not be made; the event has been sent."""


def make_config(parts: Parts, pod: Object, attempt: int) -> Any:
    """The sandbox's configuration, as it was or would be made; warns where cluster DNS is not known."""
    resolver, fell_back = pod_resolver(
        pod,
        cluster_dns=parts.config.cluster_dns,
        domain=parts.config.cluster_domain,
        resolv_conf=parts.config.resolv_conf,
    )
    if fell_back:
        text = (
            f'pod: "{spec.title(pod)}". kubelet does not have ClusterDNS IP configured and cannot create '
            'Pod using "ClusterFirst" policy. Falling back to "Default" policy.'
        )
        parts.recorder.event(pod, "Warning", "MissingClusterDNS", text)
    return sandbox_config(
        pod,
        SandboxInputs(
            attempt=attempt,
            log_folder=parts.paths.logs / spec.log_folder_name(pod),
            resolver=resolver,
            domain=parts.config.cluster_domain,
            cgroup_parent=parts.cgroups.parent(pod),
            seccomp_root=parts.paths.seccomp,
        ),
    )


async def create_sandbox(parts: Parts, pod: Object, attempt: int) -> tuple[str, Any]:
    """Run a new sandbox: (id, its configuration). Raises `SandboxProblem`."""
    if pod["spec"].get("hostUsers") is False:
        why = "can't set `spec.hostUsers: false`, runtime does not support user namespaces"
        text = f"Failed to create pod sandbox: {why}"
        parts.recorder.event(pod, "Warning", "FailedCreatePodSandBox", text)
        raise SandboxProblem(text)
    config = make_config(parts, pod, attempt)
    folder = parts.paths.logs / spec.log_folder_name(pod)
    folder.mkdir(parents=True, exist_ok=True)
    request = api.RunPodSandboxRequest(config=config)
    if pod["spec"].get("runtimeClassName"):
        request.runtime_handler = await _handler(parts, pod)
    try:
        async with parts.creating:
            answer = await parts.cri.call("RunPodSandbox", request, timeout=240)
    except CRIError as error:
        text = f"Failed to create pod sandbox: {error}"
        parts.recorder.event(pod, "Warning", "FailedCreatePodSandBox", text)
        raise SandboxProblem(text) from error
    return answer.pod_sandbox_id, config


async def _handler(parts: Parts, pod: Object) -> str:
    name = pod["spec"]["runtimeClassName"]
    try:
        found = await parts.client.get("node.k8s.io/v1/runtimeclasses", name)
    except KubeinstallError as error:
        text = f'Failed to create pod sandbox: failed to get sandbox runtime: RuntimeClass "{name}": {error}'
        parts.recorder.event(pod, "Warning", "FailedCreatePodSandBox", text)
        raise SandboxProblem(text) from error
    return str(found.get("handler") or "")
