"""`kubeinstall init` and `kubeinstall init phase`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from kubeinstall.cli.console import out, write
from kubeinstall.cli.options import (
    ADMIN,
    ConfigFile,
    DryRun,
    Ignore,
    Patches,
    SkipPhases,
    Verbose,
    parse_gates,
    split,
)
from kubeinstall.config import InitConfig, load_init

_PREFLIGHT_FAILED = 2


def init(
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[phase [NAME]]",
            help="phase NAME runs one phase alone, for example: phase certs apiserver; phase lists them.",
        ),
    ] = None,
    config: ConfigFile = None,
    apiserver_advertise_address: Annotated[
        str,
        typer.Option(help="The address the API server advertises; default: of the default route."),
    ] = "",
    apiserver_bind_port: Annotated[int, typer.Option(help="Port of the API server (6443).")] = 0,
    apiserver_cert_extra_sans: Annotated[
        list[str] | None,
        typer.Option(help="More names and addresses for the API server's certificate."),
    ] = None,
    cert_dir: Annotated[str, typer.Option(help="Where certificates are kept.")] = "",
    control_plane_endpoint: Annotated[
        str, typer.Option(help="A stable address or DNS name for the control plane.")
    ] = "",
    cri_socket: Annotated[str, typer.Option(help="The CRI socket to connect to.")] = "",
    kubernetes_version: Annotated[str, typer.Option(help="Must be of this release's minor.")] = "",
    node_name: Annotated[str, typer.Option(help="The node's name; default: the host name.")] = "",
    pod_network_cidr: Annotated[
        str, typer.Option(help="Range of pod addresses (10.244.0.0/16).")
    ] = "",
    service_cidr: Annotated[
        str, typer.Option(help="Range of service addresses (10.96.0.0/12).")
    ] = "",
    service_dns_domain: Annotated[
        str, typer.Option(help="Domain of services (cluster.local).")
    ] = "",
    token: Annotated[str, typer.Option(help="The bootstrap token; random unless given.")] = "",
    token_ttl: Annotated[str, typer.Option(help="Its life (24h0m0s); 0 never expires.")] = "",
    upload_certs: Annotated[
        bool, typer.Option("--upload-certs", help="Share the certificates with control planes.")
    ] = False,
    certificate_key: Annotated[
        str, typer.Option(help="Encrypts them; random unless given (certs certificate-key).")
    ] = "",
    skip_certificate_key_print: Annotated[
        bool, typer.Option("--skip-certificate-key-print", help="Do not print that key.")
    ] = False,
    skip_token_print: Annotated[
        bool, typer.Option("--skip-token-print", help="Do not print the token.")
    ] = False,
    bundle: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Install from this bundle, without any network."),
    ] = None,
    patches: Patches = "",
    feature_gates: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=BOOL", help="kubeadm's own gates; kubeinstall has none."),
    ] = None,
    image_repository: Annotated[
        str, typer.Option(help="Recorded; nothing is pulled here: components are programs.")
    ] = "",
    dry_run: DryRun = False,
    ignore_preflight_errors: Ignore = None,
    skip_phases: SkipPhases = None,
    verbose: Verbose = 0,
) -> None:
    """Set up the Kubernetes control plane on this host.

    Needs root. Safe to run again: a second run completes an unfinished first one, and changes
    nothing when all is done. Flags win over the configuration file, whose form is kubeadm's
    (see: kubeinstall config print init-defaults).
    """
    name = _phase(words or [])
    if name == "":
        _list_phases()
        return
    settings = _InitFlags(
        init={
            "localAPIEndpoint": {
                "advertiseAddress": apiserver_advertise_address,
                "bindPort": apiserver_bind_port,
            },
            "nodeRegistration": {"name": node_name, "criSocket": cri_socket},
            "certificateKey": certificate_key,
            "skipPhases": split(skip_phases),
            "bootstrapTokens": _tokens(token, token_ttl),
            "patches": {"directory": str(Path(patches).absolute()) if patches else ""},
        },
        cluster={
            "apiServer": {"certSANs": split(apiserver_cert_extra_sans)},
            "certificatesDir": cert_dir,
            "controlPlaneEndpoint": control_plane_endpoint,
            "kubernetesVersion": kubernetes_version,
            "featureGates": parse_gates(split(feature_gates)),
            "imageRepository": image_repository,
            "networking": {
                "podSubnet": pod_network_cidr,
                "serviceSubnet": service_cidr,
                "dnsDomain": service_dns_domain,
            },
        },
    )
    run = _Run(
        settings.load(config),
        dry_run,
        split(ignore_preflight_errors),
        verbose,
        not skip_certificate_key_print,
    )
    if name is not None:
        run.phase(name)
        return
    if bundle is not None and not run.dry_run:
        from kubeinstall.provision.bundle import install_bundle

        install_bundle(bundle, write)
    run.run(show_token=not skip_token_print)
    if upload_certs and not run.dry_run:
        run.show_control_plane_join(run.upload_certs())


def _phase(words: list[str]) -> str | None:
    """None without the word, empty when none is named; `certs apiserver` is `certs/apiserver`."""
    if not words:
        return None
    if words[0] != "phase":
        raise typer.BadParameter(f"unknown: {' '.join(words)}; there is only: phase [NAME]")
    return "/".join(words[1:])


def _list_phases() -> None:
    from kubeinstall.provision.phases import PHASES

    for item in PHASES:
        parts = f" ({', '.join(item.parts)})" if item.parts else ""
        write(f"  {item.name:20} {item.help}{parts}")


class _InitFlags:
    """Flags as partial documents: what was not given is left out, so that the file's value counts."""

    def __init__(self, *, init: dict[str, Any], cluster: dict[str, Any]) -> None:
        self.init = _given(init)
        self.cluster = _given(cluster)

    def load(self, path: Path | None) -> InitConfig:
        from kubeinstall.ansible.hostinfo import default_address, host_name

        return load_init(
            path,
            node_name=host_name(),
            address=default_address(),
            init_overrides=self.init,
            cluster_overrides=self.cluster,
        )


class _Run:
    """One init, or one phase of it."""

    def __init__(
        self,
        config: InitConfig,
        dry_run: bool,
        ignored: list[str],
        verbose: int,
        show_key: bool,
    ) -> None:
        self.config = config
        self.dry_run = dry_run or bool(config.init.get("dryRun"))
        self.ignored = ignored
        self.verbose = verbose
        self.show_key = show_key

    def phase(self, name: str) -> None:
        """`init phase NAME`."""
        from kubeinstall.provision.phases import select_one

        if name == "show-join-command":
            write(self.join_command())
        elif name == "upload-certs":
            self.upload_certs()
        else:
            self.run(selection=select_one(name))

    def upload_certs(self) -> str:
        """`upload-certs`: the cluster's authorities, encrypted, for two hours; the key."""
        from kubeinstall.provision.join_upload import upload_certificates

        given = str(self.config.init.get("certificateKey") or "")
        if self.dry_run:
            write("[upload-certs] Would store the certificates in Secret kubeadm-certs")
            return ""
        key = upload_certificates(ADMIN, given)
        write('[upload-certs] Storing the certificates in Secret "kubeadm-certs" in "kube-system"')
        if self.show_key:
            write(f"[upload-certs] Using certificate key:\n{key}")
        return key

    def show_control_plane_join(self, key: str) -> None:
        """After `init --upload-certs`: how the next control plane joins, or why none can."""
        from kubeinstall.provision.closing import control_plane_join, only_control_plane

        if not self.config.cluster["etcd"].get("external"):
            write(only_control_plane())
            return
        command = self.join_command()
        if "--token" in command and self.show_key:
            write(control_plane_join(command, key))

    def run(self, *, selection: Any = None, show_token: bool = True) -> None:
        """Run and say how it went; exits with kubeadm's code when it did not go well."""
        from kubeinstall.provision.closing import summary
        from kubeinstall.provision.init import InitOptions, run_init

        console = out()
        options = InitOptions(self.dry_run, self.ignored, self.verbose)
        first = not ADMIN.exists()
        result = run_init(self.config, options, console, selection)
        if not result.ok:
            failed = {failure.role for failure in result.failures}
            raise typer.Exit(_PREFLIGHT_FAILED if failed == {"preflight"} else 1)
        if selection is None and not self.dry_run and (first or result.changed):
            write(self._closing(show_token=show_token))
        write(f"kubeinstall init: {summary(result, dry_run=self.dry_run)}")

    def _closing(self, *, show_token: bool) -> str:
        from kubeinstall.provision.closing import closing_text

        skipped = self.config.init.get("skipPhases") or []
        images = [] if "images" in skipped else ["busybox", "nginx"]
        shown = show_token and not {"bootstrap-token", "show-join-command"} & set(skipped)
        return closing_text(str(ADMIN), self.join_command() if shown else "", images)

    def join_command(self) -> str:
        """With a token that is still valid."""
        from kubeinstall.provision.closing import endpoint, join_command
        from kubeinstall.provision.tokens import authority_pin, list_tokens

        valid = [info for info in list_tokens(ADMIN) if info.valid and "signing" in info.usages]
        if not valid:
            return "kubeinstall token create --print-join-command"
        return join_command(endpoint(self.config), str(valid[0].token), authority_pin(ADMIN))


def _tokens(token: str, ttl: str) -> list[dict[str, str]]:
    if not token and not ttl:
        return []
    from kubeinstall.pki import BootstrapToken

    entry = {"token": token or str(BootstrapToken.generate())}
    return [{**entry, "ttl": ttl}] if ttl else [entry]


def _given(value: dict[str, Any]) -> dict[str, Any]:
    """Without what was not given."""
    pairs = ((k, _given(v) if isinstance(v, dict) else v) for k, v in value.items())
    return {key: item for key, item in pairs if item}
