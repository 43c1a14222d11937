"""Certificates of the host that this runs on: of a cluster that `kubeinstall init` made."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from kubeinstall.ansible import etcd, followed, paths, replacement
from kubeinstall.ansible.bootstrap import ensure_discovery
from kubeinstall.ansible.hostinfo import default_address, host_name
from kubeinstall.ansible.outcome import Outcome
from kubeinstall.errors import KubeinstallError
from kubeinstall.pki.replacement import Stage
from kubeinstall.provision.certificates import STAGES, RotateOptions

Object = dict[str, Any]


def configuration(file: Path | None = None) -> Object:
    """The documents of `file`, or of the cluster that runs here, or the defaults."""
    from kubeinstall.config import load_init
    from kubeinstall.provision.checks import as_variables
    from kubeinstall.provision.installed import installed_overrides

    init, cluster = installed_overrides() if file is None else ({}, {})
    if etcd.CONFIG.exists():  # this host is a member: its certificates are the cluster's own
        cluster.pop("etcd", None)
    loaded = load_init(
        file,
        node_name=host_name(),
        address=default_address(),
        init_overrides=init,
        cluster_overrides=cluster,
    )
    return as_variables(loaded)


def rotate_here(options: RotateOptions, say: Callable[[str], None]) -> None:
    """Replace the authorities of a cluster of one host, stage by stage."""
    config = configuration()
    if not paths.COMPONENTS.exists():
        raise KubeinstallError(f"{paths.COMPONENTS}: missing; there is no cluster on this host")
    replacement.require_all([config["init"]["nodeRegistration"]["name"]])
    begun = replacement.begin(config, options.names, check=options.check)
    _tell("begin", begun, say)
    if options.check:
        for stage in STAGES[: STAGES.index(options.until) + 1]:
            say(f"{stage}: would follow")
        return
    authority, retired = begun.facts["authority"], begun.facts["retired"]
    for name in STAGES[: STAGES.index(options.until) + 1]:
        _tell(name, replacement.reach(config, Stage[name.upper()], authority, (), check=False), say)
        _tell(name, ensure_discovery(config), say)
        if name == "trust" and authority:
            followed.await_trust(authority, options.timeout)
            say("trust: every pod trusts the new authority")
        if name == "issue" and retired:
            _tell(name, followed.renew_secrets(retired, options.timeout, check=False), say)
            _tell(name, followed.await_tokens(retired, options.timeout), say)
            say("issue: every pod has a token of the new key")
    if options.until == "drop":
        _tell("end", replacement.end(config, check=False), say)


def _tell(stage: str, outcome: Outcome, say: Callable[[str], None]) -> None:
    for warning in outcome.warnings:
        say(f"Warning: {warning}")
    for change in outcome.changes:
        say(f"{stage}: {change}")
