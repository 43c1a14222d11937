"""Taking Kubernetes off a host: ordered, and able to start from any half-finished state.

The order: components first (nothing may bring back what is removed), then pods through the runtime
(which takes their network down properly), then what is left of them in the kernel, then containerd
as far as it is ours, then files. A step that fails is noted and the next ones still run; what could
not be undone is told at the end.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from kubeinstall.ansible import containerd, departing, hostinfo, leftovers, paths, pods
from kubeinstall.ansible.balancer import NAME as BALANCER
from kubeinstall.ansible.commands import run
from kubeinstall.ansible.component_services import GROUPS
from kubeinstall.ansible.etcd import CONFIG as ETCD_CONFIG
from kubeinstall.ansible.etcd import NAME as ETCD
from kubeinstall.ansible.etcd_timer import end_timer
from kubeinstall.ansible.kernel import restore_kernel
from kubeinstall.ansible.outcome import Outcome
from kubeinstall.ansible.runtime_service import (
    DATA,
    KEEP_DATA,
    replaced,
    start_replaced,
    unit_before,
    will_answer,
)
from kubeinstall.ansible.runtime_service import NAME as CONTAINERD
from kubeinstall.ansible.services import read_supervised, supervised, supervisor_running
from kubeinstall.ansible.textfiles import ensure_text
from kubeinstall.errors import KubeinstallError

Object = dict[str, Any]

#: kubeadm's phases of reset.
PREFLIGHT, LEAVE, CLEAN = "preflight", "remove-etcd-member", "cleanup-node"

_RUNTIME_STATE = (DATA, Path("/run/containerd"))
_DIRECTORIES = (
    paths.KUBERNETES,
    paths.KUBELET,
    Path("/var/log/pods"),
    Path("/var/log/containers"),
    Path("/var/lib/cni"),
    Path("/run/flannel"),
    paths.STATE,
    paths.RUN,
    paths.LOGS,
)
_ETCD_DATA = Path("/var/lib/etcd")
_CNI_PREFIX = "10-kubeinstall"
_BACKUPS = "kubeinstall-backup"  # of `kubeinstall backup schedule`; the backups stay


@dataclass
class _Run:
    check: bool
    outcome: Outcome = field(default_factory=Outcome)
    errors: list[str] = field(default_factory=list)

    def do(self, change: str, action: Callable[[], object]) -> None:
        """Note a change and, outside check mode, make it."""
        self.outcome.add(change)
        if self.check:
            return
        try:
            action()
        except (OSError, KubeinstallError) as error:
            self.errors.append(f"{change}: {error}")


def ensure_gone(config: Object, *, check: bool) -> Outcome:
    """Undo everything. KubeinstallError at the end names what could not be undone."""
    work = _Run(check)
    skipped = {name.partition("/")[0] for name in config.get("skipPhases") or ()}
    if LEAVE not in skipped:
        work.outcome.extend(departing.leave_cluster(_kubeconfig(config), check=check))
    if CLEAN in skipped:
        return work.outcome
    dns = _dns_address()
    etcd_data = _etcd_data()
    ours = any(entry["name"] == CONTAINERD for entry in read_supervised())
    _stop_components(work)
    _remove_pods(work, config, ours=ours)
    _clean_kernel(work, dns)
    _give_back_runtime(work, ours=ours)
    _stop_supervisor(work)
    _remove_files(work, config)
    work.outcome.extend(restore_kernel(check=check))
    for directory in (*_DIRECTORIES, *etcd_data):
        if leftovers.is_left(directory):
            work.do(f"remove {directory}", partial(leftovers.remove_tree, directory))
    if work.errors:
        raise KubeinstallError("some things could not be undone:\n" + "\n".join(work.errors))
    return work.outcome


def _etcd_data() -> list[Path]:
    """Where our etcd keeps its data, if there is one."""
    if not ETCD_CONFIG.exists():
        # A restore that broke off may have placed the data before the configuration.
        placed = [_ETCD_DATA / name for name in ("member", ".restore")]
        before = _ETCD_DATA.glob("member.before-*")
        return [*placed, *before] if (paths.STATE / "restoring").exists() else []
    import yaml

    found = (yaml.safe_load(ETCD_CONFIG.read_text()) or {}).get("data-dir")
    return [Path(found)] if found else []


def _kubeconfig(config: Object) -> Path:
    return Path(config.get("kubeconfig") or paths.ADMIN)


def _dns_address() -> str:
    if not paths.COMPONENTS.exists():
        return ""
    import yaml

    settings = yaml.safe_load(paths.COMPONENTS.read_text()) or {}
    return str((settings.get("kube-dns") or {}).get("cluster-dns", ""))


def _stop_components(work: _Run) -> None:
    names = [*(name for group in GROUPS.values() for name in group), BALANCER, ETCD]
    timer = paths.UNITS / f"{_BACKUPS}.timer"
    if timer.exists():
        work.do(f"stop and remove {timer.name}", lambda: _stop_timer(timer))
    work.outcome.extend(end_timer(check=work.check))
    units = [name for name in names if (paths.UNITS / f"{name}.service").exists()]
    if units:

        def stop_units() -> None:
            run(["systemctl", "disable", "--now", "--quiet", *units])
            for name in units:
                (paths.UNITS / f"{name}.service").unlink()
            run(["systemctl", "daemon-reload"])
            run(["systemctl", "reset-failed", *units], check=False)

        work.do(f"stop and remove units {' '.join(units)}", stop_units)
    running = [process["name"] for process in supervised() if process["name"] in GROUPS]
    if running:
        work.do(f"stop {' '.join(running)}", _keep_only_containerd)
    # What a killed supervisor left behind.
    for pid, command in leftovers.component_processes():
        if not running:
            work.do(f"stop process {pid} ({command})", partial(leftovers.end_process, pid))


def _stop_timer(timer: Path) -> None:
    run(["systemctl", "disable", "--now", "--quiet", timer.name])
    timer.unlink()
    timer.with_suffix(".service").unlink(missing_ok=True)
    run(["systemctl", "daemon-reload"])


def _keep_only_containerd() -> None:
    import yaml

    from kubeinstall.runtime.supervisor import ask

    kept = [entry for entry in read_supervised() if entry["name"] == CONTAINERD]
    ensure_text(paths.SUPERVISOR, yaml.safe_dump({"processes": kept}), check=False)
    ask({"do": "reload"}, run_dir=paths.RUN)


def _remove_pods(work: _Run, config: Object, *, ours: bool) -> None:
    socket = config["criSocket"]
    if pods.reachable(socket):
        sandboxes = pods.sandboxes(socket)
        if sandboxes:
            names = ", ".join(sorted(sandboxes.values())[:5])
            more = f" and {len(sandboxes) - 5} more" if len(sandboxes) > 5 else ""
            work.do(
                f"remove {len(sandboxes)} pods ({names}{more})",
                lambda: pods.remove(socket, list(sandboxes)),
            )
        images = pods.local_images(socket)
        if images:
            work.do(f"remove {len(images)} images", lambda: pods.remove_images(socket, images))
    if not work.check or not pods.reachable(socket):
        for pid, command in leftovers.shims():
            work.do(f"stop process {pid} ({command})", partial(leftovers.end_process, pid))


def _clean_kernel(work: _Run, dns: str) -> None:
    for description, action in _kernel_leftovers(dns):
        work.do(description, action)


def _kernel_leftovers(dns: str) -> Iterator[tuple[str, Callable[[], object]]]:
    for family, table in leftovers.nftables_tables():
        yield (
            f"delete nftables table {family} {table}",
            partial(run, ["nft", "delete", "table", family, table]),
        )
    for link in leftovers.links():
        yield (
            f"delete interface {link}",
            partial(run, ["ip", "link", "delete", link], check=False),
        )
    for family, destination in leftovers.routes():
        yield (
            f"remove the route to {destination}",
            partial(leftovers.remove_route, family, destination),
        )
    for address in leftovers.loopback_addresses(dns):
        yield (
            f"remove address {address} from lo",
            partial(run, ["ip", "address", "delete", address, "dev", "lo"]),
        )
    for mount in leftovers.mounts():
        yield f"unmount {mount}", partial(leftovers.unmount, mount)
    for namespace in leftovers.network_namespaces():
        yield (
            f"remove network namespace {namespace}",
            partial(leftovers.remove_namespace, namespace),
        )
    for cgroup in leftovers.cgroups():
        yield f"remove cgroup {cgroup}", partial(leftovers.remove_cgroup, cgroup)


def _give_back_runtime(work: _Run, *, ours: bool) -> None:
    """A containerd that we keep alive ends, with its data unless somebody had some before us or
    beside us; another one gets its settings back."""
    keep = KEEP_DATA.exists() or bool(_other_namespaces())
    if ours and supervisor_running():
        work.do("stop containerd", _stop_supervised_containerd)
    restored = containerd.restore_config(check=work.check)
    work.outcome.extend(restored)
    if hostinfo.under_systemd():
        _give_back_unit(work, restart=restored.changed)
        return
    before = replaced()
    if before:
        work.do(f"start the containerd again that ran here before ({before})", start_replaced)
    if ours and not keep and not before:
        _remove_runtime_state(work)


def _give_back_unit(work: _Run, *, restart: bool) -> None:
    """Debian's unit is as it was before us: enabled, running, with data, or not."""
    before = unit_before()
    others = _other_namespaces()
    if before.get("active", True) or others:
        if restart:
            work.do("restart containerd.service", lambda: run(["systemctl", "restart", CONTAINERD]))
        return
    work.do("stop containerd.service", lambda: run(["systemctl", "stop", CONTAINERD]))
    if not before["enabled"]:
        work.do(
            "disable containerd.service",
            lambda: run(["systemctl", "disable", "--quiet", CONTAINERD]),
        )
    # What it keeps while it runs goes in any case; images and containers of before us stay.
    _remove_runtime_state(work, _RUNTIME_STATE[1:] if before["data"] else _RUNTIME_STATE)


def _remove_runtime_state(work: _Run, directories: Sequence[Path] = _RUNTIME_STATE) -> None:
    for mount in leftovers.mounts([f"{directory}/" for directory in directories]):
        work.do(f"unmount {mount}", partial(leftovers.unmount, mount))
    for directory in directories:
        if leftovers.is_left(directory):
            work.do(f"remove {directory}", partial(leftovers.remove_tree, directory))


def _other_namespaces() -> set[str]:
    """containerd's namespaces that are not Kubernetes'; none are known where it does not run."""
    if not will_answer():
        return set()
    listed = run(["ctr", "namespaces", "list", "--quiet"], check=False)
    return set(listed.split()) - {"k8s.io"}


def _stop_supervised_containerd() -> None:
    import yaml

    from kubeinstall.runtime.supervisor import ask

    ensure_text(paths.SUPERVISOR, yaml.safe_dump({"processes": []}), check=False)
    ask({"do": "reload"}, run_dir=paths.RUN)


def _stop_supervisor(work: _Run) -> None:
    if not supervisor_running():
        return
    pid = int((paths.RUN / "supervisor.pid").read_text())

    def stop() -> None:
        from kubeinstall.runtime.supervisor import ask

        ask({"do": "stop"}, run_dir=paths.RUN)
        leftovers.wait_gone(pid)

    work.do("stop the supervisor", stop)


def _remove_files(work: _Run, config: Object) -> None:
    for path in sorted(paths.CNI_CONFIG.glob(f"{_CNI_PREFIX}*")):
        work.do(f"remove {path}", path.unlink)
    for folder in (paths.CNI_CONFIG, paths.CNI_CONFIG.parent, Path("/run/netns")):
        # Ours or a pod network's; with somebody's files or mounts in them they stay.
        if folder.is_dir() and not leftovers.is_mounted(folder) and not _holds_others(folder):
            work.do(f"remove {folder}", partial(_remove_empty, folder))
    pki = Path(config["certificatesDir"])
    if pki.is_dir() and paths.KUBERNETES not in pki.parents:
        work.do(f"remove {pki}", lambda: leftovers.remove_tree(pki))


def _holds_others(folder: Path) -> bool:
    """Whether anything is in it but what goes too."""
    gone = (paths.CNI_CONFIG,)
    return any(
        path not in gone and not path.name.startswith(_CNI_PREFIX) for path in folder.iterdir()
    ) or (
        folder == paths.CNI_CONFIG.parent
        and paths.CNI_CONFIG.is_dir()
        and _holds_others(paths.CNI_CONFIG)
    )


def _remove_empty(folder: Path) -> None:
    with contextlib.suppress(FileNotFoundError):
        folder.rmdir()
