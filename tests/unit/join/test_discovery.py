"""Discovery against a real HTTPS server: signature, pin, second fetch, clock, and every way it can go wrong."""

from __future__ import annotations

import base64
import http.server
import json
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest
import yaml

from kubeinstall.ansible.authorities import place_authorities
from kubeinstall.ansible.bootstrapping import _certificate_user, server_url
from kubeinstall.ansible.components import component_settings
from kubeinstall.config.defaults import default_cluster
from kubeinstall.pki import (
    BootstrapToken,
    ca_cert_hash,
    encrypt_with_key,
    new_certificate_key,
    sign_discovery,
)
from kubeinstall.pki.certificates import (
    Authority,
    Subject,
    Usage,
    certificate_pem,
    issue,
    new_authority,
)
from kubeinstall.pki.identity import ClusterIdentity
from kubeinstall.pki.keys import DEFAULT_ALGORITHM, key_pem
from kubeinstall.pki.kubeconfigs import client_kubeconfig, dump
from kubeinstall.provision import discovery
from kubeinstall.provision.discovery import DiscoveryError, Found, clock_problem, discover
from kubeinstall.provision.discovery_http import Credentials, NoAnswer, get
from kubeinstall.provision.join_cluster import (
    SHARED_FILES,
    Cluster,
    JoinError,
    download_certificates,
    host_configuration,
    read_cluster,
    require_free_name,
    require_shared_datastore,
    shared_files,
)
from kubeinstall.provision.join_config import load_join
from kubeinstall.provision.join_upload import encrypted

Object = dict[str, Any]
TOKEN = BootstrapToken("abcdef", "0123456789abcdef")
YEAR = timedelta(days=365)


class Server:
    """An API server of prepared answers: path → (status, object). `seen` are (path, authorization)."""

    def __init__(self, folder: Path, authority: Authority) -> None:
        self.answers: dict[str, tuple[int, Object]] = {}
        self.seen: list[tuple[str, str]] = []
        self.clock = 0.0
        issued = issue(
            authority,
            Subject("kube-apiserver", sans=("127.0.0.1",), usage=Usage.SERVER),
            DEFAULT_ALGORITHM,
            YEAR,
        )
        pair = folder / "server.pem"
        pair.write_bytes(certificate_pem(issued.certificate) + key_pem(issued.key))
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.seen.append((self.path, self.headers.get("Authorization", "")))
                status, document = outer.answers.get(
                    self.path, (404, {"kind": "Status", "message": "not found"})
                )
                body = json.dumps(document).encode()
                self.send_response_only(status)
                self.send_header("Date", formatdate(time.time() + outer.clock, usegmt=True))
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                return

        self._httpd = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pair)
        self._httpd.socket = context.wrap_socket(self._httpd.socket, server_side=True)
        self.endpoint = f"127.0.0.1:{self._httpd.server_address[1]}"
        threading.Thread(target=self._httpd.serve_forever, args=(0.02,), daemon=True).start()

    def close(self) -> None:
        self._httpd.shutdown()
        self._httpd.server_close()


AUTHORITY = new_authority("kubernetes", DEFAULT_ALGORITHM, YEAR)
PIN = ca_cert_hash(AUTHORITY.certificate)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    made = Server(tmp_path, AUTHORITY)
    publish(made)
    yield made
    made.close()


def publish(
    server: Server, *, token: BootstrapToken = TOKEN, authority: Authority = AUTHORITY
) -> str:
    ca = base64.b64encode(certificate_pem(authority.certificate)).decode()
    cluster = {"certificate-authority-data": ca, "server": f"https://{server.endpoint}"}
    content = yaml.safe_dump(
        {
            "kind": "Config",
            "clusters": [{"name": "", "cluster": cluster}],
            "contexts": [],
            "current-context": "",
        }
    )
    data = {
        "kubeconfig": content,
        f"jws-kubeconfig-{token.token_id}": sign_discovery(content, token),
    }
    server.answers[discovery.CLUSTER_INFO] = (200, {"kind": "ConfigMap", "data": data})
    return content


def wanted(server: Server, **fields: Any) -> Object:
    token = {
        "token": str(TOKEN),
        "apiServerEndpoint": server.endpoint,
        "caCertHashes": [PIN],
        **fields,
    }
    return {"bootstrapToken": token, "tlsBootstrapToken": str(TOKEN)}


def find(wish: Object, seconds: float = 0.0) -> tuple[Found, list[str]]:
    said: list[str] = []
    return discover(wish, seconds, said.append), said


def test_a_signed_and_pinned_cluster_is_trusted(server: Server) -> None:
    found, said = find(wanted(server))
    assert found.server == f"https://{server.endpoint}"
    assert found.ca_pem == certificate_pem(AUTHORITY.certificate)
    assert found.credentials.token == str(TOKEN)
    assert not said
    # Twice: untrusted, then over TLS. The token itself never left the host.
    assert server.seen == [(discovery.CLUSTER_INFO, "")] * 2


def test_another_clusters_hash_is_refused(server: Server) -> None:
    with pytest.raises(DiscoveryError, match="is not pinned"):
        find(wanted(server, caCertHashes=["sha256:" + "0" * 64]))


def test_one_of_several_hashes_is_enough(server: Server) -> None:
    find(
        wanted(server, caCertHashes=["sha256:" + "0" * 64, PIN.upper().replace("SHA256", "sha256")])
    )


def test_without_hashes_the_signature_alone_is_trusted(server: Server) -> None:
    found, _ = find(wanted(server, caCertHashes=[], unsafeSkipCAVerification=True))
    assert found.ca_pem
    assert len(server.seen) == 1


def test_a_mistyped_secret_is_refused(server: Server) -> None:
    with pytest.raises(DiscoveryError, match=r"does not fit the token abcdef\.…") as caught:
        find(wanted(server, token="abcdef.ffffffffffffffff"))
    assert "ffffffffffffffff" not in str(caught.value)


def test_an_unknown_token_is_waited_for_and_then_refused(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(discovery, "SIGNATURE_SECONDS", 0.3)
    monkeypatch.setattr(discovery, "RETRY_SECONDS", 0.05)
    with pytest.raises(DiscoveryError, match="unknown there, or has expired"):
        find(wanted(server, token="zzzzzz.0123456789abcdef"), seconds=30)
    assert len(server.seen) > 2


def test_a_token_that_is_signed_a_moment_later_works(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(discovery, "RETRY_SECONDS", 0.05)
    late = BootstrapToken("zzzzzz", "0123456789abcdef")
    timer = threading.Timer(0.3, publish, args=(server,), kwargs={"token": late})
    timer.start()
    _, said = find(wanted(server, token=str(late)), seconds=30)
    assert len(said) == 1
    assert "trying again" in said[0]


def test_who_changes_cluster_info_in_between_is_found_out(server: Server) -> None:
    publish(server)
    real = server.answers[discovery.CLUSTER_INFO]

    class Changing(dict[str, tuple[int, Object]]):
        def get(self, key: str, default: Any = None) -> Any:  # the second answer is another
            if len(server.seen) > 1:
                return 200, {"data": {**real[1]["data"], "kubeconfig": "other"}}
            return real

    server.answers = Changing()
    with pytest.raises(DiscoveryError, match="was another when fetched over TLS"):
        find(wanted(server))


def test_a_server_of_another_ca_is_found_out(server: Server) -> None:
    other = new_authority("kubernetes", DEFAULT_ALGORITHM, YEAR)
    publish(server, authority=other)  # the right signature and pin, but another certificate
    with pytest.raises(DiscoveryError, match="does not vouch"):
        find(wanted(server, caCertHashes=[ca_cert_hash(other.certificate)]))


def test_nobody_there(server: Server) -> None:
    server.close()
    with pytest.raises(DiscoveryError, match="connection refused") as caught:
        find(wanted(server))
    assert "kubectl cluster-info" in str(caught.value)


def greet(listener: socket.socket) -> None:
    connection, _ = listener.accept()
    with connection:
        connection.sendall(b"SSH-2.0-x\r\n")
        connection.recv(1)


def test_another_kind_of_server_is_told(server: Server) -> None:
    server.answers[discovery.CLUSTER_INFO] = (200, {"hello": "world"})
    with pytest.raises(DiscoveryError, match="is no Kubernetes API server"):
        find(wanted(server))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=greet, args=(listener,)).start()
        endpoint = f"127.0.0.1:{listener.getsockname()[1]}"
        with pytest.raises(DiscoveryError, match="does not speak TLS"):
            find(wanted(server, apiServerEndpoint=endpoint))


def test_the_server_that_answers_is_used_where_the_published_one_is_gone(server: Server) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        gone = f"127.0.0.1:{listener.getsockname()[1]}"
    published = server.endpoint
    server.endpoint = gone
    publish(server)
    server.endpoint = published
    found, said = find(wanted(server))
    assert found.server == f"https://{published}"
    assert "connection refused" in said[0]


def test_a_clock_an_hour_off_is_told(server: Server) -> None:
    server.clock = 3600
    found, _ = find(wanted(server))
    assert "behind the API server's" in clock_problem(found.skew)
    server.clock = -3600
    found, _ = find(wanted(server))
    assert "ahead of the API server's" in clock_problem(found.skew)
    assert not clock_problem(5.0)
    assert not clock_problem(None)


def test_a_discovery_file(server: Server, tmp_path: Path) -> None:
    content = publish(server)
    file = tmp_path / "cluster.conf"
    file.write_text(content)
    found, _ = find({"file": {"kubeConfigPath": str(file)}, "tlsBootstrapToken": str(TOKEN)})
    assert found.server == f"https://{server.endpoint}"
    assert found.credentials.token == str(TOKEN)
    with pytest.raises(DiscoveryError, match="cannot be read"):
        find({"file": {"kubeConfigPath": str(tmp_path / "absent")}})


def test_a_discovery_file_brings_its_own_credentials(server: Server, tmp_path: Path) -> None:
    admin = client_kubeconfig(
        AUTHORITY, Subject("admin", ("lab",)), ClusterIdentity("a", "127.0.0.1")
    )
    admin["clusters"][0]["cluster"]["server"] = f"https://{server.endpoint}"
    file = tmp_path / "admin.conf"
    file.write_bytes(dump(admin))
    found, _ = find({"file": {"kubeConfigPath": str(file)}})
    pair = found.credentials.pair
    assert pair.count(b"-----BEGIN") == 2
    get(found.server, "/x", ca_pem=found.ca_pem, credentials=found.credentials)
    user = _certificate_user(pair.decode())
    assert base64.b64decode(user["client-key-data"]).startswith(b"-----BEGIN")
    assert b"PRIVATE" not in base64.b64decode(user["client-certificate-data"])


def test_a_discovery_file_without_credentials_needs_a_token(server: Server, tmp_path: Path) -> None:
    file = tmp_path / "cluster.conf"
    file.write_text(publish(server))
    with pytest.raises(DiscoveryError, match="--tls-bootstrap-token"):
        find({"file": {"kubeConfigPath": str(file)}})


def test_a_discovery_file_of_another_cluster_is_not_waited_for(
    server: Server, tmp_path: Path
) -> None:
    other = new_authority("kubernetes", DEFAULT_ALGORITHM, YEAR)
    file = tmp_path / "cluster.conf"
    file.write_text(publish(server, authority=other))
    wish = {"file": {"kubeConfigPath": str(file)}, "tlsBootstrapToken": str(TOKEN)}
    with pytest.raises(DiscoveryError, match="another cluster's"):
        find(wish, seconds=30)
    server.clock = 3600  # what a wrong clock makes of a good certificate is told as what it is
    with pytest.raises(DiscoveryError, match="behind the API server's"):
        find(wish, seconds=30)


def test_credentials_go_only_to_who_is_trusted(server: Server) -> None:
    url = f"https://{server.endpoint}"
    get(url, "/x", credentials=Credentials("secret"))
    assert server.seen[-1] == ("/x", "")
    get(url, "/x", ca_pem=certificate_pem(AUTHORITY.certificate), credentials=Credentials("secret"))
    assert server.seen[-1] == ("/x", "Bearer secret")
    other = certificate_pem(new_authority("x", DEFAULT_ALGORITHM, YEAR).certificate)
    with pytest.raises(NoAnswer, match="certificate is not good"):
        get(url, "/x", ca_pem=other, credentials=Credentials("secret"))
    assert "secret" not in repr(Credentials("secret"))


# What is read once the cluster is trusted


def trusted(server: Server) -> Found:
    return Found(
        f"https://{server.endpoint}",
        certificate_pem(AUTHORITY.certificate),
        Credentials(str(TOKEN)),
    )


def config_map(server: Server, name: str, data: dict[str, Any]) -> None:
    path = f"/api/v1/namespaces/kube-system/configmaps/{name}"
    server.answers[path] = (200, {"data": {k: yaml.safe_dump(v) for k, v in data.items()}})


def test_a_workers_configuration(server: Server) -> None:
    networking = {"serviceSubnet": "10.200.0.0/16", "podSubnet": "10.50.0.0/16"}
    config_map(
        server,
        "kubeadm-config",
        {
            "ClusterConfiguration": {"clusterName": "lab", "networking": networking},
            "kubeinstall": {"proxy": {"metricsBindAddress": "0.0.0.0:1"}, "images": ["pause"]},
        },
    )
    config_map(
        server, "kubelet-config", {"kubelet": {"kind": "KubeletConfiguration", "maxPods": 7}}
    )
    cluster = read_cluster(trusted(server))
    join = load_join(None, {"discovery": wanted(server)}, node_name="w", address="192.0.2.7")
    config = host_configuration(join, trusted(server), cluster)
    assert config["init"]["nodeRegistration"]["name"] == "w"
    assert config["init"]["nodeRegistration"]["taints"] == []
    assert config["cluster"]["networking"]["serviceSubnet"] == "10.200.0.0/16"
    assert config["kubelet"]["maxPods"] == 7
    assert config["proxy"]["metricsBindAddress"] == "0.0.0.0:1"
    assert config["host"]["roles"] == ["node"]
    assert config["host"]["servers"] == {"api-127.0.0.1": server.endpoint}
    assert config["host"]["balancer"] == ""  # the datastore is a file: there is one API server
    assert config["host"]["images"] == ["pause"]


NAMES = {"apiServer": {"certSANs": ["127.0.0.1"]}}
SERVERS = {"a": "192.0.2.1:6443", "b": "192.0.2.2:6443"}


@pytest.mark.parametrize(
    ("configuration", "facts", "balancer"),
    [
        (NAMES, {"balancer": "https://127.0.0.1:7445"}, "https://127.0.0.1:7445"),
        (NAMES, {}, "https://127.0.0.1:6445"),
        ({**NAMES, "controlPlaneEndpoint": "api.lab:6443"}, {}, ""),
        ({}, {}, ""),  # the API servers' certificates are not good for 127.0.0.1
    ],
)
def test_a_worker_balances_over_all_api_servers(
    server: Server, configuration: Object, facts: Object, balancer: str
) -> None:
    shared = {"etcd": {"members": {"a": "192.0.2.1"}, "stacked": True}, "servers": SERVERS}
    maps = {"ClusterConfiguration": configuration, "kubeinstall": {**shared, **facts}}
    config_map(server, "kubeadm-config", maps)
    config_map(server, "kubelet-config", {"kubelet": {"kind": "KubeletConfiguration"}})
    join = load_join(None, {"discovery": wanted(server)}, node_name="w", address="192.0.2.7")
    config = host_configuration(join, trusted(server), read_cluster(trusted(server)))
    assert config["host"]["balancer"] == balancer
    settings = component_settings(config)
    if balancer:
        assert sorted(config["host"]["servers"].values()) == sorted(SERVERS.values())
        assert settings["kube-servers"]["bind-address"] == balancer.removeprefix("https://")
        assert server_url(config) == balancer
    else:
        assert list(config["host"]["servers"].values()) == [server.endpoint]
        assert "kube-servers" not in settings
        assert server_url(config) == f"https://{server.endpoint}"


def test_a_control_planes_configuration(server: Server) -> None:
    facts = {"etcd": {"members": {"a": "192.0.2.1"}, "stacked": True}}
    config_map(server, "kubeadm-config", {"ClusterConfiguration": {}, "kubeinstall": facts})
    config_map(server, "kubelet-config", {"kubelet": {"kind": "KubeletConfiguration"}})
    cluster = read_cluster(trusted(server))
    require_shared_datastore(cluster)
    join = load_join(
        None,
        {"discovery": wanted(server), "controlPlane": {"certificateKey": new_certificate_key()}},
        node_name="b",
        address="192.0.2.2",
    )
    host = host_configuration(join, trusted(server), cluster)
    assert host["host"]["roles"] == ["control-plane", "etcd", "node"]
    assert host["host"]["etcd"]["members"] == {"a": "192.0.2.1", "b": "192.0.2.2"}
    assert host["host"]["etcd"]["client_urls"][0] == "https://192.0.2.2:2379"
    assert {"b", "192.0.2.2"} <= set(host["cluster"]["apiServer"]["certSANs"])
    assert [t["key"] for t in host["init"]["nodeRegistration"]["taints"]] == [
        "node-role.kubernetes.io/control-plane"
    ]


def test_a_datastore_in_a_file_has_one_control_plane() -> None:
    with pytest.raises(JoinError, match="SQLite"):
        require_shared_datastore(Cluster({"etcd": {"local": {}}}, {}, {"etcd": {"members": {}}}))
    require_shared_datastore(Cluster({"etcd": {"external": {"endpoints": ["https://e"]}}}, {}))


def test_a_refused_token_is_told(server: Server) -> None:
    path = "/api/v1/namespaces/kube-system/configmaps/kubeadm-config"
    server.answers[path] = (401, {"message": "Unauthorized"})
    with pytest.raises(JoinError, match="does not accept the token"):
        read_cluster(trusted(server))
    server.answers[path] = (403, {"message": "may not"})
    with pytest.raises(JoinError, match="may not"):
        read_cluster(trusted(server))


@pytest.mark.parametrize(
    ("ready", "refused"), [("True", True), ("False", False), ("Unknown", False)]
)
def test_the_name_of_a_ready_node_is_taken(server: Server, ready: str, refused: bool) -> None:
    require_free_name(trusted(server), "n")
    node = {"status": {"conditions": [{"type": "Ready", "status": ready}]}}
    server.answers["/api/v1/nodes/n"] = (200, node)
    if refused:
        with pytest.raises(JoinError, match='"n" and status "Ready" already exists'):
            require_free_name(trusted(server), "n")
    else:
        require_free_name(trusted(server), "n")


def test_shared_certificates_need_the_right_key(server: Server) -> None:
    key = new_certificate_key()
    data = {
        name: base64.b64encode(encrypt_with_key(file.encode(), key)).decode()
        for name, file in SHARED_FILES.items()
    }
    path = "/api/v1/namespaces/kube-system/secrets/kubeadm-certs"
    with pytest.raises(JoinError, match="init phase upload-certs"):
        download_certificates(trusted(server), key, SHARED_FILES)
    server.answers[path] = (200, {"data": data})
    files = download_certificates(trusted(server), key, SHARED_FILES)
    assert base64.b64decode(files["etcd/ca.key"]) == b"etcd/ca.key"
    with pytest.raises(JoinError, match="error decoding certificate"):
        download_certificates(trusted(server), new_certificate_key(), SHARED_FILES)
    del data["sa.key"]
    with pytest.raises(JoinError, match=r"lacks sa\.key"):
        download_certificates(trusted(server), key, SHARED_FILES)


def test_files_of_an_external_etcd_are_shared_under_their_own_paths(
    server: Server, tmp_path: Path
) -> None:
    pki, outside = tmp_path / "pki", tmp_path / "etcd-client"
    external = {
        "endpoints": ["https://192.0.2.9:2379"],
        "caFile": str(outside / "ca.crt"),
        "certFile": str(outside / "client.crt"),
        "keyFile": str(outside / "client.key"),
    }
    configuration = default_cluster({"etcd": {"external": external}, "certificatesDir": str(pki)})
    for file in shared_files(configuration).values():
        (pki / file).parent.mkdir(parents=True, exist_ok=True)
        (pki / file).write_text(file)
    key = new_certificate_key()
    data = encrypted(configuration, key)
    assert {"external-etcd-ca.crt", "external-etcd.crt", "external-etcd.key"} < set(data)
    assert not {"etcd-ca.crt", "etcd-ca.key"} & set(data)
    server.answers["/api/v1/namespaces/kube-system/secrets/kubeadm-certs"] = (200, {"data": data})
    files = download_certificates(trusted(server), key, shared_files(configuration))
    for file in ("ca.crt", "ca.key", "client.crt", "client.key"):
        (pki / file).unlink(missing_ok=True)
        (outside / file).unlink(missing_ok=True)
    host = {"cluster": configuration, "host": {"roles": ["control-plane", "node"]}}
    place_authorities(host, files, check=False)
    assert (outside / "client.key").read_text() == external["keyFile"]
    assert (outside / "client.key").stat().st_mode & 0o777 == 0o600
    assert (pki / "ca.key").read_text() == "ca.key"
