"""A worker's credentials: a bootstrap kubeconfig with a token, which the kubelet turns into a certificate."""

from __future__ import annotations

import base64
import time
from pathlib import Path
from typing import Any

from kubeinstall.ansible import paths
from kubeinstall.ansible.components import is_worker
from kubeinstall.ansible.outcome import Outcome
from kubeinstall.ansible.services import last_words
from kubeinstall.ansible.textfiles import ensure_text
from kubeinstall.errors import KubeinstallError
from kubeinstall.pki.files import KEY_MODE
from kubeinstall.pki.kubeconfigs import build, dump, read

Object = dict[str, Any]

BOOTSTRAP = paths.KUBERNETES / "bootstrap-kubelet.conf"
KUBELET = paths.KUBERNETES / "kubelet.conf"
_USER = "tls-bootstrap-token-user"
_SECONDS = 90.0


def needed(config: Object) -> bool:
    """Whether this worker has no credentials yet."""
    return is_worker(config) and not KUBELET.exists()


def write_bootstrap(
    config: Object, token: str, authority: str, *, pair: str = "", check: bool
) -> Outcome:
    """The cluster's CA and the bootstrap kubeconfig. `authority` is PEM, and so is `pair`, a client certificate and its
    key: used where there is no token."""
    outcome = ensure_text(_ca(config), authority, check=check)
    document = build(
        server=server_url(config),
        ca_pem=authority.encode(),
        user_name=_USER,
        user={"token": token} if token else _certificate_user(pair),
        cluster_name=config["cluster"]["clusterName"],
    )
    outcome.extend(
        ensure_text(BOOTSTRAP, dump(document).decode(), check=check, mode=KEY_MODE, secret=True)
    )
    return outcome


def _certificate_user(pair: str) -> Object:
    at = pair.rfind("-----BEGIN")
    parts = {"client-certificate-data": pair[:at], "client-key-data": pair[at:]}
    return {name: base64.b64encode(text.encode()).decode() for name, text in parts.items()}


def wait_credentials() -> None:
    """Return when the kubelet has written its kubeconfig; the token is then removed from the host."""
    deadline = time.monotonic() + _SECONDS
    while not KUBELET.exists():
        if time.monotonic() > deadline:
            raise KubeinstallError(
                f"the kubelet got no certificate after {_SECONDS:.0f} s: is its request approved "
                f"(kubectl get csr), and is the clock right?\n{last_words('kubelet')}"
            )
        time.sleep(0.1)
    BOOTSTRAP.unlink(missing_ok=True)


def ensure_server(config: Object, *, check: bool) -> Outcome:
    """A worker's kubeconfig follows the balancer, should its port change."""
    outcome = Outcome()
    if not is_worker(config):
        return outcome
    document = read(KUBELET)
    clusters = [entry["cluster"] for entry in document.get("clusters") or []]
    stale = [cluster for cluster in clusters if cluster.get("server") != server_url(config)]
    for cluster in stale:
        cluster["server"] = server_url(config)
    if stale:
        outcome.extend(
            ensure_text(KUBELET, dump(document).decode(), check=check, mode=KEY_MODE, secret=True)
        )
    return outcome


def server_url(config: Object) -> str:
    """What a worker's components talk to."""
    host = config["host"]
    return host["balancer"] or f"https://{next(iter(host['servers'].values()))}"


def _ca(config: Object) -> Path:
    return Path(config["cluster"]["certificatesDir"]) / "ca.crt"
