"""Settings of kube-servers."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from kubeinstall.errors import SettingsError
from kubeinstall.runtime.settings import Settings, setting


@dataclass(frozen=True, kw_only=True)
class BalancerSettings(Settings):
    """What kube-servers can be told."""

    kubeconfig: Path = setting(
        Path("/etc/kubernetes/kubelet.conf"),
        flag="kubeconfig",
        help="Credentials for the API server.",
    )
    balancer_config: Path = setting(
        Path("/etc/kubernetes/haproxy.cfg"),
        flag="balancer-config",
        help="haproxy's file, kept current.",
    )
    bind_address: str = setting(
        "127.0.0.1:6445", flag="bind-address", help="Where haproxy listens: address:port."
    )
    keep_seconds: int = setting(
        600,
        flag="keep-seconds",
        unit="s",
        help="How long a server that is no longer published is kept: one that restarts is not taken out at once.",
    )
    health_bind_address: str = setting(
        "127.0.0.1:10245",
        flag="health-bind-address",
        help="Address and port of health and metrics.",
    )

    def validate(self) -> None:
        """Addresses must be usable."""
        for flag, value in (
            ("bind-address", self.bind_address),
            ("health-bind-address", self.health_bind_address),
        ):
            host, _, port = value.rpartition(":")
            if not host or not port.lstrip("-").isdigit():
                raise SettingsError(f"{flag}: must be address:port")
        if self.keep_seconds < 0:
            raise SettingsError("keep-seconds: must not be negative")
