"""Renewing certificates on this host: issue what is asked for or about to end, restart what uses it, and see that it is
really in use."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from kubeinstall.ansible import etcd, paths, served
from kubeinstall.ansible.commands import run
from kubeinstall.ansible.identity import identity_of
from kubeinstall.ansible.outcome import Outcome
from kubeinstall.ansible.restarts import installed_settings, restart_changed
from kubeinstall.ansible.services import unit_active
from kubeinstall.config.durations import parse_duration
from kubeinstall.errors import KubeinstallError, StatusError
from kubeinstall.pki import ClusterIdentity
from kubeinstall.pki.expiry import Expiry, expiries, renew

Object = dict[str, Any]

Say = Callable[[str], None]
_ETCD_FILES = ("ca.crt", "server.crt", "peer.crt")


def present(directory: Path, pki: Path, identity: ClusterIdentity) -> list[Expiry]:
    """The certificates that are on this host: a worker has one, its kubelet's."""
    return [item for item in expiries(directory, pki, identity) if not item.missing]


def due(
    directory: Path,
    pki: Path,
    identity: ClusterIdentity,
    within: timedelta,
    now: datetime | None = None,
) -> list[str]:
    """Names of the certificates that end within this time, and whose authority's key is here."""
    moment = now or datetime.now(UTC)
    return [
        item.name
        for item in expiries(directory, pki, identity)
        if item.not_after is not None
        and not item.is_authority
        and not item.externally_managed
        and item.not_after - moment < within
    ]


def renew_all(
    directory: Path, pki: Path, identity: ClusterIdentity, names: Sequence[str], say: Say
) -> None:
    """Issue each certificate afresh."""
    for name in names:
        change = renew(directory, pki, identity, name)
        say(f"certificate {name} renewed: {change.path}")


def renew_host(config: Object, names: Sequence[str], within: str, *, check: bool) -> Outcome:
    """Of `names` (empty: all) those that this host has and can sign, and of these, with `within` (a duration such as
    720h), those that end by then; renewed, in use, and seen to be."""
    pki, identity = Path(config["cluster"]["certificatesDir"]), identity_of(config)
    chosen = [
        item.name
        for item in present(paths.KUBERNETES, pki, identity)
        if not item.is_authority
        and not item.externally_managed
        and item.name in (names or [item.name])
    ]
    if within:
        ending = due(paths.KUBERNETES, pki, identity, parse_duration(within))
        chosen = [name for name in chosen if name in ending]
    outcome = Outcome(changes=[f"renew {name}" for name in chosen])
    outcome.facts["renewed"] = chosen
    if check or not chosen:
        return outcome
    for name in chosen:
        renew(paths.KUBERNETES, pki, identity, name)
    said: list[str] = []
    apply_renewed(chosen, said.append, config)
    outcome.changes += said
    return outcome


def apply_renewed(names: Sequence[str], say: Say, config: Object | None = None) -> None:
    """Restart the services whose files changed, and only these; KubeinstallError when a renewed certificate is not the
    one in use afterwards. `config` is needed where a member of etcd runs among others."""
    if etcd_is_stale():
        for change in restart_member(config).changes:
            say(change)
    for change in restart_changed().changes if paths.COMPONENTS.exists() else ():
        say(change)
    for line in served.verify(installed_settings() if paths.COMPONENTS.exists() else {}):
        say(line)
    for name in names:
        if name.endswith(".conf"):
            asyncio.run(_use(paths.KUBERNETES / name))
            say(f"verified: the API server takes {name}")


def etcd_is_stale() -> bool:
    """Whether this host's member runs with other certificates than those in its files."""
    if not etcd.CONFIG.exists() or not unit_active(etcd.NAME):
        return False
    wanted = "--property=ExecMainStartTimestamp"
    text = run(["systemctl", "show", f"{etcd.NAME}.service", wanted, "--value", "--timestamp=unix"])
    started = float(text.strip().removeprefix("@") or 0)
    pki = paths.KUBERNETES / "pki/etcd"
    changed = [(pki / name).stat().st_mtime for name in _ETCD_FILES if (pki / name).exists()]
    # systemd tells whole seconds: what was written within the second of the start may be newer.
    return any(moment >= started for moment in changed)


def restart_member(config: Object | None) -> Outcome:
    """Restart etcd here, when the other members are healthy."""
    return etcd.restart_etcd(config or etcd.config_here(), check=False)


async def _use(kubeconfig: Path) -> None:
    """An answer other than 401 shows that the client certificate is taken."""
    from kubeinstall.client.client import ApiClient

    async with ApiClient.from_kubeconfig(kubeconfig, user_agent="kubeinstall") as client:
        try:
            await client.request("GET", "/version", timeout=10)
        except StatusError as error:
            raise KubeinstallError(
                f"{kubeconfig}: the API server does not take it: {error}"
            ) from error
