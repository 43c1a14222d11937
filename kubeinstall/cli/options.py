"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

ConfigFile = Annotated[
    Path | None,
    typer.Option("--config", metavar="FILE", help="Path to a configuration file (v1beta4)."),
]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Don't apply any changes; show what would be done.")
]
Ignore = Annotated[
    list[str] | None,
    typer.Option(
        "--ignore-preflight-errors",
        metavar="NAMES",
        help="Checks whose errors are shown as warnings, comma separated; 'all' for every one.",
    ),
]
SkipPhases = Annotated[
    list[str] | None,
    typer.Option("--skip-phases", metavar="NAMES", help="Phases to be skipped, comma separated."),
]
Verbose = Annotated[
    int,
    typer.Option("--verbose", "-v", count=True, help="Show Ansible's own output; -vvv for more."),
]
AdminKubeconfig = Annotated[
    Path,
    typer.Option(
        "--kubeconfig", metavar="FILE", help="The kubeconfig to talk to the cluster with."
    ),
]
Patches = Annotated[
    str,
    typer.Option(
        metavar="DIR",
        help="Directory of patches of the kubelet's configuration: kubeletconfiguration[suffix][+type].{json,yaml}.",
    ),
]
CertDir = Annotated[
    Path, typer.Option("--cert-dir", metavar="DIR", help="Where the certificates are.")
]
ADMIN = Path("/etc/kubernetes/admin.conf")
PKI = Path("/etc/kubernetes/pki")


def parse_gates(pairs: list[str]) -> dict[str, bool]:
    """`NAME=true` pairs; BadParameter for another form."""
    gates = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not (name and equals) or value.lower() not in ("true", "false"):
            raise typer.BadParameter(f"{pair!r}: must be NAME=true or NAME=false")
        gates[name] = value.lower() == "true"
    return gates


def split(values: list[str] | None) -> list[str]:
    """Repeated and comma separated values in one list."""
    return [part.strip() for value in values or [] for part in value.split(",") if part.strip()]
