"""A real API server for tests: its own process, PKI, SQLite store and port on loopback.

    with run_api_server(tmp_path) as server:
        async with server.client() as client: ...

`python -m tests.support.apiserver DIR` runs one by hand until interrupted and prints how to reach it.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from kubeinstall.client import ApiClient
from kubeinstall.pki.ensure import ensure_pki
from kubeinstall.pki.identity import ClusterIdentity
from kubeinstall.pki.kubeconfigs import ensure_kubeconfigs

START_SECONDS = 30.0
REPOSITORY = Path(__file__).resolve().parents[2]


@dataclass
class RunningServer:
    """A server that answers. `directory` holds `pki/`, the kubeconfigs, the store and `server.log`."""

    url: str
    port: int
    directory: Path
    process: subprocess.Popen[bytes]

    @property
    def admin_kubeconfig(self) -> Path:
        """Credentials in system:masters."""
        return self.directory / "super-admin.conf"

    def kubeconfig(self, name: str) -> Path:
        """Another identity's: "scheduler", "controller-manager", "kubelet", "kube-proxy", …"""
        return self.directory / f"{name}.conf"

    def client(self, name: str = "super-admin", **options: Any) -> ApiClient:
        """A client; use it as an async context manager."""
        return ApiClient.from_kubeconfig(self.kubeconfig(name), **options)

    def kubectl(
        self, *arguments: str, stdin: str | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run kubectl as admin; the result is not checked."""
        return subprocess.run(
            ["kubectl", f"--kubeconfig={self.admin_kubeconfig}", *arguments],
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
            env={**os.environ, "HOME": str(self.directory)},
        )

    def log(self) -> str:
        """What the server has written so far."""
        return (self.directory / "server.log").read_text(errors="replace")

    def tls(self, name: str = "super-admin") -> ssl.SSLContext:
        """A client context with the identity's certificate, for raw HTTP."""
        import base64

        import yaml

        document = yaml.safe_load(self.kubeconfig(name).read_text())
        user = document["users"][0]["user"]
        context = ssl.create_default_context(cafile=str(self.directory / "pki/ca.crt"))
        pair = self.directory / f"{name}.pem"
        pair.write_bytes(
            base64.b64decode(user["client-certificate-data"])
            + base64.b64decode(user["client-key-data"])
        )
        pair.chmod(0o600)
        context.load_cert_chain(pair)
        return context

    def kill(self) -> None:
        """kill -9: nothing is written any more."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def restart(self) -> None:
        """Start again on the same store and port."""
        self.process = _spawn(self.directory)
        _await_ready(self)


@contextlib.contextmanager
def run_api_server(
    directory: Path | None = None, settings: Mapping[str, Any] | None = None
) -> Iterator[RunningServer]:
    """Start a server below `directory` (default: a temporary one) and stop it afterwards.

    `settings` are flags over the defaults. Raises `RuntimeError` with its log when it does not start.
    """
    with contextlib.ExitStack() as stack:
        if directory is None:
            directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="apiserver-")))
        prepare(directory, settings or {})
        flags = json.loads((directory / "settings.json").read_text())
        port = flags["secure-port"]
        server = RunningServer(f"https://127.0.0.1:{port}", port, directory, _spawn(directory))
        try:
            _await_ready(server)
            yield server
        finally:
            _stop(server.process)


def prepare(directory: Path, settings: Mapping[str, Any]) -> None:
    """Write PKI, kubeconfigs and `settings.json`."""
    pki = directory / "pki"
    flags: dict[str, Any] = {
        "bind-address": "127.0.0.1",
        "advertise-address": "127.0.0.1",
        "secure-port": _free_port(),
        "endpoint-reconciler-type": "none",  # loopback cannot stand in Endpoints
        "storage-url": f"sqlite://{directory}/state.db",
        "service-cluster-ip-range": "10.96.0.0/16",
        "tls-cert-file": str(pki / "apiserver.crt"),
        "tls-private-key-file": str(pki / "apiserver.key"),
        "client-ca-file": str(pki / "ca.crt"),
        "service-account-key-file": str(pki / "sa.pub"),
        "service-account-signing-key-file": str(pki / "sa.key"),
        "kubelet-client-certificate": str(pki / "apiserver-kubelet-client.crt"),
        "kubelet-client-key": str(pki / "apiserver-kubelet-client.key"),
        "proxy-client-cert-file": str(pki / "front-proxy-client.crt"),
        "proxy-client-key-file": str(pki / "front-proxy-client.key"),
        "requestheader-client-ca-file": str(pki / "front-proxy-ca.crt"),
        "requestheader-username-headers": "X-Remote-User",
        "requestheader-group-headers": "X-Remote-Group",
        "requestheader-extra-headers-prefix": "X-Remote-Extra-",
        "requestheader-allowed-names": "front-proxy-client",
        "enable-bootstrap-token-auth": True,
        **settings,
    }
    identity = ClusterIdentity(
        "test-node", "127.0.0.1", bind_port=flags["secure-port"], cert_sans=("localhost",)
    )
    ensure_pki(pki, identity)
    ensure_kubeconfigs(directory, pki, identity)
    (directory / "settings.json").write_text(json.dumps(flags))


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _spawn(directory: Path) -> subprocess.Popen[bytes]:
    with (directory / "server.log").open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "tests.support.apiserver", "--serve", str(directory)],
            cwd=REPOSITORY,
            stdout=log,
            stderr=subprocess.STDOUT,
        )


def _await_ready(server: RunningServer) -> None:
    context = ssl.create_default_context(cafile=str(server.directory / "pki/ca.crt"))
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if server.process.poll() is not None:
            break
        with (
            contextlib.suppress(OSError),
            urllib.request.urlopen(f"{server.url}/readyz", context=context, timeout=2) as answer,
        ):
            if answer.status == 200:
                return
        time.sleep(0.05)
    _stop(server.process)
    raise RuntimeError(f"the API server did not start:\n{server.log()[-4000:]}")


def _stop(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@pytest.fixture(scope="session")
def api_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """One server for a whole test session: make namespaces of your own."""
    with run_api_server(tmp_path_factory.mktemp("apiserver")) as server:
        yield server


def serve(directory: Path) -> None:
    """In the child process: run the component as `kubeinstall component run` does."""
    from kubeinstall.apiserver.component import APIServer
    from kubeinstall.runtime import logs
    from kubeinstall.runtime.host import run_components

    source = directory / "settings.json"
    logs.configure()
    values = json.loads(source.read_text())
    run_components(
        ["kube-apiserver"], lambda _name: APIServer, {"kube-apiserver": values}, str(source)
    )


def main(arguments: list[str]) -> None:
    """See the module's docstring."""
    if arguments[0] == "--serve":
        serve(Path(arguments[1]))
        return
    directory = Path(arguments[0]).resolve()
    directory.mkdir(parents=True, exist_ok=True)
    with run_api_server(directory) as server:
        print(
            f"export KUBECONFIG={server.admin_kubeconfig}\n# {server.url}, log {directory}/server.log"
        )
        with contextlib.suppress(KeyboardInterrupt):
            server.process.wait()


if __name__ == "__main__":
    main(sys.argv[1:])
