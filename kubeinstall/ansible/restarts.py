"""Restarting what runs on changed files: settings, certificates or keys other than those a service started with."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import yaml

from kubeinstall.ansible import hostinfo, paths
from kubeinstall.ansible.component_services import GROUPS, component_services
from kubeinstall.ansible.outcome import Outcome
from kubeinstall.ansible.services import Service, ensure_services, last_words, ready_at
from kubeinstall.errors import KubeinstallError

Object = dict[str, Any]

_READY_SECONDS = 90.0
_STEP = 0.05


def installed_settings() -> dict[str, Object]:
    """Component → flag → value, as written on this host; KubeinstallError when there is nothing."""
    if not paths.COMPONENTS.exists():
        raise KubeinstallError(f"{paths.COMPONENTS}: missing; there is no cluster on this host")
    return yaml.load(paths.COMPONENTS.read_text(), Loader=yaml.CSafeLoader) or {}


def services_here(names: Sequence[str] = ()) -> list[Service]:
    """The services of this host that hold any of the components; none named: all."""
    settings = installed_settings()
    wanted = names or [name for group in GROUPS.values() for name in group]
    return component_services(settings, wanted, systemd=hostinfo.under_systemd())


def restart_changed(names: Sequence[str] = (), *, check: bool = False) -> Outcome:
    """Restart the services whose files changed, and return when each of them says that it is ready.

    The outcome's changes name them; none when all run on the files that are there.
    """
    services = services_here(names)
    before = {service.name: ready_at(service.name, service.name) for service in services}
    outcome = ensure_services(services, check=check)
    restarted = {
        service.name
        for service in services
        for change in outcome.changes
        if change.split()[0] in ("start", "restart")
        and change.split()[-1].removesuffix(".service") == service.name
    }
    if not check:
        for name in sorted(restarted):
            _await_ready(name, before[name])
    return Outcome(changes=[f"restart {name}" for name in sorted(restarted)])


def _await_ready(name: str, before: float) -> None:
    deadline = time.monotonic() + _READY_SECONDS
    # Times are computed from two clocks: a difference below a tenth of a second is none.
    while ready_at(name, name) <= before + 0.1:
        if time.monotonic() > deadline:
            raise KubeinstallError(
                f"{name} is not ready {_READY_SECONDS:.0f} s after its restart\n{last_words(name)}"
            )
        time.sleep(_STEP)
