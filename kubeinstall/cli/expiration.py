"""What `kubeinstall certs check-expiration` writes: kubeadm's tables, or its CertificateExpirationInfo."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from kubeinstall.cli.console import write

if TYPE_CHECKING:
    from kubeinstall.pki.expiry import Expiry

Object = dict[str, Any]


class Form(StrEnum):
    """Of the report."""

    TEXT = "text"
    JSON = "json"
    YAML = "yaml"


_HEAD = (
    f"{'CERTIFICATE':<26} {'EXPIRES':<22} {'RESIDUAL TIME':<15} "
    f"{'CERTIFICATE AUTHORITY':<23} EXTERNALLY MANAGED"
)
_AUTHORITIES = (
    f"\n{'CERTIFICATE AUTHORITY':<26} {'EXPIRES':<22} {'RESIDUAL TIME':<15} EXTERNALLY MANAGED"
)


def write_report(report: Sequence[Expiry], form: Form, now: datetime | None = None) -> None:
    """Of one host."""
    moment = now or datetime.now(UTC)
    leaves = [item for item in report if not item.is_authority]
    authorities = [item for item in report if item.is_authority]
    if form is not Form.TEXT:
        _write_document(
            {
                "kind": "CertificateExpirationInfo",
                "apiVersion": "output.kubeadm.k8s.io/v1alpha3",
                "certificates": [_entry(item, moment) for item in leaves],
                "certificateAuthorities": [_entry(item, moment) for item in authorities],
            },
            form,
        )
        return
    write(_HEAD)
    for item in leaves:
        if item.not_after is None:
            write(f"!MISSING! {item.name}")
            continue
        authority = item.authority.replace("/", "-")
        write(
            f"{item.name:<26} {_when(item.not_after, moment)} {authority:<23} {_external(item.externally_managed)}"
        )
    write(_AUTHORITIES)
    for item in authorities:
        if item.not_after is None:
            write(f"!MISSING! {item.name}")
            continue
        write(
            f"{item.name:<26} {_when(item.not_after, moment)} {_external(item.externally_managed)}"
        )


def write_inventory(told: Mapping[str, Sequence[Object]], form: Form) -> None:
    """Of every host of an inventory; `told` as `provision.certificates.told` returns it."""
    now = datetime.now(UTC)
    if form is not Form.TEXT:
        _write_document({host: _documents(entries, now) for host, entries in told.items()}, form)
        return
    write(f"{'HOST':<16} {_HEAD}")
    for host, entries in told.items():
        for entry in entries:
            ends = datetime.fromtimestamp(entry["ends"], UTC)
            authority = "-" if entry["is_authority"] else entry["authority"].replace("/", "-")
            write(
                f"{host:<16} {entry['name']:<26} {_when(ends, now)} {authority:<23} {_external(entry['external'])}"
            )


def _documents(entries: Sequence[Object], now: datetime) -> list[Object]:
    return [
        {
            "name": entry["name"],
            "expirationDate": _stamp(ends),
            "residualTime": int((ends - now).total_seconds()),
            "externallyManaged": entry["external"],
            **({} if entry["is_authority"] else {"caName": entry["authority"].replace("/", "-")}),
        }
        for entry in entries
        for ends in [datetime.fromtimestamp(entry["ends"], UTC)]
    ]


def _entry(item: Expiry, now: datetime) -> Object:
    ends = item.not_after
    entry: Object = {
        "name": item.name,
        "expirationDate": _stamp(ends) if ends else None,
        "residualTime": int((ends - now).total_seconds()) if ends else 0,
        "externallyManaged": item.externally_managed,
    }
    if not item.is_authority:
        entry["caName"] = item.authority.replace("/", "-")
    return {**entry, "missing": item.missing}


def _stamp(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def _when(ends: datetime, now: datetime) -> str:
    from kubeinstall.pki.expiry import remaining

    return f"{ends.strftime('%b %d, %Y %H:%M UTC'):<22} {remaining(ends, now):<15}"


def _external(managed: bool) -> str:
    return "yes" if managed else "no"


def _write_document(document: Object, form: Form) -> None:
    if form is Form.JSON:
        write(json.dumps(document, indent=4))
        return
    import yaml

    write(yaml.safe_dump(document, sort_keys=False).rstrip())
