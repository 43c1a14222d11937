"""Authentication and authorization over a real server."""

from __future__ import annotations

import asyncio

import aiohttp
import jwt

from kubeinstall.api.types import Object
from tests.apiserver_policy.conftest import Answer, Api
from tests.support.apiserver import RunningServer

PODS = "/api/v1/namespaces/{}/pods"
RBAC = "/apis/rbac.authorization.k8s.io/v1"


async def test_nobody_sees_versions_but_no_pods(nobody: Api) -> None:
    assert (await nobody("GET", "/version")).code == 200
    answer = await nobody("GET", "/api/v1/pods")
    assert answer.code == 403
    assert answer.message == (
        'pods is forbidden: User "system:anonymous" cannot list resource "pods" in API group "" '
        "at the cluster scope"
    )
    answer = await nobody("GET", "/metrics")
    assert answer.message == 'forbidden: User "system:anonymous" cannot get path "/metrics"'


async def test_wrong_tokens_are_unauthorized(nobody: Api) -> None:
    answer = await nobody("GET", "/version", headers={"Authorization": "Bearer wrong"})
    assert (answer.code, answer.message, answer.body["reason"]) == (
        401,
        "Unauthorized",
        "Unauthorized",
    )


async def test_a_service_account_gets_a_token_and_rights(api: Api, nobody: Api) -> None:
    namespace = await api.namespace()
    made = await api.made(
        f"/api/v1/namespaces/{namespace}/serviceaccounts/default/token",
        {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}},
    )
    bearer = {"Authorization": f"Bearer {made['status']['token']}"}
    answer = await nobody("GET", PODS.format(namespace), headers=bearer)
    assert answer.message.startswith(
        f'pods is forbidden: User "system:serviceaccount:{namespace}:default" cannot list'
    )
    await api.made(
        f"{RBAC}/namespaces/{namespace}/rolebindings",
        {
            "metadata": {"name": "view"},
            "roleRef": {
                "apiGroup": "rbac.authorization.k8s.io",
                "kind": "ClusterRole",
                "name": "view",
            },
            "subjects": [{"kind": "ServiceAccount", "name": "default", "namespace": namespace}],
        },
    )
    assert (await nobody("GET", PODS.format(namespace), headers=bearer)).code == 200
    assert (await nobody("GET", PODS.format("default"), headers=bearer)).code == 403
    review = await nobody(
        "POST",
        "/apis/authentication.k8s.io/v1/selfsubjectreviews",
        {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"},
        headers=bearer,
    )
    assert review.body["status"]["userInfo"]["username"] == (
        f"system:serviceaccount:{namespace}:default"
    )


async def test_tokens_verify_with_the_published_keys(api: Api) -> None:
    namespace = await api.namespace()
    made = await api.made(
        f"/api/v1/namespaces/{namespace}/serviceaccounts/default/token",
        {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}},
    )
    configuration = (await api("GET", "/.well-known/openid-configuration")).body
    keys = jwt.PyJWKSet.from_dict((await api("GET", "/openid/v1/jwks")).body)
    token = made["status"]["token"]
    key = keys[jwt.get_unverified_header(token)["kid"]]
    claims = jwt.decode(
        token,
        key.key,
        algorithms=configuration["id_token_signing_alg_values_supported"],
        audience=configuration["issuer"],
        issuer=configuration["issuer"],
    )
    assert claims["sub"] == f"system:serviceaccount:{namespace}:default"


async def test_impersonation(api: Api) -> None:
    who = {"Impersonate-User": "jane", "Impersonate-Group": "dev"}
    answer = await api("GET", "/api/v1/nodes", headers=who)
    assert 'User "jane" cannot list resource "nodes"' in answer.message
    answer = await api("GET", "/api/v1/nodes", headers={"Impersonate-Group": "dev"})
    assert answer.code == 500


async def test_a_front_proxy_speaks_for_users(server: RunningServer) -> None:
    import ssl

    pki = server.directory / "pki"
    tls = ssl.create_default_context(cafile=str(pki / "ca.crt"))
    tls.load_cert_chain(pki / "front-proxy-client.crt", pki / "front-proxy-client.key")
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=tls)) as http:
        proxy = Api(server, http)
        headers = {"X-Remote-User": "jane", "X-Remote-Group": "dev", "X-Remote-Extra-A": "b"}
        review = await proxy(
            "POST",
            "/apis/authentication.k8s.io/v1/selfsubjectreviews",
            {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"},
            headers=headers,
        )
        assert review.body["status"]["userInfo"] == {
            "username": "jane",
            "groups": ["dev", "system:authenticated"],
            "extra": {"a": ["b"]},
        }
        assert (await proxy("GET", "/version")).code == 401


async def test_nobody_grants_more_than_they_have(api: Api) -> None:
    namespace = await api.namespace()
    await api.made(
        f"{RBAC}/namespaces/{namespace}/rolebindings",
        {
            "metadata": {"name": "a"},
            "roleRef": {
                "apiGroup": "rbac.authorization.k8s.io",
                "kind": "ClusterRole",
                "name": "admin",
            },
            "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "jane"}],
        },
    )
    role = {
        "metadata": {"name": "r"},
        "rules": [{"apiGroups": [""], "resources": ["nodes"], "verbs": ["get"]}],
    }
    path = f"{RBAC}/namespaces/{namespace}/roles"
    answer = await api("POST", path, role, headers={"Impersonate-User": "jane"})
    assert answer.code == 403
    assert answer.message.endswith(
        'is attempting to grant RBAC permissions not currently held:\n{APIGroups:[""], '
        'Resources:["nodes"], Verbs:["get"]}'
    )
    role["rules"] = [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}]
    assert (await api("POST", path, role, headers={"Impersonate-User": "jane"})).code == 201


async def test_kubelets_keep_to_themselves(api: Api, kubelet: Api) -> None:
    namespace = await api.namespace()
    for name in ("used", "other"):
        await api.made(f"/api/v1/namespaces/{namespace}/secrets", {"metadata": {"name": name}})
    await api.made(
        PODS.format(namespace),
        {
            "metadata": {"name": "p"},
            "spec": {
                "nodeName": "test-node",
                "containers": [{"name": "c", "image": "i"}],
                "volumes": [{"name": "s", "secret": {"secretName": "used"}}],
            },
        },
    )
    secrets = f"/api/v1/namespaces/{namespace}/secrets"
    assert (await kubelet("GET", f"{secrets}/used")).code == 200
    answer = await kubelet("GET", f"{secrets}/other")
    assert answer.code == 403
    assert answer.message.endswith("no relationship found between node 'test-node' and this object")
    node = {"metadata": {"name": "test-node"}}
    assert (await kubelet("POST", "/api/v1/nodes", node)).code == 201
    answer = await kubelet("POST", "/api/v1/nodes", {"metadata": {"name": "another"}})
    assert answer.message == (
        'nodes "another" is forbidden: node "test-node" is not allowed to modify node "another"'
    )
    taint = [{"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"}]
    made = (await api("GET", "/api/v1/nodes/test-node")).body
    assert made["spec"]["taints"] == taint
    made["spec"] = {}
    answer = await kubelet("PUT", "/api/v1/nodes/test-node", made)
    assert "is not allowed to modify taints" in answer.message


async def test_kubelets_get_tokens_of_their_pods_only(api: Api, kubelet: Api) -> None:
    namespace = await api.namespace()
    sources = [{"serviceAccountToken": {"path": "t", "audience": "vault"}}]
    made = await api.made(
        PODS.format(namespace),
        {
            "metadata": {"name": "p"},
            "spec": {
                "nodeName": "test-node",
                "containers": [{"name": "c", "image": "i"}],
                "volumes": [{"name": "v", "projected": {"sources": sources}}],
            },
        },
    )

    async def request(*audiences: str, **reference: str) -> Answer:
        spec: Object = {"audiences": list(audiences)}
        if reference:
            spec["boundObjectRef"] = {"apiVersion": "v1", "kind": "Pod", **reference}
        return await kubelet(
            "POST",
            f"/api/v1/namespaces/{namespace}/serviceaccounts/default/token",
            {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec},
        )

    uid = made["metadata"]["uid"]
    assert (await request(name="p", uid=uid)).code == 201
    assert (await request("vault", name="p", uid=uid)).code == 201
    answer = await request("elsewhere", name="p", uid=uid)
    assert answer.message.endswith('audience "elsewhere" not found in pod spec volume')
    answer = await request()
    assert answer.message.endswith("node requested token not bound to a pod")
    answer = await request(name="p", uid="another")
    assert "does not match the UID in record" in answer.message


async def test_approving_certificates_needs_permission(api: Api) -> None:
    import base64

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "jane")])
    request = x509.CertificateSigningRequestBuilder().subject_name(name).sign(key, hashes.SHA256())
    pem = request.public_bytes(serialization.Encoding.PEM)
    path = "/apis/certificates.k8s.io/v1/certificatesigningrequests"
    made = await api.made(
        path,
        {
            "metadata": {"name": "jane"},
            "spec": {
                "request": base64.b64encode(pem).decode(),
                "signerName": "example.com/sign",
                "usages": ["client auth"],
            },
        },
    )
    assert made["spec"]["groups"] == ["system:masters", "system:authenticated"]
    rule = {
        "apiGroups": ["certificates.k8s.io"],
        "resources": ["certificatesigningrequests/approval"],
        "verbs": ["update"],
    }
    await api.made(f"{RBAC}/clusterroles", {"metadata": {"name": "approval"}, "rules": [rule]})
    subject = {"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "approver"}
    reference = {
        "apiGroup": "rbac.authorization.k8s.io",
        "kind": "ClusterRole",
        "name": "approval",
    }
    await api.made(
        f"{RBAC}/clusterrolebindings",
        {"metadata": {"name": "approval"}, "roleRef": reference, "subjects": [subject]},
    )
    made["status"] = {
        "conditions": [{"type": "Approved", "status": "True", "reason": "x", "message": "y"}]
    }
    answer = await api(
        "PUT", f"{path}/jane/approval", made, headers={"Impersonate-User": "approver"}
    )
    assert answer.code == 403
    assert answer.message.endswith(
        'user not permitted to approve requests with signerName "example.com/sign"'
    )
    answer = await api("PUT", f"{path}/jane/approval", made)
    assert answer.code == 200, answer.body
    assert answer.body["status"]["conditions"][0]["type"] == "Approved"


async def test_a_restart_changes_no_default_object(server: RunningServer, api: Api) -> None:
    async def revisions() -> dict[str, str]:
        found: dict[str, str] = {}
        for path in (
            f"{RBAC}/clusterroles",
            f"{RBAC}/clusterrolebindings",
            "/apis/flowcontrol.apiserver.k8s.io/v1/flowschemas",
            "/apis/apiregistration.k8s.io/v1/apiservices",
            "/apis/networking.k8s.io/v1/ipaddresses",
            "/apis/networking.k8s.io/v1/servicecidrs",
            "/api/v1/services",
        ):
            for item in (await api("GET", path)).body["items"]:
                metadata = item["metadata"]
                found[f"{path}/{metadata['name']}"] = metadata["resourceVersion"]
        return found

    before = await revisions()
    assert len(before) > 100
    await asyncio.to_thread(server.kill)
    await asyncio.to_thread(server.restart)
    assert await revisions() == before
