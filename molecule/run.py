#!/usr/bin/env python3
"""Run Molecule scenarios side by side, each on hosts of its own, and say how long each took.

    run.py [--jobs N] [--logs DIR] [SCENARIO …]      all scenarios if none is named

Each scenario is one `molecule test`; its output goes to DIR/SCENARIO.log, and its end is shown when it fails. What is
left of a run that was interrupted is removed first, and nothing is left of this one, however it ends. Exit code 1 when
a scenario failed, 2 when hosts cannot be made here.
"""

from __future__ import annotations

import argparse
import fcntl
import ipaddress
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

import yaml

HERE = Path(__file__).resolve().parent
PROJECT = HERE.parent
SEQUENCE = PROJECT / ".config/molecule/config.yml"
TAG = os.environ.get("KUBEINSTALL_HOSTS_TAG", "r")
NETWORK = ipaddress.ip_network(os.environ.get("KUBEINSTALL_HOSTS_NETWORK", "10.124.0.0/24"))
NEEDED = ("ip", "mmdebstrap", "nft", "ssh-keygen", "systemd-nspawn")
TAIL_LINES = 60
SECONDS = 1800.0  # that a scenario may take at most
END_SECONDS = 30.0  # that an interrupted one has to end
MOST_JOBS = 8  # a /24 has so many networks of 30 addresses


@dataclass
class Run:
    """A scenario that goes on, in a slot: a tag and a network for its hosts."""

    scenario: str
    slot: int
    process: subprocess.Popen[bytes]
    started: float

    @property
    def seconds(self) -> float:
        """Since its start."""
        return time.monotonic() - self.started


class Interrupted(Exception):
    """The user, or CI, wants it to end."""


def say(text: str) -> None:
    """One line, at once."""
    print(text, flush=True)  # noqa: T201  # what the command is for


def scenarios() -> dict[str, int]:
    """Name to number of hosts, of all there are."""
    found = {}
    for path in sorted(HERE.glob("*/molecule.yml")):
        found[path.parent.name] = len(yaml.safe_load(path.read_text()).get("platforms") or [0])
    return found


def cannot() -> str:
    """Why hosts cannot be made here; empty when they can."""
    if os.geteuid() != 0:
        return "needs root: run it with sudo, or as root"
    absent = [name for name in NEEDED if shutil.which(name) is None]
    return f"needs {', '.join(absent)}: run `make hosts`" if absent else ""


def environment(slot: int) -> dict[str, str]:
    """The hosts of a slot have a tag and a network of their own."""
    network = list(NETWORK.subnets(new_prefix=27))[slot]
    return {
        **os.environ,
        "KUBEINSTALL_HOSTS_TAG": f"{TAG}{slot}",
        "KUBEINSTALL_HOSTS_NETWORK": str(network),
        "NO_COLOR": "1",
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }


def hosts(slot: int, *words: str) -> subprocess.CompletedProcess[str]:
    """Call hosts.py for a slot."""
    command = [sys.executable, str(HERE / "hosts.py"), *words]
    return subprocess.run(
        command, env=environment(slot), capture_output=True, text=True, check=False
    )


def try_hosts() -> str:
    """Why a host does not come up here, by making one; it also makes what all share, so that no two make it."""
    try:
        result = hosts(0, "up", "m1")
        return result.stderr.strip() if result.returncode else ""
    finally:
        hosts(0, "down")


def make_archive() -> None:
    """What `bootstrap` brings, once: it stays in the cache."""
    script = (
        "from kubeinstall.provision.archive import runtime_archive; runtime_archive();"
        "from kubeinstall.provision.ready_images import ready_images; ready_images(['pause', 'busybox', 'nginx'])"
    )
    subprocess.run([sys.executable, "-c", script], check=True, cwd=PROJECT)


def start(scenario: str, slot: int, logs: Path) -> Run:
    """Begin a scenario; it is a process group, so that it can be ended as a whole."""
    hosts(slot, "down")
    command = ["molecule", "-c", str(SEQUENCE), "test", "--scenario-name", scenario]
    words = environment(slot)
    with (logs / f"{scenario}.log").open("wb") as log:
        process = subprocess.Popen(
            [str(Path(sys.executable).parent / command[0]), *command[1:]],
            env=words,
            cwd=PROJECT,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    return Run(scenario, slot, process, time.monotonic())


def end(run: Run) -> None:
    """Interrupt a scenario, and take its hosts away."""
    deadline = time.monotonic() + END_SECONDS
    for number in (signal.SIGINT, signal.SIGKILL):
        try:
            os.killpg(run.process.pid, number)
        except ProcessLookupError:
            break
        while run.process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.1)
    hosts(run.slot, "down")


def show_failure(scenario: str, logs: Path) -> None:
    """The end of what a scenario said."""
    path = logs / f"{scenario}.log"
    lines = re.sub(r"\x1b\[[0-9;]*m", "", path.read_text(errors="replace")).splitlines()
    for line in lines[-TAIL_LINES:]:
        say(f"    {line[:400]}")
    say(f"    (all of it: {path})")


def work(names: list[str], jobs: int, logs: Path) -> dict[str, tuple[bool, float]]:
    """Run all; name to whether it succeeded, and its seconds."""
    waiting, going, free = list(names), [], list(range(jobs))
    results: dict[str, tuple[bool, float]] = {}
    try:
        while waiting or going:
            while waiting and free:
                going.append(start(waiting.pop(0), free.pop(0), logs))
            time.sleep(0.1)
            for run in [*going]:
                late = run.seconds > SECONDS
                if run.process.poll() is None and not late:
                    continue
                end(run)
                going.remove(run)
                free.append(run.slot)
                good = run.process.returncode == 0 and not late
                results[run.scenario] = (good, run.seconds)
                word = "ok" if good else f"over {SECONDS:.0f} s" if late else "FAILED"
                say(f"{word:7} {run.scenario:18} {run.seconds:6.1f} s")
                if not good:
                    show_failure(run.scenario, logs)
    finally:
        for run in going:
            end(run)
    return results


def interrupt(number: int, frame: FrameType | None) -> None:
    """A signal ends the run in good order."""
    raise Interrupted(signal.Signals(number).name)


def main() -> int:
    """Read the command line."""
    known = scenarios()
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("scenarios", nargs="*", metavar="SCENARIO", help=", ".join(known))
    parser.add_argument("--jobs", type=int, default=3, help="scenarios at a time (3)")
    parser.add_argument("--logs", type=Path, default=PROJECT / ".molecule", help="folder")
    parser.add_argument("--exclude", action="append", default=[], metavar="SCENARIO")
    arguments = parser.parse_args()
    names = [name for name in arguments.scenarios or known if name not in arguments.exclude]
    if unknown := set(names) - set(known):
        parser.error(f"no scenario {', '.join(sorted(unknown))}; there are {', '.join(known)}")
    if not 1 <= arguments.jobs <= MOST_JOBS:
        parser.error(f"--jobs: from 1 to {MOST_JOBS}")
    if why := cannot():
        say(f"Molecule's hosts cannot be made here: {why}")
        return 2
    arguments.logs.mkdir(parents=True, exist_ok=True)
    with Path(f"/run/kubeinstall-molecule-{TAG}.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(
                f"another run has the tag {TAG!r}: give this one KUBEINSTALL_HOSTS_TAG and _NETWORK"
            )
            return 2
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, interrupt)
        # Scenarios with many hosts take longest: they come first.
        names.sort(key=lambda name: -known[name])
        return run_all(names, arguments.jobs, arguments.logs.resolve())


def run_all(names: list[str], jobs: int, logs: Path) -> int:
    """From the first host to the summary; the exit code."""
    began = time.monotonic()
    try:
        if why := try_hosts():
            say(f"Molecule's hosts cannot be made here: {why}")
            return 2
        make_archive()
        results = work(names, jobs, logs)
    except Interrupted as signal_name:
        say(f"interrupted by {signal_name}; no host is left")
        return 130
    finally:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)  # a second one must not leave hosts behind
        for slot in range(jobs):
            hosts(slot, "down")
    failed = sorted(name for name, (good, _) in results.items() if not good)
    total = sum(seconds for _, seconds in results.values())
    say(
        f"{len(results)} scenarios in {time.monotonic() - began:.0f} s, {jobs} at a time "
        f"({total:.0f} s one after the other)"
        + (f"; failed: {', '.join(failed)}" if failed else "")
    )
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
