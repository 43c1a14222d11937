"""Pod Security: levels in upstream's words."""

from __future__ import annotations

import pytest

from kubeinstall.api.types import Object
from kubeinstall.apiserver.admission.security import PodSecurity
from kubeinstall.apiserver.admission.security.policy import Level, violations
from kubeinstall.apiserver.request import UPDATE
from kubeinstall.errors import Forbidden, Invalid
from tests.unit.apiserver_policy.memory import MemoryRegistry, pod, write

GOOD = {
    "allowPrivilegeEscalation": False,
    "runAsNonRoot": True,
    "capabilities": {"drop": ["ALL"]},
    "seccompProfile": {"type": "RuntimeDefault"},
}
RESTRICTED = Level("restricted")
BASELINE = Level("baseline")


def with_context(**security: object) -> Object:
    return pod(containers=[{"name": "c", "securityContext": {**GOOD, **security}}])


def test_a_plain_pod_is_baseline_not_restricted() -> None:
    assert violations(BASELINE, pod()) == ""
    assert violations(RESTRICTED, pod()) == (
        'allowPrivilegeEscalation != false (container "c" must set '
        "securityContext.allowPrivilegeEscalation=false), unrestricted capabilities "
        '(container "c" must set securityContext.capabilities.drop=["ALL"]), runAsNonRoot != true '
        '(pod or container "c" must set securityContext.runAsNonRoot=true), seccompProfile (pod or '
        'container "c" must set securityContext.seccompProfile.type to "RuntimeDefault" or '
        '"Localhost")'
    )
    assert violations(RESTRICTED, with_context()) == ""
    assert violations(Level("privileged"), pod(hostNetwork=True)) == ""


@pytest.mark.parametrize(
    ("bad", "told"),
    [
        (pod(hostNetwork=True, hostPID=True), "host namespaces (hostNetwork=true, hostPID=true)"),
        (
            with_context(privileged=True),
            'privileged (container "c" must not set securityContext.privileged=true)',
        ),
        (
            pod(volumes=[{"name": "v", "hostPath": {"path": "/"}}]),
            'hostPath volumes (volume "v")',
        ),
        (
            pod(containers=[{"name": "c", "ports": [{"hostPort": 80}, {"hostPort": 81}]}]),
            'hostPort (container "c" uses hostPorts 80, 81)',
        ),
        (
            with_context(capabilities={"drop": ["ALL"], "add": ["NET_ADMIN"]}),
            (
                'non-default capabilities (container "c" must not include "NET_ADMIN" in '
                "securityContext.capabilities.add)"
            ),
        ),
        (
            with_context(seccompProfile={"type": "Unconfined"}),
            (
                'seccompProfile (container "c" must not set securityContext.seccompProfile.type to '
                '"Unconfined")'
            ),
        ),
        (
            pod(securityContext={"sysctls": [{"name": "kernel.msgmax", "value": "1"}]}),
            "forbidden sysctls (kernel.msgmax)",
        ),
        (
            with_context(procMount="Unmasked"),
            'procMount (container "c" must not set securityContext.procMount to "Unmasked")',
        ),
        (
            with_context(seLinuxOptions={"type": "spc_t", "user": "u"}),
            (
                'seLinuxOptions (container "c" set forbidden securityContext.seLinuxOptions: type '
                '"spc_t"; user may not be set)'
            ),
        ),
    ],
)
def test_baseline(bad: Object, told: str) -> None:
    assert violations(BASELINE, bad) == told


def test_old_versions_know_fewer_rules() -> None:
    unconfined = with_context(seccompProfile={"type": "Unconfined"})
    assert violations(Level("baseline", "v1.18"), unconfined) == ""
    assert violations(Level("baseline", "v1.19"), unconfined)


@pytest.fixture
def registry() -> MemoryRegistry:
    found = MemoryRegistry()
    labels = {
        "pod-security.kubernetes.io/enforce": "baseline",
        "pod-security.kubernetes.io/warn": "restricted",
    }
    found.put("namespaces", {"metadata": {"name": "ns", "labels": labels}})
    return found


async def test_enforcing_and_warning(registry: MemoryRegistry) -> None:
    plugin = PodSecurity(registry)
    with pytest.raises(Forbidden) as caught:
        await plugin.validate(write("pods", pod(hostIPC=True)))
    assert caught.value.message == (
        'pods "p" is forbidden: violates PodSecurity "baseline:latest": host namespaces '
        "(hostIPC=true)"
    )
    fine = write("pods", pod())
    await plugin.validate(fine)
    assert fine.warnings[0].startswith('would violate PodSecurity "restricted:latest": allow')
    deployment = {"metadata": {"name": "d"}, "spec": {"template": pod()}}
    told = write("deployments", deployment, group="apps")
    await plugin.validate(told)
    assert len(told.warnings) == 1


async def test_namespaces_are_checked(registry: MemoryRegistry) -> None:
    plugin = PodSecurity(registry)
    registry.put("pods", pod("old", hostNetwork=True))
    old = {"metadata": {"name": "ns"}}
    new = {"metadata": {"name": "ns", "labels": {"pod-security.kubernetes.io/enforce": "baseline"}}}
    change = write("namespaces", new, namespace="ns", operation=UPDATE, old=old)
    await plugin.validate(change)
    assert change.warnings == [
        (
            'existing pods in namespace "ns" violate the new PodSecurity enforce level '
            '"baseline:latest"'
        ),
        "old: host namespaces",
    ]
    bad = {"metadata": {"name": "x", "labels": {"pod-security.kubernetes.io/enforce": "nope"}}}
    with pytest.raises(Invalid) as caught:
        await plugin.validate(write("namespaces", bad, namespace="x"))
    assert caught.value.message == (
        'Namespace "x" is invalid: metadata.labels[pod-security.kubernetes.io/enforce]: Invalid '
        'value: "nope": must be one of privileged, baseline, restricted'
    )
