"""The command line: what it prints, its exit codes, and what README says about it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

REPOSITORY = Path(__file__).resolve().parents[3]
BIN = Path(sys.executable).parent


def run(*arguments: str, **options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "kubeinstall", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=options.get("cwd", "/"),
    )


def ok(*arguments: str) -> str:
    done = run(*arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_help_names_every_command() -> None:
    text = ok("--help")
    for command in (
        "init reset token certs config kubeconfig component image version completion".split()  # noqa: SIM905 - reads as the list it is
    ):
        assert re.search(rf"^  {command} ", text, re.MULTILINE), command
    assert "export KUBECONFIG=/etc/kubernetes/admin.conf\n" in text


def test_init_help_has_kubeadms_flags() -> None:
    text = ok("init", "--help")
    for flag in [
        "--apiserver-advertise-address",
        "--apiserver-bind-port",
        "--apiserver-cert-extra-sans",
        "--cert-dir",
        "--config",
        "--control-plane-endpoint",
        "--cri-socket",
        "--dry-run",
        "--ignore-preflight-errors",
        "--kubernetes-version",
        "--node-name",
        "--pod-network-cidr",
        "--service-cidr",
        "--service-dns-domain",
        "--skip-phases",
        "--skip-token-print",
        "--token",
        "--token-ttl",
    ]:
        assert flag in text, flag


def test_version_forms() -> None:
    assert ok("version", "-o", "short") == "v1.36.0\n"
    assert json.loads(ok("version", "-o", "json"))["clientVersion"]["kubernetes"] == "v1.36.0"
    assert yaml.safe_load(ok("version", "-o", "yaml"))["clientVersion"]["kubeinstall"]
    assert "kubernetes v1.36.0" in ok("version")


@pytest.mark.parametrize("kind", ["init", "join", "reset", "upgrade"])
def test_printed_defaults_validate(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(ok("config", "print", f"{kind}-defaults"))
    assert ok("config", "validate", "--config", str(path)) == "ok\n"


def test_wrong_configuration_ends_with_3_and_names_line_and_field(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(
        "apiVersion: kubeadm.k8s.io/v1beta4\nkind: ClusterConfiguration\n"
        "networking:\n  podSubnet: 10.96.0.0/16\n"
    )
    for command in (["init", "--config", str(path)], ["init", "--dry-run", "--config", str(path)]):
        done = run(*command)
        assert done.returncode == 3
        assert f"{path}:4: networking.podSubnet: " in done.stderr
        assert "nothing was changed" in done.stderr
    assert run("config", "validate", "--config", str(tmp_path / "none")).returncode == 3


def test_wrong_flag_value_is_told_as_configuration() -> None:
    done = run("init", "--pod-network-cidr", "10.0.0.0/33")
    assert done.returncode == 3
    assert "command line: networking.podSubnet: Invalid value" in done.stderr


def test_unknown_phase() -> None:
    done = run("init", "--skip-phases", "cert")
    assert done.returncode == 1
    assert 'invalid phase name: "cert"' in done.stderr


def test_phases_are_listed() -> None:
    text = ok("init", "phase")
    assert "etcd-healthcheck-client" in text
    assert re.search(r"^  mark-control-plane ", text, re.MULTILINE)


def test_migrate(tmp_path: Path) -> None:
    old, new = tmp_path / "old.yaml", tmp_path / "new.yaml"
    old.write_text(
        "apiVersion: kubeadm.k8s.io/v1beta3\nkind: InitConfiguration\n"
        "nodeRegistration: {kubeletExtraArgs: {v: '2'}}\n"
    )
    ok("config", "migrate", "--old-config", str(old), "--new-config", str(new))
    document = yaml.safe_load(new.read_text())
    assert document["apiVersion"] == "kubeadm.k8s.io/v1beta4"
    assert document["nodeRegistration"] == {"kubeletExtraArgs": [{"name": "v", "value": "2"}]}


def test_tokens_and_keys_are_random_and_well_formed() -> None:
    assert re.fullmatch(r"[a-z0-9]{6}\.[a-z0-9]{16}\n", ok("token", "generate"))
    assert re.fullmatch(r"[0-9a-f]{64}\n", ok("certs", "certificate-key"))


def test_token_needs_a_cluster(tmp_path: Path) -> None:
    done = run("token", "list", "--kubeconfig", str(tmp_path / "admin.conf"))
    assert done.returncode == 1
    assert "no such file; is this a control-plane host?" in done.stderr
    done = run("token", "create", "nonsense", "--kubeconfig", str(tmp_path / "admin.conf"))
    assert done.returncode == 1
    assert "the bootstrap token is invalid" in done.stderr


def test_kubeconfig_user(tmp_path: Path) -> None:
    from kubeinstall.pki import ClusterIdentity, ensure_pki
    from kubeinstall.pki.certificates import common_name_of, organizations_of, parse_certificate

    ensure_pki(tmp_path, ClusterIdentity("a", "192.0.2.1"), only=["ca"])
    text = ok(
        "kubeconfig",
        "user",
        "--client-name",
        "jane",
        "--org",
        "dev,ops",
        "--cert-dir",
        str(tmp_path),
    )
    user = yaml.safe_load(text)["users"][0]
    import base64

    pem = base64.b64decode(user["user"]["client-certificate-data"])
    certificate = parse_certificate(pem, "user")
    assert (common_name_of(certificate), organizations_of(certificate)) == ("jane", ("dev", "ops"))


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts(shell: str) -> None:
    assert "_KUBEINSTALL_COMPLETE" in ok("completion", shell)


def test_components_are_listed_with_their_settings() -> None:
    assert "kube-podnet" in ok("component", "list").split()
    for component in ok("component", "list").split():
        assert "kubeconfig" in ok("component", "list", "--flags", component) or (
            component == "kube-apiserver"
        )


def test_unknown_component_and_broken_settings(tmp_path: Path) -> None:
    assert "invalid choice" in run("component", "run", "kube-nothing").stderr
    path = tmp_path / "components.yaml"
    path.write_text("kube-proxy: {kubeconfi: /x}\n")
    done = run("component", "run", "kube-proxy", "--config", str(path))
    assert done.returncode == 1
    assert "unknown flag 'kubeconfi'; did you mean 'kubeconfig'" in done.stderr


def test_process_commands_do_not_load_the_command_lines_libraries() -> None:
    code = (
        "import sys; sys.argv = ['kubeinstall', 'component', 'run', 'x']\n"
        "from kubeinstall.cli.main import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "print([m for m in ('typer', 'rich', 'ansible', 'ansible_runner') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_ctrl_c_says_what_to_do_and_where_the_log_is() -> None:
    code = (
        "import sys; sys.argv = ['kubeinstall', 'version']\n"
        "from kubeinstall.cli import app, main\n"
        "def ends(): raise KeyboardInterrupt('the log so far: /x')\n"
        "app.app.registered_commands[-2].callback = ends\n"
        "main.main()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    wanted = "\ninterrupted; run the same command again to finish (the log so far: /x)\n"
    assert (done.returncode, done.stdout, done.stderr) == (130, "", wanted)


def blocks(kind: str) -> list[str]:
    """README's shell snippets of a kind: plain ones run anywhere, `cluster` ones in tests/e2e."""
    text = (REPOSITORY / "README.md").read_text()
    found = re.findall(r"^```sh ?(\w*)\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    assert {name for name, _ in found} == {"", "cluster", "make"}
    return [body for name, body in found if name == kind]


@pytest.mark.parametrize("block", blocks(""))
def test_readme_snippets(block: str, tmp_path: Path) -> None:
    script = block.replace("/tmp/", f"{tmp_path}/")
    done = subprocess.run(
        ["bash", "-euc", script],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={"PATH": f"{BIN}:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": str(tmp_path)},
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_readme_names_only_make_targets_that_are_there() -> None:
    makefile = (REPOSITORY / "Makefile").read_text()
    for target in re.findall(r"^make (\w+)", "\n".join(blocks("make")), re.MULTILINE):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target
