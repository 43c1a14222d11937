"""Settings of the API server, by upstream's flag names."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode

from kubeinstall.errors import SettingsError
from kubeinstall.runtime.settings import Settings, setting


@dataclass(frozen=True, kw_only=True)
class ApiServerSettings(Settings):
    """Everything that can be set about the API server. Paths are PEM files."""

    # Serving
    bind_address: str = setting("0.0.0.0", flag="bind-address", help="Address to serve on.")  # noqa: S104 - upstream's default
    secure_port: int = setting(
        6443, flag="secure-port", help="Port to serve on; 0 picks a free one."
    )
    advertise_address: str = setting(
        "",
        flag="advertise-address",
        help="Address under which other members of the cluster reach this server (default: bind-address).",
    )
    external_hostname: str = setting("", flag="external-hostname", help="Host name for URLs.")
    tls_cert_file: Path = setting(flag="tls-cert-file", help="Serving certificate, chain included.")
    tls_private_key_file: Path = setting(flag="tls-private-key-file", help="Its private key.")
    max_requests_inflight: int = setting(
        400, flag="max-requests-inflight", help="Reads served at the same time; more get 429."
    )
    max_mutating_requests_inflight: int = setting(
        200, flag="max-mutating-requests-inflight", help="Writes served at the same time."
    )
    request_timeout: float = setting(
        60.0,
        flag="request-timeout",
        unit="s",
        help="A request other than watch and streams takes no longer.",
    )
    min_request_timeout: float = setting(
        1800.0,
        flag="min-request-timeout",
        unit="s",
        help="A watch without timeoutSeconds lasts between this and twice this.",
    )
    shutdown_delay: float = setting(
        0.0,
        flag="shutdown-delay-duration",
        unit="s",
        help="Time between not ready and not serving.",
    )
    shutdown_send_retry_after: bool = setting(
        False,
        flag="shutdown-send-retry-after",
        help="While requests under way are finished, answer new ones with 429 instead of refusing connections.",
    )
    shutdown_watch_grace: float = setting(
        0.0,
        flag="shutdown-watch-termination-grace-period",
        unit="s",
        help="Watches are ended spread over this time when the server stops; 0 ends all at once.",
    )

    # Storage
    storage_url: str = setting(
        "sqlite:///var/lib/kubeinstall/datastore/state.db",
        flag="storage-url",
        help="Where objects are kept: sqlite://PATH, or etcd://HOST:PORT,…",
    )
    etcd_servers: tuple[str, ...] = setting(
        (), flag="etcd-servers", help="etcd endpoints; sets storage-url when given."
    )
    etcd_cafile: Path | None = setting(None, flag="etcd-cafile", help="CA of the etcd servers.")
    etcd_certfile: Path | None = setting(None, flag="etcd-certfile", help="Client certificate.")
    etcd_keyfile: Path | None = setting(None, flag="etcd-keyfile", help="Its private key.")
    encryption_provider_config: Path | None = setting(
        None,
        flag="encryption-provider-config",
        help="EncryptionConfiguration: which resources are stored encrypted, with which keys.",
    )

    # Authentication
    client_ca_file: Path | None = setting(
        None, flag="client-ca-file", help="CA bundle that client certificates chain to."
    )
    anonymous_auth: bool = setting(
        True, flag="anonymous-auth", help="Take requests without credentials as system:anonymous."
    )
    enable_bootstrap_token_auth: bool = setting(
        False, flag="enable-bootstrap-token-auth", help="Take bootstrap tokens of kube-system."
    )
    service_account_key_file: tuple[Path, ...] = setting(
        (),
        flag="service-account-key-file",
        help="Public (or private) keys that verify service-account tokens.",
    )
    service_account_signing_key_file: Path | None = setting(
        None, flag="service-account-signing-key-file", help="Private key that signs issued tokens."
    )
    service_account_issuer: tuple[str, ...] = setting(
        ("https://kubernetes.default.svc.cluster.local",),
        flag="service-account-issuer",
        help="Issuer of tokens; the first issues, all are accepted.",
    )
    service_account_jwks_uri: str = setting(
        "", flag="service-account-jwks-uri", help="JWKS URI of the discovery document."
    )
    api_audiences: tuple[str, ...] = setting(
        (), flag="api-audiences", help="Audiences of this API (default: the first issuer)."
    )
    service_account_max_token_expiration: float = setting(
        0.0,
        flag="service-account-max-token-expiration",
        unit="s",
        help="Longest validity; 0 is no limit.",
    )
    service_account_extend_token_expiration: bool = setting(
        True,
        flag="service-account-extend-token-expiration",
        help="Give projected tokens a year, marked.",
    )
    service_account_lookup: bool = setting(
        True, flag="service-account-lookup", help="Refuse tokens whose account or pod is gone."
    )
    requestheader_client_ca_file: Path | None = setting(
        None, flag="requestheader-client-ca-file", help="CA of front proxies."
    )
    requestheader_allowed_names: tuple[str, ...] = setting(
        (), flag="requestheader-allowed-names", help="Common names of front proxies; empty is any."
    )
    requestheader_username_headers: tuple[str, ...] = setting(
        (), flag="requestheader-username-headers", help="Headers that carry the user."
    )
    requestheader_group_headers: tuple[str, ...] = setting(
        (), flag="requestheader-group-headers", help="Headers that carry groups."
    )
    requestheader_extra_headers_prefix: tuple[str, ...] = setting(
        (), flag="requestheader-extra-headers-prefix", help="Prefixes of headers that carry extras."
    )
    token_auth_file: Path | None = setting(
        None, flag="token-auth-file", help="CSV of static tokens: token,user,uid,groups."
    )
    proxy_client_cert_file: Path | None = setting(
        None, flag="proxy-client-cert-file", help="Certificate for aggregated API servers."
    )
    proxy_client_key_file: Path | None = setting(
        None, flag="proxy-client-key-file", help="Its private key."
    )

    # Authorization and admission
    authorization_mode: tuple[str, ...] = setting(
        ("Node", "RBAC"),
        flag="authorization-mode",
        help="Authorizers in order: Node, RBAC, AlwaysAllow, AlwaysDeny.",
    )
    enable_admission_plugins: tuple[str, ...] = setting(
        (), flag="enable-admission-plugins", help="Plug-ins to add to the default ones."
    )
    disable_admission_plugins: tuple[str, ...] = setting(
        (), flag="disable-admission-plugins", help="Plug-ins to leave out."
    )
    allow_privileged: bool = setting(
        True, flag="allow-privileged", help="Allow privileged containers."
    )
    default_not_ready_toleration_seconds: int = setting(
        300, flag="default-not-ready-toleration-seconds", help="Toleration added to pods."
    )
    default_unreachable_toleration_seconds: int = setting(
        300, flag="default-unreachable-toleration-seconds", help="Toleration added to pods."
    )
    event_ttl: float = setting(
        3600.0, flag="event-ttl", unit="s", help="Events are kept this long."
    )

    # Services
    service_cluster_ip_range: tuple[str, ...] = setting(
        ("10.96.0.0/12",), flag="service-cluster-ip-range", help="CIDRs of cluster IPs."
    )
    service_node_port_range: str = setting(
        "30000-32767", flag="service-node-port-range", help="Ports for NodePort services."
    )
    endpoint_reconciler_type: str = setting(
        "lease",
        flag="endpoint-reconciler-type",
        help="How `kubernetes` endpoints are kept: lease or none.",
    )

    # Kubelets
    kubelet_client_certificate: Path | None = setting(
        None, flag="kubelet-client-certificate", help="Client certificate for kubelets."
    )
    kubelet_client_key: Path | None = setting(
        None, flag="kubelet-client-key", help="Its private key."
    )
    kubelet_certificate_authority: Path | None = setting(
        None, flag="kubelet-certificate-authority", help="CA of kubelets' serving certificates."
    )
    kubelet_preferred_address_types: tuple[str, ...] = setting(
        ("Hostname", "InternalDNS", "InternalIP", "ExternalDNS", "ExternalIP"),
        flag="kubelet-preferred-address-types",
        help="Node address types, in order of preference.",
    )
    kubelet_timeout: float = setting(
        5.0, flag="kubelet-timeout", unit="s", help="Time to connect to a kubelet."
    )
    profiling: bool = setting(
        False, flag="profiling", help="Accepted for compatibility; no profiles are served."
    )

    def validate(self) -> None:
        """See that ranges and ports are what they claim to be."""
        for cidr in self.service_cluster_ip_range:
            try:
                ipaddress.ip_network(cidr)
            except ValueError as error:
                raise SettingsError(f"service-cluster-ip-range: {error}") from error
        if not self.service_cluster_ip_range or len(self.service_cluster_ip_range) > 2:
            raise SettingsError(
                "service-cluster-ip-range: needs one CIDR, or one of each IP family"
            )
        if self.endpoint_reconciler_type not in ("lease", "none"):
            raise SettingsError(
                f"endpoint-reconciler-type: unknown type {self.endpoint_reconciler_type!r};"
                " use lease or none"
            )
        self.node_ports  # noqa: B018 - raises when malformed
        if not 0 <= self.secure_port <= 65535:
            raise SettingsError("secure-port: must be between 0 and 65535")
        for mode in self.authorization_mode:
            if mode not in ("Node", "RBAC", "AlwaysAllow", "AlwaysDeny"):
                raise SettingsError(f"authorization-mode: unknown mode {mode!r}")

    @property
    def node_ports(self) -> range:
        """The ports that NodePort services may have."""
        first, dash, last = self.service_node_port_range.partition("-")
        try:
            low, high = int(first), int(last if dash else first)
        except ValueError as error:
            raise SettingsError('service-node-port-range: must be like "30000-32767"') from error
        if not 0 < low <= high <= 65535:
            raise SettingsError('service-node-port-range: must be like "30000-32767"')
        return range(low, high + 1)

    @property
    def datastore_url(self) -> str:
        """Where objects are kept: the etcd flags when they are given, else `storage-url`."""
        if not self.etcd_servers:
            return self.storage_url
        hosts = ",".join(server.partition("://")[2] or server for server in self.etcd_servers)
        files = {"cacert": self.etcd_cafile, "cert": self.etcd_certfile, "key": self.etcd_keyfile}
        query = urlencode({name: str(path) for name, path in files.items() if path is not None})
        return f"etcd://{hosts}?{query}" if query else f"etcd://{hosts}"

    @property
    def audiences(self) -> tuple[str, ...]:
        """Audiences that a token for this API must name one of."""
        return self.api_audiences or self.service_account_issuer[:1]
