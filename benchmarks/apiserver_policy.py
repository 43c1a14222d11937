"""What policy costs a request: authorization cached and not, admission of a ConfigMap and a Pod.

    python -m benchmarks.apiserver_policy

Microseconds per call, over a registry in memory with upstream's default RBAC objects. Goals: an
authorization answered from the cache under 2 µs, admission of a plain ConfigMap under 10 µs.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from kubeinstall.apiserver import admission
from kubeinstall.apiserver.authz import Authorizer
from kubeinstall.apiserver.bootstrap import policy
from kubeinstall.apiserver.config import ApiServerSettings
from kubeinstall.apiserver.request import Attributes, User
from tests.unit.apiserver_policy.memory import MemoryRegistry, pod, write

_CALLS = 50_000


def _authorization(authorizer: Authorizer, asked: Attributes) -> float:
    authorizer.authorize(asked)
    start = time.perf_counter()
    for _ in range(_CALLS):
        authorizer.authorize(asked)
    return (time.perf_counter() - start) / _CALLS * 1e6


def _uncached(authorizer: Authorizer, user: User) -> float:
    asked = [
        Attributes(user, "get", resource="secrets", namespace="ns", name=f"s{number}")
        for number in range(_CALLS // 10)
    ]
    start = time.perf_counter()
    for attributes in asked:
        authorizer.authorize(attributes)
    return (time.perf_counter() - start) / len(asked) * 1e6


async def _repeat(work: Callable[[], Awaitable[None]], calls: int) -> float:
    await work()
    start = time.perf_counter()
    for _ in range(calls):
        await work()
    return (time.perf_counter() - start) / calls * 1e6


async def main() -> None:
    """Measure and print."""
    registry = MemoryRegistry()
    await policy.ensure_policy(registry)
    registry.put("namespaces", {"metadata": {"name": "ns"}})
    registry.put("serviceaccounts", {"metadata": {"name": "default", "namespace": "ns"}})
    authorizer = Authorizer(registry)
    scheduler = User("system:kube-scheduler", groups=("system:authenticated",))
    node = User("system:node:n1", groups=("system:nodes", "system:authenticated"))
    secret = Attributes(node, "get", resource="secrets", namespace="ns", name="x")
    settings = ApiServerSettings(tls_cert_file=Path("unused"), tls_private_key_file=Path("unused"))
    chain = admission.build(settings, registry, authorizer)
    config_map = write("configmaps", {"metadata": {"name": "x"}})

    async def admit_config_map() -> None:
        await chain.mutate(config_map)
        await chain.validate(config_map)

    async def admit_pod() -> None:
        attributes = write("pods", pod())
        await chain.mutate(attributes)
        await chain.validate(attributes)

    for name, cost in (
        (
            "authorize, cached",
            _authorization(authorizer, Attributes(scheduler, "list", resource="pods")),
        ),
        ("authorize, a new name each", _uncached(authorizer, scheduler)),
        ("authorize, node and its graph", _authorization(authorizer, secret)),
        ("admit a ConfigMap", await _repeat(admit_config_map, _CALLS)),
        ("admit a Pod", await _repeat(admit_pod, _CALLS // 10)),
    ):
        print(f"{name:32}{cost:8.2f} µs")


if __name__ == "__main__":
    asyncio.run(main())
