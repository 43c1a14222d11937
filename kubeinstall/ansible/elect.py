"""What the play decides once every host has said what is on it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kubeinstall.ansible.authorities import files_for
from kubeinstall.errors import KubeinstallError

Object = dict[str, Any]


@dataclass(frozen=True)
class Decision:
    """`first`: the control plane that acts for the cluster. `carry`: authorities must be made or copied.
    `etcd_new`: the datastore is started for the first time. `token`: some node must bootstrap.
    `serving`: control planes whose API server runs. `settled`: no host has anything left to do."""

    first: str
    carry: bool
    etcd_new: bool
    token: bool
    serving: tuple[str, ...]
    settled: bool


def decide(
    configs: Mapping[str, Object],
    facts: Mapping[str, Object],
    control_planes: Sequence[str],
    etcd: Sequence[str],
) -> Decision:
    """From the facts of `prepare`, of the hosts that take part in this run, in the inventory's order.

    A host that is left out may hold the cluster: then nothing is made anew.
    """
    here = [name for name in control_planes if name in facts]
    if not here:
        raise KubeinstallError("no control plane takes part in this run; add one to --limit")
    replacing = [name for name in facts if facts[name].get("replacing")]
    if replacing:
        raise KubeinstallError(
            f"{replacing[0]}: a replacement of authorities ({', '.join(facts[replacing[0]]['replacing'])}) was begun "
            "and is not done; end it first: kubeinstall certs rotate-ca -i INVENTORY"
        )
    holders = [name for name in here if "ca.key" in facts[name]["authorities"]]
    running = [name for name in holders if facts[name]["etcd_data"] or name not in etcd]
    absent = [name for name in (*control_planes, *etcd) if name not in facts]
    if not holders and absent:
        raise KubeinstallError(
            f"none of {', '.join(here)} has the cluster's authorities, and {', '.join(absent)} may have them; "
            "let all of them take part"
        )
    first = next(iter(running or holders or here))
    known = facts[first]["authorities"]
    carry = any(
        fact["authorities"].get(name) != known.get(name) or name not in known
        for host, fact in facts.items()
        for name in files_for(configs[host])
    )
    data = [name for name in etcd if facts.get(name, {}).get("etcd_data")]
    new = not data and all(name in facts for name in etcd)
    bootstrapping = any(
        not fact["joined"]
        and set(configs[host]["host"]["roles"]) == {"node"}  # a host of etcd alone is no node
        for host, fact in facts.items()
    )
    serving = tuple(name for name in here if facts[name].get("serving"))
    settled = all(fact.get("settled") for fact in facts.values())
    return Decision(
        first, carry, new, bootstrapping, serving, settled and not (carry or new or bootstrapping)
    )
