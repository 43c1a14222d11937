"""`kubeinstall version` and `kubeinstall completion`."""

from __future__ import annotations

import json
from enum import StrEnum
from typing import Annotated

import typer

from kubeinstall import KUBERNETES_VERSION, __version__
from kubeinstall.cli.console import write


class Output(StrEnum):
    """Forms of `version`."""

    TEXT = "text"
    SHORT = "short"
    JSON = "json"
    YAML = "yaml"


class Shell(StrEnum):
    """Shells that completion is written for."""

    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"


def version(
    output: Annotated[Output, typer.Option("--output", "-o", help="The form.")] = Output.TEXT,
) -> None:
    """Print the version of kubeinstall, and of the Kubernetes that it installs."""
    import platform

    if output is Output.SHORT:
        write(KUBERNETES_VERSION)
        return
    facts = {
        "kubeinstall": __version__,
        "kubernetes": KUBERNETES_VERSION,
        "python": platform.python_version(),
        "platform": f"linux/{platform.machine()}",
    }
    if output is Output.JSON:
        write(json.dumps({"clientVersion": facts}, indent=2))
    elif output is Output.YAML:
        write("clientVersion:\n" + "\n".join(f"  {k}: {v}" for k, v in facts.items()))
    else:
        write("kubeinstall version: " + ", ".join(f"{k} {v}" for k, v in facts.items()))


def completion(
    shell: Annotated[Shell, typer.Argument(help="The shell to complete in.")],
) -> None:
    """Print the completion script for a shell; for bash: source <(kubeinstall completion bash)"""
    from typer._completion_shared import get_completion_script

    script = get_completion_script(
        prog_name="kubeinstall", complete_var="_KUBEINSTALL_COMPLETE", shell=shell.value
    )
    write(script)
