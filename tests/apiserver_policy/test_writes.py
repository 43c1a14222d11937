"""Admission, allocation and special subresources over a real server and a real store."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from kubeinstall.api.types import Object
from tests.apiserver_policy.conftest import Api

CORE = "/api/v1/namespaces"


def pod(name: str, **spec: Any) -> Object:
    return {
        "metadata": {"name": name, "labels": {"app": "a"}},
        "spec": {"containers": [{"name": "c", "image": "i"}], **spec},
    }


async def test_quota_holds_under_concurrent_creates(api: Api) -> None:
    namespace = await api.namespace()
    path = f"{CORE}/{namespace}"
    quota = {"metadata": {"name": "q"}, "spec": {"hard": {"count/configmaps": "10"}}}
    await api.made(f"{path}/resourcequotas", quota)
    answers = await asyncio.gather(
        *(api("POST", f"{path}/configmaps", {"metadata": {"name": f"c{n}"}}) for n in range(30))
    )
    assert sorted(answer.code for answer in answers) == [201] * 10 + [403] * 20
    refused = next(answer for answer in answers if answer.code == 403)
    assert refused.message.endswith(
        "is forbidden: exceeded quota: q, requested: count/configmaps=1, "
        "used: count/configmaps=10, limited: count/configmaps=10"
    )
    names = [m["metadata"]["name"] for m in (await api("GET", f"{path}/configmaps")).body["items"]]
    await api("DELETE", f"{path}/configmaps/{names[0]}")
    for _ in range(100):
        status = (await api("GET", f"{path}/resourcequotas/q")).body["status"]
        if status["used"] == {"count/configmaps": "9"}:
            break
        await asyncio.sleep(0.05)
    assert status == {"hard": {"count/configmaps": "10"}, "used": {"count/configmaps": "9"}}
    await api.made(f"{path}/configmaps", {"metadata": {"name": "again"}})


async def test_services_never_share_addresses_or_ports(api: Api) -> None:
    namespace = await api.namespace()
    path = f"{CORE}/{namespace}/services"
    service = {"spec": {"type": "NodePort", "selector": {"a": "b"}, "ports": [{"port": 80}]}}
    made = await asyncio.gather(
        *(api.made(path, {"metadata": {"name": f"s{n}"}, **service}) for n in range(40))
    )
    assert len({s["spec"]["clusterIP"] for s in made}) == 40
    assert len({s["spec"]["ports"][0]["nodePort"] for s in made}) == 40
    address = made[0]["spec"]["clusterIP"]
    taken = {"metadata": {"name": "t"}, "spec": {"ports": [{"port": 80}], "clusterIP": address}}
    answer = await api("POST", path, taken)
    assert answer.code == 422
    assert answer.message == (
        f'Service "t" is invalid: spec.clusterIPs: Invalid value: ["{address}"]: failed to '
        f"allocate IP {address}: provided IP is already allocated"
    )
    await api("DELETE", f"{path}/s0")
    assert (await api("POST", path, taken)).code == 201
    addresses = (await api("GET", "/apis/networking.k8s.io/v1/ipaddresses")).body["items"]
    holder = next(a for a in addresses if a["metadata"]["name"] == address)
    assert holder["spec"]["parentRef"]["name"] == "t"


async def test_a_refused_service_leaves_no_address(api: Api) -> None:
    namespace = await api.namespace()
    path = f"{CORE}/{namespace}/services"
    bad = {
        "metadata": {"name": "bad"},
        "spec": {"ports": [{"port": 0}], "clusterIP": "10.96.200.1"},
    }
    assert (await api("POST", path, bad)).code == 422
    good = {
        "metadata": {"name": "good"},
        "spec": {"ports": [{"port": 1}], "clusterIP": "10.96.200.1"},
    }
    dry = await api("POST", f"{path}?dryRun=All", good)
    assert dry.code == 201
    assert (await api("POST", path, good)).code == 201


async def test_types_of_services_change(api: Api) -> None:
    namespace = await api.namespace()
    path = f"{CORE}/{namespace}/services"
    made = await api.made(
        path, {"metadata": {"name": "s"}, "spec": {"type": "NodePort", "ports": [{"port": 80}]}}
    )
    address = made["spec"]["clusterIP"]
    made["spec"]["type"] = "ClusterIP"
    answer = await api("PUT", f"{path}/s", made)
    assert answer.code == 200, answer.body
    assert "nodePort" not in answer.body["spec"]["ports"][0]
    made = answer.body
    made["spec"] |= {"type": "ExternalName", "externalName": "x.example"}
    answer = await api("PUT", f"{path}/s", made)
    assert answer.code == 200, answer.body
    assert "clusterIP" not in answer.body["spec"]
    made = answer.body
    made["spec"] = {"type": "ClusterIP", "ports": [{"port": 80}]}
    answer = await api("PUT", f"{path}/s", made)
    assert answer.code == 200, answer.body
    assert answer.body["spec"]["clusterIP"]
    assert address


async def test_pods_are_bound_once(api: Api) -> None:
    namespace = await api.namespace()
    path = f"{CORE}/{namespace}/pods"
    await api.made(path, pod("p"))
    body = {
        "apiVersion": "v1",
        "kind": "Binding",
        "metadata": {"name": "p"},
        "target": {"kind": "Node", "name": "n1"},
    }
    answers = await asyncio.gather(*(api("POST", f"{path}/p/binding", body) for _ in range(5)))
    assert sorted(answer.code for answer in answers) == [201, 409, 409, 409, 409]
    bound = (await api("GET", f"{path}/p")).body
    assert bound["spec"]["nodeName"] == "n1"
    assert bound["status"]["conditions"][0]["type"] == "PodScheduled"
    assert bound["metadata"]["generation"] == 1


async def test_bindings_carry_the_zone_of_the_node(api: Api) -> None:
    namespace = await api.namespace()
    labels = {"topology.kubernetes.io/zone": "a", "other": "b"}
    await api.made("/api/v1/nodes", {"metadata": {"name": f"node-{namespace}", "labels": labels}})
    await api.made(f"{CORE}/{namespace}/pods", pod("p"))
    await api.made(
        f"{CORE}/{namespace}/bindings",
        {
            "apiVersion": "v1",
            "kind": "Binding",
            "metadata": {"name": "p"},
            "target": {"kind": "Node", "name": f"node-{namespace}"},
        },
    )
    bound = (await api("GET", f"{CORE}/{namespace}/pods/p")).body
    assert bound["metadata"]["labels"] == {"app": "a", "topology.kubernetes.io/zone": "a"}


async def test_eviction_respects_the_budget(api: Api) -> None:
    namespace = await api.namespace()
    path = f"{CORE}/{namespace}/pods"
    budgets = f"/apis/policy/v1/namespaces/{namespace}/poddisruptionbudgets"
    spec = {"minAvailable": 1, "selector": {"matchLabels": {"app": "a"}}}
    budget = await api.made(budgets, {"metadata": {"name": "b"}, "spec": spec})
    budget["status"] = {
        "observedGeneration": 1,
        "disruptionsAllowed": 1,
        "currentHealthy": 2,
        "desiredHealthy": 1,
        "expectedPods": 2,
    }
    assert (await api("PUT", f"{budgets}/b/status", budget)).code == 200
    for name in ("p", "q"):
        made = await api.made(path, pod(name, terminationGracePeriodSeconds=0))
        made["status"] = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}
        assert (await api("PUT", f"{path}/{name}/status", made)).code == 200

    async def evict(name: str) -> Any:
        body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name}}
        return await api("POST", f"{path}/{name}/eviction", body)

    assert (await evict("p")).code == 201
    assert (await api("GET", f"{path}/p")).code == 404
    refused = await evict("q")
    assert refused.code == 429
    assert refused.body["details"]["causes"][0]["reason"] == "DisruptionBudget"


async def test_nothing_new_in_a_namespace_that_ends(api: Api) -> None:
    namespace = await api.namespace()
    await api("DELETE", f"{CORE}/{namespace}")
    answer = await api("POST", f"{CORE}/{namespace}/configmaps", {"metadata": {"name": "x"}})
    assert answer.code == 403
    assert answer.body["details"]["causes"][0]["reason"] == "NamespaceTerminating"
    answer = await api("DELETE", f"{CORE}/default")
    assert answer.message == (
        'namespaces "default" is forbidden: this namespace may not be deleted'
    )


async def test_limits(api: Api) -> None:
    namespace = await api.namespace()
    limits = [{"type": "Container", "default": {"cpu": "1"}, "max": {"cpu": "2"}}]
    await api.made(
        f"{CORE}/{namespace}/limitranges", {"metadata": {"name": "l"}, "spec": {"limits": limits}}
    )
    made = await api.made(f"{CORE}/{namespace}/pods", pod("p"))
    assert made["spec"]["containers"][0]["resources"]["limits"] == {"cpu": "1"}
    big = pod("q", containers=[{"name": "c", "image": "i", "resources": {"limits": {"cpu": "3"}}}])
    answer = await api("POST", f"{CORE}/{namespace}/pods", big)
    assert answer.message == (
        'pods "q" is forbidden: maximum cpu usage per Container is 2, but limit is 3'
    )


@pytest.mark.parametrize(
    ("level", "code"), [("privileged", 201), ("baseline", 403), ("restricted", 403)]
)
async def test_pod_security(api: Api, level: str, code: int) -> None:
    namespace = await api.namespace(**{"pod-security.kubernetes.io/enforce": level})
    answer = await api("POST", f"{CORE}/{namespace}/pods", pod("p", hostNetwork=True))
    assert answer.code == code
    if code == 403:
        assert f'violates PodSecurity "{level}:latest": host namespaces' in answer.message


async def test_tokens_stop_working_with_their_pod(api: Api, nobody: Api) -> None:
    namespace = await api.namespace()
    made = await api.made(f"{CORE}/{namespace}/pods", pod("p", terminationGracePeriodSeconds=0))
    reference = {"apiVersion": "v1", "kind": "Pod", "name": "p", "uid": made["metadata"]["uid"]}
    token = await api.made(
        f"{CORE}/{namespace}/serviceaccounts/default/token",
        {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenRequest",
            "spec": {"boundObjectRef": reference},
        },
    )
    await api("DELETE", f"{CORE}/{namespace}/pods/p")
    bearer = {"Authorization": f"Bearer {token['status']['token']}"}
    assert (await nobody("GET", "/version", headers=bearer)).code == 401
