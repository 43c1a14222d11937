"""Where things are on a host: kubeadm's places, and our own."""

from __future__ import annotations

from pathlib import Path

from kubeinstall.ansible.remote_runtime import PREVIEW

KUBERNETES = Path("/etc/kubernetes")
ADMIN = KUBERNETES / "admin.conf"
SUPER_ADMIN = KUBERNETES / "super-admin.conf"
COMPONENTS = KUBERNETES / "components.yaml"
SUPERVISOR = KUBERNETES / "supervisor.yaml"
KUBELET = Path("/var/lib/kubelet")
STATE = Path("/var/lib/kubeinstall")
RUNTIMES = Path("/opt/kubeinstall")
#: A dry run unpacks the runtime aside, and tells of it as if it were where it will be.
UNPACKED = (RUNTIMES, Path(PREVIEW))
DATASTORE = STATE / "datastore/state.db"
RUN = Path("/run/kubeinstall")
LOGS = Path("/var/log/kubernetes")
UNITS = Path("/etc/systemd/system")
CNI_CONFIG = Path("/etc/cni/net.d")
