"""What is said at the end of a run."""

from __future__ import annotations

from kubeinstall.config import InitConfig
from kubeinstall.pki.identity import join_host_port
from kubeinstall.provision.results import RunResult

_WELCOME = """
Your Kubernetes control-plane has initialized successfully!

To start using your cluster, you need to run the following as a regular user:

  mkdir -p $HOME/.kube
  sudo cp -i {admin} $HOME/.kube/config
  sudo chown $(id -u):$(id -g) $HOME/.kube/config

Alternatively, if you are the root user, you can run:

  export KUBECONFIG={admin}
"""

_IMAGES = """
No registry is needed for the images that were made here: {images}. Try:

  kubectl create deployment web --image=nginx --replicas=3
  kubectl expose deployment web --port=80 --type=NodePort
  kubectl run -it --rm shell --image=busybox -- sh
"""

_JOIN = """
Then you can join any number of worker nodes by running the following on each as root:

{command}
"""


_JOIN_CONTROL_PLANE = """
You can now join any number of control-plane nodes by running the following command on each as root:

{command} \\
\t--control-plane --certificate-key {key}

Please note that the certificate-key gives access to cluster sensitive data, keep it secret!
As a safeguard, uploaded-certs will be deleted in two hours; if necessary, you can use
"kubeinstall init phase upload-certs --upload-certs" to reload certs afterward.
"""
_ONLY = (
    "[upload-certs] WARNING: this cluster keeps its state in a file (SQLite), so no other control plane can join it; "
    "make it with etcd.external, or with kubeinstall apply, for that"
)


def control_plane_join(command: str, key: str) -> str:
    """kubeadm's text, with the whole command; `command` is a worker's."""
    return _JOIN_CONTROL_PLANE.format(command=command, key=key)


def only_control_plane() -> str:
    """Why `--upload-certs` helps nobody here."""
    return _ONLY


def join_command(endpoint: str, token: str, ca_hash: str) -> str:
    """kubeadm's form, broken over two lines."""
    return (
        f"kubeinstall join {endpoint} --token {token} \\\n"
        f"\t--discovery-token-ca-cert-hash {ca_hash}"
    )


def endpoint(config: InitConfig) -> str:
    """HOST:PORT that others reach the API by."""
    given = str(config.cluster.get("controlPlaneEndpoint") or "")
    if not given:
        return join_host_port(config.advertise_address, config.bind_port)
    return given if ":" in given else join_host_port(given, config.bind_port)


def closing_text(admin: str, command: str, images: list[str]) -> str:
    """The text after a first successful run."""
    text = _WELCOME.format(admin=admin)
    if images:
        text += _IMAGES.format(images=", ".join(images))
    if command:
        text += _JOIN.format(command=command)
    return text


def summary(result: RunResult, *, dry_run: bool = False) -> str:
    """One line of figures."""
    tasks = [task for task in result.tasks if task.status in ("ok", "changed")]
    if dry_run:
        changed = f"{result.changed} tasks would change the host, nothing was changed"
    elif result.changed:
        changed = f"changed={result.changed}"
    else:
        changed = "changed=0, the cluster was as configured"
    parts = [f"{len(tasks)} tasks in {result.seconds:.1f} s", changed]
    ready = result.facts.get("node_ready_seconds")
    started = any(change.startswith("start kube") for change in result.changes)
    if ready is not None and started and not dry_run:
        parts.append(f"node Ready {ready:.1f} s after its processes started")
    return ", ".join(parts)
