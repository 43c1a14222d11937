"""The runtime on a host that may have nothing yet: shell scripts, since there is no interpreter of ours to rely on.

A runtime is a virtual environment in `/opt/kubeinstall/ID`; `/opt/kubeinstall/current` names the one in use and is
switched atomically. The one before is kept, so that a failed upgrade can go back.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass

HOME = "/opt/kubeinstall"
PYTHON = f"{HOME}/current/bin/python"
STATE = "/var/lib/kubeinstall"
IMAGES = f"{STATE}/images"
#: Packages of a bundle, as a repository, until they are installed.
DEBS = f"{STATE}/debs"
#: On control planes: hosts that were taken off the cluster, a name a line.
REMOVED = f"{STATE}/removed-hosts"
#: Where a dry run unpacks the runtime for its own time, on a host that has none.
PREVIEW = "/var/lib/kubeinstall-dry-run"
_MARK = "kubeinstall-probe"
_LINES = 15


def probe_script(packages: Mapping[str, str] | None = None) -> str:
    """Asks for all of `Probe`, a line each. `packages`: Debian package → a command that makes it unnecessary, or "";
    those that the host lacks are told."""
    wanted = " ".join(
        f"{shlex.quote(name)}:{shlex.quote(command)}" for name, command in (packages or {}).items()
    )
    return f"""
echo {_MARK}
readlink {HOME}/current || echo -
uname -m
python3 -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null || echo -
date +%s.%N
id -u
. /etc/os-release && echo "$ID $VERSION_ID"
test -x {PYTHON} && echo usable || echo -
echo "${{VERSION_CODENAME:--}}"
dpkg --print-architecture 2>/dev/null || echo -
sed -n 's/^__version__ = "\\(.*\\)"/\\1/p' {HOME}/current/lib/python3*/site-packages/kubeinstall/__init__.py \\
    2>/dev/null | grep . || echo -
if systemctl is-active --quiet kubelet 2>/dev/null || systemctl is-active --quiet kube-apiserver 2>/dev/null; then
    echo running
else
    echo -
fi
if [ -n "$(ls -A {HOME} 2>/dev/null)" ]; then echo installed; else echo -; fi
echo images $(ls {IMAGES} 2>/dev/null)
echo removed $(cat {REMOVED} 2>/dev/null)
missing=
have=$(dpkg-query -W -f '${{db:Status-Abbrev}}:${{Package}}:\\n' 2>/dev/null)
for pair in {wanted}; do
    command=${{pair#*:}}
    if [ -n "$command" ] && command -v "$command" >/dev/null; then continue; fi
    case "$have" in *"ii :${{pair%%:*}}:"*) ;; *) missing="$missing ${{pair%%:*}}" ;; esac
done
echo missing $missing
"""


#: Without packages.
PROBE = probe_script()

INSTALL_PYTHON = (
    "export DEBIAN_FRONTEND=noninteractive; "
    "apt-get update -qq && apt-get install -qq --yes --no-install-recommends python3"
)


@dataclass(frozen=True)
class Probe:
    """What a host said. `runtime`, `python` and `version` (of kubeinstall) are empty where there is none. `running`:
    components of ours run. `installed`: something is in /opt/kubeinstall. `removed`: hosts that were taken off the
    cluster."""

    runtime: str
    machine: str
    python: str
    clock: float
    uid: int
    system: str
    codename: str = ""
    architecture: str = ""
    version: str = ""
    running: bool = False
    installed: bool = False
    images: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()


def read_probe(text: str) -> Probe | None:
    """The answer to `probe_script`; None when it is none (a banner alone, another shell)."""
    lines = [line.strip() for line in text.splitlines()]
    if _MARK not in lines:
        return None
    values = ["" if line == "-" else line for line in lines[lines.index(_MARK) + 1 :]]
    if len(values) < _LINES:
        return None
    runtime, machine, python, clock, uid, system, usable = values[:7]
    codename, architecture, version, running = values[7:11]
    images, removed, missing = (tuple(line.split()[1:]) for line in values[12:_LINES])
    return Probe(
        runtime if usable else "",
        machine,
        python,
        float(clock),
        int(uid),
        system,
        codename,
        architecture,
        version,
        running == "running",
        values[11] == "installed",
        images,
        removed,
        missing,
    )


def not_root(probe: Probe) -> str:
    """Why nothing can be done on the host; empty when it can."""
    if probe.uid == 0:
        return ""
    return "commands do not run as root there; log in as root, or set ansible_become: true"


def incompatible(probe: Probe, python: str, machine: str) -> str:
    """Why the archive cannot run on the host; empty when it can."""
    if trouble := not_root(probe):
        return trouble
    if probe.machine != machine:
        return f"the host is {probe.machine}, this machine {machine}; run kubeinstall on a machine of its kind"
    if probe.python and probe.python != python:
        return (
            f"the host has Python {probe.python} ({probe.system}), this machine {python}; run kubeinstall "
            "with the hosts' version of Python"
        )
    return ""


def foreign_bundle(probe: Probe, bundle: Mapping[str, str]) -> str:
    """Why the bundle is not for the host; empty when it is. `bundle` names `codename`, `architecture`, `python`."""
    theirs = (bundle["codename"], bundle["architecture"], bundle["python"])
    if (probe.codename, probe.architecture, probe.python or bundle["python"]) == theirs:
        return ""
    return (
        f"the bundle is for Debian {bundle['codename']} on {bundle['architecture']} with Python {bundle['python']}; "
        f"the host is {probe.codename or probe.system} on {probe.architecture or probe.machine} with Python "
        f"{probe.python or '(none)'}. Make one on a machine of the hosts' kind (kubeinstall bundle create)"
    )


def other_runtime(probe: Probe, identity: str, version: str) -> str:
    """Why a host that runs another runtime is left as it is; empty when it does not."""
    if not probe.running or not probe.runtime or probe.runtime == identity:
        return ""
    return (
        f"it runs kubeinstall {probe.version or '?'} (runtime {probe.runtime}), and this is {version} (runtime "
        f"{identity}). `apply` does not change the runtime of a running cluster, since nodes must be emptied for that. "
        "Use:\n  kubeinstall upgrade apply -i INVENTORY\n"
        "and then apply again. (A first installation that was never finished: kubeinstall reset -i INVENTORY.)"
    )


def apt_options(folder: str) -> list[str]:
    """apt with the repository `folder` (of a bundle) as its only source: no list, no cache of the host's is read or
    written. The checksums of a bundle have been compared, which stands for a signature."""
    options = {
        "Dir::Etc::sourcelist": f"{folder}/sources.list",
        "Dir::Etc::sourceparts": "-",
        "Dir::State::lists": f"{folder}/lists",
        "Dir::Cache::pkgcache": "",
        "Dir::Cache::srcpkgcache": "",
        "APT::Sandbox::User": "root",
    }
    return ["-qq", *(w for name, value in options.items() for w in ("-o", f"{name}={value}"))]


def sources_list(folder: str) -> str:
    """The file that `apt_options` names."""
    return f"deb [trusted=yes] file:{folder} ./\n"


def install_debs_script(packages: list[str]) -> str:
    """Install packages of a bundle's repository that is in DEBS."""
    flags = " ".join(shlex.quote(word) for word in apt_options(DEBS))
    names = " ".join(shlex.quote(name) for name in packages)
    return f"""
set -eu
export DEBIAN_FRONTEND=noninteractive
mkdir -p {DEBS}/lists/partial
echo {shlex.quote(sources_list(DEBS).strip())} > {DEBS}/sources.list
apt-get {flags} update
apt-get {flags} install --yes --no-install-recommends {names}
"""


def shell(script: str) -> str:
    """The script as one command: Ansible puts more words behind it, in whose company `set -e` would mean nothing."""
    return f"/bin/sh -c {shlex.quote(script)}"


def unpack_script(identity: str, python: str, archive: str) -> str:
    """Unpack the archive (a path on the host, removed at the end) and switch to it."""
    return stage_script(identity, python, archive) + switch_script(identity)


def preview_script(identity: str, python: str, archive: str) -> str:
    """Unpack the archive where nothing uses it but a dry run."""
    return stage_script(identity, python, archive, PREVIEW)


def end_preview_script() -> str:
    """Leave nothing of a dry run."""
    return f"rm -rf {PREVIEW}"


def stage_script(identity: str, python: str, archive: str, folder: str = HOME) -> str:
    """Unpack the archive beside what is in use."""
    name, version, source = shlex.quote(identity), shlex.quote(python), shlex.quote(archive)
    return f"""
set -eu
umask 022
cd {folder}
exec 9>.lock
flock -w 120 9  # one that an interrupted run has left at work
new=.unpacking-{name}
rm -rf "$new" {name}
mkdir -p "$new/bin" "$new/lib/python{version}/site-packages"
tar -xzf {source} -C "$new/lib/python{version}/site-packages" --no-same-owner
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
