"""EndpointSlices, Endpoints, mirroring; namespaces and what belongs to each."""

from __future__ import annotations

from typing import Any

from kubeinstall.errors import NotFound
from tests.controllers.world import World, pod_template, running
from tests.support.apiserver import RunningServer

SLICES = "discovery.k8s.io/v1/endpointslices"
PODS = "v1/pods"


async def serve(world: World, name: str, **spec: Any) -> None:
    labels = {"app": name}
    sets = {
        "replicas": 2,
        "selector": {"matchLabels": labels},
        "template": pod_template(
            labels,
            containers=[
                {"name": "m", "image": "b", "ports": [{"name": "web", "containerPort": 8080}]}
            ],
        ),
    }
    await world.create("apps/v1/replicasets", "ReplicaSet", name, sets)
    ports = [{"name": "http", "port": 80, "targetPort": "web"}]
    await world.create("v1/services", "Service", name, {"selector": labels, "ports": ports, **spec})


async def test_slices_follow_pods(api_server: RunningServer) -> None:
    async with running(api_server) as world:
        await serve(world, "web")

        async def two_ready() -> dict[str, Any] | None:
            found = await world.list(SLICES, "kubernetes.io/service-name=web")
            if len(found) != 1 or len(found[0].get("endpoints") or []) != 2:
                return None
            ready = all(e["conditions"]["ready"] for e in found[0]["endpoints"])
            return found[0] if ready else None

        slice_ = await world.until(two_ready)
        assert slice_["ports"] == [{"name": "http", "port": 8080, "protocol": "TCP"}]
        assert slice_["addressType"] == "IPv4"
        labels = slice_["metadata"]["labels"]
        assert labels["endpointslice.kubernetes.io/managed-by"] == "endpointslice-controller.k8s.io"

        async def endpoints() -> bool:
            found = (await world.get("v1/endpoints", "web")).get("subsets") or []
            return len(found) == 1 and len(found[0].get("addresses") or []) == 2

        await world.until(endpoints)
        await world.patch("apps/v1/replicasets", "web", {"spec": {"replicas": 0}})

        async def none() -> bool:
            found = await world.list(SLICES, "kubernetes.io/service-name=web")
            return len(found) == 1 and not found[0].get("endpoints")

        await world.until(none)
        await world.client.delete("v1/services", "web", world.namespace)
        await world.gone(SLICES, slice_["metadata"]["name"])
        await world.gone("v1/endpoints", "web")


async def test_hand_made_endpoints_are_mirrored(api_server: RunningServer) -> None:
    async with running(api_server) as world:
        await world.create("v1/services", "Service", "manual", {"ports": [{"port": 80}]})
        body = {
            "apiVersion": "v1",
            "kind": "Endpoints",
            "metadata": {"name": "manual", "namespace": world.namespace},
            "subsets": [{"addresses": [{"ip": "10.1.2.3"}], "ports": [{"port": 8080}]}],
        }
        made = await world.client.create("v1/endpoints", body)

        def mirrored(address: str) -> Any:
            async def check() -> bool:
                found = await world.list(SLICES, "kubernetes.io/service-name=manual")
                addresses = [e["addresses"] for s in found for e in s.get("endpoints") or []]
                return addresses == [[address]]

            return check

        await world.until(mirrored("10.1.2.3"))
        made["subsets"][0]["addresses"] = [{"ip": "10.1.2.4"}]
        await world.client.update("v1/endpoints", made)
        await world.until(mirrored("10.1.2.4"))
        await world.client.delete("v1/endpoints", "manual", world.namespace)

        async def no_slices() -> bool:
            return not await world.list(SLICES)

        await world.until(no_slices)


async def test_namespace_gets_its_defaults_and_goes_with_its_content(
    api_server: RunningServer,
) -> None:
    async with running(api_server) as world:
        name = f"{world.namespace}-x"
        body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
        await world.client.create("v1/namespaces", body)
        other = World(world.client, name)

        async def defaults() -> bool:
            await other.get("v1/serviceaccounts", "default")
            found = await other.get("v1/configmaps", "kube-root-ca.crt")
            return "BEGIN CERTIFICATE" in found["data"]["ca.crt"]

        await world.until(defaults)
        ca = await other.get("v1/configmaps", "kube-root-ca.crt")
        await world.client.update("v1/configmaps", {**ca, "data": {"ca.crt": "changed"}})
        await world.until(defaults)

        held: dict[str, Any] = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "held", "namespace": name, "finalizers": ["example.com/hold"]},
        }
        await world.client.create("v1/configmaps", held)
        await world.client.delete("v1/namespaces", name)

        async def reported() -> bool:
            found = await world.client.get("v1/namespaces", name)
            listed = {c["type"]: c for c in found["status"].get("conditions") or []}
            remaining = listed.get("NamespaceFinalizersRemaining") or {}
            return "example.com/hold in 1 resource instances" in remaining.get("message", "")

        await world.until(reported)
        await other.patch("v1/configmaps", "held", {"metadata": {"finalizers": None}})

        async def gone() -> bool:
            try:
                await world.client.get("v1/namespaces", name)
            except NotFound:
                return True
            return False

        await world.until(gone)


async def test_owner_references_are_honoured(api_server: RunningServer) -> None:
    async with running(api_server) as world:
        maps = "v1/configmaps"

        async def make(name: str, *owners: dict[str, Any], block: bool = False) -> dict[str, Any]:
            refs = [
                {
                    "apiVersion": "v1",
                    "kind": "ConfigMap",
                    "name": o["metadata"]["name"],
                    "uid": o["metadata"]["uid"],
                    "blockOwnerDeletion": block,
                }
                for o in owners
            ]
            meta = {"name": name, "namespace": world.namespace, "ownerReferences": refs}
            body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta}
            return await world.client.create(maps, body)

        one, two = await make("one"), await make("two")
        await make("child", one, two)
        await make("grandchild", await make("only", one))
        await world.client.delete(maps, "one", world.namespace, propagation_policy="Background")
        await world.gone(maps, "only")
        await world.gone(maps, "grandchild")

        async def one_owner_left() -> bool:
            refs = (await world.get(maps, "child"))["metadata"]["ownerReferences"]
            return [r["name"] for r in refs] == ["two"]

        await world.until(one_owner_left)
        await world.client.delete(maps, "two", world.namespace, propagation_policy="Orphan")
        await world.gone(maps, "two")
        child = await world.get(maps, "child")
        assert not child["metadata"].get("ownerReferences")

        parent = await make("parent")
        await make("blocker", parent, block=True)
        hold = {"metadata": {"finalizers": ["example.com/hold"]}}
        await world.patch(maps, "blocker", hold)
        await world.client.delete(maps, "parent", world.namespace, propagation_policy="Foreground")

        async def blocked() -> bool:
            found = await world.get(maps, "blocker")
            return bool(found["metadata"].get("deletionTimestamp"))

        await world.until(blocked)
        assert (await world.get(maps, "parent"))["metadata"]["finalizers"] == ["foregroundDeletion"]
        await world.patch(maps, "blocker", {"metadata": {"finalizers": None}})
        await world.gone(maps, "parent")

        ghost = {"metadata": {"name": "ghost", "uid": "0" * 8 + "-0000-0000-0000-" + "0" * 12}}
        await make("haunted", ghost)
        await world.gone(maps, "haunted")


async def test_circles_and_second_owners(api_server: RunningServer) -> None:
    async with running(api_server) as world:
        maps = "v1/configmaps"

        async def make(name: str) -> dict[str, Any]:
            meta = {"name": name, "namespace": world.namespace}
            return await world.client.create(
                maps, {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta}
            )

        async def own(child: str, *owners: dict[str, Any]) -> None:
            refs = [
                {
                    "apiVersion": "v1",
                    "kind": "ConfigMap",
                    "name": o["metadata"]["name"],
                    "uid": o["metadata"]["uid"],
                    "controller": number == 0,
                    "blockOwnerDeletion": True,
                }
                for number, o in enumerate(owners)
            ]
            await world.patch(maps, child, {"metadata": {"ownerReferences": refs}})

        one, two, three = await make("one"), await make("two"), await make("three")
        await own("one", three)
        await own("two", one)
        await own("three", two)
        await world.client.delete(maps, "one", world.namespace, propagation_policy="Foreground")
        for name in ("one", "two", "three"):
            await world.gone(maps, name)

        waiting, solid = await make("waiting"), await make("solid")
        await make("shared")
        await make("own")
        await own("shared", waiting, solid)
        await own("own", waiting)
        await world.client.delete(maps, "waiting", world.namespace, propagation_policy="Foreground")
        await world.gone(maps, "waiting")
        await world.gone(maps, "own")
        refs = (await world.get(maps, "shared"))["metadata"]["ownerReferences"]
        assert [r["name"] for r in refs] == ["solid"]
