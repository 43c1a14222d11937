"""From API objects to what containers see."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from kubeinstall.errors import NotFound
from kubeinstall.kubelet.pod import spec
from kubeinstall.kubelet.pod.expand import expand, expand_strict
from kubeinstall.kubelet.translate.dns import parse_resolv_conf, pod_resolver
from kubeinstall.kubelet.translate.environment import (
    EnvironmentProblem,
    Surroundings,
    make_environment,
    service_variables,
)
from kubeinstall.kubelet.translate.fields import format_map, pod_field, resource_field
from kubeinstall.kubelet.translate.hosts import hosts_file
from kubeinstall.kubelet.translate.sandbox import SandboxInputs, sandbox_config
from kubeinstall.kubelet.translate.security import SecurityError, container_security
from tests.unit.kubelet.pods import container, pod


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("plain", "plain"),
        ("$(A)-$(B)", "1-$(B)"),
        ("$$(A)", "$(A)"),
        ("$$$(A)", "$1"),
        ("$(A", "$(A"),
        ("$A $", "$A $"),
        ("$($(A))", "$($(A))"),
        ("a$$b", "a$b"),
    ],
)
def test_expansion(text: str, wanted: str) -> None:
    assert expand(text, {"A": "1"}) == wanted


def test_strict_expansion_does_not_guess() -> None:
    assert expand_strict("x-$(A)", {"A": "1"}) == "x-1"
    with pytest.raises(KeyError):
        expand_strict("x-$(B)", {"A": "1"})


def test_service_variables() -> None:
    def service(name: str, namespace: str, ip: str) -> dict[str, Any]:
        ports = [
            {"name": "http-web", "port": 80, "protocol": "TCP"},
            {"port": 53, "protocol": "UDP"},
        ]
        return {
            "metadata": {"name": name, "namespace": namespace},
            "spec": {"clusterIP": ip, "ports": ports},
        }

    listed = [
        service("my-web", "ns", "10.0.0.5"),
        service("none", "ns", "None"),
        service("kubernetes", "default", "10.0.0.1"),
        service("other", "elsewhere", "10.0.0.6"),
    ]
    found = service_variables(listed, "ns", all_services=True)
    assert found["MY_WEB_SERVICE_HOST"] == "10.0.0.5"
    assert found["MY_WEB_SERVICE_PORT"] == "80"
    assert found["MY_WEB_SERVICE_PORT_HTTP_WEB"] == "80"
    assert found["MY_WEB_PORT"] == found["MY_WEB_PORT_80_TCP"] == "tcp://10.0.0.5:80"
    assert found["MY_WEB_PORT_53_UDP_PROTO"] == "udp"
    assert found["KUBERNETES_SERVICE_HOST"] == "10.0.0.1"
    assert not any(name.startswith(("NONE", "OTHER")) for name in found)
    without = service_variables(listed, "ns", all_services=False)
    assert "KUBERNETES_SERVICE_HOST" in without
    assert "MY_WEB_SERVICE_HOST" not in without


async def test_references_that_lead_nowhere() -> None:
    async def fetch(resource: str, namespace: str, name: str) -> dict[str, Any]:
        raise NotFound(f'configmap "{name}" not found')

    around = Surroundings(fetch, [], [], [], {})
    reference = {"name": "x", "key": "k"}
    wanted = container(env=[{"name": "A", "valueFrom": {"configMapKeyRef": reference}}])
    with pytest.raises(EnvironmentProblem, match='configmap "x" not found'):
        await make_environment(pod(wanted), wanted, around)
    wanted = container(
        env=[{"name": "A", "valueFrom": {"configMapKeyRef": {**reference, "optional": True}}}]
    )
    assert await make_environment(pod(wanted), wanted, around) == {}


def test_fields() -> None:
    made = pod()
    made["metadata"]["labels"] = {"b": 'q"uote', "a": "x"}
    assert pod_field(made, "metadata.labels['a']") == "x"
    assert pod_field(made, "metadata.labels") == 'a="x"\nb="q\\"uote"'
    assert format_map({"k": "1\n2"}) == 'k="1\\n2"'
    limited = container(resources={"limits": {"cpu": "1500m", "memory": "10Mi"}})
    assert resource_field(made, {"resource": "limits.cpu"}, limited, {}) == "2"
    assert resource_field(made, {"resource": "limits.cpu", "divisor": "1m"}, limited, {}) == "1500"
    assert (
        resource_field(made, {"resource": "limits.memory", "divisor": "1Mi"}, limited, {}) == "10"
    )
    assert (
        resource_field(made, {"resource": "limits.memory"}, container(), {"memory": "7Ki"})
        == "7168"
    )
    assert (
        resource_field(made, {"resource": "requests.memory"}, container(), {"memory": "7Ki"}) == "0"
    )


def resolver(tmp_path: Path, made: dict[str, Any]) -> tuple[list[str], list[str], list[str]]:
    host = tmp_path / "resolv.conf"
    host.write_text("nameserver 1.1.1.1\nsearch lan.\noptions rotate\n")
    found, _ = pod_resolver(
        made, cluster_dns=["10.96.0.10"], domain="cluster.local", resolv_conf=str(host)
    )
    return found.servers, found.searches, found.options


def test_dns_policies(tmp_path: Path) -> None:
    cluster = (
        ["10.96.0.10"],
        ["ns.svc.cluster.local", "svc.cluster.local", "cluster.local", "lan"],
        ["ndots:5"],
    )
    host = (["1.1.1.1"], ["lan"], ["rotate"])
    assert resolver(tmp_path, pod()) == cluster
    assert resolver(tmp_path, pod(hostNetwork=True)) == host
    assert resolver(tmp_path, pod(hostNetwork=True, dnsPolicy="ClusterFirstWithHostNet")) == cluster
    assert resolver(tmp_path, pod(dnsPolicy="Default")) == host
    own = {
        "nameservers": ["9.9.9.9"],
        "options": [{"name": "ndots", "value": "2"}, {"name": "edns0"}],
    }
    assert resolver(tmp_path, pod(dnsPolicy="None", dnsConfig=own)) == (
        ["9.9.9.9"],
        [],
        ["ndots:2", "edns0"],
    )
    assert resolver(tmp_path, pod(dnsConfig=own))[2] == ["ndots:2", "edns0"]
    assert parse_resolv_conf("search a\nsearch b # c\n").searches == ["b"]


def test_host_names() -> None:
    made = pod(subdomain="s", hostname="h")
    assert spec.fqdn(made, "cluster.local") == ("h", "s.ns.svc.cluster.local")
    made["metadata"]["name"] = "x" * 62 + "-" + "y" * 10
    made["spec"].pop("hostname")
    assert spec.hostname(made) == "x" * 62
    text = hosts_file(
        pod(hostAliases=[{"ip": "1.2.3.4", "hostnames": ["a", "b"]}]), ["10.0.0.1"], "d"
    )
    assert text.endswith("10.0.0.1\tp\n\n# Entries added by HostAliases.\n1.2.3.4\ta\tb\n")


def secured(made: dict[str, Any], **image: Any) -> Any:
    given: dict[str, Any] = {"image_uid": 0, "image_user": "", **image}
    return container_security(
        made, made["spec"]["containers"][0], seccomp_root=Path("/s"), seccomp_default=False, **given
    )


def test_security_contexts() -> None:
    inner = container(securityContext={"runAsUser": 5, "allowPrivilegeEscalation": False})
    made = secured(pod(inner, securityContext={"runAsUser": 1, "runAsGroup": 2, "fsGroup": 3}))
    assert made.run_as_user.value == 5
    assert made.run_as_group.value == 2
    assert list(made.supplemental_groups) == [3]
    assert made.no_new_privs
    assert "/proc/kcore" in made.masked_paths
    open_one = secured(pod(container(securityContext={"privileged": True})))
    assert open_one.privileged
    assert not open_one.masked_paths


def test_root_is_refused_with_upstreams_words() -> None:
    made = pod(securityContext={"runAsNonRoot": True})
    with pytest.raises(
        SecurityError, match="container has runAsNonRoot and image will run as root"
    ):
        secured(made)
    with pytest.raises(SecurityError, match="image has non-numeric user \\(app\\)"):
        secured(made, image_uid=None, image_user="app")
    assert secured(made, image_uid=10).run_as_user.value == 10


def test_sandboxes_are_found_again_by_their_labels(tmp_path: Path) -> None:
    made = pod(container(ports=[{"containerPort": 80, "hostPort": 8080}, {"containerPort": 81}]))
    made["metadata"]["labels"] = {"app": "x"}
    found, _ = pod_resolver(made, cluster_dns=[], domain="", resolv_conf="")
    config = sandbox_config(
        made, SandboxInputs(2, tmp_path, found, "cluster.local", "/kubepods/podu", tmp_path)
    )
    assert dict(config.labels) == {
        "app": "x",
        "io.kubernetes.pod.name": "p",
        "io.kubernetes.pod.namespace": "ns",
        "io.kubernetes.pod.uid": "u",
    }
    assert (config.metadata.attempt, config.hostname) == (2, "p")
    assert [(p.container_port, p.host_port) for p in config.port_mappings] == [(80, 8080)]
    assert config.linux.cgroup_parent == "/kubepods/podu"
