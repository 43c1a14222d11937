"""`install.sh` of a bundle: kubeinstall itself, on a host that has nothing but Debian's base system."""

from __future__ import annotations

from kubeinstall.ansible.remote_runtime import HOME, unpack_script
from kubeinstall.provision.archive import Archive
from kubeinstall.provision.bundle.manifest import ARCHIVE, DEBS, SUMS

_STAGED = f"{HOME}/.bundle.tar.gz"


def install_script(archive: Archive, architecture: str, codename: str) -> str:
    """`tar -xOf BUNDLE install.sh | sh -s BUNDLE`, as root. What does not fit is told before anything is changed."""
    return f"""#!/bin/sh
# Installs kubeinstall from the bundle that is its argument: tar -xOf BUNDLE install.sh | sh -s BUNDLE
set -eu
bundle=$(readlink -f "$1")
fail() {{ echo "error: $*" >&2; exit 1; }}
[ "$(id -u)" = 0 ] || fail "needs root"
[ "$(dpkg --print-architecture)" = {architecture} ] || fail "the bundle is for {architecture}"
. /etc/os-release
[ "$VERSION_CODENAME" = {codename} ] || fail "the bundle is for Debian {codename}, this is $VERSION_CODENAME"
work=$(mktemp -d /var/tmp/kubeinstall-bundle.XXXXXX)
trap 'rm -rf "$work"' EXIT
tar -xf "$bundle" -C "$work"
cd "$work"
sha256sum --check --quiet {SUMS} || fail "the bundle is damaged"
if ! command -v python3 >/dev/null; then
    mkdir -p lists/partial
    echo "deb [trusted=yes] file:$work/{DEBS} ./" >sources.list
    set -- -qq -o Dir::Etc::sourcelist="$work/sources.list" -o Dir::Etc::sourceparts=- \\
        -o Dir::State::lists="$work/lists" -o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache= \\
        -o APT::Sandbox::User=root
    apt-get "$@" update
    DEBIAN_FRONTEND=noninteractive apt-get "$@" install --yes --no-install-recommends python3
fi
have=$(python3 -c 'import sys; print("%d.%d" % sys.version_info[:2])')
[ "$have" = {archive.python} ] || fail "the bundle is for Python {archive.python}, this host has $have"
mkdir -p {HOME}
mv {ARCHIVE} {_STAGED}
(
{unpack_script(archive.id, archive.python, _STAGED)}
rm -f {_STAGED}
printf '#!%s\\nfrom ansible.cli.playbook import main\\nmain()\\n' {HOME}/{archive.id}/bin/python \\
    >{archive.id}/bin/ansible-playbook
chmod 755 {archive.id}/bin/ansible-playbook
)
echo "kubeinstall is installed. Next: kubeinstall init --bundle $bundle"
"""
