"""`kubeinstall join` and `kubeinstall join phase`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from kubeinstall.cli.console import out, write
from kubeinstall.cli.options import ConfigFile, DryRun, Ignore, Patches, SkipPhases, Verbose, split

_PREFLIGHT_FAILED = 2
_JOINED = """
This node has joined the cluster:
* Certificate signing request was sent to apiserver and a response was received.
* The Kubelet was informed of the new secure connection details.

Run 'kubectl get nodes' on the control-plane to see this node join the cluster.
"""
_JOINED_CONTROL_PLANE = """
This node has joined the cluster and a new control plane instance was created:

* The authorities of the cluster were downloaded, certificates of this host were issued by them.
* Control plane label and taint were applied to the new node.
* A new etcd member was added to the etcd cluster.

To start administering your cluster from this node, you need to run the following as a regular user:

	mkdir -p $HOME/.kube
	sudo cp -i /etc/kubernetes/admin.conf $HOME/.kube/config
	sudo chown $(id -u):$(id -g) $HOME/.kube/config

Run 'kubectl get nodes' to see this node join the cluster.
"""


def join(
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[API-SERVER-ENDPOINT]",
            help="HOST:PORT of the cluster's API server. Or: phase NAME, to run one phase alone; phase lists them.",
        ),
    ] = None,
    config: ConfigFile = None,
    token: Annotated[
        str, typer.Option(help="For both --discovery-token and --tls-bootstrap-token.")
    ] = "",
    discovery_token: Annotated[
        str, typer.Option(help="The token that validates the cluster's information.")
    ] = "",
    discovery_token_ca_cert_hash: Annotated[
        list[str] | None,
        typer.Option(help="sha256:<hex> of the root CA's public key; may be given more than once."),
    ] = None,
    discovery_token_unsafe_skip_ca_verification: Annotated[
        bool, typer.Option(help="Join without a hash of the CA: the token alone is trusted.")
    ] = False,
    discovery_file: Annotated[
        str, typer.Option(help="A kubeconfig (a file, or an https URL) that tells the cluster.")
    ] = "",
    tls_bootstrap_token: Annotated[
        str, typer.Option(help="The token with which the kubelet asks for its certificate.")
    ] = "",
    control_plane: Annotated[
        bool, typer.Option("--control-plane", help="Create a control plane instance on this node.")
    ] = False,
    certificate_key: Annotated[
        str, typer.Option(help="The key that decrypts the shared certificates.")
    ] = "",
    apiserver_advertise_address: Annotated[
        str, typer.Option(help="With --control-plane: the address its API server advertises.")
    ] = "",
    apiserver_bind_port: Annotated[
        int, typer.Option(help="With --control-plane: port of its API server (6443).")
    ] = 0,
    node_name: Annotated[str, typer.Option(help="The node's name; default: the host name.")] = "",
    cri_socket: Annotated[str, typer.Option(help="The CRI socket to connect to.")] = "",
    patches: Patches = "",
    dry_run: DryRun = False,
    ignore_preflight_errors: Ignore = None,
    skip_phases: SkipPhases = None,
    verbose: Verbose = 0,
) -> None:
    """Join this host to an existing cluster, as a node or with --control-plane.

    Needs root. Safe to run again: a second run goes on where the first one stopped. The whole command is printed on a
    control-plane host by: kubeinstall token create --print-join-command
    """
    from kubeinstall.provision.join_phases import PHASES, find

    endpoint, phase_name = _words(words or [])
    if phase_name == "":
        for item in PHASES:
            parts = f" ({', '.join(item.parts)})" if item.parts else ""
            write(f"  {item.name:23} {item.help}{parts}")
        return
    overrides: dict[str, Any] = {
        "nodeRegistration": {"name": node_name, "criSocket": cri_socket},
        "discovery": {
            "bootstrapToken": {
                "token": discovery_token or token,
                "apiServerEndpoint": endpoint,
                "caCertHashes": split(discovery_token_ca_cert_hash),
                "unsafeSkipCAVerification": discovery_token_unsafe_skip_ca_verification,
            },
            "file": {"kubeConfigPath": discovery_file},
            "tlsBootstrapToken": tls_bootstrap_token or (token if discovery_file else ""),
        },
        "skipPhases": split(skip_phases),
        "patches": {"directory": str(Path(patches).absolute()) if patches else ""},
        "dryRun": dry_run,
    }
    if discovery_file:
        del overrides["discovery"]["bootstrapToken"]
    given = _given(overrides)
    if control_plane:
        given["controlPlane"] = _given(
            {
                "certificateKey": certificate_key,
                "localAPIEndpoint": {
                    "advertiseAddress": apiserver_advertise_address,
                    "bindPort": apiserver_bind_port,
                },
            }
        )
    _run(
        config,
        given,
        split(ignore_preflight_errors),
        verbose,
        find(phase_name) if phase_name else None,
    )


def _words(words: list[str]) -> tuple[str, str | None]:
    """(endpoint, phase): the phase is None without the word, empty when none is named. As with kubeadm the endpoint may
    stand behind the phase; no phase's name has a colon or a dot."""
    if "phase" not in words:
        endpoints, names = words, None
    else:
        at = words.index("phase")
        named = [word for word in words[at + 1 :] if not set(word) & {":", "."}]
        endpoints = [word for word in words if word not in (*named, "phase")]
        names = "/".join(named)
    if len(endpoints) > 1:
        raise typer.BadParameter(f"one API server endpoint is expected, not {len(endpoints)}")
    return next(iter(endpoints), ""), names


def _run(
    path: Path | None, given: dict[str, Any], ignored: list[str], verbose: int, phase: Any
) -> None:
    from kubeinstall.ansible.hostinfo import default_address, host_name
    from kubeinstall.provision.closing import summary
    from kubeinstall.provision.join import JoinOptions, PreflightFailed, run_join
    from kubeinstall.provision.join_config import load_join

    document = load_join(path, given, node_name=host_name(), address=default_address())
    dry = bool(document.get("dryRun"))
    options = JoinOptions(dry, ignored, verbose, phase)
    try:
        result = run_join(document, options, out())
    except PreflightFailed as error:
        sys.stderr.write(f"error: {error}\n")
        raise typer.Exit(_PREFLIGHT_FAILED) from error
    if result.run is None:
        return
    if not result.run.ok:
        raise typer.Exit(1)
    if phase is None and not dry:
        write(_JOINED_CONTROL_PLANE if result.control_plane else _JOINED)
    write(f"kubeinstall join: {summary(result.run, dry_run=dry)}")


def _given(value: dict[str, Any]) -> dict[str, Any]:
    """Without what was not given."""
    pairs = ((k, _given(v) if isinstance(v, dict) else v) for k, v in value.items())
    return {key: item for key, item in pairs if item}
