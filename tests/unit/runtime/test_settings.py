"""Settings by flag name."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from kubeinstall.errors import SettingsError
from kubeinstall.runtime import Settings, load, setting


@dataclass(frozen=True, kw_only=True)
class Example(Settings):
    kubeconfig: Path = setting(flag="kubeconfig", help="Credentials.")
    port: int = setting(6443, flag="secure-port", help="Port.")
    grace: float = setting(40.0, flag="grace-period", help="Patience.", unit="s")
    plugins: tuple[str, ...] = setting((), flag="enable-plugins", help="Plugins.")
    labels: dict[str, str] = setting(flag="node-labels", help="Labels.", factory=dict)
    enabled: bool = setting(True, flag="leader-elect", help="Lead.")
    ca: Path | None = setting(None, flag="client-ca-file", help="CA.")

    def validate(self) -> None:
        if not 0 < self.port < 65536:
            raise SettingsError("secure-port: must be between 1 and 65535")


def test_values_take_their_types() -> None:
    values: dict[str, Any] = {
        "kubeconfig": "/a",
        "secure-port": "7443",
        "grace-period": "1m30s",
        "enable-plugins": "A,B",
        "node-labels": "a=b,c=d",
        "leader-elect": "false",
        "client-ca-file": "/ca",
    }
    loaded = load(Example, values, "f")
    assert loaded == Example(
        kubeconfig=Path("/a"),
        port=7443,
        grace=90.0,
        plugins=("A", "B"),
        labels={"a": "b", "c": "d"},
        enabled=False,
        ca=Path("/ca"),
    )


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({}, "f: kubeconfig: required: Credentials."),
        (
            {"kubeconfig": "x", "secure-prot": 1},
            "unknown flag 'secure-prot'; did you mean 'secure-port'?",
        ),
        ({"kubeconfig": "x", "secure-port": "a"}, "f: secure-port: invalid value 'a'"),
        ({"kubeconfig": "x", "secure-port": 0}, "f: secure-port: must be between 1 and 65535"),
        ({"kubeconfig": "x", "grace-period": "5 minutes"}, "must be a duration"),
        ({"kubeconfig": "x", "leader-elect": "maybe"}, "must be true or false"),
        ({"kubeconfig": "x", "node-labels": 3}, "must be a mapping"),
    ],
)
def test_errors_name_flag_and_file(values: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load(Example, values, "f")
    assert message in str(caught.value)
