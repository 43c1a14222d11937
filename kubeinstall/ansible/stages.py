"""What is done on one host of a cluster of several, in four stages.

A stage is one call on a host, because what Ansible costs is tasks times hosts; within it every step is one of the
functions that the roles of a single host call too. Between the stages hosts depend on each other.
"""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from http import HTTPStatus
from pathlib import Path
from typing import Any

from kubeinstall.ansible import authorities, balancer, etcd, etcd_timer, paths
from kubeinstall.ansible.bootstrap import ensure_cluster, server_answers
from kubeinstall.ansible.component_services import ensure_components
from kubeinstall.ansible.components import (
    CONTROL_PLANE,
    NODE,
    component_settings,
    keeps_servers,
)
from kubeinstall.ansible.containerd import Wanted
from kubeinstall.ansible.identity import identity_of
from kubeinstall.ansible.kernel import ensure_kernel
from kubeinstall.ansible.nodes import ensure_nodes
from kubeinstall.ansible.outcome import Outcome, from_changes
from kubeinstall.ansible.packages import ensure_lists, ensure_packages
from kubeinstall.ansible.preflight import Host, failure_text, findings, verdict
from kubeinstall.ansible.runtime_service import ensure_runtime
from kubeinstall.ansible.services import ready_at, restarts, unit_active
from kubeinstall.errors import KubeinstallError
from kubeinstall.pki import ensure_kubeconfigs, ensure_pki
from kubeinstall.pki.kubeconfigs import kubeconfigs
from kubeinstall.pki.replacement import waiting

Object = dict[str, Any]

SANDBOX_IMAGE = "registry.k8s.io/pause:3.10"
NODE_PACKAGES = (
    "containerd",
    "runc",
    "containernetworking-plugins",
    "nftables",
    "libnftables1",
    "conntrack",
    "iproute2",
    "kubernetes-client",
)
ETCD_PACKAGES = ("etcd-server", "etcd-client")
_UNLESS = {
    "containerd": "containerd",
    "runc": "runc",
    "nftables": "nft",
    "conntrack": "conntrack",
    "iproute2": "ip",
    "kubernetes-client": "kubectl",
    "etcd-server": "etcd",
    "etcd-client": "etcdctl",
    "haproxy": "haproxy",
}
_ETCD_PHASES = ("etcd-server", "etcd-peer", "etcd-healthcheck-client")
_AUTHORITIES = ("ca", "front-proxy-ca", "etcd-ca")
_SERVER_PHASES = (
    "apiserver",
    "apiserver-kubelet-client",
    "front-proxy-client",
    "apiserver-etcd-client",
)
_SERVER_SECONDS = 120.0
NOTICED_SECONDS = 2.5  # until every balancer has found that a server is back
_SERVER_STARTS = re.compile(r"\b(re)?start kube-apiserver(\.service)?$")
_TOO_MANY_RESTARTS = 4
_BEGIN_SECONDS = 10.0
_CLOCKS = 0.1  # times are computed from two clocks: a smaller difference is none
_POLICY = Path("/usr/sbin/policy-rc.d")


def with_balancer(config: Object) -> Object:
    """The host's configuration. The last host of a cluster whose others left keeps the balancer that its kubeconfigs
    name: a host alone would need none."""
    url = config["host"]["balancer"] or balancer.listening()
    return {**config, "host": {**config["host"], "balancer": url}}


def prepare(config: Object, ignore: Sequence[str], *, check: bool) -> Outcome:
    """Everything that does not depend on another host: checks, packages, kernel, containerd, balancer.

    Facts tell the play what is here: `authorities` (fingerprints), `etcd_data`, `joined` (the node has credentials).
    """
    roles = config["host"]["roles"]
    outcome = _preflight(config, ignore)
    with _no_services_of_packages(check=check):
        outcome.extend(ensure_packages(_packages(config), _UNLESS, check=check))
    if "node" in roles:
        outcome.extend(ensure_kernel(check=check))
        outcome.extend(ensure_runtime(Wanted(SANDBOX_IMAGE), check=check))
        outcome.extend(_images(config, check=check))
        url = config["host"]["balancer"]
        if url:
            outcome.extend(_balancer(config, check=check))
    outcome.facts["authorities"] = authorities.fingerprints(config)
    outcome.facts["replacing"] = waiting(Path(config["cluster"]["certificatesDir"]))
    outcome.facts["etcd_data"] = etcd.has_data(config)
    outcome.facts["serving"] = "control-plane" in roles and unit_active("kube-apiserver")
    outcome.facts["joined"] = (paths.KUBERNETES / "kubelet.conf").exists()
    outcome.facts["settled"] = not outcome.changed and settled(config)
    return outcome


def settled(config: Object) -> bool:
    """Whether the stages that come next would find nothing to do on this host: asked of them, as in a dry run."""
    roles = config["host"]["roles"]
    pki = Path(config["cluster"]["certificatesDir"])
    if any(not (pki / name).is_file() for name in authorities.files_for(config)):
        return False
    if "etcd" in roles and etcd.is_learner(config):
        return False  # a run that stopped before it was promoted
    if serve(config, {}, etcd_new=False, serving=(), check=True).changed:
        return False
    if "node" not in roles:
        return True
    if not (paths.KUBERNETES / "kubelet.conf").exists():
        return False
    return not join(config, "", "", check=True).changed


def keep(config: Object, nodes: Mapping[str, Object], *, check: bool) -> Outcome:
    """On the host that acts for a cluster whose hosts are settled: what is kept in the cluster itself."""
    outcome = ensure_cluster(config, check=check)
    outcome.extend(finish(config, nodes, check=check))
    return outcome


def serve(
    config: Object, files: Mapping[str, str], *, etcd_new: bool, serving: Sequence[str], check: bool
) -> Outcome:
    """Certificates, etcd member, control plane: what a host of `kube_control_plane` or `etcd` runs.

    `serving` are the control planes whose API server ran when this run began. Returns when this host's own server is
    ready.
    """
    roles = config["host"]["roles"]
    outcome = authorities.place_authorities(config, files, check=check)
    outcome.extend(_certificates(config, check=check))
    if "etcd" in roles:
        outcome.extend(etcd.ensure_etcd(config, new=etcd_new, check=check))
        outcome.extend(etcd_timer.ensure_timer(config, check=check))
    if "control-plane" in roles:
        outcome.facts["authority"] = _authority(config)
        pki = Path(config["cluster"]["certificatesDir"])
        identity = identity_of(config)
        wanted = [spec.phase for spec in kubeconfigs(identity)]
        if config["host"].get("joined_by_hand"):
            wanted.remove("super-admin")  # as kubeadm: only where the cluster was made
        changes = ensure_kubeconfigs(paths.KUBERNETES, pki, identity, write=not check, only=wanted)
        outcome.extend(from_changes(changes))
        own = config["init"]["nodeRegistration"]["name"]
        others = [name for name in serving if name != own]
        if others and ensure_components(config, CONTROL_PLANE, start=True, check=True).changed:
            others_serve(config, others)
        before = ready_at("kube-apiserver", "kube-apiserver")
        started = ensure_components(config, CONTROL_PLANE, start=True, check=check)
        outcome.extend(started)
        if not check and outcome.changed:
            restarted = any(_SERVER_STARTS.search(change) for change in started.changes)
            wait_own_server(before if restarted else -1.0)
            time.sleep(NOTICED_SECONDS if others else 0)
    return outcome


def join(config: Object, token: str, authority: str, pair: str = "", *, check: bool) -> Outcome:
    """The node's components. A node without credentials gets a bootstrap kubeconfig first.

    `authority` is the cluster's ca.crt as PEM, `pair` a client certificate and its key for who has no token.
    """
    from kubeinstall.ansible import bootstrapping

    outcome = Outcome()
    names = [name for name in NODE if name in component_settings(config)]
    if bootstrapping.needed(config):
        outcome.extend(
            bootstrapping.write_bootstrap(config, token, authority, pair=pair, check=check)
        )
        outcome.extend(ensure_components(config, ["kubelet"], start=True, check=check))
        if not check:
            bootstrapping.wait_credentials()
    else:
        outcome.extend(bootstrapping.ensure_server(config, check=check))
    outcome.extend(ensure_components(config, names, start=True, check=check))
    return outcome


def finish(config: Object, nodes: Mapping[str, Object], *, check: bool) -> Outcome:
    """Wait for the nodes of this run and give them their marks. A dry run has them marked where no API server is."""
    if check and not server_answers(config):
        return Outcome(changes=[f"mark node {name}" for name in nodes])
    return ensure_nodes(nodes, check=check)


def _authority(config: Object) -> str:
    path = Path(config["cluster"]["certificatesDir"]) / "ca.crt"
    return path.read_text() if path.exists() else ""


def others_serve(config: Object, others: Sequence[str]) -> None:
    """Before this API server restarts, those that served when the run began must be ready again: so that what breaks
    the first one stops there. KubeinstallError names the one that is not."""
    import ssl
    import urllib.request

    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # only health is asked for, as the balancers do
    for name in others:
        url = f"https://{config['host']['servers'][name]}/readyz"
        try:
            with urllib.request.urlopen(url, timeout=5, context=context) as answer:
                ready = answer.status == HTTPStatus.OK
        except OSError:
            ready = False
        if not ready:
            raise KubeinstallError(
                f"the API server of {name} is not ready, so this host's is not restarted; see to {name} first"
            )


def _preflight(config: Object, ignore: Sequence[str]) -> Outcome:
    roles, port = config["host"]["roles"], config["init"]["localAPIEndpoint"]["bindPort"]
    ports = [
        *((port, 10259, 10257) if "control-plane" in roles else ()),
        *((2379, 2380) if "etcd" in roles and not etcd.has_data(config) else ()),
        *((10250,) if "node" in roles else ()),
    ]
    host = Host(
        node_name=config["init"]["nodeRegistration"]["name"],
        ports=tuple(ports),
        cri_socket=config["init"]["nodeRegistration"]["criSocket"],
    )
    errors, warnings = verdict(findings(host), ignore)
    if errors:
        raise KubeinstallError(failure_text(errors))
    # A restore knows of itself.
    return Outcome(warnings=[str(w) for w in warnings if w.name != "Restoring"])


def needed_packages(config: Object) -> dict[str, str]:
    """Debian package → a command that makes it unnecessary, or nothing."""
    return {name: _UNLESS.get(name, "") for name in _packages(config)}


def _packages(config: Object) -> list[str]:
    roles = config["host"]["roles"]
    return [
        *(NODE_PACKAGES if "node" in roles else ()),
        *(ETCD_PACKAGES if "etcd" in roles else ()),
        *(("haproxy",) if config["host"]["balancer"] and "node" in roles else ()),
    ]


def ensure_etcd_packages(*, check: bool) -> Outcome:
    """etcd and its client, not started."""
    with _no_services_of_packages(check=check):
        return ensure_packages(ETCD_PACKAGES, _UNLESS, check=check)


@contextlib.contextmanager
def _no_services_of_packages(*, check: bool) -> Iterator[None]:
    """Debian starts a daemon when its package is installed, with a configuration that is nobody's wish."""
    if check or _POLICY.exists():
        yield
        return
    _POLICY.write_text("#!/bin/sh\nexit 101\n")
    _POLICY.chmod(0o755)
    try:
        yield
    finally:
        _POLICY.unlink(missing_ok=True)


def _balancer(config: Object, *, check: bool) -> Outcome:
    host = config["host"]
    joined = (paths.KUBERNETES / "kubelet.conf").exists()
    return balancer.ensure_balancer(
        host["balancer"], host["servers"], check=check, kept=keeps_servers(config), joined=joined
    )


def _images(config: Object, *, check: bool) -> Outcome:
    from kubeinstall.ansible.image_store import ARCHIVES, ensure_images

    if not check and any(
        not (ARCHIVES / f"{name}.tar").exists() for name in config["host"]["images"]
    ):
        ensure_lists()  # they are made of Debian's packages
    return ensure_images(config["host"]["images"], check=check)


def _certificates(config: Object, *, check: bool) -> Outcome:
    roles = config["host"]["roles"]
    phases = [
        *(_ETCD_PHASES if "etcd" in roles else ()),
        *(_SERVER_PHASES if "control-plane" in roles else ()),
    ]
    if config["cluster"]["etcd"].get("external") and "control-plane" in roles:
        phases.remove("apiserver-etcd-client")  # its pair was given, and so was its CA
    pki = Path(config["cluster"]["certificatesDir"])
    identity = identity_of(config)
    if check and not (pki / "etcd/ca.crt").exists():
        # A dry run: by now the authorities would be here.
        carried = ensure_pki(pki, identity, write=False, only=_AUTHORITIES)
        changes = ensure_pki(pki, identity, write=False, only=[*_AUTHORITIES, *phases])
        return from_changes(change for change in changes if change not in carried)
    return from_changes(ensure_pki(pki, identity, write=not check, only=phases))


def wait_own_server(since: float = -1.0) -> None:
    """Return when this host's API server is ready: one that became so after `since` (seconds since 1970), for the one
    before may still be finishing what it was asked."""
    deadline = time.monotonic() + _SERVER_SECONDS
    while since >= 0 and ready_at("kube-apiserver", "kube-apiserver") <= since + _CLOCKS:
        left = deadline - time.monotonic()
        # How often the one before had to be started again is counted until the new one begins.
        looping = restarts("kube-apiserver") >= _TOO_MANY_RESTARTS
        if left < 0 or (looping and left < _SERVER_SECONDS - _BEGIN_SECONDS):
            break  # what follows says why
        time.sleep(0.1)
    from kubeinstall.ansible.objects import with_client

    async def nothing(_client: object) -> Outcome:
        return Outcome()

    with_client(paths.KUBERNETES / "scheduler.conf", nothing, _SERVER_SECONDS)


def with_token(config: Object, token: str) -> Object:
    """The configuration with a short-lived bootstrap token; as it is without one."""
    if not token:
        return config
    entry = {
        "token": token,
        "ttl": "30m0s",
        "usages": ["authentication"],
        "description": "Made by 'kubeinstall apply' for nodes that join.",
    }
    return {**config, "init": {**config["init"], "bootstrapTokens": [entry]}}
