"""Prometheus texts: `/metrics`, `/metrics/resource`, `/metrics/cadvisor`, `/metrics/probes`."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping

from kubeinstall.kubelet.manager import PodManager
from kubeinstall.kubelet.server.usage import (
    NANO,
    ContainerUsage,
    containers,
    node_cpu_seconds,
    node_memory,
)

Sample = tuple[Mapping[str, str], float]


def render(name: str, kind: str, text: str, samples: Iterable[Sample]) -> str:
    """One metric in the text format."""
    lines = [f"# HELP {name} {text}", f"# TYPE {name} {kind}"]
    for labels, value in samples:
        shown = ",".join(f'{key}="{_escape(item)}"' for key, item in labels.items())
        number = repr(float(value)) if value != int(value) else str(int(value))
        lines.append(f"{name}{{{shown}}} {number}" if shown else f"{name} {number}")
    return "\n".join(lines) + "\n"


def _escape(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _by_pod(used: list[ContainerUsage], value: str) -> list[Sample]:
    totals: dict[tuple[str, str], int] = {}
    for item in used:
        key = (item.namespace, item.pod)
        totals[key] = totals.get(key, 0) + int(getattr(item, value))
    scale = NANO if value == "cpu" else 1
    return [({"namespace": ns, "pod": pod}, total / scale) for (ns, pod), total in totals.items()]


async def resource_metrics(manager: PodManager) -> str:
    """What metrics-server reads."""
    used = await containers(manager)
    working, _ = node_memory()

    def each(value: str, scale: int = 1) -> list[Sample]:
        return [
            (
                {"container": item.name, "namespace": item.namespace, "pod": item.pod},
                getattr(item, value) / scale,
            )
            for item in used
        ]

    return "".join(
        (
            render("container_cpu_usage_seconds_total", "counter",
                   "[STABLE] Cumulative cpu time consumed by the container in core-seconds", each("cpu", NANO)),
            render("container_memory_working_set_bytes", "gauge",
                   "[STABLE] Current working set of the container in bytes", each("memory")),
            render("container_start_time_seconds", "gauge",
                   "[STABLE] Start time of the container since unix epoch in seconds", each("started_at")),
            render("node_cpu_usage_seconds_total", "counter",
                   "[STABLE] Cumulative cpu time consumed by the node in core-seconds", [({}, node_cpu_seconds())]),
            render("node_memory_working_set_bytes", "gauge",
                   "[STABLE] Current working set of the node in bytes", [({}, working)]),
            render("pod_cpu_usage_seconds_total", "counter",
                   "[STABLE] Cumulative cpu time consumed by the pod in core-seconds", _by_pod(used, "cpu")),
            render("pod_memory_working_set_bytes", "gauge",
                   "[STABLE] Current working set of the pod in bytes", _by_pod(used, "memory")),
            render("resource_scrape_error", "gauge",
                   "[STABLE] 1 if there was an error while getting container metrics, 0 otherwise", [({}, 0)]),
        )
    )  # fmt: skip


async def cadvisor_metrics(manager: PodManager) -> str:
    """The most used of cAdvisor's names."""
    used = await containers(manager)

    def each(value: str, scale: int = 1) -> list[Sample]:
        return [
            (
                {
                    "container": i.name,
                    "id": f"/kubepods/pod{i.uid}/{i.name}",
                    "namespace": i.namespace,
                    "pod": i.pod,
                },
                getattr(i, value) / scale,
            )
            for i in used
        ]

    return "".join(
        (
            render("container_cpu_usage_seconds_total", "counter",
                   "Cumulative cpu time consumed in seconds.", each("cpu", NANO)),
            render("container_memory_usage_bytes", "gauge", "Current memory usage in bytes.", each("usage")),
            render("container_memory_working_set_bytes", "gauge", "Current working set in bytes.", each("memory")),
            render("container_memory_rss", "gauge", "Size of RSS in bytes.", each("rss")),
            render("container_fs_usage_bytes", "gauge",
                   "Number of bytes that are consumed by the container on this filesystem.", each("disk")),
            render("container_start_time_seconds", "gauge",
                   "Start time of the container since unix epoch in seconds.", each("started_at")),
            render("container_last_seen", "gauge", "Last time a container was seen by the exporter",
                   [({"container": i.name, "namespace": i.namespace, "pod": i.pod}, time.time()) for i in used]),
            render("machine_cpu_cores", "gauge", "Number of logical CPU cores.", [({}, manager.parts.machine.cpus)]),
            render("machine_memory_bytes", "gauge", "Amount of memory installed on the machine.",
                   [({}, manager.parts.machine.memory)]),
        )
    )  # fmt: skip


def kubelet_metrics(manager: PodManager) -> str:
    """How many pods and containers the kubelet looks after."""
    states: dict[str, int] = {}
    for uid in manager.parts.runtime.uids():
        for container in manager.parts.runtime.get(uid).containers:
            states[container.state] = states.get(container.state, 0) + 1
    return "".join(
        (
            render("kubelet_node_name", "gauge", "The node's name. The count is always 1.",
                   [({"node": manager.parts.node_name}, 1)]),
            render("kubelet_running_pods", "gauge", "Number of pods that have a running pod sandbox",
                   [({}, sum(any(s.ready for s in manager.parts.runtime.get(u).sandboxes)
                             for u in manager.parts.runtime.uids()))]),
            render("kubelet_running_containers", "gauge", "Number of containers currently running",
                   [({"container_state": state}, count) for state, count in states.items()]),
            render("kubelet_desired_pods", "gauge", "The number of pods the kubelet is being instructed to run",
                   [({"static": ""}, len(manager.pods()))]),
        )
    )  # fmt: skip


def probe_metrics(manager: PodManager) -> str:
    """Probe results by kind."""
    samples = [
        ({"probe_type": kind, "result": result}, count)
        for (kind, result), count in manager.parts.probes.counts.items()
    ]
    return render(
        "prober_probe_total",
        "counter",
        "Cumulative number of a liveness, readiness or startup probe for a container by result.",
        samples,
    )
