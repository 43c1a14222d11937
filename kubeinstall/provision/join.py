"""`kubeinstall join`: this host becomes a node, or another control plane, of a cluster that exists."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from kubeinstall.ansible.components import kubelet_configuration
from kubeinstall.ansible.patches import patched
from kubeinstall.ansible.preflight import failure_text, verdict
from kubeinstall.config.durations import parse_duration
from kubeinstall.errors import KubeinstallError
from kubeinstall.pki import ca_cert_hash
from kubeinstall.pki.certificates import parse_certificate
from kubeinstall.provision.discovery import Found, clock_problem, discover
from kubeinstall.provision.display import progress, show_diffs, show_failures
from kubeinstall.provision.join_checks import (
    MARKER,
    Unfinished,
    clock_finding,
    join_findings,
    shown,
)
from kubeinstall.provision.join_cluster import (
    JoinError,
    download_certificates,
    host_configuration,
    read_cluster,
    require_free_name,
    require_shared_datastore,
    shared_files,
)
from kubeinstall.provision.join_phases import PREFLIGHT, JoinPhase, skip_tags
from kubeinstall.provision.logfile import write_log
from kubeinstall.provision.playbook import Play, local_inventory, run_play
from kubeinstall.provision.results import RunResult

if TYPE_CHECKING:
    from rich.console import Console

Object = dict[str, Any]


class PreflightFailed(KubeinstallError):
    """Errors of the checks; nothing was changed."""


@dataclass(frozen=True)
class JoinOptions:
    """How to run; what to join is in the configuration."""

    dry_run: bool = False
    ignore_preflight_errors: Sequence[str] = ()
    verbosity: int = 0
    phase: JoinPhase | None = None


@dataclass(frozen=True)
class JoinResult:
    """`run` is None when only the checks were asked for."""

    server: str
    control_plane: bool
    run: RunResult | None = None


@dataclass
class _Join:
    """One join, step by step."""

    join: Object
    options: JoinOptions
    console: Console
    ignored: list[str] = field(default_factory=list)

    def say(self, text: str) -> None:
        self.console.print(text, markup=False, highlight=False)

    def skipped(self, name: str) -> bool:
        return name in (self.join.get("skipPhases") or [])

    def check_host(self) -> None:
        """Before anybody is talked to."""
        if self.skipped(PREFLIGHT):
            return
        self.say("[preflight] Running pre-flight checks")
        errors, warnings = verdict(join_findings(self.join), self.ignored)
        if warnings:
            self.say(shown(warnings))
        if errors:
            raise PreflightFailed(failure_text(errors))

    def discover(self) -> Found:
        """Find the cluster, trust it, and compare clocks."""
        timeouts = self.join["timeouts"]
        seconds = parse_duration(timeouts["discovery"]).total_seconds()
        found = discover(
            self.join["discovery"], seconds, lambda text: self.say(f"[discovery] {text}")
        )
        errors, warnings = verdict(list(clock_finding(clock_problem(found.skew))), self.ignored)
        if errors and not self.skipped(PREFLIGHT):
            raise PreflightFailed(failure_text(errors))
        if warnings:
            self.say(shown(warnings))
        return found


def run_join(join: Object, options: JoinOptions, console: Console) -> JoinResult:
    """Check, discover, then run the playbook and show how it goes. `JoinResult.run` tells success.

    Raises before anything is changed: `PreflightFailed`, `DiscoveryError`, `JoinError`.
    """
    ignored = [
        *(join["nodeRegistration"].get("ignorePreflightErrors") or []),
        *options.ignore_preflight_errors,
    ]
    left_out = skip_tags(join.get("skipPhases") or [])  # unknown names are told before all else
    work = _Join(join, options, console, ignored)
    work.check_host()
    found = work.discover()
    work.say(
        '[preflight] Reading configuration from the "kubeadm-config" ConfigMap in namespace "kube-system"...'
    )
    cluster = read_cluster(found)
    unfinished = _same_cluster(found)
    name = join["nodeRegistration"]["name"]
    if unfinished is None and (options.phase is None or options.phase.name == PREFLIGHT):
        require_free_name(found, name)
    plane = join.get("controlPlane")
    files: dict[str, str] = {}
    if plane is not None:
        require_shared_datastore(cluster)
        wanted = shared_files(cluster.configuration)
        files = download_certificates(found, _certificate_key(plane), wanted)
    config = host_configuration(join, found, cluster)
    patched(
        kubelet_configuration(config, systemd_cgroup=False),
        config["init"]["patches"].get("directory", ""),
    )  # a patch that cannot be applied is told before anything is changed
    result = JoinResult(found.server, plane is not None)
    if options.phase is not None and options.phase.name == PREFLIGHT:
        return result
    if not options.dry_run:
        Unfinished(_pin(found)).write()
    run = _play(work, config, found, files, left_out)
    if run.ok and not options.dry_run and options.phase is None:
        MARKER.unlink(missing_ok=True)
    return JoinResult(found.server, plane is not None, run)


def _certificate_key(plane: Object) -> str:
    key = str(plane.get("certificateKey") or "")
    if not key:
        raise JoinError(
            "a control plane needs --certificate-key: it is printed on a control-plane host by: "
            "kubeinstall init phase upload-certs"
        )
    return key


def _pin(found: Found) -> str:
    return ca_cert_hash(parse_certificate(found.ca_pem, "cluster-info"))


def _same_cluster(found: Found) -> Unfinished | None:
    """The join that began here; `JoinError` when it was to another cluster."""
    unfinished = Unfinished.read()
    if unfinished is not None and unfinished.pin not in ("", _pin(found)):
        raise JoinError(
            "a join to another cluster began on this host and did not finish; take it off first: kubeinstall reset"
        )
    return unfinished


def _play(
    work: _Join, config: Object, found: Found, files: dict[str, str], left_out: list[str]
) -> RunResult:
    options, join = work.options, work.join
    timeouts = join["timeouts"]
    play = Play(
        playbook="join",
        inventory=local_inventory("kube_node"),
        variables={
            "kubeinstall_config": config,
            "kubeinstall_join": {
                "token": found.credentials.token,
                "pair": found.credentials.pair.decode(),
                "authority": found.ca_pem.decode(),
                "files": files,
            },
            "join_ignore": work.ignored,
            "join_timeout": int(parse_duration(timeouts["kubeletHealthCheck"]).total_seconds()),
        },
        tags=[options.phase.tag] if options.phase else (),
        skip_tags=left_out,
        check=options.dry_run,
        verbosity=options.verbosity,
    )
    with progress(work.console, verbosity=options.verbosity) as shown_progress:
        result = run_play(play, shown_progress)
    if options.dry_run and result.ok:
        show_diffs(work.console, result)
        return result
    log = write_log("join", result, keep=not options.dry_run)
    if not result.ok:
        show_failures(work.console, result, log)
    return result
