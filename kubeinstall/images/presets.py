"""Images that a cluster without a registry needs at once: the sandbox, and something to run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from kubeinstall.images import debian
from kubeinstall.images.archive import ImageConfig
from kubeinstall.images.command import run

SANDBOX_IMAGE = "registry.k8s.io/pause:3.10"
"""The name that containerd's `sandbox_image` says; made here, not pulled."""

_NGINX_CONF = """\
daemon off;
worker_processes auto;
pid /run/nginx.pid;
error_log /dev/stderr notice;
events { worker_connections 1024; }
http {
    include /etc/nginx/mime.types;
    default_type application/octet-stream;
    access_log /dev/stdout;
    sendfile on;
    keepalive_timeout 65;
    server {
        listen 80 default_server;
        listen [::]:80 default_server;
        root /usr/share/nginx/html;
        index index.html;
    }
}
"""


@dataclass(frozen=True, slots=True)
class Preset:
    """A ready recipe: `fill(root, work)` makes the root directory."""

    name: str
    config: ImageConfig
    fill: Callable[[Path, Path], None]
    packages: tuple[str, ...] = ()
    help: str = ""
    aliases: tuple[str, ...] = field(default=())


def _fill_pause(root: Path, work: Path) -> None:
    archives = debian.download(["catatonit"], work / "archives", dependencies=False)
    unpacked = work / "catatonit"
    unpacked.mkdir()
    debian.unpack(archives, unpacked)
    binary = root / "pause"
    binary.write_bytes((unpacked / "usr/bin/catatonit").read_bytes())
    binary.chmod(0o755)


def _fill_busybox(root: Path, work: Path) -> None:
    archives = debian.download(["busybox-static"], work / "archives", dependencies=False)
    unpacked = work / "busybox"
    unpacked.mkdir()
    debian.unpack(archives, unpacked)
    found = next(p for p in (unpacked / "bin/busybox", unpacked / "usr/bin/busybox") if p.exists())
    folder = root / "bin"
    folder.mkdir()
    binary = folder / "busybox"
    binary.write_bytes(found.read_bytes())
    binary.chmod(0o755)
    _link_applets(binary, folder, ())
    for name in ("usr/bin", "usr/sbin", "sbin", "home"):
        (root / name).mkdir(parents=True)
    (root / "usr/bin/env").symlink_to("../../bin/env")
    debian.make_skeleton(root)
    (root / "etc/passwd").write_text(
        "root:x:0:0:root:/root:/bin/sh\ndaemon:x:1:1:daemon:/usr/sbin:/bin/false\n"
        "nobody:x:65534:65534:nobody:/home:/bin/false\n"
    )
    (root / "etc/group").write_text("root:x:0:\ndaemon:x:1:\ntty:x:5:\nnogroup:x:65534:\n")
    (root / "etc/nsswitch.conf").write_text("hosts: files dns\n")


def _link_applets(binary: Path, folder: Path, others: tuple[Path, ...]) -> None:
    """A link for each applet that none of the folders has as a program of its own."""
    for applet in run([str(binary), "--list"]).split():
        if not any((place / applet).exists() for place in (folder, *others)):
            (folder / applet).symlink_to("busybox")


def _add_shell(root: Path) -> None:
    """busybox beside the programs of the packages: without it nobody could look inside a container."""
    binaries = root / "usr/bin"
    _link_applets(binaries / "busybox", binaries, (root / "usr/sbin",))


def _fill_nginx(root: Path, work: Path) -> None:
    debian.make_root(["nginx-light", "busybox-static"], root, work)
    _add_shell(root)
    (root / "etc/nginx/nginx.conf").write_text(_NGINX_CONF)
    (root / "usr/share/nginx/html").mkdir(parents=True, exist_ok=True)
    (root / "var/lib/nginx").mkdir(parents=True, exist_ok=True)
    (root / "var/log/nginx").mkdir(parents=True, exist_ok=True)


def _fill_python(root: Path, work: Path) -> None:
    debian.make_root(["python3", "ca-certificates", "busybox-static"], root, work)
    _add_shell(root)
    if not (root / "usr/bin/python").exists():
        (root / "usr/bin/python").symlink_to("python3")


PRESETS = {
    preset.name: preset
    for preset in (
        Preset(
            "pause",
            # catatonit -P waits for a signal and reaps the zombies of a shared process namespace.
            ImageConfig(entrypoint=["/pause", "-P"], user="65535:65535"),
            _fill_pause,
            packages=("catatonit",),
            help="the sandbox of every pod",
        ),
        Preset(
            "busybox",
            ImageConfig(cmd=["sh"]),
            _fill_busybox,
            packages=("busybox-static",),
            help="a static busybox with its applets",
        ),
        Preset(
            "nginx",
            ImageConfig(
                cmd=["nginx"], stop_signal="SIGQUIT", exposed_ports=["80/tcp"], working_dir="/"
            ),
            _fill_nginx,
            packages=("nginx-light", "busybox-static"),
            help="a web server on port 80, content in /usr/share/nginx/html",
        ),
        Preset(
            "python",
            ImageConfig(cmd=["python3"], env={"LANG": "C.UTF-8"}),
            _fill_python,
            packages=("python3", "ca-certificates", "busybox-static"),
            help="Debian's Python with its standard library",
        ),
    )
}
