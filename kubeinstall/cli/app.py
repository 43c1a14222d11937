"""The tree of commands, and how an error is shown."""

from __future__ import annotations

import sys

import typer

from kubeinstall.cli import (
    apply,
    backup,
    bundle,
    certs,
    component,
    config,
    etcd,
    image,
    init,
    inventory,
    join,
    kubeconfig,
    node,
    reset,
    secrets_encryption,
    token,
    upgrade,
    version,
)
from kubeinstall.config import ConfigError
from kubeinstall.errors import KubeinstallError

app = typer.Typer(
    name="kubeinstall",
    help="""Kubernetes from Debian packages and PyPI alone.

Make a cluster of this host, as root:

\b
    kubeinstall init
    export KUBECONFIG=/etc/kubernetes/admin.conf
    kubectl get nodes

and take it off again with `kubeinstall reset`. Commands and flags are kubeadm's.""",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

app.command("init")(init.init)
app.command("join")(join.join)
app.command("reset")(reset.reset)
app.command("apply")(apply.apply)
app.add_typer(inventory.app, name="inventory")
app.add_typer(etcd.app, name="etcd")
app.add_typer(token.app, name="token")
app.add_typer(certs.app, name="certs")
app.add_typer(secrets_encryption.app, name="secrets-encryption")
app.add_typer(backup.app, name="backup")
app.add_typer(bundle.app, name="bundle")
app.command("restore")(backup.restore)
app.add_typer(config.app, name="config")
app.add_typer(kubeconfig.app, name="kubeconfig")
app.add_typer(node.app, name="node")
app.add_typer(upgrade.app, name="upgrade")
app.add_typer(component.app, name="component")
app.add_typer(image.app, name="image")
app.command("version")(version.version)
app.command("completion")(version.completion)


def report(error: KubeinstallError) -> int:
    """Show an expected error on standard error; the exit code (3 for a wrong configuration)."""
    if isinstance(error, ConfigError):
        sys.stderr.write("error: the configuration is wrong; nothing was changed:\n")
        sys.stderr.writelines(f"  {problem}\n" for problem in error.problems)
        return 3
    sys.stderr.write(f"error: {error}\n")
    return 1
