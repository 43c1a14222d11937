"""Nodes, disruption budgets, quotas, certificates, volumes, roles, token Secrets."""

from __future__ import annotations

import base64
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.controllers.test_jobs_and_sets import node
from tests.controllers.world import World, pod_template, running, set_status
from tests.support.apiserver import RunningServer

PODS = "v1/pods"


async def test_node_gets_a_cidr_and_silence_is_noticed(api_server: RunningServer) -> None:
    settings = {
        "allocate_node_cidrs": True,
        "cluster_cidr": ("10.244.0.0/16",),
        "node_monitor_grace_period": 1.0,
    }
    async with running(api_server, kubelet=False, **settings) as world:
        silent, alive = f"{world.namespace}-silent", f"{world.namespace}-alive"
        await node(world, silent)
        await node(world, alive)

        async def cidrs() -> bool:
            specs = [(await world.client.get("v1/nodes", n))["spec"] for n in (silent, alive)]
            found = {spec.get("podCIDR") for spec in specs}
            return None not in found and len(found) == 2

        await world.until(cidrs)
        pod = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "victim", "namespace": world.namespace},
            "spec": {
                "nodeName": silent,
                "containers": [{"name": "m", "image": "b"}],
                "terminationGracePeriodSeconds": 0,
                "tolerations": [
                    {
                        "key": "node.kubernetes.io/unreachable",
                        "operator": "Exists",
                        "effect": "NoExecute",
                        "tolerationSeconds": 0,
                    }
                ],
            },
        }
        made = await world.client.create(PODS, pod)
        await set_status(world.client, made, "Running", ready=True)
        await world.client.create(
            "coordination.k8s.io/v1/leases",
            {
                "apiVersion": "coordination.k8s.io/v1",
                "kind": "Lease",
                "metadata": {"name": alive, "namespace": "kube-node-lease"},
                "spec": {"holderIdentity": alive},
            },
        )
        number = 0

        async def unreachable() -> bool:
            nonlocal number
            number += 1
            await world.client.patch(
                "coordination.k8s.io/v1/leases",
                alive,
                {"spec": {"renewTime": f"2026-01-01T00:00:00.{number:06}Z"}},
                "kube-node-lease",
            )
            found = await world.client.get("v1/nodes", silent)
            taints = {(t["key"], t["effect"]) for t in found["spec"].get("taints") or []}
            key = "node.kubernetes.io/unreachable"
            return {(key, "NoSchedule"), (key, "NoExecute")} <= taints

        await world.until(unreachable)
        await world.gone(PODS, "victim")
        healthy = await world.client.get("v1/nodes", alive)
        assert not healthy["spec"].get("taints")
        ready = [{"type": "Ready", "status": "True", "lastHeartbeatTime": "2026-01-01T00:00:00Z"}]
        await world.client.patch(
            "v1/nodes", silent, {"status": {"conditions": ready}}, subresource="status"
        )

        async def untainted() -> bool:
            found = await world.client.get("v1/nodes", silent)
            return not found["spec"].get("taints")

        await world.until(untainted)
        for name in (silent, alive):
            await world.client.delete("v1/nodes", name)


async def test_budget_counts_and_quota_gives_back(api_server: RunningServer) -> None:
    async with running(api_server) as world:
        quota = {"hard": {"pods": "10", "count/configmaps": "20", "requests.cpu": "5"}}
        await world.create("v1/resourcequotas", "ResourceQuota", "q", quota)
        labels = {"app": "pdb"}
        resources = {"requests": {"cpu": "100m"}}
        containers = [{"name": "m", "image": "b", "resources": resources}]
        template = pod_template(labels, containers=containers)
        sets = {"replicas": 3, "selector": {"matchLabels": labels}, "template": template}
        await world.create("apps/v1/replicasets", "ReplicaSet", "pdb", sets)
        spec = {"maxUnavailable": 1, "selector": {"matchLabels": labels}}
        budgets = "policy/v1/poddisruptionbudgets"
        await world.create(budgets, "PodDisruptionBudget", "pdb", spec)

        async def allowed() -> bool:
            status = (await world.get(budgets, "pdb")).get("status") or {}
            wanted = {"disruptionsAllowed": 1, "currentHealthy": 3, "desiredHealthy": 2}
            return wanted.items() <= status.items() and status["expectedPods"] == 3

        await world.until(allowed)

        def used(pods: str, cpu: str) -> Any:
            async def check() -> bool:
                status = (await world.get("v1/resourcequotas", "q")).get("status") or {}
                found = status.get("used") or {}
                return found.get("pods") == pods and found.get("requests.cpu") == cpu

            return check

        await world.until(used("3", "300m"))
        await world.patch("apps/v1/replicasets", "pdb", {"spec": {"replicas": 1}})
        await world.until(used("1", "100m"))


async def test_kubelet_requests_are_approved_and_signed(api_server: RunningServer) -> None:
    pki = api_server.directory / "pki"
    settings = {
        "cluster_signing_cert_file": pki / "ca.crt",
        "cluster_signing_key_file": pki / "ca.key",
    }
    async with running(api_server, kubelet=False, **settings) as world:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name(
            [
                x509.NameAttribute(NameOID.ORGANIZATION_NAME, "system:nodes"),
                x509.NameAttribute(NameOID.COMMON_NAME, "system:node:n1"),
            ]
        )
        csr = x509.CertificateSigningRequestBuilder().subject_name(subject)
        pem = csr.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
        gvr, name = "certificates.k8s.io/v1/certificatesigningrequests", f"{world.namespace}-n1"
        body = {
            "apiVersion": "certificates.k8s.io/v1",
            "kind": "CertificateSigningRequest",
            "metadata": {"name": name},
            "spec": {
                "request": base64.b64encode(pem).decode(),
                "signerName": "kubernetes.io/kube-apiserver-client-kubelet",
                "usages": ["digital signature", "client auth"],
                "expirationSeconds": 3600,
            },
        }
        await world.client.create(gvr, body)

        async def signed() -> str:
            status = (await world.client.get(gvr, name)).get("status") or {}
            return str(status.get("certificate") or "")

        certificate = x509.load_pem_x509_certificate(base64.b64decode(await world.until(signed)))
        assert certificate.subject == subject
        ca = x509.load_pem_x509_certificate((pki / "ca.crt").read_bytes())
        certificate.verify_directly_issued_by(ca)
        validity = certificate.not_valid_after_utc - certificate.not_valid_before_utc
        # As upstream: what is asked for, from now on, and the five minutes before that clocks may differ by.
        assert validity.total_seconds() == 3600 + 300


async def test_claims_bind_and_are_protected(api_server: RunningServer) -> None:
    async with running(api_server, kubelet=False) as world:
        volumes, claims = "v1/persistentvolumes", "v1/persistentvolumeclaims"
        name = f"{world.namespace}-pv"
        volume = {
            "apiVersion": "v1",
            "kind": "PersistentVolume",
            "metadata": {"name": name},
            "spec": {
                "capacity": {"storage": "2Gi"},
                "accessModes": ["ReadWriteOnce"],
                "hostPath": {"path": "/x"},
                "storageClassName": name,
            },
        }
        await world.client.create(volumes, volume)
        spec = {
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": "1Gi"}},
            "storageClassName": name,
        }
        await world.create(claims, "PersistentVolumeClaim", "c", spec)

        async def bound() -> bool:
            claim = await world.get(claims, "c")
            found = await world.client.get(volumes, name)
            return bool(
                claim["status"].get("phase") == "Bound"
                and claim["status"].get("capacity") == {"storage": "2Gi"}
                and claim["spec"].get("volumeName") == name
                and found["status"].get("phase") == "Bound"
            )

        await world.until(bound)
        pod = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "user", "namespace": world.namespace},
            "spec": {
                "containers": [{"name": "m", "image": "b"}],
                "volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": "c"}}],
            },
        }
        await world.client.create(PODS, pod)
        await world.client.delete(claims, "c", world.namespace)
        held = await world.get(claims, "c")
        assert held["metadata"]["finalizers"] == ["kubernetes.io/pvc-protection"]
        await world.client.delete(PODS, "user", world.namespace, grace_period_seconds=0)
        await world.gone(claims, "c")

        async def released() -> bool:
            found = await world.client.get(volumes, name)
            return bool(found["status"]["phase"] == "Released")

        await world.until(released)


async def test_attribute_classes_stay_while_a_claim_names_them(api_server: RunningServer) -> None:
    async with running(api_server, kubelet=False) as world:
        classes = "storage.k8s.io/v1/volumeattributesclasses"
        claims = "v1/persistentvolumeclaims"
        name = f"{world.namespace}-fast"
        await world.client.create(
            classes,
            {
                "apiVersion": "storage.k8s.io/v1",
                "kind": "VolumeAttributesClass",
                "metadata": {"name": name},
                "driverName": "example.com",
                "parameters": {"iops": "1"},
            },
        )
        claim = {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": {"name": "fast", "namespace": world.namespace},
            "spec": {
                "accessModes": ["ReadWriteOnce"],
                "storageClassName": "none",
                "volumeAttributesClassName": name,
                "resources": {"requests": {"storage": "1Gi"}},
            },
        }
        await world.client.create(claims, claim)
        await world.client.delete(classes, name)
        held = await world.client.get(classes, name)
        assert held["metadata"]["finalizers"] == ["kubernetes.io/vac-protection"]
        await world.client.delete(claims, "fast", world.namespace)
        await world.gone_cluster(classes, name)


async def test_roles_aggregate(api_server: RunningServer) -> None:
    async with running(api_server, kubelet=False) as world:
        gvr = "rbac.authorization.k8s.io/v1/clusterroles"
        prefix = world.namespace
        rule = {"apiGroups": ["example.com"], "resources": [prefix], "verbs": ["get"]}

        async def make(name: str, **body: Any) -> None:
            meta = {"name": f"{prefix}-{name}", **body.pop("meta", {})}
            kind = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole"}
            await world.client.create(gvr, {**kind, "metadata": meta, **body})

        selectors = [{"matchLabels": {"aggregate": prefix}}]
        await make("all", aggregationRule={"clusterRoleSelectors": selectors}, rules=[])
        await make("part", meta={"labels": {"aggregate": prefix}}, rules=[rule])

        async def aggregated() -> bool:
            found = await world.client.get(gvr, f"{prefix}-all")
            return found.get("rules") == [rule]

        await world.until(aggregated)


async def test_token_secret_is_filled_and_works(api_server: RunningServer) -> None:
    key = api_server.directory / "pki/sa.key"
    async with running(api_server, kubelet=False, service_account_private_key_file=key) as world:
        account = {"apiVersion": "v1", "kind": "ServiceAccount"}
        meta = {"name": "robot", "namespace": world.namespace}
        await world.client.create("v1/serviceaccounts", {**account, "metadata": meta})
        notes = {"kubernetes.io/service-account.name": "robot"}
        secret = {
            "apiVersion": "v1",
            "kind": "Secret",
            "type": "kubernetes.io/service-account-token",
            "metadata": {"name": "tok", "namespace": world.namespace, "annotations": notes},
        }
        await world.client.create("v1/secrets", secret)

        async def token() -> str:
            data = (await world.get("v1/secrets", "tok")).get("data") or {}
            return base64.b64decode(data.get("token", "")).decode()

        review = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenReview",
            "spec": {"token": await world.until(token)},
        }
        answer = await world.client.create("authentication.k8s.io/v1/tokenreviews", review)
        name = f"system:serviceaccount:{world.namespace}:robot"
        assert answer["status"]["user"]["username"] == name
        await world.client.delete("v1/serviceaccounts", "robot", world.namespace)
        await world.gone("v1/secrets", "tok")


async def test_each_controller_acts_as_its_account(api_server: RunningServer) -> None:
    async with running(api_server, kubelet=False, use_service_account_credentials=True) as world:
        other = World(world.client, f"{world.namespace}-sa")
        body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": other.namespace}}
        await world.client.create("v1/namespaces", body)
        labels = {"app": "a"}
        spec = {
            "replicas": 1,
            "selector": {"matchLabels": labels},
            "template": pod_template(labels),
        }
        await other.create("apps/v1/deployments", "Deployment", "d", spec)

        async def made() -> bool:
            return len(await other.list(PODS)) == 1 and bool(
                await other.get("v1/configmaps", "kube-root-ca.crt")
            )

        await world.until(made)
        await world.client.delete("v1/namespaces", other.namespace)
        await world.gone_cluster("v1/namespaces", other.namespace)
