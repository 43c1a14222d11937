"""From a backup to a running cluster, on a host that was wiped or in place of what runs there."""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kubeinstall.ansible import hostinfo, paths
from kubeinstall.ansible.commands import run
from kubeinstall.ansible.component_services import GROUPS
from kubeinstall.ansible.hostinfo import default_address, host_name
from kubeinstall.ansible.services import read_supervised, supervisor_running, unit_active
from kubeinstall.config import load_init
from kubeinstall.pki.files import write_atomic
from kubeinstall.provision.backup.manifest import DATASTORE, DOCUMENTS, ETCD, BackupError, Manifest
from kubeinstall.provision.backup.placing import MARK, new_placing, place_all
from kubeinstall.provision.backup.snapshot import BUMP
from kubeinstall.provision.backup.verify import check_version, verified

if TYPE_CHECKING:
    from rich.console import Console

    from kubeinstall.config import InitConfig

Object = dict[str, Any]

#: Like etcd's --bump-revision: no client may have seen a newer revision than the restored datastore gives out next.
_BUMP = BUMP
_DOCUMENTS_KEPT = paths.STATE / "restored-kubeadm.yaml"


def restore_backup(
    path: Path,
    console: Console,
    say: Callable[[str], None],
    *,
    passphrase: bytes = b"",
    force: bool = False,
    verbosity: int = 0,
) -> Manifest:
    """Restore and start the cluster. BackupError before anything is changed, or with everything as it was.

    Once the files are in place, only starting is left: when that fails, run it again with the same file.
    """
    _refuse_live(force=force)
    paths.STATE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".restore-", dir=paths.STATE) as name:
        staging = Path(name)
        manifest = verified(path, passphrase, staging)
        check_version(manifest)
        if manifest.datastore == ETCD:
            raise BackupError(
                f"{path}: is of a cluster with etcd; restore it where the inventory is: kubeinstall restore FILE -i DIR"
            )
        documents = (staging / DOCUMENTS).read_text()
        # Read before anything is touched: what init would refuse, ends here.
        config = _configuration(staging / DOCUMENTS)
        forget_history(staging / DATASTORE)
        say(f"{path}: whole, of {manifest.created}, {manifest.objects} objects")
        kept = _stop_components(say)
        MARK.write_text(f"{path}\n")
        placing = new_placing()
        place_all(staging, placing)
        if supervisor_running():
            # The file that came with the backup names processes that do not run yet: they must look new.
            _write_supervised(kept)
        if placing.moved:
            say(f"what was here before is in {placing.aside}")
    _DOCUMENTS_KEPT.write_text(documents)
    _DOCUMENTS_KEPT.chmod(0o600)
    say("datastore, keys and configuration are in place; starting")
    _start(config, console, verbosity)
    MARK.unlink(missing_ok=True)
    return manifest


def _refuse_live(*, force: bool) -> None:
    if os.geteuid() != 0:
        raise BackupError("restoring needs root")
    if force or MARK.exists():
        return
    if paths.DATASTORE.exists() or (paths.KUBERNETES / "pki").exists() or _running():
        raise BackupError(
            "there is a cluster on this host. Restoring replaces it: take it off with 'kubeinstall reset', or give "
            f"--force, which moves its data to {paths.STATE}/replaced-…"
        )


def _running() -> list[str]:
    names = [name for group in GROUPS.values() for name in group]
    if hostinfo.under_systemd():
        return [name for name in names if unit_active(name)]
    if not supervisor_running():
        return []
    return [entry["name"] for entry in read_supervised() if entry["name"] in GROUPS]


def _stop_components(say: Callable[[str], None]) -> list[Object]:
    """Pods go on running, as over a restart of the components. Returns what our supervisor keeps alive further on."""
    running = _running()
    kept = [entry for entry in read_supervised() if entry["name"] not in GROUPS]
    if not running:
        return kept
    say(f"stopping {' '.join(running)}")
    if hostinfo.under_systemd():
        run(["systemctl", "stop", *running])
        return kept
    from kubeinstall.runtime.supervisor import ask

    _write_supervised(kept)
    ask({"do": "reload"}, run_dir=paths.RUN)
    return kept


def _write_supervised(entries: list[Object]) -> None:
    import yaml

    write_atomic(paths.SUPERVISOR, yaml.safe_dump({"processes": entries}).encode(), 0o644)


def forget_history(database: Path) -> None:
    """Move the revision on and call everything before it compacted: watchers list anew."""
    with closing(sqlite3.connect(database, isolation_level=None)) as connection:
        connection.execute(
            "UPDATE meta SET number = ? + MAX(number, (SELECT COALESCE(MAX(revision), 0) FROM log)) "
            "WHERE name = 'compacted'",
            (_BUMP,),
        )


def _configuration(path: Path) -> InitConfig:
    return load_init(
        path,
        node_name=host_name(),
        address=default_address(),
        init_overrides={},
        cluster_overrides={},
    )


def _start(config: InitConfig, console: Console, verbosity: int) -> None:
    from kubeinstall.provision.init import InitOptions, run_init

    result = run_init(config, InitOptions(verbosity=verbosity), console)
    if not result.ok:
        raise BackupError(
            "the files are in place, but the cluster did not start; see above, and run the same command again"
        )
    for folder in sorted(paths.STATE.glob("replaced-*"))[:-2]:
        shutil.rmtree(folder)
