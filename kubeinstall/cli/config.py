"""`kubeinstall config`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kubeinstall.cli.console import write

app = typer.Typer(
    help="Configuration files, in kubeadm's form (kubeadm.k8s.io/v1beta4).",
    no_args_is_help=True,
    rich_markup_mode=None,
)
print_app = typer.Typer(
    help="Print default configurations, to start a file from.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
app.add_typer(print_app, name="print")

_Components = Annotated[
    list[str] | None,
    typer.Option("--component-configs", help="Also KubeletConfiguration, KubeProxyConfiguration."),
]


images_app = typer.Typer(
    help="Images that the cluster needs.", no_args_is_help=True, rich_markup_mode=None
)
app.add_typer(images_app, name="images")


@images_app.command("list")
def images_list() -> None:
    """List them: one, of the pod sandbox. Control plane and add-ons are programs here, not images."""
    from kubeinstall.ansible.stages import SANDBOX_IMAGE

    write(SANDBOX_IMAGE)


@images_app.command("pull")
def images_pull() -> None:
    """Nothing to pull: init and join make the image on each host, of Debian's packages."""
    from kubeinstall.ansible.stages import SANDBOX_IMAGE

    write(f"{SANDBOX_IMAGE} is made on each host by init and join; no registry is asked")


@print_app.command("init-defaults")
def init_defaults(component_configs: _Components = None) -> None:
    """For `kubeinstall init`."""
    from kubeinstall.cli.options import split
    from kubeinstall.config import printing

    documents = printing.init_defaults()
    for kind in split(component_configs):
        if kind not in printing.COMPONENTS:
            known = ", ".join(printing.COMPONENTS)
            raise typer.BadParameter(f"{kind}: there are {known}")
        documents.append(printing.COMPONENTS[kind])
    write(printing.to_yaml(documents))


@print_app.command("join-defaults")
def join_defaults() -> None:
    """For joining hosts."""
    from kubeinstall.config import printing

    write(printing.to_yaml(printing.join_defaults()))


@print_app.command("reset-defaults")
def reset_defaults() -> None:
    """For `kubeinstall reset`."""
    from kubeinstall.config import printing

    write(printing.to_yaml(printing.reset_defaults()))


@print_app.command("upgrade-defaults")
def upgrade_defaults() -> None:
    """For upgrades."""
    from kubeinstall.config import printing

    write(printing.to_yaml(printing.upgrade_defaults()))


@app.command("validate")
def validate(
    config: Annotated[Path, typer.Option("--config", metavar="FILE", help="The file to check.")],
) -> None:
    """Check a file; every mistake is told with its line and field."""
    from kubeinstall.config import ConfigError
    from kubeinstall.config.documents import read_documents
    from kubeinstall.config.effective import problems_in

    problems = problems_in(read_documents(config))
    if problems:
        raise ConfigError(problems)
    write("ok")


@app.command("migrate")
def migrate(
    old_config: Annotated[Path, typer.Option("--old-config", metavar="FILE", help="To read.")],
    new_config: Annotated[
        Path | None, typer.Option("--new-config", metavar="FILE", help="To write; else printed.")
    ] = None,
) -> None:
    """Bring a file to the current version (v1beta3 → v1beta4)."""
    from kubeinstall.config import ConfigError
    from kubeinstall.config.documents import read_documents
    from kubeinstall.config.effective import problems_in
    from kubeinstall.config.migrate import migrate_all
    from kubeinstall.config.printing import to_yaml

    documents = read_documents(old_config)
    problems = problems_in(documents)
    if problems:
        raise ConfigError(problems)
    text = to_yaml(migrate_all([document.data for document in documents]))
    if new_config is None:
        write(text)
    else:
        new_config.write_text(text)
