"""Echo servers and askers, run inside a namespace.

`echo.py serve NAME PORT`, `echo.py ask PROTO IP PORT TIMES SOURCE`
"""

from __future__ import annotations

import json
import selectors
import socket
import sys


def serve(name: str, port: int) -> None:
    """Answer every TCP connection and UDP datagram with `name` and the peer's address."""
    family = socket.AF_INET6
    stream = socket.socket(family, socket.SOCK_STREAM)
    stream.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    stream.bind(("::", port))
    stream.listen(256)
    datagram = socket.socket(family, socket.SOCK_DGRAM)
    datagram.bind(("::", port))
    selector = selectors.DefaultSelector()
    selector.register(stream, selectors.EVENT_READ)
    selector.register(datagram, selectors.EVENT_READ)
    print("ready", flush=True)
    while True:
        for key, _ in selector.select():
            if key.fileobj is stream:
                connection, peer = stream.accept()
                connection.sendall(f"{name} {_plain(peer[0])}".encode())
                connection.close()
            else:
                _, peer = datagram.recvfrom(2048)
                datagram.sendto(f"{name} {_plain(peer[0])}".encode(), peer)


def ask(protocol: str, address: str, port: int, source: int) -> tuple[str, str]:
    """One try."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    kind = socket.SOCK_STREAM if protocol == "tcp" else socket.SOCK_DGRAM
    with socket.socket(family, kind) as connection:
        connection.settimeout(1.0)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if source:
            connection.bind(("", source))
        try:
            connection.connect((address, port))
            if protocol == "udp":
                connection.send(b"?")
            name, _, peer = connection.recv(2048).decode().partition(" ")
        except TimeoutError:
            return "", "timeout"
        except (ConnectionRefusedError, PermissionError):
            # A datagram refused in the output hook of its own host fails at once with EPERM.
            return "", "refused"
    return name, peer


def _plain(address: str) -> str:
    return address.removeprefix("::ffff:")


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        serve(sys.argv[2], int(sys.argv[3]))
    _, _, proto, where, number, count, origin = sys.argv
    print(json.dumps([ask(proto, where, int(number), int(origin)) for _ in range(int(count))]))
