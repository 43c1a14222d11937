"""Bringing the pki directory to what the cluster needs, touching only what is not right.

A certificate is kept while it is signed by its CA, belongs to its key, is not expired, and says
everything it has to (kubeadm's checks). It is made again when it is missing, expired or lacks a
name. A certificate of *another* CA, or a key that does not fit, is never overwritten: that is an
error, since somebody put it there. A CA without its key (`ca.crt` alone) is kubeadm's external CA
mode: everything below it must already be there and be right.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from kubeinstall.pki.certificates import (
    Authority,
    Subject,
    certificate_pem,
    common_name_of,
    is_signed_by,
    issue,
    key_matches,
    load_certificate,
    load_certificates,
    new_authority,
    organizations_of,
    sans_of,
)
from kubeinstall.pki.errors import PkiError
from kubeinstall.pki.files import CERTIFICATE_MODE, KEY_MODE, write_atomic
from kubeinstall.pki.identity import ClusterIdentity
from kubeinstall.pki.inventory import (
    AuthoritySpec,
    CertificateSpec,
    authorities,
    certificates,
)
from kubeinstall.pki.keys import generate_key, key_pem, load_key, public_pem

SERVICE_ACCOUNT = "sa"


@dataclass(frozen=True)
class Change:
    """One file (pair) that was, or would be, written."""

    path: Path
    action: str  # "create" or "renew"
    reason: str

    def __str__(self) -> str:
        return f"{self.action} {self.path}: {self.reason}"


@dataclass(frozen=True)
class _Run:
    directory: Path
    identity: ClusterIdentity
    write: bool
    now: datetime


def ensure_pki(
    directory: Path,
    identity: ClusterIdentity,
    *,
    write: bool = True,
    only: Iterable[str] | None = None,
    now: datetime | None = None,
) -> list[Change]:
    """Make the certificate set complete below `directory`; returns the changes made.

    `only` limits the work to kubeadm phase names (`ca`, `apiserver`, `sa`, …). With
    `write=False` nothing is written and the changes are those that would be made.
    Raises PkiError for what must not be repaired silently.
    """
    run = _Run(directory, identity, write, now or datetime.now(UTC))
    wanted = None if only is None else set(only)
    leaves = [leaf for leaf in certificates(identity) if wanted is None or leaf.phase in wanted]
    needed = {leaf.authority for leaf in leaves}
    changes: list[Change] = []
    made: dict[str, Authority | None] = {}
    for spec in authorities(identity):
        create = wanted is None or spec.phase in wanted
        if create or spec.name in needed:
            made[spec.name], change = _authority(run, spec, create=create)
            changes.extend(change)
    for leaf in leaves:
        changes.extend(_leaf(run, leaf, made[leaf.authority]))
    if wanted is None or SERVICE_ACCOUNT in wanted:
        changes.extend(_service_account(run))
    return changes


def load_authority(directory: Path, name: str) -> Authority:
    """The CA with its key; PkiError when either is missing (external CA)."""
    certificate = load_certificate(directory / f"{name}.crt")
    key_path = directory / f"{name}.key"
    if not key_path.exists():
        raise PkiError(f"{key_path}: missing; with an external CA, put the certificates in place")
    key = load_key(key_path)
    if not key_matches(certificate, key):
        raise PkiError(f"{key_path}: is not the key of {name}.crt")
    return Authority(certificate, key, (directory / f"{name}.crt").read_bytes())


def why_reissue(path: Path, subject: Subject, now: datetime) -> str | None:
    """Why the certificate at `path` does not serve `subject` any more; None when it does."""
    certificate = load_certificate(path)
    if certificate.not_valid_after_utc <= now:
        return f"expired on {certificate.not_valid_after_utc:%Y-%m-%d %H:%M} UTC"
    if common_name_of(certificate) != subject.common_name:
        return f"is for {common_name_of(certificate)!r}, not {subject.common_name!r}"
    if set(organizations_of(certificate)) != set(subject.organizations):
        return "has other organizations"
    missing = sorted(set(subject.sans) - sans_of(certificate))
    if missing:
        return f"lacks the names {', '.join(missing)}"
    return None


def _authority(
    run: _Run, spec: AuthoritySpec, *, create: bool
) -> tuple[Authority | None, list[Change]]:
    crt, key = _pair(run.directory, spec.name)
    if crt.exists():
        certificate = load_certificate(crt)
        if certificate.not_valid_after_utc <= run.now:
            raise PkiError(
                f"{crt}: the CA expired on {certificate.not_valid_after_utc:%Y-%m-%d}; "
                "replace it, or remove it together with all certificates it signed"
            )
        return (load_authority(run.directory, spec.name) if key.exists() else None), []
    if key.exists():
        raise PkiError(f"{key}: there is a CA key without its certificate {crt.name}")
    if not create:
        raise PkiError(f"{crt}: missing; run the {spec.phase} phase first")
    identity = run.identity
    authority = new_authority(spec.common_name, identity.algorithm, identity.ca_validity, run.now)
    if run.write:
        write_atomic(key, key_pem(authority.key), KEY_MODE)
        write_atomic(crt, certificate_pem(authority.certificate), CERTIFICATE_MODE)
    return authority, [Change(crt, "create", "missing")]


def _leaf(run: _Run, spec: CertificateSpec, authority: Authority | None) -> list[Change]:
    crt, key = _pair(run.directory, spec.name)
    subject = spec.subject(run.identity)
    reason: str | None = "missing"
    if crt.exists() and key.exists():
        replaced = _refuse_foreign(run, spec, crt, key)
        reason = replaced or why_reissue(crt, subject, run.now)
    if reason is None:
        return []
    if authority is None:
        raise PkiError(
            f"{crt}: {reason}, and {spec.authority}.key is not here to sign it (external CA); "
            "have it signed (kubeinstall certs generate-csr) and put it in place"
        )
    action = "renew" if crt.exists() else "create"
    write_leaf(run.directory, spec, authority, run.identity, run.now, write=run.write)
    return [Change(crt, action, reason)]


def write_leaf(
    directory: Path,
    spec: CertificateSpec,
    authority: Authority,
    identity: ClusterIdentity,
    now: datetime,
    *,
    write: bool = True,
    subject: Subject | None = None,
) -> None:
    """Issue the certificate afresh, for `subject` if it is given. The key goes first: a key without its certificate is
    recognised as unfinished and made again, a certificate without its key is not usable."""
    crt, key = _pair(directory, spec.name)
    if not write:
        return
    subject = subject or spec.subject(identity)
    issued = issue(authority, subject, identity.algorithm, identity.certificate_validity, now)
    crt.unlink(missing_ok=True)
    write_atomic(key, key_pem(issued.key), KEY_MODE)
    write_atomic(crt, certificate_pem(issued.certificate), CERTIFICATE_MODE)


def _refuse_foreign(run: _Run, spec: CertificateSpec, crt: Path, key: Path) -> str | None:
    """Why the certificate has to be issued again though nothing is wrong with it: its authority is being replaced.
    PkiError when none of the authorities in the file signed it."""
    certificate = load_certificate(crt)
    issuer_path = run.directory / f"{spec.authority}.crt"
    reason = None
    if issuer_path.exists():
        signers = load_certificates(issuer_path.read_bytes())
        if not any(is_signed_by(certificate, signer) for signer in signers):
            raise PkiError(
                f"{crt}: was not signed by {issuer_path}; remove the certificate and its key to have "
                "them made, or put the right CA in place"
            )
        if not is_signed_by(certificate, signers[0]):
            reason = f"{issuer_path.name} has another authority to sign now"
    if not key_matches(certificate, load_key(key)):
        raise PkiError(f"{key}: is not the key of {crt.name}; remove both to have them made")
    return reason


def _service_account(run: _Run) -> list[Change]:
    private = run.directory / f"{SERVICE_ACCOUNT}.key"
    public = run.directory / f"{SERVICE_ACCOUNT}.pub"
    if private.exists():
        expected = public_pem(load_key(private).public_key())
        # Its first key signs; while it is being replaced, another is taken too.
        if public.exists() and public.read_bytes().strip().startswith(expected.strip()):
            return []
        if public.exists():
            raise PkiError(f"{public}: is not the public half of {private.name}")
        if run.write:
            write_atomic(public, expected, CERTIFICATE_MODE)
        return [Change(public, "create", "missing")]
    if public.exists():
        raise PkiError(f"{public}: there is a public key without {private.name}")
    key = generate_key(run.identity.algorithm)
    if run.write:
        write_atomic(private, key_pem(key), KEY_MODE)
        write_atomic(public, public_pem(key.public_key()), CERTIFICATE_MODE)
    return [Change(private, "create", "missing")]


def _pair(directory: Path, name: str) -> tuple[Path, Path]:
    return directory / f"{name}.crt", directory / f"{name}.key"


def expires_within(path: Path, margin: timedelta, now: datetime | None = None) -> bool:
    """Whether the certificate in the file ends within `margin` from now."""
    return load_certificate(path).not_valid_after_utc - (now or datetime.now(UTC)) < margin
