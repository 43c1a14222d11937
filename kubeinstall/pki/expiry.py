"""When certificates end, and renewing them: `certs check-expiration` and `certs renew`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509

from kubeinstall.pki.certificates import (
    Subject,
    common_name_of,
    is_signed_by,
    load_certificate,
    load_certificates,
    organizations_of,
    parse_certificate,
    sans_of,
)
from kubeinstall.pki.ensure import Change, load_authority, write_leaf
from kubeinstall.pki.errors import PkiError
from kubeinstall.pki.identity import ClusterIdentity
from kubeinstall.pki.inventory import CA, CertificateSpec, authorities, certificates
from kubeinstall.pki.kubeconfigs import (
    client_certificate,
    kubeconfigs,
    reissue_kubeconfig,
    trusted,
    write_kubeconfig,
)


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
    """Issue one certificate or kubeconfig afresh, whatever is left of the old one's life.

    As kubeadm: names, organizations and the kubeconfig's server are those of the file that is there, which only where
    there is none are those of `identity`.
    """
    moment = now or datetime.now(UTC)
    for spec in certificates(identity):
        if spec.phase == name:
            path = pki / f"{spec.name}.crt"
            authority = load_authority(pki, spec.authority)
            write_leaf(pki, spec, authority, identity, moment, subject=_same(path, spec, identity))
            return Change(path, "renew", "asked for")
    for config in kubeconfigs(identity):
        if config.file == name:
            path, authority = directory / name, load_authority(pki, CA)
            if path.exists():
                reissue_kubeconfig(path, authority, config, identity, moment)
            else:
                write_kubeconfig(directory, authority, config, identity, moment)
            return Change(path, "renew", "asked for")
    raise PkiError(
        f"there is no certificate {name!r}; choose from {', '.join(renewable(identity))}, all"
    )


def outdated(directory: Path, pki: Path, identity: ClusterIdentity) -> list[str]:
    """Names of what is on this host and not as its authority's file has it now: signed by another authority than the
    one that signs (its first), or, of a kubeconfig, trusting others than are in it."""
    bundles = {
        spec.name: (pki / f"{spec.name}.crt").read_bytes()
        for spec in authorities(identity)
        if (pki / f"{spec.name}.crt").exists() and (pki / f"{spec.name}.key").exists()
    }
    found = []
    for spec in certificates(identity):
        path, bundle = pki / f"{spec.name}.crt", bundles.get(spec.authority)
        if bundle and path.exists() and not is_signed_by(load_certificate(path), _first(bundle)):
            found.append(spec.phase)
    bundle = bundles.get(CA)
    for config in kubeconfigs(identity) if bundle else ():
        path = directory / config.file
        if path.exists() and bundle and not _follows(path, bundle):
            found.append(config.file)
    return found


def _follows(kubeconfig: Path, bundle: bytes) -> bool:
    pem = client_certificate(kubeconfig)
    certificate = parse_certificate(pem, str(kubeconfig)) if pem else None
    signed = certificate is None or is_signed_by(certificate, _first(bundle))
    return signed and trusted(kubeconfig).strip() == bundle.strip()


def _first(bundle: bytes) -> x509.Certificate:
    return load_certificates(bundle)[0]


def _same(path: Path, spec: CertificateSpec, identity: ClusterIdentity) -> Subject:
    """What the certificate at `path` is for, by itself."""
    wanted = spec.subject(identity)
    if not path.exists():
        return wanted
    found = load_certificate(path)
    return Subject(
        common_name_of(found),
        organizations_of(found),
        tuple(sorted(sans_of(found))),
        wanted.usage,
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
