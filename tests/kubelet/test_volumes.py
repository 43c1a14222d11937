"""What containers find in their volumes and their environment."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest

from tests.kubelet.conftest import Node

pytestmark = pytest.mark.host


def script(text: str, **more: Any) -> dict[str, Any]:
    return {"name": "c", "image": "busybox", "command": ["sh", "-c", f"{text}; sleep 1000"], **more}


async def config_map(node: Node, name: str, data: dict[str, str]) -> None:
    await node.api.put(
        "v1/configmaps", {"metadata": {"name": name, "namespace": "default"}, "data": data}
    )


async def secret(node: Node, name: str, data: dict[str, str]) -> None:
    coded = {key: base64.b64encode(value.encode()).decode() for key, value in data.items()}
    await node.api.put(
        "v1/secrets", {"metadata": {"name": name, "namespace": "default"}, "data": coded}
    )


async def test_content_volumes_and_their_updates(node: Node) -> None:
    await config_map(node, "cfg", {"a": "one", "b": "two"})
    await secret(node, "sec", {"pw": "hunter2"})
    mounts = [{"name": n, "mountPath": f"/{n}"} for n in ("cfg", "sec", "down", "proj", "items")]
    sources = [
        {"serviceAccountToken": {"path": "token", "expirationSeconds": 3600}},
        {"configMap": {"name": "cfg", "items": [{"key": "b", "path": "deep/b"}]}},
        {"secret": {"name": "absent", "optional": True}},
    ]
    labels = {"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}}
    text = (
        "cat /cfg/a /sec/pw /down/labels /proj/deep/b; echo; stat -Lc %a /sec/pw /items/x; "
        "while [ $(cat /cfg/a) = one ]; do sleep 0.1; done; echo; echo now $(cat /cfg/a) $(ls /cfg)"
    )
    await node.run(
        "p",
        {
            "containers": [script(text, volumeMounts=mounts)],
            "volumes": [
                {"name": "cfg", "configMap": {"name": "cfg"}},
                {"name": "sec", "secret": {"secretName": "sec", "defaultMode": 0o400}},
                {"name": "down", "downwardAPI": {"items": [labels]}},
                {"name": "proj", "projected": {"sources": sources}},
                {
                    "name": "items",
                    "configMap": {
                        "name": "cfg",
                        "items": [{"key": "a", "path": "x", "mode": 0o600}],
                    },
                },
            ],
        },
        labels={"app": "x", "tier": "y"},
    )
    await node.until(lambda: "400\n600\n" in node.log("p"))
    assert node.log("p").startswith('onehunter2app="x"\ntier="y"two\n')
    await config_map(node, "cfg", {"a": "three", "c": "new"})
    await node.until(lambda: "now three a c" in node.log("p"), 10)


async def test_an_image_as_a_volume(node: Node) -> None:
    await node.run(
        "p",
        {
            "containers": [
                script(
                    "ls -l /img/bin/busybox; touch /img/new 2>&1",
                    volumeMounts=[{"name": "v", "mountPath": "/img"}],
                )
            ],
            "volumes": [{"name": "v", "image": {"reference": "busybox", "pullPolicy": "Always"}}],
        },
    )
    await node.until(lambda: "Read-only file system" in node.log("p"))
    assert "/img/bin/busybox" in node.log("p")
    assert "kubernetes.io~image" in node.containerd.snapshots()
    await node.api.delete_pod("p")
    await node.until(lambda: node.pod("p") is None)
    await node.until(lambda: "kubernetes.io~image" not in node.containerd.snapshots())


async def test_a_missing_object_holds_the_pod_until_it_comes(node: Node) -> None:
    volume = {"name": "v", "configMap": {"name": "late"}}
    mounts = [{"name": "v", "mountPath": "/v"}]
    await node.run(
        "p", {"containers": [script("cat /v/k", volumeMounts=mounts)], "volumes": [volume]}
    )
    wanted = ("FailedMount", 'MountVolume.SetUp failed for volume "v" : configmap "late" not found')
    await node.until(lambda: wanted in node.api.events("p"))
    assert node.waiting("p")["reason"] == "ContainerCreating"
    await config_map(node, "late", {"k": "here\n"})
    await node.until(lambda: "here" in node.log("p"), 5)


async def test_a_missing_key_in_the_environment(node: Node) -> None:
    await config_map(node, "cfg", {"a": "one"})
    variable = {"name": "X", "valueFrom": {"configMapKeyRef": {"name": "cfg", "key": "none"}}}
    await node.run("p", {"containers": [script("true", env=[variable])]})
    await node.until(lambda: node.waiting("p").get("reason") == "CreateContainerConfigError")
    assert node.waiting("p")["message"] == "couldn't find key none in ConfigMap default/cfg"


async def test_environment(node: Node) -> None:
    await config_map(node, "cfg", {"A": "one"})
    await secret(node, "sec", {"PW": "hunter2"})
    service = {
        "metadata": {"name": "my-db", "namespace": "default"},
        "spec": {
            "clusterIP": "10.96.7.7",
            "ports": [{"name": "sql", "port": 5432, "protocol": "TCP"}],
        },
    }
    await node.api.put("v1/services", service)
    env = [
        {"name": "NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
        {"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
        {"name": "HOST", "valueFrom": {"fieldRef": {"fieldPath": "status.hostIP"}}},
        {
            "name": "MEM",
            "valueFrom": {"resourceFieldRef": {"resource": "limits.memory", "divisor": "1Mi"}},
        },
        {"name": "KEY", "valueFrom": {"configMapKeyRef": {"name": "cfg", "key": "A"}}},
        {"name": "ALL", "value": "$(NAME)-$(KEY)-$$(KEY)-$(NONE)-$(MY_DB_SERVICE_PORT)"},
    ]
    container = script("env", env=env, envFrom=[{"secretRef": {"name": "sec"}, "prefix": "S_"}])
    container["resources"] = {"limits": {"memory": "64Mi"}, "requests": {"memory": "32Mi"}}
    await node.run("p", {"containers": [container]})
    await node.until(lambda: node.condition("p", "Ready") == "True")
    lines = set(node.log("p").splitlines())
    pod = node.pod("p")
    assert pod is not None
    for wanted in (
        "NAME=p",
        f"IP={pod['status']['podIP']}",
        "HOST=127.0.0.1",
        "MEM=64",
        "S_PW=hunter2",
        "ALL=p-one-$(KEY)-$(NONE)-5432",
        "MY_DB_PORT_5432_TCP_ADDR=10.96.7.7",
        "MY_DB_SERVICE_PORT_SQL=5432",
    ):
        assert wanted in lines


async def test_empty_dirs_host_paths_and_parts_of_them(node: Node, tmp_path: Path) -> None:
    (tmp_path / "h").mkdir()
    (tmp_path / "h/file").write_text("from the host\n")
    mounts = [
        {"name": "mem", "mountPath": "/mem"},
        {"name": "disk", "mountPath": "/disk"},
        {"name": "host", "mountPath": "/host", "readOnly": True},
        {"name": "host", "mountPath": "/one", "subPath": "file"},
        {"name": "disk", "mountPath": "/part", "subPathExpr": "$(NAME)/x"},
    ]
    text = "cat /one; df /mem | grep -c tmpfs; stat -c %a:%g /disk; touch /host/x || echo readonly; touch /part/y"
    env = [{"name": "NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}]
    await node.run(
        "p",
        {
            "securityContext": {"fsGroup": 1234},
            "containers": [script(text, volumeMounts=mounts, env=env)],
            "volumes": [
                {"name": "mem", "emptyDir": {"medium": "Memory", "sizeLimit": "8Mi"}},
                {"name": "disk", "emptyDir": {}},
                {"name": "host", "hostPath": {"path": str(tmp_path / "h"), "type": "Directory"}},
            ],
        },
    )
    await node.until(lambda: "readonly" in node.log("p"))
    assert node.log("p").startswith("from the host\n1\n2777:1234\n")
    folder = next(
        (node.kubelet.folder / "kubelet/pods").glob("*/volumes/kubernetes.io~empty-dir/disk")
    )
    await node.until(lambda: (folder / "p/x/y").exists())


async def test_a_host_path_of_the_wrong_type(node: Node) -> None:
    volume = {"name": "h", "hostPath": {"path": "/etc/passwd", "type": "Directory"}}
    container = script("true", volumeMounts=[{"name": "h", "mountPath": "/h"}])
    await node.run("p", {"containers": [container], "volumes": [volume]})
    text = 'MountVolume.SetUp failed for volume "h" : hostPath type check failed: /etc/passwd is not a directory'
    await node.until(lambda: ("FailedMount", text) in node.api.events("p"))


async def test_names_and_hosts(node: Node) -> None:
    await node.run(
        "p",
        {
            "hostname": "hh",
            "subdomain": "ss",
            "hostAliases": [{"ip": "1.2.3.4", "hostnames": ["foo", "bar"]}],
            "containers": [script("hostname; hostname -f; cat /etc/hosts /etc/resolv.conf")],
        },
    )
    await node.until(lambda: "ndots" in node.log("p"))
    text = node.log("p")
    assert text.startswith(
        "hh\nhh.ss.default.svc.cluster.local\n# Kubernetes-managed hosts file.\n127.0.0.1\tlocalhost\n"
    )
    assert "\thh.ss.default.svc.cluster.local\thh\n" in text
    assert "# Entries added by HostAliases.\n1.2.3.4\tfoo\tbar\n" in text
    assert "search default.svc.cluster.local svc.cluster.local cluster.local" in text
    assert "nameserver 10.96.0.10\noptions ndots:5" in text


async def test_security_contexts(node: Node) -> None:
    text = (
        "id; grep NoNewPrivs /proc/self/status; grep CapBnd /proc/self/status; touch /x; "
        "cat /proc/sys/net/ipv4/ip_local_port_range; grep Seccomp: /proc/self/status"
    )
    context = {
        "readOnlyRootFilesystem": True,
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"], "add": ["NET_ADMIN"]},
    }
    await node.run(
        "p",
        {
            "securityContext": {
                "runAsUser": 1000,
                "runAsGroup": 3000,
                "fsGroup": 2000,
                "supplementalGroups": [4000],
                "seccompProfile": {"type": "RuntimeDefault"},
                "sysctls": [{"name": "net.ipv4.ip_local_port_range", "value": "2000 3000"}],
            },
            "containers": [script(text, securityContext=context)],
        },
    )
    await node.until(lambda: "Seccomp:" in node.log("p"))
    text = node.log("p")
    assert "uid=1000 gid=3000 groups=2000,3000,4000" in text
    assert "NoNewPrivs:\t1" in text
    assert "CapBnd:\t0000000000001000" in text
    assert "Read-only file system" in text
    assert "2000\t3000" in text
    assert "Seccomp:\t2" in text


async def test_root_is_refused_where_it_must_not_run(node: Node) -> None:
    await node.run("p", {"securityContext": {"runAsNonRoot": True}, "containers": [script("true")]})
    await node.until(lambda: node.waiting("p").get("reason") == "CreateContainerConfigError")
    assert node.waiting("p")["message"].startswith(
        'container has runAsNonRoot and image will run as root (pod: "p_default('
    )
