"""Meaning checks of the kubeadm documents: what a schema cannot say.

Rules and wording follow kubeadm's validation. Each check yields (path, message) so that the
caller can add the file and line.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Iterator
from itertools import combinations
from typing import Any
from urllib.parse import urlsplit

from kubeinstall import KUBERNETES_VERSION
from kubeinstall.config.documents import FieldPath
from kubeinstall.config.durations import parse_duration

Object = dict[str, Any]
Finding = tuple[FieldPath, str]
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_TOKEN = re.compile(r"[a-z0-9]{6}\.[a-z0-9]{16}")
_GROUP = re.compile(r"system:bootstrappers:[a-z0-9:-]{0,255}[a-z0-9]")
_CERTIFICATE_KEY = re.compile(r"[0-9a-fA-F]{64}")
_VERSION = re.compile(r"v?(\d+)\.(\d+)\.(\d+)([-+].*)?")
_HASH = re.compile(r"(?i)sha256:[0-9a-f]{64}")
_MINIMUM_SERVICE_ADDRESSES = 10
_LARGEST_SERVICE_RANGE_BITS = 20
_USAGES = ("signing", "authentication")
_NODE_MASK = {4: 24, 6: 64}


def check_init(document: Object) -> Iterator[Finding]:
    """InitConfiguration."""
    for index, token in enumerate(document.get("bootstrapTokens") or []):
        yield from check_token(("bootstrapTokens", index), token)
    yield from _registration(document.get("nodeRegistration") or {})
    yield from _endpoint(("localAPIEndpoint",), document.get("localAPIEndpoint") or {})
    yield from _certificate_key(("certificateKey",), document.get("certificateKey"))


def check_cluster(document: Object) -> Iterator[Finding]:
    """ClusterConfiguration."""
    yield from _networking(document.get("networking") or {})
    yield from _control_plane_endpoint(document.get("controlPlaneEndpoint") or "")
    api_server = document.get("apiServer") or {}
    yield from _sans(("apiServer", "certSANs"), api_server.get("certSANs"))
    yield from _etcd(document.get("etcd") or {})
    yield from _absolute(("certificatesDir",), document.get("certificatesDir"))
    yield from _version(document.get("kubernetesVersion"))
    name = document.get("clusterName")
    if name and not _is_subdomain(name):
        yield ("clusterName",), _invalid(name, "must be a DNS-1123 subdomain")
    if document.get("featureGates"):
        for gate in document["featureGates"]:
            yield (
                ("featureGates", gate),
                (
                    f'Invalid value: "{gate}": unrecognized feature gate; kubeinstall has none, and those of '
                    "the components are given to them: extraArgs, name feature-gates"
                ),
            )


def check_join(document: Object) -> Iterator[Finding]:
    """JoinConfiguration."""
    yield from _registration(document.get("nodeRegistration") or {})
    discovery = document.get("discovery") or {}
    token, file = discovery.get("bootstrapToken"), discovery.get("file")
    here: FieldPath = ("discovery",)
    if bool(token) == bool(file):
        yield here, "exactly one of bootstrapToken and file must be set"
    if token:
        yield from _discovery_token((*here, "bootstrapToken"), token)
    if file and not file.get("kubeConfigPath"):
        yield (*here, "file", "kubeConfigPath"), "Required value"
    tls = discovery.get("tlsBootstrapToken")
    if tls and not _TOKEN.fullmatch(tls):
        yield (*here, "tlsBootstrapToken"), _BAD_FORM
    plane = document.get("controlPlane") or {}
    yield from _endpoint(("controlPlane", "localAPIEndpoint"), plane.get("localAPIEndpoint") or {})
    yield from _certificate_key(("controlPlane", "certificateKey"), plane.get("certificateKey"))
    yield from _absolute(("caCertPath",), document.get("caCertPath"))


def check_reset(document: Object) -> Iterator[Finding]:
    """ResetConfiguration."""
    yield from _absolute(("certificatesDir",), document.get("certificatesDir"))
    yield from _socket(("criSocket",), document.get("criSocket"))


def check_upgrade(document: Object) -> Iterator[Finding]:
    """UpgradeConfiguration."""
    for section in ("apply", "plan"):
        version = (document.get(section) or {}).get("kubernetesVersion")
        if version and not _VERSION.fullmatch(version):
            yield (section, "kubernetesVersion"), _invalid(version, "must be like v1.36.0")


_UNPINNED = (
    "using token-based discovery without caCertHashes can be unsafe. "
    "Set unsafeSkipCAVerification as true in your configuration to continue"
)
_BAD_FORM = 'Invalid value: the token must be of the form "[a-z0-9]{6}.[a-z0-9]{16}"'


def parse_networks(text: str) -> list[Network]:
    """One range, or one of each family separated by a comma; ValueError otherwise."""
    networks = [ipaddress.ip_network(part.strip(), strict=True) for part in text.split(",")]
    if len(networks) > 2 or len({network.version for network in networks}) < len(networks):
        raise ValueError("expected one CIDR, or one of each IP family")
    return networks


def _networking(networking: Object) -> Iterator[Finding]:
    parsed: dict[str, list[Network]] = {}
    for name in ("serviceSubnet", "podSubnet"):
        text = networking.get(name)
        if not text:
            continue
        try:
            parsed[name] = parse_networks(text)
        except ValueError as error:
            yield ("networking", name), _invalid(text, str(error))
    for network in parsed.get("serviceSubnet", []):
        if network.num_addresses < _MINIMUM_SERVICE_ADDRESSES:
            yield (
                ("networking", "serviceSubnet"),
                _invalid(str(network), "subnet is too small: at least 10 addresses are needed"),
            )
        if network.max_prefixlen - network.prefixlen > _LARGEST_SERVICE_RANGE_BITS:
            least = network.max_prefixlen - _LARGEST_SERVICE_RANGE_BITS
            why = (
                "specified service subnet is too large; for "
                f"{network.max_prefixlen}-bit addresses, the mask must be >= {least}"
            )
            yield ("networking", "serviceSubnet"), _invalid(str(network), why)
    for network in parsed.get("podSubnet", []):
        mask = _NODE_MASK[network.version]
        if network.prefixlen > mask:
            why = f"pod subnet size is smaller than the node subnet size, /{mask}"
            yield ("networking", "podSubnet"), _invalid(str(network), why)
    yield from _overlaps(parsed)
    domain = networking.get("dnsDomain")
    if domain and not _is_subdomain(domain):
        yield ("networking", "dnsDomain"), _invalid(domain, "must be a DNS-1123 subdomain")


def _overlaps(parsed: dict[str, list[Network]]) -> Iterator[Finding]:
    named = [(name, network) for name, networks in parsed.items() for network in networks]
    for (one, first), (other, second) in combinations(named, 2):
        if one != other and first.version == second.version and first.overlaps(second):
            yield ("networking", other), _invalid(str(second), f"overlaps {one} {first}")


def _control_plane_endpoint(endpoint: str) -> Iterator[Finding]:
    if not endpoint:
        return
    path: FieldPath = ("controlPlaneEndpoint",)
    host, port = endpoint, ""
    if endpoint.startswith("["):
        host, _, rest = endpoint[1:].partition("]")
        port = rest.removeprefix(":")
    elif endpoint.count(":") == 1:
        host, _, port = endpoint.partition(":")
    if port and not (port.isdigit() and 1 <= int(port) <= 65535):
        yield path, _invalid(endpoint, "port must be between 1 and 65535")
    if not _is_address(host) and not _is_subdomain(host):
        yield path, _invalid(endpoint, "must be HOST, HOST:PORT, ADDRESS or ADDRESS:PORT")


def _etcd(etcd: Object) -> Iterator[Finding]:
    local, external = etcd.get("local"), etcd.get("external")
    if local and external:
        yield ("etcd",), "etcd.local and etcd.external are mutually exclusive"
    if local:
        yield from _absolute(("etcd", "local", "dataDir"), local.get("dataDir"))
        for field in ("serverCertSANs", "peerCertSANs"):
            yield from _sans(("etcd", "local", field), local.get(field))
    if not external:
        return
    path: FieldPath = ("etcd", "external")
    if not external.get("endpoints"):
        yield (*path, "endpoints"), "Required value"
    for index, endpoint in enumerate(external.get("endpoints") or []):
        parts = urlsplit(endpoint)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            yield (*path, "endpoints", index), _invalid(endpoint, "must be an http(s) URL")
    if bool(external.get("certFile")) != bool(external.get("keyFile")):
        yield path, "either both or none of certFile and keyFile must be set"
    for field in ("caFile", "certFile", "keyFile"):
        yield from _absolute((*path, field), external.get(field))


def check_token(path: FieldPath, token: Object) -> Iterator[Finding]:
    """An entry of `bootstrapTokens`."""
    if not _TOKEN.fullmatch(token.get("token", "")):
        yield (*path, "token"), _BAD_FORM
    if token.get("ttl") and token.get("expires"):
        yield path, "ttl and expires are mutually exclusive"
    if token.get("ttl"):
        try:
            parse_duration(str(token["ttl"]))
        except ValueError as error:
            yield (*path, "ttl"), _invalid(str(token["ttl"]), str(error))
    for index, usage in enumerate(token.get("usages") or []):
        if usage not in _USAGES:
            why = f"valid bootstrap token usages are {', '.join(_USAGES)}"
            yield (*path, "usages", index), _invalid(usage, why)
    for index, group in enumerate(token.get("groups") or []):
        if not _GROUP.fullmatch(group):
            why = 'must match "\\Asystem:bootstrappers:[a-z0-9:-]{0,255}[a-z0-9]\\z"'
            yield (*path, "groups", index), _invalid(group, why)


def _discovery_token(path: FieldPath, token: Object) -> Iterator[Finding]:
    if not _TOKEN.fullmatch(token.get("token") or ""):
        yield (*path, "token"), _BAD_FORM
    if not token.get("apiServerEndpoint"):
        yield (*path, "apiServerEndpoint"), "Required value"
    hashes = token.get("caCertHashes") or []
    if not hashes and not token.get("unsafeSkipCAVerification"):
        yield (
            (*path, "caCertHashes"),
            _UNPINNED,
        )
    for index, value in enumerate(hashes):
        if not _HASH.fullmatch(value):
            yield (*path, "caCertHashes", index), _invalid(value, "must be sha256:<64 hex digits>")


def _registration(registration: Object) -> Iterator[Finding]:
    name = registration.get("name")
    if name is not None and not _is_subdomain(name):
        why = (
            "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, "
            "'-' or '.', and must start and end with an alphanumeric character"
        )
        yield ("nodeRegistration", "name"), _invalid(name, why)
    yield from _socket(("nodeRegistration", "criSocket"), registration.get("criSocket"))


def _endpoint(path: FieldPath, endpoint: Object) -> Iterator[Finding]:
    address = endpoint.get("advertiseAddress")
    if address and not _is_address(address):
        yield (*path, "advertiseAddress"), _invalid(address, "ip address is not valid")


def _certificate_key(path: FieldPath, key: str | None) -> Iterator[Finding]:
    if key and not _CERTIFICATE_KEY.fullmatch(key):
        yield path, "Invalid value: the certificate key must be 64 hexadecimal digits"


def _sans(path: FieldPath, sans: Iterable[str] | None) -> Iterator[Finding]:
    for index, san in enumerate(sans or []):
        if not _is_address(san) and not _is_subdomain(san.removeprefix("*.")):
            yield (*path, index), _invalid(san, "altname is not a valid IP address or DNS name")


def _absolute(path: FieldPath, value: str | None) -> Iterator[Finding]:
    if value and not value.startswith("/"):
        yield path, _invalid(value, "path is not absolute")


def _socket(path: FieldPath, value: str | None) -> Iterator[Finding]:
    if not value:
        return
    parts = urlsplit(value)
    if parts.scheme != "unix" or not parts.path.startswith("/"):
        yield path, _invalid(value, "only URL scheme unix is supported: unix:///PATH")


def _version(text: str | None) -> Iterator[Finding]:
    if not text or text.startswith("stable"):
        return
    path: FieldPath = ("kubernetesVersion",)
    match = _VERSION.fullmatch(text)
    ours = _VERSION.fullmatch(KUBERNETES_VERSION)
    if match is None:
        yield path, _invalid(text, "must be like v1.36.0")
    elif ours is not None and match.groups()[:2] != ours.groups()[:2]:
        yield path, _invalid(text, f"this release of kubeinstall is Kubernetes {ours[1]}.{ours[2]}")


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _is_subdomain(text: str) -> bool:
    return len(text) <= 253 and all(_LABEL.fullmatch(part) for part in text.split("."))


def _invalid(value: str, why: str) -> str:
    return f'Invalid value: "{value}": {why}'
