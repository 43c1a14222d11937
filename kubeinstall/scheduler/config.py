"""Settings of kube-scheduler, and the part of KubeSchedulerConfiguration that it reads."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kubeinstall.errors import SettingsError
from kubeinstall.runtime.settings import Settings, setting

DEFAULT_SCHEDULER = "default-scheduler"


@dataclass(frozen=True, kw_only=True)
class SchedulerSettings(Settings):
    """What kube-scheduler can be told."""

    kubeconfig: Path = setting(
        Path("/etc/kubernetes/scheduler.conf"),
        flag="kubeconfig",
        help="Credentials for the API server.",
    )
    config: Path | None = setting(
        None, flag="config", help="A KubeSchedulerConfiguration (v1) file; its profiles are read."
    )
    leader_elect: bool = setting(
        True, flag="leader-elect", help="Schedule only while holding the lease kube-scheduler."
    )
    leader_elect_lease_duration: float = setting(
        15.0, flag="leader-elect-lease-duration", unit="s", help="How long a lease is respected."
    )
    leader_elect_renew_deadline: float = setting(
        10.0, flag="leader-elect-renew-deadline", unit="s", help="How long a holder tries to renew."
    )
    leader_elect_retry_period: float = setting(
        2.0, flag="leader-elect-retry-period", unit="s", help="Pause between tries."
    )
    leader_elect_resource_name: str = setting(
        "kube-scheduler", flag="leader-elect-resource-name", help="Name of the Lease."
    )
    leader_elect_resource_namespace: str = setting(
        "kube-system", flag="leader-elect-resource-namespace", help="Namespace of the Lease."
    )
    bind_address: str = setting(
        "127.0.0.1", flag="bind-address", help="Address of health and metrics."
    )
    secure_port: int = setting(
        10259, flag="secure-port", help="Port of health and metrics; 0 serves none."
    )
    tls_cert_file: Path | None = setting(
        None, flag="tls-cert-file", help="Certificate of the port; plain HTTP without one."
    )
    tls_private_key_file: Path | None = setting(
        None, flag="tls-private-key-file", help="Key of tls-cert-file."
    )
    binders: int = setting(
        32, flag="parallel-binders", help="How many bindings may be under way at the same time."
    )
    bind_timeout: float = setting(
        600.0,
        flag="volume-bind-timeout",
        unit="s",
        help="How long a pod may wait for its volumes to be bound or provisioned.",
    )

    def validate(self) -> None:
        """Check flags against each other."""
        if self.leader_elect_lease_duration <= self.leader_elect_renew_deadline:
            raise SettingsError(
                "leader-elect-renew-deadline: must be less than leader-elect-lease-duration"
            )
        if self.leader_elect_renew_deadline <= self.leader_elect_retry_period * 1.2:
            raise SettingsError(
                "leader-elect-retry-period: leader-elect-renew-deadline must be more than 1.2 times it"
            )
        if (self.tls_cert_file is None) != (self.tls_private_key_file is None):
            raise SettingsError("tls-cert-file and tls-private-key-file need each other")
        if self.binders < 1:
            raise SettingsError("parallel-binders: must be at least 1")


def read_profiles(path: Path | None) -> frozenset[str]:
    """The scheduler names to serve; `default-scheduler` without a file. Raises SettingsError."""
    if path is None:
        return frozenset([DEFAULT_SCHEDULER])
    import yaml

    try:
        document: Any = yaml.safe_load(path.read_text("utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise SettingsError(f"config: {path}: {error}") from error
    if not isinstance(document, dict) or document.get("kind") != "KubeSchedulerConfiguration":
        raise SettingsError(f"config: {path}: not a KubeSchedulerConfiguration")
    names = [
        str(profile.get("schedulerName") or DEFAULT_SCHEDULER)
        for profile in document.get("profiles") or [{}]
    ]
    if len(set(names)) != len(names):
        raise SettingsError(f"config: {path}: profiles: duplicate schedulerName")
    return frozenset(names)
