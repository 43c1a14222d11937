"""`kubeinstall init`: one host becomes a control plane."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from kubeinstall.config import InitConfig
from kubeinstall.provision.checks import as_variables, check_settings
from kubeinstall.provision.display import progress, show_diffs, show_failures
from kubeinstall.provision.logfile import write_log
from kubeinstall.provision.phases import Selection, leave_out_addons, select_all_but
from kubeinstall.provision.playbook import Play, local_inventory, run_play
from kubeinstall.provision.results import RunResult

if TYPE_CHECKING:
    from rich.console import Console


@dataclass(frozen=True)
class InitOptions:
    """How to run; what to make is in the configuration."""

    dry_run: bool = False
    ignore_preflight_errors: Sequence[str] = ()
    verbosity: int = 0
    variables: dict[str, Any] = field(default_factory=dict)


def run_init(
    config: InitConfig,
    options: InitOptions,
    console: Console,
    selection: Selection | None = None,
) -> RunResult:
    """Check the configuration, run the playbook, show how it goes. The result tells success."""
    skipped = config.init.get("skipPhases") or []
    leave_out_addons(skipped, config.cluster)
    check_settings(config)
    chosen = selection or select_all_but(skipped)
    ignored = [
        *(config.init["nodeRegistration"].get("ignorePreflightErrors") or []),
        *options.ignore_preflight_errors,
    ]
    play = Play(
        playbook="init",
        inventory=local_inventory(),
        variables={
            "kubeinstall_config": as_variables(config),
            "preflight_ignore": ignored,
            **chosen.variables,
            **options.variables,
        },
        tags=chosen.tags,
        skip_tags=chosen.skip_tags,
        check=options.dry_run,
        verbosity=options.verbosity,
    )
    with progress(console, verbosity=options.verbosity) as shown:
        result = run_play(play, shown)
    if not (options.dry_run and result.ok):
        log = write_log("init", result, keep=not options.dry_run)
        if not result.ok:
            show_failures(console, result, log)
    else:
        show_diffs(console, result)
    return result
