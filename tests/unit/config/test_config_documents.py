"""Documents: every problem is told with file, line and field."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from kubeinstall.config import ConfigError, InitConfig, load_init, load_reset
from kubeinstall.config.documents import parse_documents
from kubeinstall.config.effective import problems_in
from kubeinstall.config.migrate import migrate_all
from kubeinstall.config.printing import (
    init_defaults,
    join_defaults,
    reset_defaults,
    to_yaml,
    upgrade_defaults,
)

HEAD = "apiVersion: kubeadm.k8s.io/v1beta4\nkind: "


def problems(text: str) -> list[str]:
    try:
        return [str(problem) for problem in problems_in(parse_documents(text, "c.yaml"))]
    except ConfigError as error:
        return [str(problem) for problem in error.problems]


def cluster(body: str) -> str:
    return f"{HEAD}ClusterConfiguration\n{body}\n"


def init(body: str) -> str:
    return f"{HEAD}InitConfiguration\n{body}\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            cluster("networking:\n  podsubnet: 10.0.0.0/8"),
            'c.yaml:4: networking.podsubnet: unknown field "podsubnet" (did you mean "podSubnet"?)',
        ),
        (
            cluster("apiServer:\n  extraArgs:\n  - name: v"),
            "c.yaml:5: apiServer.extraArgs[0].value: Required value",
        ),
        (
            cluster("apiServer:\n  extraArgs:\n    v: '2'"),
            'c.yaml:4: apiServer.extraArgs: Invalid value: {"v": "2"}: must be of type array',
        ),
        (
            init("localAPIEndpoint:\n  bindPort: 70000"),
            (
                "c.yaml:4: localAPIEndpoint.bindPort: Invalid value: 70000: "
                "must be between 0 and 65535"
            ),
        ),
        (
            cluster("encryptionAlgorithm: DES"),
            (
                'c.yaml:3: encryptionAlgorithm: Unsupported value: "DES": supported values: '
                '"RSA-2048", "RSA-3072", "RSA-4096", "ECDSA-P256", "ECDSA-P384"'
            ),
        ),
        (
            cluster("certificateValidityPeriod: 1 year"),
            (
                'c.yaml:3: certificateValidityPeriod: Invalid value: "1 year": '
                'must be a duration such as "4m0s"'
            ),
        ),
        (
            f"{HEAD}Clusterconfiguration\n",
            (
                'c.yaml:2: kind: Unsupported value: "Clusterconfiguration": '
                'kubeadm.k8s.io/v1beta4 has "ClusterConfiguration", "InitConfiguration", '
                '"JoinConfiguration", "ResetConfiguration", "UpgradeConfiguration"'
            ),
        ),
        (
            "apiVersion: kubeadm.k8s.io/v1beta1\nkind: InitConfiguration\n",
            (
                'c.yaml:1: apiVersion: Unsupported value: "kubeadm.k8s.io/v1beta1": supported: '
                "kubeadm.k8s.io/v1beta4, kubeadm.k8s.io/v1beta3"
            ),
        ),
        ("kind: [\n", "c.yaml:2: not valid YAML: did not find expected node content"),
        ("- a\n", "c.yaml:1: a document must be a mapping"),
        (init("dryRun: true\ndryRun: false"), "c.yaml:4: dryRun: key is set more than once"),
        (
            cluster("networking:\n  serviceSubnet: 10.96.0.0/8"),
            (
                'c.yaml:4: networking.serviceSubnet: Invalid value: "10.96.0.0/8": '
                "10.96.0.0/8 has host bits set"
            ),
        ),
        (
            cluster("networking:\n  serviceSubnet: 10.0.0.0/8"),
            (
                'c.yaml:4: networking.serviceSubnet: Invalid value: "10.0.0.0/8": specified service '
                "subnet is too large; for 32-bit addresses, the mask must be >= 12"
            ),
        ),
        (
            cluster("networking:\n  serviceSubnet: 10.96.0.0/30"),
            (
                'c.yaml:4: networking.serviceSubnet: Invalid value: "10.96.0.0/30": subnet is too '
                "small: at least 10 addresses are needed"
            ),
        ),
        (
            cluster("networking:\n  podSubnet: 10.244.0.0/28"),
            (
                'c.yaml:4: networking.podSubnet: Invalid value: "10.244.0.0/28": pod subnet size is '
                "smaller than the node subnet size, /24"
            ),
        ),
        (
            cluster("networking:\n  serviceSubnet: 10.96.0.0/16\n  podSubnet: 10.96.0.0/20"),
            (
                'c.yaml:5: networking.podSubnet: Invalid value: "10.96.0.0/20": overlaps '
                "serviceSubnet 10.96.0.0/16"
            ),
        ),
        (
            cluster("kubernetesVersion: v1.35.2"),
            (
                'c.yaml:3: kubernetesVersion: Invalid value: "v1.35.2": this release of kubeinstall '
                "is Kubernetes 1.36"
            ),
        ),
        (
            cluster("controlPlaneEndpoint: api.example.org:99999"),
            (
                'c.yaml:3: controlPlaneEndpoint: Invalid value: "api.example.org:99999": port must '
                "be between 1 and 65535"
            ),
        ),
        (
            cluster("apiServer:\n  certSANs:\n  - ok.example.org\n  - under_score"),
            (
                'c.yaml:6: apiServer.certSANs[1]: Invalid value: "under_score": altname is not a '
                "valid IP address or DNS name"
            ),
        ),
        (
            cluster("certificatesDir: pki"),
            'c.yaml:3: certificatesDir: Invalid value: "pki": path is not absolute',
        ),
        (
            init("nodeRegistration:\n  criSocket: /run/x.sock"),
            (
                'c.yaml:4: nodeRegistration.criSocket: Invalid value: "/run/x.sock": only URL scheme '
                "unix is supported: unix:///PATH"
            ),
        ),
        (
            init("bootstrapTokens:\n- token: TOO.SHORT"),
            (
                "c.yaml:4: bootstrapTokens[0].token: Invalid value: the token must be of the form "
                '"[a-z0-9]{6}.[a-z0-9]{16}"'
            ),
        ),
        (
            f"{HEAD}JoinConfiguration\n",
            "c.yaml:1: discovery: Required value",
        ),
        (
            (
                f"{HEAD}JoinConfiguration\ndiscovery:\n  bootstrapToken:\n"
                "    token: abcdef.0123456789abcdef\n    apiServerEndpoint: 192.0.2.1:6443\n"
            ),
            (
                "c.yaml:4: discovery.bootstrapToken.caCertHashes: using token-based discovery without "
                "caCertHashes can be unsafe. Set unsafeSkipCAVerification as true in your "
                "configuration to continue"
            ),
        ),
        (
            f"{HEAD}ResetConfiguration\nunmountFlags: [MNT_NOW]\n",
            (
                'c.yaml:3: unmountFlags[0]: Unsupported value: "MNT_NOW": supported values: '
                '"MNT_FORCE", "MNT_DETACH", "MNT_EXPIRE", "UMOUNT_NOFOLLOW"'
            ),
        ),
    ],
)
def test_each_mistake_is_told_where_it_stands(text: str, expected: str) -> None:
    assert problems(text) == [expected]


def test_a_secret_token_is_not_shown_in_its_error() -> None:
    assert "hunter2" not in str(problems(init("bootstrapTokens:\n- token: hunter2")))


def test_all_problems_are_told_at_once_across_documents() -> None:
    text = cluster("certificatesDir: pki\nclusterName: A_B") + "---\n" + init("skipPhases: x")
    assert [problem.split(": ")[1] for problem in problems(text)] == [
        "certificatesDir",
        "clusterName",
        "skipPhases",
    ]


def test_second_document_of_a_kind_is_refused() -> None:
    found = problems(init("") + "---\n" + init(""))
    assert found == ["c.yaml:5: a second InitConfiguration (first: line 1)"]


def test_dates_stay_text() -> None:
    [document] = parse_documents("expires: 2026-11-20T12:00:00Z", "c.yaml")
    assert document.data == {"expires": "2026-11-20T12:00:00Z"}


def load(tmp_path: Path, text: str, **overrides: Any) -> InitConfig:
    path = tmp_path / "c.yaml"
    path.write_text(text)
    return load_init(path, node_name="host-a", address="192.0.2.1", **overrides)


def test_defaults_without_a_file() -> None:
    config = load_init(None, node_name="host-a", address="192.0.2.1")
    assert (config.node_name, config.advertise_address, config.bind_port) == (
        "host-a",
        "192.0.2.1",
        6443,
    )
    assert config.cluster["networking"] == {
        "serviceSubnet": "10.96.0.0/12",
        "podSubnet": "10.244.0.0/16",
        "dnsDomain": "cluster.local",
    }
    assert config.init["nodeRegistration"]["taints"] == [
        {"key": "node-role.kubernetes.io/control-plane", "effect": "NoSchedule"}
    ]


def test_empty_taints_mean_none_and_empty_sections_mean_defaults(tmp_path: Path) -> None:
    text = init("nodeRegistration:\n  taints: []") + "---\n" + cluster("apiServer:\nnetworking:")
    config = load(tmp_path, text)
    assert config.init["nodeRegistration"]["taints"] == []
    assert config.cluster["apiServer"] == {}
    assert config.cluster["networking"]["podSubnet"] == "10.244.0.0/16"


def test_flags_win_over_the_file(tmp_path: Path) -> None:
    text = cluster("networking:\n  podSubnet: 10.1.0.0/16\n  dnsDomain: a.example")
    overrides = {"networking": {"podSubnet": "10.2.0.0/16"}}
    config = load(tmp_path, text, cluster_overrides=overrides)
    assert config.cluster["networking"]["podSubnet"] == "10.2.0.0/16"
    assert config.cluster["networking"]["dnsDomain"] == "a.example"


def test_overlap_with_a_default_is_found(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"c\.yaml:4: .*overlaps serviceSubnet 10\.96\.0\.0/12"):
        load(tmp_path, cluster("networking:\n  podSubnet: 10.96.0.0/16"))


def test_bad_flag_is_told_without_a_line() -> None:
    overrides = {"networking": {"podSubnet": "nonsense"}}
    with pytest.raises(ConfigError, match=r"command line: networking\.podSubnet: Invalid value"):
        load_init(None, node_name="a", address="192.0.2.1", cluster_overrides=overrides)


def test_host_name_that_is_no_node_name() -> None:
    with pytest.raises(ConfigError, match=r"nodeRegistration\.name: .*RFC 1123 subdomain"):
        load_init(None, node_name="Bad_Host", address="192.0.2.1")


def test_join_document_is_not_for_init(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="JoinConfiguration is not read by init"):
        load(tmp_path, to_yaml(join_defaults()))


def test_unreadable_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.yaml: cannot be read: No such file"):
        load_init(tmp_path / "none.yaml", node_name="a", address="192.0.2.1")


@pytest.mark.parametrize("make", [init_defaults, join_defaults, reset_defaults, upgrade_defaults])
def test_printed_defaults_are_valid(make: Callable[[], list[dict[str, Any]]]) -> None:
    assert problems(to_yaml(make())) == []


def test_reset_defaults() -> None:
    config = load_reset(None, {"force": True})
    assert config["force"] is True
    assert config["criSocket"] == "unix:///run/containerd/containerd.sock"


V1BETA3 = """
apiVersion: kubeadm.k8s.io/v1beta3
kind: ClusterConfiguration
apiServer:
  timeoutForControlPlane: 5m0s
  extraArgs: {v: "2", audit-log-path: /x}
etcd:
  local:
    extraArgs: {quota-backend-bytes: "1"}
---
apiVersion: kubeadm.k8s.io/v1beta3
kind: InitConfiguration
nodeRegistration:
  kubeletExtraArgs: {node-ip: 192.0.2.1}
---
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
maxPods: 50
"""


def test_v1beta3_migrates_to_valid_v1beta4() -> None:
    old = [document.data for document in parse_documents(V1BETA3, "c.yaml")]
    new = {document["kind"]: document for document in migrate_all(old)}
    assert new["ClusterConfiguration"]["apiServer"] == {
        "extraArgs": [{"name": "audit-log-path", "value": "/x"}, {"name": "v", "value": "2"}]
    }
    assert new["InitConfiguration"]["timeouts"] == {"controlPlaneComponentHealthCheck": "5m0s"}
    assert new["InitConfiguration"]["nodeRegistration"]["kubeletExtraArgs"] == [
        {"name": "node-ip", "value": "192.0.2.1"}
    ]
    assert new["KubeletConfiguration"]["maxPods"] == 50
    assert problems(yaml.safe_dump_all(list(new.values()))) == []


def test_v1beta3_is_read_by_init(tmp_path: Path) -> None:
    config = load(tmp_path, V1BETA3)
    assert config.kubelet["maxPods"] == 50
    assert config.init["timeouts"]["controlPlaneComponentHealthCheck"] == "5m0s"
