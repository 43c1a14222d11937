"""Upgrading a host's runtime from outside: what is there, whether it may become ours, and back again.

Shell scripts, as in `remote_runtime`: they must work whatever version of ours the host has, and when it is broken.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass

from kubeinstall.ansible.remote_runtime import HOME, PREVIEW

_MARK = "kubeinstall-upgrade"
#: On a host whose upgrade has begun and is not done; says whether the node is to be uncordoned after it.
_UNDER_WAY = f"{HOME}/.upgrading"
UNCORDON, LEAVE = "uncordon", "leave"
_INIT = f"{HOME}/current/lib/python3*/site-packages/kubeinstall/__init__.py"
#: In the order in which they are started; those that a host does not have are left out.
UNITS = (
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "kubelet",
    "kube-proxy",
    "kube-podnet",
    "kube-dns",
    "kube-servers",
)
_VERSION = re.compile(r"v?(\d+)\.(\d+)\.(\d+)(?:[-+].*)?")


@dataclass(frozen=True)
class Build:
    """One runtime: its archive's id, kubeinstall's version, and the Kubernetes it is. Empty where unknown."""

    runtime: str
    version: str
    kubernetes: str

    def __str__(self) -> str:
        return f"{self.kubernetes} (kubeinstall {self.version}, {self.runtime or 'installed'})"


@dataclass(frozen=True)
class Found:
    """What a host said. `under_way` is empty, or what an upgrade that stopped half-way wants done at its end."""

    build: Build
    staged: bool
    under_way: str


def look_script(identity: str) -> str:
    """Asks for all of `Found`, a line each."""
    return f"""
value() {{ echo "${{1:--}}"; }}
echo {_MARK}
value "$(readlink {HOME}/current)"
value "$(sed -n 's/^__version__ = "\\(.*\\)"/\\1/p' {_INIT} 2>/dev/null)"
value "$(sed -n 's/^KUBERNETES_VERSION = "\\(.*\\)"/\\1/p' {_INIT} 2>/dev/null)"
value "$(cat {_UNDER_WAY} 2>/dev/null)"
test -x {HOME}/{shlex.quote(identity)}/bin/python && echo staged || echo -
"""


def read_look(text: str) -> Found | None:
    """The answer to `look_script`; None when it is none."""
    lines = [line.strip() for line in text.splitlines()]
    if _MARK not in lines:
        return None
    values = [("" if v == "-" else v) for v in lines[lines.index(_MARK) + 1 :]]
    if len(values) < 5:
        return None
    runtime, version, kubernetes, under_way, staged = values[:5]
    return Found(Build(runtime, version, kubernetes), staged == "staged", under_way)


def begin_script(at_end: str) -> str:
    """Note that an upgrade is under way. `at_end` is UNCORDON or LEAVE; an earlier note stays."""
    return f"test -e {_UNDER_WAY} || echo {shlex.quote(at_end)} > {_UNDER_WAY}"


def done_script() -> str:
    """Take the note away."""
    return f"rm -f {_UNDER_WAY}"


def back_script() -> str:
    """Use the runtime before this one again, and restart what the host runs, in order.

    Units start whatever `current` names, so that they need not be written anew.
    """
    return f"""
set -eu
cd {HOME}
before=$(readlink previous) || {{ echo "no earlier runtime is kept in {HOME}" >&2; exit 1; }}
test -x "$before/bin/python" || {{ echo "{HOME}/$before: not a runtime" >&2; exit 1; }}
now=$(readlink current)
ln -sfn "$before" .current
mv -T .current current
ln -sfn "$now" .previous
mv -T .previous previous
rm -f {_UNDER_WAY}
for unit in {" ".join(UNITS)}; do
    if systemctl is-enabled --quiet "$unit" 2>/dev/null; then systemctl restart "$unit"; fi
done
echo "$before"
"""


def drop_script(identity: str) -> str:
    """Take away a runtime that was brought, unless it is in use or is the one to go back to."""
    name = shlex.quote(identity)
    return f"""
cd {HOME} 2>/dev/null || exit 0
for used in current previous; do test "$(readlink $used)" != {name} || exit 0; done
rm -rf {name}
"""


def purge_script() -> str:
    """Leave no runtime on the host; the folder itself may be a mount."""
    return f"""
rm -f /usr/local/bin/kubeinstall
rm -rf {PREVIEW}
test ! -d {HOME} || find {HOME} -mindepth 1 -delete
rmdir {HOME} 2>/dev/null || true
"""


def refusal(current: str, target: str, *, force: bool) -> str:
    """Why Kubernetes `current` may not become `target`; empty when it may.

    kubeadm's rules: no minor version is skipped, and none is gone back to, unless forced.
    """
    if not current:
        return (
            "it has no kubeinstall yet; bring the host into the cluster first (kubeinstall apply)"
        )
    have, want = parse(current), parse(target)
    if have is None or want is None:
        return f"{current!r} or {target!r} is not a version like v1.36.0"
    if force:
        return ""
    if want[0] != have[0] or want[1] > have[1] + 1:
        return (
            f"it has {current}, and {target} is more than one minor version away; none may be skipped: upgrade to "
            f"v{have[0]}.{have[1] + 1} first, or use --force"
        )
    if want < have:
        return f"it has {current}, and {target} is older; use --force to go back"
    return ""


def parse(text: str) -> tuple[int, int, int] | None:
    """(major, minor, patch); None when it is no version."""
    match = _VERSION.fullmatch(text)
    return (int(match[1]), int(match[2]), int(match[3])) if match else None
