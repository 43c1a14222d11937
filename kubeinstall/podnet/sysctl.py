"""Kernel settings that a pod network needs."""

from __future__ import annotations

from pathlib import Path

from kubeinstall.runtime.logs import get_logger

log = get_logger("kube-podnet")

_ROOT = Path("/proc/sys")
#: (key, value, what is lost without it). br_netfilter lets NAT and policies see packets between two pods
#: of one bridge; its keys are absent where the module is not loaded.
SETTINGS = (
    ("net/ipv4/ip_forward", "1", "pods reach nothing outside their node"),
    (
        "net/bridge/bridge-nf-call-iptables",
        "1",
        "services whose endpoint is on the client's own node, and network policies between pods of a node",
    ),
)
SETTINGS_IPV6 = (
    ("net/ipv6/conf/all/forwarding", "1", "pods reach nothing outside their node over IPv6"),
    ("net/bridge/bridge-nf-call-ip6tables", "1", "the same over IPv6"),
)


def apply_settings(ipv6: bool, root: Path = _ROOT) -> list[str]:
    """Set what is not set yet; the keys that could not be set are returned and logged."""
    failed = []
    for key, value, lost in SETTINGS + (SETTINGS_IPV6 if ipv6 else ()):
        path = root / key
        try:
            if path.read_text("ascii").strip() != value:
                path.write_text(value, "ascii")
        except OSError as error:
            log.warning("Kernel setting not applied", key=key, error=str(error), lost=lost)
            failed.append(key)
    return failed
