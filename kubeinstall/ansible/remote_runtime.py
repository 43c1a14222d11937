"""The runtime on a host that may have nothing yet: shell scripts, since there is no interpreter of ours to rely on.

A runtime is a virtual environment in `/opt/kubeinstall/ID`; `/opt/kubeinstall/current` names the one in use and is
switched atomically. The one before is kept, so that a failed upgrade can go back.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass

HOME = "/opt/kubeinstall"
PYTHON = f"{HOME}/current/bin/python"
_MARK = "kubeinstall-probe"

PROBE = f"""
echo {_MARK}
readlink {HOME}/current || echo -
uname -m
python3 -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null || echo -
date +%s.%N
id -u
. /etc/os-release && echo "$ID $VERSION_ID"
test -x {PYTHON} && echo usable || echo -
"""

INSTALL_PYTHON = (
    "export DEBIAN_FRONTEND=noninteractive; "
    "apt-get update -qq && apt-get install -qq --yes --no-install-recommends python3"
)


@dataclass(frozen=True)
class Probe:
    """What a host said. `runtime` and `python` are empty where there is none."""

    runtime: str
    machine: str
    python: str
    clock: float
    uid: int
    system: str


def read_probe(text: str) -> Probe | None:
    """The answer to PROBE; None when it is none (a banner alone, another shell)."""
    lines = [line.strip() for line in text.splitlines()]
    if _MARK not in lines:
        return None
    values = lines[lines.index(_MARK) + 1 :]
    if len(values) < 7:
        return None
    runtime, machine, python, clock, uid, system, usable = values[:7]
    return Probe(
        runtime if usable == "usable" else "",
        machine,
        "" if python == "-" else python,
        float(clock),
        int(uid),
        system,
    )


def incompatible(probe: Probe, python: str, machine: str) -> str:
    """Why the archive cannot run on the host; empty when it can."""
    if probe.uid != 0:
        return "commands do not run as root there; log in as root, or set ansible_become: true"
    if probe.machine != machine:
        return f"the host is {probe.machine}, this machine {machine}; run kubeinstall on a machine of its kind"
    if probe.python and probe.python != python:
        return (
            f"the host has Python {probe.python} ({probe.system}), this machine {python}; run kubeinstall "
            "with the hosts' version of Python"
        )
    return ""


def shell(script: str) -> str:
    """The script as one command: Ansible puts more words behind it, in whose company `set -e` would mean nothing."""
    return f"/bin/sh -c {shlex.quote(script)}"


def unpack_script(identity: str, python: str, archive: str) -> str:
    """Unpack the archive (a path on the host, removed at the end) and switch to it."""
    return stage_script(identity, python, archive) + switch_script(identity)


def stage_script(identity: str, python: str, archive: str) -> str:
    """Unpack the archive beside what is in use."""
    name, version, source = shlex.quote(identity), shlex.quote(python), shlex.quote(archive)
    return f"""
set -eu
umask 022
cd {HOME}
new=.unpacking-{name}
rm -rf "$new" {name}
mkdir -p "$new/bin" "$new/lib/python{version}/site-packages"
tar -xzf {source} -C "$new/lib/python{version}/site-packages" --no-same-owner
rm -f {source}
ln -s "$(readlink -f "$(command -v python3)")" "$new/bin/python"
ln -s python "$new/bin/python3"
printf 'home = /usr/bin\\ninclude-system-site-packages = false\\n' > "$new/pyvenv.cfg"
printf '#!/bin/sh\\nexec {PYTHON} -m kubeinstall "$@"\\n' > "$new/bin/kubeinstall"
chmod 755 "$new/bin/kubeinstall"
mv "$new" {name}
"""


def switch_script(identity: str) -> str:
    """Use a runtime that is there, atomically. The one before stays, named by `previous`; older ones go."""
    name = shlex.quote(identity)
    return f"""
set -eu
cd {HOME}
before=$(readlink current || true)
if [ "$before" != {name} ]; then
    ln -sfn {name} .current
    mv -T .current current
    if [ -n "$before" ]; then ln -sfn "$before" .previous; mv -T .previous previous; fi
fi
kept=$(readlink previous || true)
mkdir -p /usr/local/bin
ln -sfn {HOME}/current/bin/kubeinstall /usr/local/bin/kubeinstall
for old in *; do
    case "$old" in {name}|current|previous|"$kept") ;; *) rm -rf "$old" ;; esac
done
"""
