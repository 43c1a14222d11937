"""How a joining host comes to trust a cluster: cluster-info, its signature, and the pinned CA. As kubeadm.

With a token: anybody may answer the first request. Its answer must carry a signature made with the token, and a CA
whose public key is pinned; then it is fetched again, over TLS with that CA, and must be the same bytes.
With a file: it says whom to trust, and cluster-info is fetched from there.
"""

from __future__ import annotations

import base64
import binascii
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

from kubeinstall.errors import KubeinstallError
from kubeinstall.pki import BootstrapToken, PkiError, verify_discovery
from kubeinstall.pki.certificates import parse_certificate
from kubeinstall.pki.discovery import SIGNATURE_PREFIX, require_pinned
from kubeinstall.provision.discovery_http import (
    ANONYMOUS,
    Answer,
    Credentials,
    NoAnswer,
    Untrusted,
    get,
)

Object = dict[str, Any]

CLUSTER_INFO = "/api/v1/namespaces/kube-public/configmaps/cluster-info"
#: kubeadm's.
RETRY_SECONDS = 5.0
#: A token that was just made is signed within moments; one that is not signed after this long never will be.
SIGNATURE_SECONDS = 15.0
#: Certificates are valid from five minutes before they were made; tokens and leases want better clocks than that.
MAX_SKEW = 30.0

Say = Callable[[str], None]


class DiscoveryError(KubeinstallError):
    """The cluster cannot be trusted or reached; nothing was changed on this host."""


@dataclass(frozen=True)
class Found:
    """The cluster: its server's URL, its CA as PEM, and what to show it. `skew` as in `Answer`."""

    server: str
    ca_pem: bytes
    credentials: Credentials = field(default=ANONYMOUS)
    skew: float | None = None


def discover(discovery: Object, seconds: float, say: Say) -> Found:
    """From `JoinConfiguration.discovery` to a cluster that may be trusted; `DiscoveryError` otherwise."""
    token = str(discovery.get("tlsBootstrapToken") or "")
    given = discovery.get("bootstrapToken")
    if given:
        found = _by_token(given, seconds, say)
        return Found(found.server, found.ca_pem, Credentials(token or given["token"]), found.skew)
    location = str(discovery["file"]["kubeConfigPath"])
    found = _by_file(location, seconds, say)
    if not (token or found.credentials.token or found.credentials.pair):
        raise DiscoveryError(
            f"{location} has no user credentials, with which the kubelet could ask for its certificate: give a token "
            "with --tls-bootstrap-token (made on a control-plane host: kubeinstall token create)"
        )
    return Found(
        found.server,
        found.ca_pem,
        Credentials(token) if token else found.credentials,
        found.skew,
    )


def clock_problem(skew: float | None) -> str:
    """What is wrong with this host's clock; empty when nothing is known to be."""
    if skew is None or abs(skew) <= MAX_SKEW:
        return ""
    direction = "ahead of" if skew > 0 else "behind"
    return f"this host's clock is {abs(skew):.0f} s {direction} the API server's"


def _by_token(given: Object, seconds: float, say: Say) -> Found:
    token = BootstrapToken.parse(given["token"])
    pins = [str(pin) for pin in given.get("caCertHashes") or []]
    server = f"https://{given['apiServerEndpoint']}"
    answer = _signed_info(server, token, seconds, say)
    content = _content(answer)
    if not verify_discovery(content, _signature(answer, token), token):
        raise DiscoveryError(
            f"{server}: the signature of cluster-info does not fit the token {token.token_id}.…: the token is "
            "mistyped, or somebody else answers at this address"
        )
    cluster = _cluster(content, server)
    if not pins:
        return _answering(Found(cluster.server, cluster.ca_pem, skew=answer.skew), server, say)
    try:
        require_pinned(parse_certificate(cluster.ca_pem, "cluster-info"), pins)
    except PkiError as error:
        raise DiscoveryError(
            f"{server}: {error}\nThe hash of --discovery-token-ca-cert-hash is another cluster's, or somebody else "
            "answers at this address. The right one is printed by: kubeinstall token create --print-join-command"
        ) from error
    if not clock_problem(answer.skew):
        _require_same(server, cluster.ca_pem, content)
    return _answering(Found(cluster.server, cluster.ca_pem, skew=answer.skew), server, say)


def _answering(found: Found, given: str, say: Say) -> Found:
    """The server that cluster-info names, or the one that answered where that one is gone: API servers are equals, and
    the CA vouches for both."""
    if found.server == given or clock_problem(found.skew):
        return found
    try:
        get(found.server, CLUSTER_INFO, ca_pem=found.ca_pem)
    except NoAnswer as error:
        try:
            get(given, CLUSTER_INFO, ca_pem=found.ca_pem)
        except NoAnswer:
            return found  # whose answer is the clearer error
        say(f"the server of cluster-info does not answer ({error}); going on with {given}")
        return replace(found, server=given)
    return found


def _signed_info(server: str, token: BootstrapToken, seconds: float, say: Say) -> Answer:
    """cluster-info with a signature of the token, asked for until there is one."""
    deadline = time.monotonic() + seconds
    signature_deadline = 0.0
    said = ""
    while True:
        now = time.monotonic()
        try:
            answer = get(server, CLUSTER_INFO)
        except NoAnswer as error:
            why = f"cannot reach the cluster: {error}\n{_reach(server)}"
        else:
            if answer.status == 200 and _signature(answer, token):
                return answer
            why = _why_unsigned(server, answer, token)
            if answer.status == 200 and _is_api(answer):
                signature_deadline = signature_deadline or now + SIGNATURE_SECONDS
        left = min(deadline, signature_deadline or deadline) - time.monotonic()
        if left <= 0:
            raise DiscoveryError(why)
        if why != said:
            say(f"{why.splitlines()[0]}; trying again for up to {left:.0f} s")
            said = why
        time.sleep(min(RETRY_SECONDS, left))


def _why_unsigned(server: str, answer: Answer, token: BootstrapToken) -> str:
    if not _is_api(answer):
        return (
            f"{server}: who answers there is no Kubernetes API server (HTTP status {answer.status})\n"
            f"{_reach(server)}"
        )
    if answer.status == 200:
        return (
            f"{server}: cluster-info has no signature of the token {token.token_id}.…: it is unknown there, or has "
            "expired\nMake a new one on a control-plane host: kubeinstall token create --print-join-command"
        )
    if answer.status == 404:
        return f"{server}: there is no kube-public/cluster-info: is this cluster made by kubeinstall or kubeadm?"
    return f"{server}: cluster-info cannot be read: {answer.message}"


def _is_api(answer: Answer) -> bool:
    return answer.document.get("kind") in ("Status", "ConfigMap")


def _reach(server: str) -> str:
    return (
        f"Is {server.removeprefix('https://')} the address and port of an API server (on a control-plane host: kubectl "
        "cluster-info), does it run there (systemctl status kube-apiserver), and is there a route to it and no "
        "firewall between? Then run the same command again"
    )


def _signature(answer: Answer, token: BootstrapToken) -> str:
    data = answer.document.get("data") or {}
    return str(data.get(f"{SIGNATURE_PREFIX}{token.token_id}") or "")


def _content(answer: Answer) -> str:
    return str((answer.document.get("data") or {}).get("kubeconfig") or "")


def _require_same(server: str, ca_pem: bytes, content: str) -> None:
    try:
        again = get(server, CLUSTER_INFO, ca_pem=ca_pem)
    except NoAnswer as error:
        raise DiscoveryError(f"the pinned CA does not vouch for who answers: {error}") from error
    if _content(again) != content:
        raise DiscoveryError(
            f"{server}: cluster-info was another when fetched over TLS; somebody may be in between"
        )


def _cluster(content: str, source: str) -> Found:
    """The one cluster of a kubeconfig text."""
    try:
        document = yaml.safe_load(content) or {}
        name = _current(document)
        clusters = {c.get("name"): c["cluster"] for c in document.get("clusters") or []}
        cluster = clusters.get(name) or next(iter(clusters.values()))
        server = str(cluster["server"])
        ca_pem = base64.b64decode(cluster.get("certificate-authority-data") or "")
    except (yaml.YAMLError, binascii.Error, KeyError, StopIteration, AttributeError) as error:
        raise DiscoveryError(f"{source}: the kubeconfig of cluster-info is broken") from error
    if not urlsplit(server).netloc or not ca_pem:
        raise DiscoveryError(f"{source}: the kubeconfig of cluster-info lacks a server or its CA")
    return Found(server, ca_pem)


def _current(document: Object) -> str:
    wanted = document.get("current-context")
    contexts = {c.get("name"): c.get("context") or {} for c in document.get("contexts") or []}
    return str((contexts.get(wanted) or {}).get("cluster") or "")


def _by_file(location: str, seconds: float, say: Say) -> Found:
    """`--discovery-file`: a kubeconfig on this host, or at an https URL that the system's CAs vouch for."""
    text = _fetch(location)
    trusted = _from_kubeconfig(text, location)
    deadline = time.monotonic() + seconds
    said = ""
    while True:
        try:
            answer = get(
                trusted.server, CLUSTER_INFO, ca_pem=trusted.ca_pem, credentials=trusted.credentials
            )
            break
        except Untrusted as error:
            raise DiscoveryError(_untrusted(error, trusted.server, location)) from error
        except NoAnswer as error:
            if time.monotonic() >= deadline:
                reason = f"cannot reach the cluster: {error}\n{_reach(trusted.server)}"
                raise DiscoveryError(reason) from error
            if str(error) != said:
                say(f"cannot reach the cluster: {error}; trying again for up to {seconds:.0f} s")
                said = str(error)
        time.sleep(RETRY_SECONDS)
    if answer.status != 200:
        # A cluster need not publish cluster-info: the file alone says whom to trust.
        return Found(trusted.server, trusted.ca_pem, trusted.credentials, answer.skew)
    cluster = _cluster(_content(answer), trusted.server)
    return Found(cluster.server, cluster.ca_pem, trusted.credentials, answer.skew)


def _untrusted(error: Untrusted, server: str, location: str) -> str:
    """A certificate of another CA, or one that this host's clock finds too young or too old: waiting mends neither."""
    try:
        problem = clock_problem(get(server, CLUSTER_INFO).skew)
    except NoAnswer:
        problem = ""
    if problem:
        return f"{error}; {problem}\nSet it (timedatectl set-ntp true, or chronyd -q), then run the same command again"
    return f"{error}\nThe certificate authority in {location} is another cluster's, or somebody else answers there"


def _from_kubeconfig(text: str, location: str) -> Found:
    from kubeinstall.client.kubeconfig import from_document
    from kubeinstall.errors import SettingsError

    try:
        document = yaml.safe_load(text)
        if not isinstance(document, dict):
            raise DiscoveryError(f"{location}: not a kubeconfig")
        if document.get("current-context"):
            config = from_document(document, Path(location))
            if not config.ca_pem:
                raise DiscoveryError(f"{location}: its cluster has no certificate authority")
            token = config.token or _token_of(config.token_file)
            pair = (config.cert_pem or b"").rstrip() + b"\n" + (config.key_pem or b"")
            credentials = Credentials(token, pair if config.cert_pem and config.key_pem else b"")
            return Found(config.server, config.ca_pem, credentials)
        return _cluster(text, location)
    except (yaml.YAMLError, SettingsError) as error:
        raise DiscoveryError(f"{location}: {error}") from error


def _token_of(file: Path | None) -> str:
    return file.read_text().strip() if file is not None and file.is_file() else ""


def _fetch(location: str) -> str:
    if not location.startswith("https://"):
        try:
            return Path(location).read_text()
        except OSError as error:
            raise DiscoveryError(
                f"the discovery file {location} cannot be read: {error.strerror}"
            ) from error
    import urllib.error
    import urllib.request

    try:
        with urllib.request.urlopen(location, timeout=30) as answer:  # noqa: S310 - https, see above
            return str(answer.read(1 << 20).decode())
    except (urllib.error.URLError, OSError, UnicodeDecodeError) as error:
        raise DiscoveryError(f"the discovery file {location} cannot be fetched: {error}") from error
