"""When certificates end, and renewing them: `certs check-expiration` and `certs renew`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from kubeinstall.pki.certificates import load_certificate, parse_certificate
from kubeinstall.pki.ensure import Change, load_authority, write_leaf
from kubeinstall.pki.errors import PkiError
from kubeinstall.pki.identity import ClusterIdentity
from kubeinstall.pki.inventory import CA, authorities, certificates
from kubeinstall.pki.kubeconfigs import client_certificate, kubeconfigs, write_kubeconfig


@dataclass(frozen=True)
class Expiry:
    """One line of the report. `missing` when the file is not there."""

    name: str
    path: Path
    authority: str
    not_after: datetime | None
    externally_managed: bool
    is_authority: bool = False

    @property
    def missing(self) -> bool:
        """Whether there is no such certificate."""
        return self.not_after is None


def expiries(directory: Path, pki: Path, identity: ClusterIdentity) -> list[Expiry]:
    """Every certificate and kubeconfig, then the CAs, with when they end."""
    external = {s.name: not (pki / f"{s.name}.key").exists() for s in authorities(identity)}
    found = [
        Expiry(spec.file, path, CA, _kubeconfig_end(path), external[CA])
        for spec in kubeconfigs(identity)
        for path in [directory / spec.file]
    ]
    found.extend(
        Expiry(spec.phase, path, spec.authority, _end(path), external[spec.authority])
        for spec in certificates(identity)
        for path in [pki / f"{spec.name}.crt"]
    )
    found.sort(key=lambda expiry: expiry.name)
    found.extend(
        Expiry(spec.phase, path, "", _end(path), external[spec.name], is_authority=True)
        for spec in authorities(identity)
        for path in [pki / f"{spec.name}.crt"]
    )
    return found


def renewable(identity: ClusterIdentity) -> list[str]:
    """Names that `renew` takes."""
    names = [spec.file for spec in kubeconfigs(identity)]
    return sorted(names + [spec.phase for spec in certificates(identity)])


def renew(
    directory: Path,
    pki: Path,
    identity: ClusterIdentity,
    name: str,
    *,
    now: datetime | None = None,
) -> Change:
    """Issue one certificate or kubeconfig afresh, whatever is left of the old one's life."""
    moment = now or datetime.now(UTC)
    for spec in certificates(identity):
        if spec.phase == name:
            write_leaf(pki, spec, load_authority(pki, spec.authority), identity, moment)
            return Change(pki / f"{spec.name}.crt", "renew", "asked for")
    for config in kubeconfigs(identity):
        if config.file == name:
            write_kubeconfig(directory, load_authority(pki, CA), config, identity, moment)
            return Change(directory / config.file, "renew", "asked for")
    raise PkiError(
        f"there is no certificate {name!r}; choose from {', '.join(renewable(identity))}, all"
    )


def remaining(not_after: datetime, now: datetime) -> str:
    """Rest of a life as kubeadm prints it: 364d, 9y, 23h, 59m, <invalid>."""
    seconds = (not_after - now).total_seconds()
    if seconds < -1:
        return "<invalid>"
    hours = int(seconds // 3600)
    if seconds < 3600:
        return f"{max(int(seconds // 60), 0)}m"
    if hours < 48:
        return f"{hours}h"
    if hours < 24 * 365 * 2:
        return f"{hours // 24}d"
    return f"{hours // (24 * 365)}y"


def _end(path: Path) -> datetime | None:
    return load_certificate(path).not_valid_after_utc if path.exists() else None


def _kubeconfig_end(path: Path) -> datetime | None:
    if not path.exists():
        return None
    pem = client_certificate(path)
    return parse_certificate(pem, str(path)).not_valid_after_utc if pem else None
