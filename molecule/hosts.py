#!/usr/bin/env python3
"""Real Debian hosts on one machine: systemd-nspawn containers with systemd, sshd and a network namespace each.

    hosts.py up a b c        make and boot hosts; prints an Ansible inventory when they answer over SSH
    hosts.py down [a …]      stop and remove hosts (none named: all, with bridge and rules)
    hosts.py kill a          pull the plug of a host; `up a` boots it again with its disk
    hosts.py list            name, address, leader pid
    hosts.py exec a -- CMD   run a command inside

Needs root on Debian with systemd-container, mmdebstrap, iproute2, nftables and openssh-client. The root file system is
made once (about a minute) and kept; each host is an overlay over it. Only the standard library is used, so that the
playbooks of every Molecule scenario can call it.
"""

from __future__ import annotations

import argparse
import fcntl
import ipaddress
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import uuid
from pathlib import Path

# Several sets of hosts can be up on one machine: each with a tag (three letters at most) and a network of its own.
TAG = os.environ.get("KUBEINSTALL_HOSTS_TAG", "")
CACHE = Path(os.environ.get("KUBEINSTALL_HOSTS_CACHE", "/var/cache/kubeinstall-hosts"))
STATE = Path(os.environ.get("KUBEINSTALL_HOSTS_STATE", f"/var/lib/kubeinstall-hosts{TAG}"))
NETWORK = ipaddress.ip_network(os.environ.get("KUBEINSTALL_HOSTS_NETWORK", "10.123.0.0/24"))
BRIDGE = f"kihosts{TAG or 0}"
TABLE = f"nspawn-hosts{TAG}"  # not ours by its name: a reset on the machine must leave it
CA_BUNDLE = (
    "/etc/ssl/certs/ca-certificates.crt"  # a mirror may have a certificate of this machine's own CA
)
FIRST = 10  # the first host's last address byte
BOOT_SECONDS = 60.0
SUITE = "bookworm"
PACKAGES = (
    "systemd,systemd-sysv,dbus,openssh-server,python3,python3-venv,iproute2,nftables,conntrack,containerd,runc,"
    "containernetworking-plugins,etcd-server,etcd-client,haproxy,keepalived,kubernetes-client,procps,ca-certificates,"
    "util-linux,kmod,ethtool,iptables,socat,busybox-static,catatonit,nginx-light"
)
# containerd's snapshots cannot live on an overlay, and a data directory should survive as a directory of its own.
OWN_DIRECTORIES = (
    "var/lib/containerd",
    "var/lib/etcd",
    "var/lib/kubelet",
    "var/lib/kubeinstall",
    "opt/kubeinstall",
)
UNWANTED = (
    "containerd",
    "etcd",
    "haproxy",
    "keepalived",
    "nginx",
)  # bare hosts: nothing runs before we say so


def run(*command: str, check: bool = True, text: str | None = None) -> str:
    """A command's output; its words and errors are shown when it fails."""
    result = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    if check and result.returncode:
        raise SystemExit(f"{' '.join(command)}: {result.stderr.strip() or result.returncode}")
    return result.stdout


def rootfs() -> Path:
    """The shared root file system, made if it is not there."""
    path = CACHE / "rootfs"
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # of several sets of hosts, the first makes it for all
        if path.is_dir():
            return path
        building = CACHE / "rootfs.building"
        shutil.rmtree(building, ignore_errors=True)  # one that was interrupted
        say(f"making the root file system in {path} (about a minute)")
        run("mmdebstrap", "--variant=minbase", f"--include={PACKAGES}", SUITE, str(building))
        building.rename(path)
    return path


def say(text: str) -> None:
    """Progress goes to standard error; standard output is for what callers read."""
    print(text, file=sys.stderr, flush=True)  # noqa: T201


def up(names: list[str]) -> None:
    """Make, boot and wait for hosts."""
    lower = rootfs()
    STATE.mkdir(parents=True, exist_ok=True, mode=0o700)
    key = STATE / "id_ed25519"
    if not key.exists():
        run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key))
    make_bridge()
    for name in names:
        if leader(name):
            continue
        address = assign(name)
        make_root(name, lower, key)
        make_namespace(name, address)
        boot(name)
    deadline = time.monotonic() + BOOT_SECONDS
    for name in names:
        await_ssh(name, deadline)
        open_cgroups(name)
    print(inventory(names))  # noqa: T201


def make_bridge() -> None:
    """The link that all hosts share, and masquerading so that they reach the package mirrors."""
    if not Path(f"/sys/class/net/{BRIDGE}").exists():
        run("ip", "link", "add", BRIDGE, "type", "bridge")
        run("ip", "addr", "add", f"{NETWORK[1]}/{NETWORK.prefixlen}", "dev", BRIDGE)
        run("ip", "link", "set", BRIDGE, "up")
    Path("/proc/sys/net/ipv4/ip_forward").write_text("1")
    rules = f"""
        table ip {TABLE}
        delete table ip {TABLE}
        table ip {TABLE} {{
            chain postrouting {{
                type nat hook postrouting priority srcnat
                ip saddr {NETWORK} ip daddr != {NETWORK} masquerade
            }}
        }}
    """
    run("nft", "-f", "-", text=rules)


def assign(name: str) -> str:
    """The host's address: kept as long as the host exists."""
    path = STATE / name / "address"
    if path.exists():
        return path.read_text().strip()
    taken = {p.read_text().strip() for p in STATE.glob("*/address")}
    address = next(str(a) for a in list(NETWORK.hosts())[FIRST - 1 :] if str(a) not in taken)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(address)
    return address


def make_root(name: str, lower: Path, key: Path) -> None:
    """An overlay over the shared root, with identity, SSH key and mirrors of this machine."""
    base = STATE / name
    root, upper, work = base / "root", base / "upper", base / "work"
    for path in (
        root,
        upper,
        work,
        *(base / "own" / item.replace("/", "-") for item in OWN_DIRECTORIES),
    ):
        path.mkdir(parents=True, exist_ok=True)
    fresh = not (upper / "etc/hostname").exists()
    if not os.path.ismount(root):
        options = f"lowerdir={lower},upperdir={upper},workdir={work}"
        run("mount", "-t", "overlay", "overlay", "-o", options, str(root))
    if not fresh:
        return
    (root / "etc/hostname").write_text(f"{name}\n")
    (root / "etc/machine-id").write_text(uuid.uuid4().hex + "\n")
    (root / "etc/hosts").write_text(f"127.0.0.1 localhost\n::1 localhost\n{assign(name)} {name}\n")
    ssh = root / "root/.ssh"
    ssh.mkdir(mode=0o700, exist_ok=True)
    shutil.copy(key.with_suffix(".pub"), ssh / "authorized_keys")
    for name in (
        "/etc/pip.conf",
        "/etc/apt/sources.list",
        "/etc/apt/sources.list.d",
        CA_BUNDLE,
    ):
        source, target = Path(name), root / name.lstrip("/")
        if source.is_dir():
            shutil.copytree(source, target, symlinks=True, dirs_exist_ok=True)
        elif source.exists():
            shutil.copy(source, target)
    if not Path("/etc/apt/sources.list").exists():
        (root / "etc/apt/sources.list").unlink(missing_ok=True)  # else every source is there twice
    wants = root / "etc/systemd/system/multi-user.target.wants"
    for unit in UNWANTED:
        (wants / f"{unit}.service").unlink(missing_ok=True)


def make_namespace(name: str, address: str) -> None:
    """A network namespace with eth0 on the bridge."""
    namespace, outside = f"ki{TAG}-{name}", f"kiv{TAG}{address.rpartition('.')[2]}"
    if not Path(f"/run/netns/{namespace}").exists():
        run("ip", "link", "del", outside, check=False)  # a namespace that just went takes its time
        run("ip", "netns", "add", namespace)
        run(
            "ip", "link", "add", outside, "type", "veth", "peer", "name", "eth0", "netns", namespace
        )
        run("ip", "link", "set", outside, "master", BRIDGE, "up")
        inside = ("ip", "-n", namespace)
        run(*inside, "addr", "add", f"{address}/{NETWORK.prefixlen}", "dev", "eth0")
        run(*inside, "link", "set", "lo", "up")
        run(*inside, "link", "set", "eth0", "up")
        run(*inside, "route", "add", "default", "via", str(NETWORK[1]))


def boot(name: str) -> None:
    """Start the host in cgroups of its own; it outlives this process."""
    base = STATE / name
    command = [
        "systemd-nspawn",
        "-D",
        str(base / "root"),
        "--register=no",
        "--keep-unit",
        "--boot",
        f"--machine={name}",
        f"--network-namespace-path=/run/netns/ki{TAG}-{name}",
        "--capability=all",
        "--system-call-filter=@keyring bpf add_key keyctl",
        "--private-users=no",
        "--resolv-conf=copy-host",
        *(f"--bind={base}/own/{item.replace('/', '-')}:/{item}" for item in OWN_DIRECTORIES),
    ]
    environment = {
        **os.environ,
        "SYSTEMD_NSPAWN_API_VFS_WRITABLE": "yes",
        "SYSTEMD_LOG_LEVEL": "warning",
    }
    with (base / "console.log").open("ab") as console:
        subprocess.Popen(
            [sys.executable, __file__, "launch", name, *command],
            stdin=subprocess.DEVNULL,
            stdout=console,
            stderr=console,
            env=environment,
            start_new_session=True,
        )


def launch(name: str, command: list[str]) -> None:
    """Move into own cgroups of every v1 hierarchy (so that hosts do not share /kubepods), then become the host."""
    for hierarchy in hierarchies():
        group = hierarchy / f"kubeinstall-hosts{TAG}-{name}"
        group.mkdir(exist_ok=True)
        for setting in ("cpuset.cpus", "cpuset.mems"):
            if (hierarchy / setting).exists():
                (group / setting).write_text((hierarchy / setting).read_text())
        (group / "cgroup.procs").write_text(str(os.getpid()))
    os.execvp(command[0], command)  # noqa: S606


def hierarchies() -> list[Path]:
    """Mounted v1 hierarchies, and the unified one beside them; none where the machine has v2 only."""
    root = Path("/sys/fs/cgroup")
    if (root / "cgroup.controllers").exists():
        return []
    return [path for path in root.iterdir() if path.is_dir() and not path.is_symlink()]


def leader(name: str) -> int:
    """The host's PID 1 as this machine sees it; 0 when it does not run."""
    pid = launcher(name)
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return 0
    return int(children[0]) if children else 0


def launcher(name: str) -> int:
    """The host's systemd-nspawn; 0 when there is none. It is known by its words: a number written down may since have
    become another process's, and an interrupted `up` writes none.
    """
    words = {b"systemd-nspawn", str(STATE / name / "root").encode(), f"--machine={name}".encode()}
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if words <= set(path.read_bytes().split(b"\0")):
                return int(path.parent.name)
        except OSError:
            continue
    return 0


def await_ssh(name: str, deadline: float) -> None:
    """Until sshd answers."""
    address = assign(name)
    while time.monotonic() < deadline:
        try:
            with socket.create_connection((address, 22), timeout=1) as connection:
                if connection.recv(4) == b"SSH-":
                    return
        except OSError:
            time.sleep(0.1)
    log = (STATE / name / "console.log").read_text(errors="replace")[-2000:]
    raise SystemExit(
        f"host {name} ({address}) did not answer on port 22 in {BOOT_SECONDS:.0f} s:\n{log}"
    )


def open_cgroups(name: str) -> None:
    """nspawn mounts the v1 controllers read-only; containers need them writable."""
    script = (
        "for m in /sys/fs/cgroup/*; do mountpoint -q $m && mount -o remount,bind,rw $m; done; "
        "mount -o remount,rw /proc/sys 2>/dev/null; true"
    )
    inside(name, "sh", "-c", script)


def inside(name: str, *command: str, check: bool = True) -> str:
    """Run a command in the host."""
    pid = leader(name)
    if not pid:
        raise SystemExit(f"host {name} does not run")
    return run("nsenter", "-t", str(pid), "-m", "-u", "-i", "-n", "-p", "-C", *command, check=check)


def kill(name: str) -> None:
    """End a host at once, as a power cut would; its disk stays."""
    deadline = time.monotonic() + 10
    while (outside := launcher(name)) and time.monotonic() < deadline:
        for number in (leader(name), outside):
            if number:
                try:
                    os.kill(number, signal.SIGKILL)
                except ProcessLookupError:
                    continue
        time.sleep(0.05)


def down(names: list[str]) -> None:
    """Remove hosts, and what they shared when none is left."""
    for name in names or sorted(p.parent.name for p in STATE.glob("*/address")):
        kill(name)
        root = STATE / name / "root"
        # Volumes that the kubelet mounted inside live in the host's own mount namespace and went with it.
        run("umount", "-l", str(root), check=False)
        run("ip", "netns", "del", f"ki{TAG}-{name}", check=False)
        remove_cgroups(name)
        shutil.rmtree(STATE / name, ignore_errors=True)
    if not list(STATE.glob("*/address")):
        run("ip", "link", "del", BRIDGE, check=False)
        run("nft", "delete", "table", "ip", TABLE, check=False)
        shutil.rmtree(STATE, ignore_errors=True)


def remove_cgroups(name: str) -> None:
    """The host's cgroups, deepest first."""
    for hierarchy in hierarchies():
        group = hierarchy / f"kubeinstall-hosts{TAG}-{name}"
        for path in sorted(group.rglob("*"), key=lambda p: len(p.parts), reverse=True):
            if path.is_dir():
                remove_group(path)
        remove_group(group)


def remove_group(path: Path) -> None:
    """One cgroup; processes that are just ending are waited for a little."""
    for _ in range(20):
        try:
            path.rmdir()
        except FileNotFoundError:
            return
        except OSError:
            time.sleep(0.05)


def inventory(names: list[str]) -> str:
    """An Ansible inventory of the hosts, as JSON (which is YAML)."""
    shared = {
        "ansible_user": "root",
        "ansible_ssh_private_key_file": str(STATE / "id_ed25519"),
        "ansible_ssh_common_args": "-o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR",
        "ansible_python_interpreter": "/usr/bin/python3",
    }
    hosts = {name: {"ansible_host": assign(name)} for name in names}
    return json.dumps({"all": {"vars": shared, "hosts": hosts}}, indent=2)


def show() -> None:
    """One line a host."""
    for path in sorted(STATE.glob("*/address")):
        name = path.parent.name
        print(f"{name}\t{path.read_text().strip()}\t{leader(name) or '-'}")  # noqa: T201


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "action", choices=("up", "down", "kill", "list", "exec", "launch", "rootfs")
    )
    parser.add_argument("names", nargs=argparse.REMAINDER)
    arguments = parser.parse_args()
    names: list[str] = arguments.names
    if os.geteuid() != 0:
        raise SystemExit("hosts.py needs root")
    if arguments.action == "launch":
        launch(names[0], names[1:])
    elif arguments.action == "exec":
        sys.stdout.write(inside(names[0], *names[2 if names[1:2] == ["--"] else 1 :]))
    elif arguments.action == "kill":
        for name in names:
            kill(name)
    elif arguments.action == "list":
        show()
    elif arguments.action == "rootfs":
        print(rootfs())  # noqa: T201
    else:
        {"up": up, "down": down}[arguments.action](names)


if __name__ == "__main__":
    main()
