"""haproxy's file: what a host's own way to every API server looks like, and having it read again."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Mapping
from pathlib import Path

from kubeinstall.pki.identity import split_host_port

BINARY = "/usr/sbin/haproxy"

_TEXT = """\
# Written by kubeinstall; changes are overwritten.
global
    maxconn 4000
    # After a reload, connections of before are cut: nobody would notice for them that their server died.
    hard-stop-after 5s

defaults
    mode tcp
    maxconn 4000
    timeout connect 1s
    # Watches are silent for long; a dead server is noticed by its checks.
    timeout client 2h
    timeout server 2h
    timeout check 1s
    option clitcpka
    option srvtcpka
    option redispatch 1
    retries 3

frontend api
    bind {listen}
    default_backend servers

backend servers
    balance leastconn
    # Not etcd: while its members elect a leader no server has it, and none is better than another; connections that
    # were cut then would only fail. A server whose host lost its network is not reached from here either.
    option httpchk GET /readyz?exclude=etcd
    # A server that says that it shuts down gets no new connections and keeps those it has, to finish what is asked on
    # them; one that fails otherwise loses them.
    http-check expect ! rstring "-.shutdown failed" error-status L7OKC
    http-check expect status 200
    # Only health is asked for here; what passes through is encrypted from end to end.
    default-server check check-ssl verify none inter 2s fastinter 500ms downinter 1s fall 2 rise 1 \
on-marked-down shutdown-sessions
{servers}
"""
_SERVER = re.compile(r"^    server (\S+) (\S+)$", re.MULTILINE)


def render(listen: str, servers: Mapping[str, str]) -> str:
    """The whole file. `listen` is host:port, `servers` are name → host:port."""
    lines = [f"    server {name} {address}" for name, address in sorted(servers.items())]
    return _TEXT.format(listen=listen, servers="\n".join(lines))


def servers_in(text: str) -> dict[str, str]:
    """Name → host:port of a file that `render` made; empty for another."""
    return dict(_SERVER.findall(text))


def server_name(address: str) -> str:
    """`10.0.0.1:6443` → `api-10.0.0.1`: a name made of the address, for who knows no other."""
    host, _port = split_host_port(address, 0)
    return f"api-{host.replace(':', '-')}"


def reload(config: Path, proc: Path = Path("/proc")) -> bool:
    """Have the haproxy that runs with this file read it again; False when there is none.

    The master takes SIGUSR2 and hands the open port to a new worker, so no connection is refused meanwhile.
    """
    masters = _masters(config, proc)
    for pid in masters:
        os.kill(pid, signal.SIGUSR2)
    return bool(masters)


def _masters(config: Path, proc: Path) -> list[int]:
    """Processes of that file whose parent is none of them."""
    found: dict[int, int] = {}
    for folder in proc.glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes().split(b"\0")
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
        except (OSError, ValueError, IndexError):
            continue  # it ended meanwhile
        if words[0] == BINARY.encode() and str(config).encode() in words:
            found[int(folder.name)] = parent
    return [pid for pid, parent in sorted(found.items()) if parent not in found]
