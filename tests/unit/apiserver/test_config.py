from __future__ import annotations

import pytest

from kubeinstall.apiserver.config import ApiServerSettings
from kubeinstall.errors import SettingsError
from kubeinstall.runtime.settings import load

NEEDED = {"tls-cert-file": "/c", "tls-private-key-file": "/k"}


def settings(**flags: object) -> ApiServerSettings:
    given = {name.replace("_", "-"): value for name, value in flags.items()}
    return load(ApiServerSettings, {**NEEDED, **given}, "test")


def test_etcd_flags_say_where_objects_are_kept() -> None:
    assert settings(storage_url="sqlite:///x").datastore_url == "sqlite:///x"
    etcd = settings(
        etcd_servers="https://a:2379,https://b:2379", etcd_cafile="/ca", etcd_keyfile="/key"
    )
    assert etcd.datastore_url == "etcd://a:2379,b:2379?cacert=%2Fca&key=%2Fkey"


@pytest.mark.parametrize(
    "flags",
    [
        {"service_cluster_ip_range": "10.96.0.0/99"},
        {"service_cluster_ip_range": ""},
        {"service_node_port_range": "30000"[::-1] + "-"},
        {"service_node_port_range": "2-1"},
        {"secure_port": 70000},
        {"authorization_mode": "RBAC,Webhook"},
    ],
)
def test_a_wrong_flag_is_named(flags: dict[str, object]) -> None:
    with pytest.raises(SettingsError, match=next(iter(flags)).replace("_", "-")):
        settings(**flags)


def test_ranges() -> None:
    assert settings(service_node_port_range="30000-30001").node_ports == range(30000, 30002)
    assert settings().audiences == ("https://kubernetes.default.svc.cluster.local",)
