"""A node, three pods and an outside client, each a network namespace, joined as podnet and CNI do it.

client 192.0.2.2 ── 192.0.2.1 node 10.244.0.1 ══ cni0 ══ pods 10.244.0.11 .12 .13
"""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
from pathlib import Path

_NUMBERS = itertools.count(1)
_SERVER = Path(__file__).with_name("echo.py")


def sh(command: str, *, check: bool = True) -> str:
    """Run a shell-less command and return its output."""
    done = subprocess.run(command.split(), capture_output=True, text=True, check=False)
    if check and done.returncode:
        raise AssertionError(f"{command}: {done.stderr}")
    return done.stdout


class World:
    """Creates the namespaces; `close` removes them with everything in them."""

    node_ip = "192.0.2.1"
    pods = ("10.244.0.11", "10.244.0.12", "10.244.0.13")
    pods6 = ("fd00:244::11", "fd00:244::12", "fd00:244::13")

    def __init__(self) -> None:
        self.prefix = f"knet{os.getpid()}-{next(_NUMBERS)}"
        self.node, self.client = f"{self.prefix}-n", f"{self.prefix}-c"
        self.pod_names = [f"{self.prefix}-p{i}" for i in range(len(self.pods))]
        self._processes: list[subprocess.Popen[bytes]] = []

    @property
    def node_path(self) -> str:
        """Path of the node's namespace."""
        return f"/run/netns/{self.node}"

    def open(self) -> None:
        """Build everything."""
        for name in (self.node, self.client, *self.pod_names):
            sh(f"ip netns add {name}")
            # Without the seconds of duplicate address detection, in which IPv6 cannot be used.
            sh(f"ip netns exec {name} sysctl -qw net.ipv6.conf.default.accept_dad=0")
            sh(f"ip -n {name} link set lo up")
        node = self.node
        sh(f"ip -n {node} link add cni0 type bridge")
        sh(f"ip -n {node} addr add 10.244.0.1/24 dev cni0")
        sh(f"ip -n {node} link set cni0 up")
        for index, (name, address) in enumerate(zip(self.pod_names, self.pods, strict=True)):
            sh(f"ip -n {node} link add v{index} type veth peer name eth0 netns {name}")
            sh(f"ip -n {node} link set v{index} master cni0 up")
            sh(f"ip -n {node} link set v{index} type bridge_slave hairpin on")
            sh(f"ip -n {name} addr add {address}/24 dev eth0")
            sh(f"ip -n {name} link set eth0 up")
            sh(f"ip -n {name} route add default via 10.244.0.1")
        sh(f"ip -n {node} link add out type veth peer name eth0 netns {self.client}")
        sh(f"ip -n {node} addr add {self.node_ip}/24 dev out")
        sh(f"ip -n {node} link set out up")
        # A host knows a way to service addresses: its default route. Not the client's link, or the
        # kernel would send redirects, and its limit of ICMP messages would eat our refusals.
        sh(f"ip -n {node} link add up0 type bridge")
        sh(f"ip -n {node} addr add 203.0.113.1/24 dev up0")
        sh(f"ip -n {node} link set up0 up")
        sh(f"ip -n {node} route add default via 203.0.113.254")
        sh(f"ip -n {self.client} addr add 192.0.2.2/24 dev eth0")
        sh(f"ip -n {self.client} link set eth0 up")
        sh(f"ip -n {self.client} route add default via {self.node_ip}")
        self._open_ipv6()
        for key in ("net.ipv4.ip_forward=1", "net.ipv4.conf.all.rp_filter=0"):
            sh(f"ip netns exec {node} sysctl -qw {key}")
        # Where br_netfilter is loaded, bridged replies must pass NAT too; without it this key is absent.
        sh(f"ip netns exec {node} sysctl -qw net.bridge.bridge-nf-call-iptables=1", check=False)

    def _open_ipv6(self) -> None:
        """The same once more in fd00::."""
        node = self.node
        sh(f"ip netns exec {node} sysctl -qw net.ipv6.conf.all.forwarding=1")
        sh(f"ip netns exec {node} sysctl -qw net.bridge.bridge-nf-call-ip6tables=1", check=False)
        sh(f"ip -n {node} addr add fd00:244::1/64 dev cni0 nodad")
        for name, address in zip(self.pod_names, self.pods6, strict=True):
            sh(f"ip -n {name} addr add {address}/64 dev eth0 nodad")
            sh(f"ip -n {name} route add default via fd00:244::1")
        sh(f"ip -n {node} addr add fd00:192::1/64 dev out nodad")
        sh(f"ip -n {self.client} addr add fd00:192::2/64 dev eth0 nodad")
        sh(f"ip -n {self.client} route add default via fd00:192::1")
        sh(f"ip -n {node} addr add fd00:203::1/64 dev up0 nodad")
        sh(f"ip -n {node} route add default via fd00:203::ff dev up0")

    def close(self) -> None:
        """Stop servers and delete namespaces."""
        for process in self._processes:
            process.kill()
            process.wait()
            if process.stdout is not None:
                process.stdout.close()
        for name in (self.node, self.client, *self.pod_names):
            sh(f"ip netns del {name}", check=False)

    def serve(self, namespace: str, name: str, port: int) -> None:
        """Echo servers (TCP and UDP) that answer `name`, and the peer's address as they see it."""
        process = subprocess.Popen(
            [
                "ip",
                "netns",
                "exec",
                namespace,
                sys.executable,
                str(_SERVER),
                "serve",
                name,
                str(port),
            ],
            stdout=subprocess.PIPE,
        )
        self._processes.append(process)
        assert process.stdout is not None
        assert process.stdout.readline().strip() == b"ready"

    def ask(
        self,
        namespace: str,
        protocol: str,
        address: str,
        port: int,
        times: int = 1,
        source: int = 0,
    ) -> list[tuple[str, str]]:
        """(server's name, our address as it saw it) of each try; ("", reason) when there is no answer."""
        done = subprocess.run(
            ["ip", "netns", "exec", namespace, sys.executable, str(_SERVER), "ask", protocol,
             address, str(port), str(times), str(source)],
            capture_output=True, text=True, check=True, timeout=60,
        )  # fmt: skip
        return [tuple(item) for item in json.loads(done.stdout)]
