"""Who asks: certificates, tokens, proxies, nobody; and acting as somebody else."""

from __future__ import annotations

import base64
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import jwt
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID
from multidict import CIMultiDict

from kubeinstall.api.types import Object
from kubeinstall.apiserver.authn import impersonate
from kubeinstall.apiserver.authn.authenticator import Authenticator
from kubeinstall.apiserver.authn.bootstrap_tokens import BootstrapTokens
from kubeinstall.apiserver.authn.claims import Binding, bound_claims
from kubeinstall.apiserver.authn.headers import FrontProxy
from kubeinstall.apiserver.authn.static import StaticTokens
from kubeinstall.apiserver.authn.tokens import ServiceAccountTokens
from kubeinstall.apiserver.authn.x509 import CertificateBundle, ClientCertificates
from kubeinstall.apiserver.authz import Authorizer
from kubeinstall.apiserver.authz.kinds import RBAC_GROUP
from kubeinstall.apiserver.request import ANONYMOUS_USER, User
from kubeinstall.errors import Forbidden, InternalError, SettingsError, Unauthorized
from tests.unit.apiserver_policy.memory import MemoryRegistry

ISSUER = "https://kubernetes.default.svc.cluster.local"
DAY = timedelta(days=1)


class Authority:
    """A CA that issues what a test asks for."""

    def __init__(self, directory: Path, name: str) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self.certificate = self._sign(self.name, self.key.public_key(), DAY, ca=True)
        self.path = directory / f"{name}.crt"
        self.path.write_bytes(self.certificate.public_bytes(serialization.Encoding.PEM))

    def client(self, name: str, *groups: str, valid: timedelta = DAY) -> bytes:
        """A client certificate's DER form."""
        attributes = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group) for group in groups]
        if name:
            attributes.append(x509.NameAttribute(NameOID.COMMON_NAME, name))
        key = ec.generate_private_key(ec.SECP256R1()).public_key()
        found = self._sign(x509.Name(attributes), key, valid)
        return found.public_bytes(serialization.Encoding.DER)

    def _sign(
        self,
        subject: x509.Name,
        key: ec.EllipticCurvePublicKey,
        valid: timedelta,
        *,
        ca: bool = False,
    ) -> x509.Certificate:
        now = datetime.now(UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self.name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - 2 * DAY)
            .not_valid_after(now + valid)
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
            .sign(self.key, hashes.SHA256())
        )


@pytest.fixture
def ca(tmp_path: Path) -> Authority:
    return Authority(tmp_path, "ca")


@pytest.fixture(params=["rsa", "ec"])
def key_file(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    key = (
        rsa.generate_private_key(65537, 2048)
        if request.param == "rsa"
        else ec.generate_private_key(ec.SECP256R1())
    )
    path = tmp_path / "sa.key"
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return path


@pytest.fixture
def registry() -> MemoryRegistry:
    found = MemoryRegistry()
    found.put("serviceaccounts", {"metadata": {"name": "bot", "namespace": "ns", "uid": "sa-uid"}})
    found.put("pods", {"metadata": {"name": "p", "namespace": "ns", "uid": "pod-uid"}})
    return found


@pytest.fixture
def tokens(registry: MemoryRegistry, key_file: Path) -> ServiceAccountTokens:
    return ServiceAccountTokens(
        registry, issuers=[ISSUER], audiences=[ISSUER], signing_key_file=key_file
    )


def claims_of(registry: MemoryRegistry, **changes: object) -> Object:
    account = registry.objects[("", "serviceaccounts")][("ns", "bot")]
    made = bound_claims(
        issuer=ISSUER,
        account=account,
        audiences=(ISSUER,),
        seconds=600,
        token_id="id-1",
        binding=Binding("pod", "p", "pod-uid"),
        node=Binding("node", "n1", "node-uid"),
    )
    return {**made, **changes}


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


async def test_certificates(tokens: ServiceAccountTokens, ca: Authority, tmp_path: Path) -> None:
    authenticator = Authenticator(
        tokens=tokens, certificates=ClientCertificates(CertificateBundle(ca.path))
    )
    user = await authenticator.authenticate({}, ca.client("jane", "dev", "ops"))
    assert (user.name, user.groups) == ("jane", ("dev", "ops", "system:authenticated"))
    assert user.extra["authentication.kubernetes.io/credential-id"][0].startswith("X509SHA256=")
    with pytest.raises(Unauthorized):
        await authenticator.authenticate({}, Authority(tmp_path, "other").client("jane"))
    with pytest.raises(Unauthorized):
        await authenticator.authenticate({}, ca.client("jane", valid=-DAY))
    assert await authenticator.authenticate({}, ca.client("")) is ANONYMOUS_USER


async def test_no_credentials(tokens: ServiceAccountTokens) -> None:
    anonymous = Authenticator(tokens=tokens)
    assert await anonymous.authenticate({}, None) is ANONYMOUS_USER
    assert await anonymous.authenticate({"Authorization": ""}, None) is ANONYMOUS_USER
    assert await anonymous.authenticate({"Authorization": "Basic eDp5"}, None) is ANONYMOUS_USER
    with pytest.raises(Unauthorized):
        await anonymous.authenticate(bearer("nonsense"), None)
    with pytest.raises(Unauthorized):
        await Authenticator(tokens=tokens, anonymous=False).authenticate({}, None)


async def test_bound_token(tokens: ServiceAccountTokens, registry: MemoryRegistry) -> None:
    token = tokens.issue(claims_of(registry))
    user = await Authenticator(tokens=tokens).authenticate(bearer(token), None)
    assert user.name == "system:serviceaccount:ns:bot"
    assert user.uid == "sa-uid"
    assert user.groups == (
        "system:serviceaccounts",
        "system:serviceaccounts:ns",
        "system:authenticated",
    )
    prefix = "authentication.kubernetes.io/"
    assert dict(user.extra) == {
        f"{prefix}credential-id": ("JTI=id-1",),
        f"{prefix}node-name": ("n1",),
        f"{prefix}node-uid": ("node-uid",),
        f"{prefix}pod-name": ("p",),
        f"{prefix}pod-uid": ("pod-uid",),
    }


@pytest.mark.parametrize(
    "change",
    [
        {"exp": int(time.time()) - 1},
        {"nbf": int(time.time()) + 7200},
        {"aud": ["somebody else"]},
        {"iss": "https://elsewhere"},
        {"sub": "system:serviceaccount:kube-system:admin"},
    ],
)
def test_wrong_claims(
    tokens: ServiceAccountTokens, registry: MemoryRegistry, change: Object
) -> None:
    token = tokens.issue(claims_of(registry, **change))
    with pytest.raises(Unauthorized):
        tokens.verify(token)


def test_wrong_signature(tokens: ServiceAccountTokens, registry: MemoryRegistry) -> None:
    forged = jwt.encode(claims_of(registry), ec.generate_private_key(ec.SECP256R1()), "ES256")
    with pytest.raises(Unauthorized):
        tokens.verify(forged)
    unsigned = jwt.encode(claims_of(registry), "", "none")
    with pytest.raises(Unauthorized):
        tokens.verify(unsigned)


@pytest.mark.parametrize(("plural", "name"), [("pods", "p"), ("serviceaccounts", "bot")])
def test_what_a_token_is_bound_to_must_exist(
    tokens: ServiceAccountTokens, registry: MemoryRegistry, plural: str, name: str
) -> None:
    token = tokens.issue(claims_of(registry))
    registry.objects[("", plural)][("ns", name)]["metadata"]["uid"] = "another"
    with pytest.raises(Unauthorized):
        tokens.verify(token)


def test_a_pod_keeps_its_token_while_it_ends(
    tokens: ServiceAccountTokens, registry: MemoryRegistry
) -> None:
    metadata = registry.objects[("", "pods")][("ns", "p")]["metadata"]
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    metadata["deletionTimestamp"] = now
    assert tokens.verify(tokens.issue(claims_of(registry))).audiences == (ISSUER,)
    metadata["deletionTimestamp"] = "2020-01-01T00:00:00Z"
    with pytest.raises(Unauthorized):
        tokens.verify(tokens.issue(claims_of(registry, jti="id-2")))


def test_legacy_token(tokens: ServiceAccountTokens, registry: MemoryRegistry) -> None:
    prefix = "kubernetes.io/serviceaccount/"
    token = tokens.issue(
        {
            "iss": "kubernetes/serviceaccount",
            "sub": "system:serviceaccount:ns:bot",
            f"{prefix}namespace": "ns",
            f"{prefix}secret.name": "bot-token",
            f"{prefix}service-account.name": "bot",
            f"{prefix}service-account.uid": "sa-uid",
        }
    )
    with pytest.raises(Unauthorized):
        tokens.verify(token)
    registry.put(
        "secrets",
        {
            "metadata": {"name": "bot-token", "namespace": "ns"},
            "data": {"token": base64.b64encode(token.encode()).decode()},
        },
    )
    assert tokens.verify(token).user.name == "system:serviceaccount:ns:bot"


def bootstrap_secret(**data: str) -> Object:
    plain = {
        "token-id": "abcdef",
        "token-secret": "0123456789abcdef",
        "usage-bootstrap-authentication": "true",
        **data,
    }
    return {
        "metadata": {"name": "bootstrap-token-abcdef", "namespace": "kube-system"},
        "type": "bootstrap.kubernetes.io/token",
        "data": {k: base64.b64encode(v.encode()).decode() for k, v in plain.items()},
    }


def test_bootstrap_token(registry: MemoryRegistry) -> None:
    registry.put(
        "secrets", bootstrap_secret(**{"auth-extra-groups": "system:bootstrappers:kubeadm:x"})
    )
    user = BootstrapTokens(registry).user("abcdef.0123456789abcdef")
    assert user == User(
        "system:bootstrap:abcdef",
        groups=("system:bootstrappers", "system:bootstrappers:kubeadm:x"),
    )
    assert BootstrapTokens(registry).user("no bootstrap token") is None


@pytest.mark.parametrize(
    "data",
    [
        {"token-secret": "another-secret!!"},
        {"expiration": "2020-01-01T00:00:00Z"},
        {"expiration": "whenever"},
        {"usage-bootstrap-authentication": "false"},
        {"auth-extra-groups": "system:masters"},
    ],
)
def test_bad_bootstrap_tokens(registry: MemoryRegistry, data: Object) -> None:
    registry.put("secrets", bootstrap_secret(**data))
    with pytest.raises(Unauthorized):
        BootstrapTokens(registry).user("abcdef.0123456789abcdef")


async def test_front_proxy(tokens: ServiceAccountTokens, ca: Authority, tmp_path: Path) -> None:
    proxies = Authority(tmp_path, "proxies")
    authenticator = Authenticator(
        tokens=tokens,
        certificates=ClientCertificates(CertificateBundle(ca.path)),
        front_proxy=FrontProxy(CertificateBundle(proxies.path), allowed_names=["front"]),
    )
    headers = CIMultiDict(
        [
            ("X-Remote-User", "jane"),
            ("X-Remote-Group", "a"),
            ("x-remote-group", "b"),
            ("X-Remote-Extra-Scopes%2fRead", "x"),
        ]
    )
    user = await authenticator.authenticate(headers, proxies.client("front"))
    assert (user.name, user.groups) == ("jane", ("a", "b", "system:authenticated"))
    assert user.extra == {"scopes/read": ("x",)}
    with pytest.raises(Unauthorized):
        await authenticator.authenticate(headers, proxies.client("stranger"))
    assert (await authenticator.authenticate(headers, ca.client("joe"))).name == "joe"


async def test_static_tokens(tokens: ServiceAccountTokens, tmp_path: Path) -> None:
    path = tmp_path / "tokens.csv"
    path.write_text('secret,jane,u1,"a,b"\n')
    authenticator = Authenticator(tokens=tokens, static=StaticTokens(path))
    user = await authenticator.authenticate(bearer("secret"), None)
    assert user == User("jane", "u1", ("a", "b", "system:authenticated"))
    path.write_text("too,few\n")
    with pytest.raises(SettingsError, match="line 1"):
        StaticTokens(path)


def test_impersonation(registry: MemoryRegistry) -> None:
    authorizer = Authorizer(registry)
    admin = User("root", groups=("system:masters",))
    headers = CIMultiDict(
        [
            ("Impersonate-User", "jane"),
            ("Impersonate-Group", "a"),
            ("Impersonate-Group", "b"),
            ("Impersonate-Uid", "7"),
            ("Impersonate-Extra-reason", "test"),
        ]
    )
    assert impersonate(authorizer, admin, headers) == User(
        "jane", "7", ("a", "b", "system:authenticated"), {"reason": ("test",)}
    )
    assert impersonate(authorizer, admin, {}) is admin
    account = impersonate(authorizer, admin, {"Impersonate-User": "system:serviceaccount:ns:bot"})
    assert account.groups == (
        "system:serviceaccounts",
        "system:serviceaccounts:ns",
        "system:authenticated",
    )
    anonymous = impersonate(authorizer, admin, {"Impersonate-User": "system:anonymous"})
    assert anonymous.groups == ("system:unauthenticated",)
    with pytest.raises(InternalError):
        impersonate(authorizer, admin, {"Impersonate-Group": "a"})


def test_impersonation_needs_permission_for_every_part(registry: MemoryRegistry) -> None:
    authorizer = Authorizer(registry)
    jane = User("jane")
    with pytest.raises(Forbidden) as caught:
        impersonate(authorizer, jane, {"Impersonate-User": "root"})
    assert caught.value.message == (
        'users "root" is forbidden: User "jane" cannot impersonate resource "users" '
        'in API group "" at the cluster scope'
    )
    rule = {"apiGroups": [""], "resources": ["users"], "verbs": ["impersonate"]}
    registry.put("clusterroles", {"metadata": {"name": "i"}, "rules": [rule]}, RBAC_GROUP)
    registry.put(
        "clusterrolebindings",
        {
            "metadata": {"name": "i"},
            "roleRef": {"kind": "ClusterRole", "name": "i"},
            "subjects": [{"kind": "User", "name": "jane"}],
        },
        RBAC_GROUP,
    )
    assert impersonate(authorizer, jane, {"Impersonate-User": "root"}).name == "root"
    with pytest.raises(Forbidden, match='groups "system:masters" is forbidden'):
        impersonate(
            authorizer,
            jane,
            {"Impersonate-User": "root", "Impersonate-Group": "system:masters"},
        )
