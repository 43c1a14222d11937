"""Rotating the keys of a cluster with several API servers, from where the inventory is.

Every API server must know a key before the first one writes with it, and none may forget one that a value is stored
with. So each change goes to all control planes, one at a time, before the next change is made:

    [old] → [old, new] → [new, old] → every value is written again → [new]

Where a run has stopped is seen by what the hosts have: at most two neighbours of this row.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kubeinstall.errors import KubeinstallError
from kubeinstall.provision.apply import only_run, ssh_environment
from kubeinstall.provision.display import show_failures
from kubeinstall.provision.hosts_display import host_progress
from kubeinstall.provision.inventory.load import Loaded
from kubeinstall.provision.logfile import write_log
from kubeinstall.provision.playbook import Play, run_play
from kubeinstall.provision.results import RunResult

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import Console

Object = dict[str, Any]
#: An entry of `resources`: their names, and the keys as (provider, name, fingerprint), the writing one first.
Entry = tuple[tuple[str, ...], tuple[tuple[str, str, str], ...]]
State = tuple[Entry, ...]

ADD, CARRY, PROMOTE, REENCRYPT, DROP = "add", "carry", "promote", "reencrypt", "drop"
_SINGLE, _ADDED, _PROMOTED = range(3)
_MOST_ROUNDS = 8
_FOUND = "keys of "


@dataclass(frozen=True)
class Next:
    """What is to be done next, on which control plane first. CARRY: all others get what it has."""

    action: str
    source: str


def decide(states: Mapping[str, State]) -> Next:
    """From the control planes' keys. KubeinstallError when they differ as no rotation leaves them behind."""
    hosts = list(states)
    if len(set(states.values())) == 1:
        step = {_SINGLE: ADD, _ADDED: PROMOTE, _PROMOTED: REENCRYPT}[_rank(states[hosts[0]])]
        return Next(step, hosts[0])
    ranks = {host: _rank(state) for host, state in states.items()}
    most = max(ranks.values())
    ahead = next(host for host in hosts if ranks[host] == most)
    single = next((host for host in hosts if ranks[host] == _SINGLE), "")
    source = single if most == _PROMOTED and single else ahead
    for host, state in states.items():
        if not _neighbours(states[source], state):
            raise KubeinstallError(
                f"{source} and {host} have different keys, and not as a rotation leaves them that stopped; "
                "see to /etc/kubernetes/pki/encryption-config.yaml there. The datastore may hold values of either: "
                "make the files the same, with all keys, and restart the API servers"
            )
    return Next(CARRY, source)


def _rank(state: State) -> int:
    """The furthest of its entries: an entry that encrypts nothing has no place in the row."""
    found = [_SINGLE]
    for _, keys in state:
        named = [name for _, name, _ in keys if name]
        if len(named) > 1:
            found.append(_PROMOTED if _newest(named) == named[0] else _ADDED)
    return max(found)


def _newest(names: Sequence[str]) -> str:
    from kubeinstall.storage.encryption.rotation import number

    return max(names, key=number)


def _neighbours(first: State, second: State) -> bool:
    if [resources for resources, _ in first] != [resources for resources, _ in second]:
        return False
    for (_, one), (_, other) in zip(first, second, strict=True):
        small, large = sorted((_named(one), _named(other)), key=len)
        if not set(small) <= set(large) or small[:1] not in (large[:1], large[1:2]):
            return False
    return True


def _named(keys: tuple[tuple[str, str, str], ...]) -> list[tuple[str, str, str]]:
    return [key for key in keys if key[1]]


@dataclass
class Cluster:
    """The control planes of an inventory, and how plays on them are shown."""

    loaded: Loaded
    console: Console
    verbosity: int = 0

    def states(self) -> dict[str, State]:
        """Every control plane's keys, by fingerprint."""
        facts = self.play("look").facts
        return {
            host: _state(facts[f"{_FOUND}{host}"]) for host in self.loaded.inventory.control_planes
        }

    def status(self) -> tuple[Object, dict[str, State]]:
        """What `secrets_encryption.status` finds on the first control plane, and all keys."""
        facts = self.play("status").facts
        planes = self.loaded.inventory.control_planes
        return facts["encryption"], {host: _state(facts[f"{_FOUND}{host}"]) for host in planes}

    def play(self, step: str, source: str = "") -> RunResult:
        """One step on all control planes, the source first; KubeinstallError when it fails."""
        hosts = list(self.loaded.inventory.control_planes)
        source = source or hosts[0]
        play = Play(
            playbook="encryption",
            inventory={},
            inventory_path=self.loaded.path.resolve(),
            variables={"encryption_step": step, "encryption_source": source},
            limit=hosts,
            verbosity=self.verbosity,
            environment=ssh_environment(),
        )
        with host_progress(self.console, hosts, verbosity=self.verbosity) as shown:
            result = run_play(play, shown)
        log = write_log("encryption", result, keep=not result.ok)
        if not result.ok:
            show_failures(self.console, result, log)
            raise KubeinstallError(
                f"secrets-encryption: stopped at '{step}'; every stored value can be read. Run the same command again"
            )
        return result


def rotate(cluster: Cluster, say: Callable[[str], None]) -> None:
    """All of it, or what an earlier run has left."""
    with only_run(cluster.loaded.path):
        done: list[str] = []
        while len(done) < _MOST_ROUNDS:
            following = decide(cluster.states())
            if following.action == ADD and done:
                say("every object is stored with the new key, and no other key is left")
                return
            if following.action == CARRY:
                say(f"an earlier run has stopped half-way: all get what {following.source} has")
            done.append(following.action)
            _do(cluster, following, say)
        raise KubeinstallError(f"the rotation comes to no end ({', '.join(done)})")


def _do(cluster: Cluster, following: Next, say: Callable[[str], None]) -> None:
    if following.action != REENCRYPT:
        cluster.play(following.action, following.source)
        return
    reencrypt(cluster, say)
    cluster.play(DROP, following.source)


def reencrypt(cluster: Cluster, say: Callable[[str], None]) -> None:
    """Write every object again, and see that none is left behind."""
    count = cluster.play(REENCRYPT).facts["reencrypted"]
    say(f"{count} objects are stored with the current key")


def _state(found: list[Any]) -> State:
    return tuple(
        (tuple(entry["resources"]), tuple((k[0], k[1], k[2]) for k in entry["keys"]))
        for entry in found
    )
