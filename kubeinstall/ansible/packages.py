"""Debian packages: only what is missing, judged by dpkg's status or by the command it brings."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path

from kubeinstall.ansible.commands import CommandError, run
from kubeinstall.ansible.outcome import Outcome
from kubeinstall.ansible.remote_runtime import DEBS, apt_options, sources_list

_DPKG_STATUS = Path("/var/lib/dpkg/status")
_LISTS = Path("/var/lib/apt/lists")
#: A repository of packages that the controller laid here, for a host without a mirror.
BROUGHT = Path(DEBS)
#: For whoever holds dpkg: unattended upgrades, or what an interrupted run has left at work.
_WAIT = ("-o", "DPkg::Lock::Timeout=120")
_QUIET = {"DEBIAN_FRONTEND": "noninteractive", "APT_LISTCHANGES_FRONTEND": "none"}


def installed(names: Iterable[str], status: Path = _DPKG_STATUS) -> set[str]:
    """Which of the packages dpkg calls installed. Reading its database is a hundredth of the
    cost of asking apt."""
    wanted = set(names)
    found: set[str] = set()
    current = ""
    with status.open(encoding="utf-8", errors="replace") as stream:
        for line in stream:
            if line.startswith("Package: "):
                current = line[9:].strip()
            elif (
                current in wanted and line.startswith("Status: ") and line.endswith(" installed\n")
            ):
                found.add(current)
    return found


def missing(names: Iterable[str], unless_command: dict[str, str]) -> list[str]:
    """Packages to install. `unless_command` maps a package to a command that makes it
    unnecessary: a containerd or kubectl from elsewhere is good enough."""
    wanted = [n for n in names if not _has_command(unless_command.get(n))]
    present = installed(wanted)
    return [name for name in wanted if name not in present]


def ensure_packages(
    names: Iterable[str], unless_command: dict[str, str], *, check: bool
) -> Outcome:
    """Install what is missing, without recommended packages."""
    outcome = Outcome()
    absent = missing(names, unless_command)
    if not absent:
        if not check:
            shutil.rmtree(BROUGHT, ignore_errors=True)
        return outcome
    outcome.add(f"install {' '.join(absent)}")
    if check:
        return outcome
    if (BROUGHT / "Packages").exists():
        install_from(BROUGHT, absent)
        shutil.rmtree(BROUGHT)  # it is large, and has served
        return outcome
    install = ["apt-get", *_WAIT, "install", "--yes", "--no-install-recommends", *absent]
    ensure_lists()
    try:
        run(install, seconds=1200, environment=_QUIET)
    except CommandError:
        # The lists may be older than the mirror: fetch them once and try again.
        run(["apt-get", "update"], seconds=600, environment=_QUIET)
        run(install, seconds=1200, environment=_QUIET)
    return outcome


def install_from(folder: Path, names: Iterable[str]) -> None:
    """Install packages of a bundle's repository; nothing but `folder` is asked, so no mirror is needed."""
    (folder / "lists/partial").mkdir(parents=True, exist_ok=True)
    (folder / "sources.list").write_text(sources_list(str(folder)))
    flags = apt_options(str(folder))
    run(["apt-get", *flags, "update"], seconds=120, environment=_QUIET)
    install = ["apt-get", *_WAIT, *flags, "install", "--yes", "--no-install-recommends", *names]
    run(install, seconds=1200, environment=_QUIET)


def ensure_lists() -> None:
    """Have the mirror's package lists, of whatever age."""
    if not any(_LISTS.glob("*_Packages*")):
        run(["apt-get", "update"], seconds=600, environment=_QUIET)


def _has_command(command: str | None) -> bool:
    return command is not None and shutil.which(command) is not None
