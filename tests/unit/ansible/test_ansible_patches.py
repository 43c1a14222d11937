"""`--patches`: names, kinds, order, and every way they can be wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from kubeinstall.ansible.patches import patched
from kubeinstall.errors import KubeinstallError

DOCUMENT = {"kind": "KubeletConfiguration", "maxPods": 110, "clusterDNS": ["10.96.0.10"]}


def test_without_a_directory_nothing_changes() -> None:
    assert patched(DOCUMENT, "") == DOCUMENT


def test_patches_are_applied_in_the_order_of_names(tmp_path: Path) -> None:
    (tmp_path / "kubeletconfiguration0.yaml").write_text("maxPods: 5\nclusterDNS: [10.0.0.1]\n")
    (tmp_path / "kubeletconfiguration1+json.json").write_text(
        '[{"op": "replace", "path": "/maxPods", "value": 7}]'
    )
    (tmp_path / "kubeletconfiguration2+merge.yaml").write_text("clusterDNS: null\n")
    (tmp_path / "README.md").write_text("not a patch")
    (tmp_path / "other.yaml").write_text("maxPods: 9\n")
    assert patched(DOCUMENT, str(tmp_path)) == {"kind": "KubeletConfiguration", "maxPods": 7}


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("kube-apiserver0+merge.yaml", "{}", "use apiServer.extraArgs"),
        ("etcd.yaml", "{}", "use etcd.local.extraArgs"),
        ("corednsdeployment.yaml", "{}", "a program on every node"),
        ("kubeletconfiguration+wrong.yaml", "{}", 'unknown patch type "wrong"'),
        ("kubeletconfiguration.json", "{", "cannot be read"),
        (
            "kubeletconfiguration+json.json",
            '[{"op": "remove", "path": "/no"}]',
            "cannot be applied",
        ),
        ("kubeletconfiguration.yaml", "- 1", "is no configuration"),
    ],
)
def test_what_cannot_be_done_is_refused_by_name(
    tmp_path: Path, name: str, text: str, said: str
) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(KubeinstallError, match=said) as caught:
        patched(DOCUMENT, str(tmp_path))
    assert name in str(caught.value)


def test_a_directory_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(KubeinstallError, match="No such file"):
        patched(DOCUMENT, str(tmp_path / "absent"))
