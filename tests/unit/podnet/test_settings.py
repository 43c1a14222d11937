"""Kernel settings and the component's own."""

from __future__ import annotations

from pathlib import Path

import pytest

from kubeinstall.errors import SettingsError
from kubeinstall.podnet.config import PodNetworkSettings
from kubeinstall.podnet.sysctl import apply_settings
from kubeinstall.runtime.settings import load


def test_settings_are_applied_and_missing_keys_told(tmp_path: Path) -> None:
    forward = tmp_path / "net/ipv4/ip_forward"
    forward.parent.mkdir(parents=True)
    forward.write_text("0\n")
    assert apply_settings(False, tmp_path) == ["net/bridge/bridge-nf-call-iptables"]
    assert forward.read_text() == "1"


@pytest.mark.parametrize(
    ("flag", "value"),
    [("cluster-cidr", "nonsense"), ("encapsulation", "gre"), ("bridge", "much-too-long-a-name"),
     ("health-bind-address", "10246")],
)  # fmt: skip
def test_wrong_settings_name_the_flag(flag: str, value: str) -> None:
    with pytest.raises(SettingsError, match=flag):
        load(PodNetworkSettings, {flag: value}, "test")
