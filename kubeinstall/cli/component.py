"""`kubeinstall component`: the Kubernetes components as processes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kubeinstall.cli.console import write
from kubeinstall.cli.process import CLASSES, COMPONENTS_FILE, SUPERVISOR_FILE, run_process

app = typer.Typer(
    help="Run the Kubernetes components by hand, and see how they do.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@app.command("run")
def run(
    names: Annotated[list[str], typer.Argument(help=f"Of: {', '.join(CLASSES)}")],
    config: Annotated[Path, typer.Option(help="Settings of the components.")] = COMPONENTS_FILE,
    log_level: Annotated[str, typer.Option(help="debug, info, warning or error.")] = "info",
    log_json: Annotated[bool, typer.Option(help="One JSON document a line.")] = False,
) -> None:
    """Run one or several components in this process, until it is told to end."""
    words = [*names, "--config", str(config), "--log-level", log_level]
    raise typer.Exit(run_process("run", [*words, *(["--log-json"] if log_json else [])]))


@app.command("supervise")
def supervise(
    config: Annotated[Path, typer.Option(help="The processes to keep alive.")] = SUPERVISOR_FILE,
) -> None:
    """Keep processes alive, where there is no systemd."""
    raise typer.Exit(run_process("supervise", ["--config", str(config)]))


@app.command("status")
def status() -> None:
    """Show the processes of this host and whether they are ready."""
    from kubeinstall.provision.status import process_states

    states = process_states()
    if not states:
        write("no component of kubeinstall runs on this host")
        raise typer.Exit(1)
    write(f"{'NAME':<26} {'STATE':<10} {'PID':<8} {'RESTARTS':<9} AGE")
    for state in states:
        write(
            f"{state.name:<26} {state.state:<10} {state.pid:<8} {state.restarts:<9} "
            f"{state.seconds}s"
        )


@app.command("list")
def list_(
    flags: Annotated[str, typer.Option(help="Show the settings of this component.")] = "",
) -> None:
    """List the components, or the settings of one."""
    if not flags:
        write("\n".join(CLASSES))
        return
    import dataclasses

    from kubeinstall.provision.checks import SETTINGS, settings_class
    from kubeinstall.runtime.settings import flags as flags_of

    if flags not in SETTINGS:
        raise typer.BadParameter(f"there are {', '.join(SETTINGS)}", param_hint="--flags")
    for name, item in flags_of(settings_class(flags)).items():
        default = "" if item.default is dataclasses.MISSING else f" (default: {item.default!r})"
        unit = f" [{item.metadata['unit']}]" if item.metadata["unit"] else ""
        write(f"{name}{unit}\n    {item.metadata['help']}{default}")
