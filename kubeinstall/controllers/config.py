"""Settings of kube-controller-manager, under upstream's flag names and defaults."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from kubeinstall.errors import SettingsError
from kubeinstall.runtime.settings import Settings, setting


@dataclass(frozen=True, kw_only=True)
class ControllerManagerSettings(Settings):
    """Flags of kube-controller-manager."""

    kubeconfig: Path = setting(flag="kubeconfig", help="Credentials for the API server.")
    bind_address: str = setting(
        "127.0.0.1", flag="bind-address", help="Address of health and metrics."
    )
    secure_port: int = setting(
        10257, flag="secure-port", help="Port of health and metrics; 0 serves none."
    )
    tls_cert_file: Path | None = setting(
        None, flag="tls-cert-file", help="Certificate of the port; plain HTTP without one."
    )
    tls_private_key_file: Path | None = setting(
        None, flag="tls-private-key-file", help="Key of tls-cert-file."
    )
    leader_elect: bool = setting(
        True, flag="leader-elect", help="Hold a Lease before starting the controllers."
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
        "kube-controller-manager", flag="leader-elect-resource-name", help="Name of the Lease."
    )
    leader_elect_resource_namespace: str = setting(
        "kube-system", flag="leader-elect-resource-namespace", help="Namespace of the Lease."
    )
    controllers: tuple[str, ...] = setting(
        ("*",), flag="controllers", help="Which to run: * for the default ones, foo, or -foo."
    )
    use_service_account_credentials: bool = setting(
        False,
        flag="use-service-account-credentials",
        help="Give each controller the identity of its own service account.",
    )
    cluster_name: str = setting("kubernetes", flag="cluster-name", help="Name of the cluster.")
    cluster_cidr: tuple[str, ...] = setting(
        (), flag="cluster-cidr", help="CIDRs that node pod CIDRs are taken from."
    )
    service_cluster_ip_range: tuple[str, ...] = setting(
        (), flag="service-cluster-ip-range", help="CIDRs of Services, kept out of node pod CIDRs."
    )
    allocate_node_cidrs: bool = setting(
        False, flag="allocate-node-cidrs", help="Give each node a pod CIDR."
    )
    node_cidr_mask_size_ipv4: int = setting(
        24, flag="node-cidr-mask-size-ipv4", help="Prefix length of a node's IPv4 pod CIDR."
    )
    node_cidr_mask_size_ipv6: int = setting(
        64, flag="node-cidr-mask-size-ipv6", help="Prefix length of a node's IPv6 pod CIDR."
    )
    node_cidr_mask_size: int = setting(
        0, flag="node-cidr-mask-size", help="Prefix length of a node's pod CIDR, one family."
    )
    node_monitor_period: float = setting(
        5.0, flag="node-monitor-period", unit="s", help="How often node health is looked at."
    )
    node_monitor_grace_period: float = setting(
        50.0, flag="node-monitor-grace-period", unit="s", help="Silence before a node is unhealthy."
    )
    node_startup_grace_period: float = setting(
        60.0, flag="node-startup-grace-period", unit="s", help="The same, for a node that starts."
    )
    node_eviction_rate: float = setting(
        0.1, flag="node-eviction-rate", help="Nodes a second that are tainted NoExecute."
    )
    secondary_node_eviction_rate: float = setting(
        0.01, flag="secondary-node-eviction-rate", help="The same, in an unhealthy zone."
    )
    unhealthy_zone_threshold: float = setting(
        0.55,
        flag="unhealthy-zone-threshold",
        help="Share of bad nodes that makes a zone unhealthy.",
    )
    large_cluster_size_threshold: int = setting(
        50, flag="large-cluster-size-threshold", help="Below this an unhealthy zone stops eviction."
    )
    root_ca_file: Path | None = setting(
        None, flag="root-ca-file", help="CA bundle published in each namespace."
    )
    service_account_private_key_file: Path | None = setting(
        None, flag="service-account-private-key-file", help="Key that signs token Secrets."
    )
    cluster_signing_cert_file: Path | None = setting(
        None, flag="cluster-signing-cert-file", help="CA certificate for signing requests."
    )
    cluster_signing_key_file: Path | None = setting(
        None, flag="cluster-signing-key-file", help="CA key for signing requests."
    )
    cluster_signing_duration: float = setting(
        31_536_000.0, flag="cluster-signing-duration", unit="s", help="Longest validity signed."
    )
    terminated_pod_gc_threshold: int = setting(
        12_500, flag="terminated-pod-gc-threshold", help="Finished pods kept; 0 keeps all."
    )
    concurrent_deployment_syncs: int = setting(
        5, flag="concurrent-deployment-syncs", help="Deployments worked on at once."
    )
    concurrent_replicaset_syncs: int = setting(
        5, flag="concurrent-replicaset-syncs", help="ReplicaSets worked on at once."
    )
    concurrent_rc_syncs: int = setting(
        5, flag="concurrent-rc-syncs", help="ReplicationControllers worked on at once."
    )
    concurrent_statefulset_syncs: int = setting(
        5, flag="concurrent-statefulset-syncs", help="StatefulSets worked on at once."
    )
    concurrent_daemonset_syncs: int = setting(
        2, flag="concurrent-daemonset-syncs", help="DaemonSets worked on at once."
    )
    concurrent_job_syncs: int = setting(
        5, flag="concurrent-job-syncs", help="Jobs worked on at once."
    )
    concurrent_cron_job_syncs: int = setting(
        5, flag="concurrent-cron-job-syncs", help="CronJobs worked on at once."
    )
    concurrent_endpoint_syncs: int = setting(
        5, flag="concurrent-endpoint-syncs", help="Services whose Endpoints are worked on at once."
    )
    concurrent_service_endpoint_syncs: int = setting(
        5, flag="concurrent-service-endpoint-syncs", help="The same, for EndpointSlices."
    )
    concurrent_namespace_syncs: int = setting(
        10, flag="concurrent-namespace-syncs", help="Namespaces emptied at once."
    )
    concurrent_gc_syncs: int = setting(
        20, flag="concurrent-gc-syncs", help="Objects garbage-collected at once."
    )
    concurrent_serviceaccount_token_syncs: int = setting(
        5, flag="concurrent-serviceaccount-token-syncs", help="Token Secrets worked on at once."
    )
    concurrent_resource_quota_syncs: int = setting(
        5, flag="concurrent-resource-quota-syncs", help="Quotas worked on at once."
    )
    concurrent_ttl_after_finished_syncs: int = setting(
        5, flag="concurrent-ttl-after-finished-syncs", help="Finished jobs worked on at once."
    )
    max_endpoints_per_slice: int = setting(
        100, flag="max-endpoints-per-slice", help="Endpoints in one EndpointSlice."
    )
    enable_garbage_collector: bool = setting(
        True, flag="enable-garbage-collector", help="Run the garbage collector."
    )
    resource_quota_sync_period: float = setting(
        300.0, flag="resource-quota-sync-period", unit="s", help="Pause between full recounts."
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
            raise SettingsError(
                "tls-cert-file: needs tls-private-key-file, and the other way round"
            )
        if self.allocate_node_cidrs and not self.cluster_cidr:
            raise SettingsError("cluster-cidr: required with allocate-node-cidrs")
        if not 1 <= self.max_endpoints_per_slice <= 1000:
            raise SettingsError("max-endpoints-per-slice: must be between 1 and 1000")
        if bool(self.cluster_signing_cert_file) != bool(self.cluster_signing_key_file):
            raise SettingsError(
                "cluster-signing-cert-file: needs cluster-signing-key-file, and the other way round"
            )
