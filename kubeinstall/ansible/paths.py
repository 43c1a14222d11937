"""Where things are on a host: kubeadm's places, and our own."""

from __future__ import annotations

from pathlib import Path

KUBERNETES = Path("/etc/kubernetes")
ADMIN = KUBERNETES / "admin.conf"
SUPER_ADMIN = KUBERNETES / "super-admin.conf"
COMPONENTS = KUBERNETES / "components.yaml"
SUPERVISOR = KUBERNETES / "supervisor.yaml"
KUBELET = Path("/var/lib/kubelet")
STATE = Path("/var/lib/kubeinstall")
RUNTIMES = Path("/opt/kubeinstall")
DATASTORE = STATE / "datastore/state.db"
RUN = Path("/run/kubeinstall")
LOGS = Path("/var/log/kubernetes")
UNITS = Path("/etc/systemd/system")
CNI_CONFIG = Path("/etc/cni/net.d")
