"""etcd as a service of a host: Debian's program, kubeadm's places and certificates, a unit of ours.

A cluster that is new starts with all members at once. A member that comes to a running cluster joins as a learner
and is promoted when it has caught up; so does one whose disk was lost, after its old entry is removed.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import yaml

from kubeinstall.ansible import paths
from kubeinstall.ansible.commands import CommandError
from kubeinstall.ansible.etcdctl import EtcdClient, Member
from kubeinstall.ansible.outcome import Outcome
from kubeinstall.ansible.services import Service, ensure_services, last_words, unit_active
from kubeinstall.ansible.textfiles import ensure_text
from kubeinstall.errors import KubeinstallError
from kubeinstall.pki.identity import join_host_port

Object = dict[str, Any]

NAME = "etcd"
CONFIG = paths.KUBERNETES / "etcd.yaml"
BINARY = "/usr/bin/etcd"
_HEADER = "# Written by kubeinstall; changes are overwritten.\n"
_HEALTH_SECONDS = 90.0
_PROMOTE_SECONDS = 120.0
_PEER, _CLIENT = 2380, 2379
#: Kept from the file that is there: they matter once, when a member first starts.
_FIRST_START = ("initial-cluster", "initial-cluster-state")


def client_of(config: Object) -> EtcdClient:
    """The cluster's client for a host with the health check's certificate."""
    pki = Path(config["cluster"]["certificatesDir"]) / "etcd"
    return EtcdClient(tuple(config["host"]["etcd"]["client_urls"]), pki)


def has_data(config: Object) -> bool:
    """Whether this host is, or was, a member."""
    return (data_directory(config) / "member/wal").is_dir()


def data_directory(config: Object) -> Path:
    """kubeadm's `etcd.local.dataDir`."""
    return Path((config["cluster"]["etcd"].get("local") or {}).get("dataDir") or "/var/lib/etcd")


def peer_url(address: str) -> str:
    """Where the other members reach one."""
    return f"https://{join_host_port(address, _PEER)}"


def settings(config: Object, *, new: bool, members: dict[str, str]) -> Object:
    """etcd's configuration file. `members` (name → address) are those of the first start."""
    name = config["init"]["nodeRegistration"]["name"]
    address = config["host"]["etcd"]["members"][name]
    pki = f"{config['cluster']['certificatesDir']}/etcd"
    client = f"https://{join_host_port(address, _CLIENT)}"
    own: Object = {
        "name": name,
        "data-dir": str(data_directory(config)),
        "listen-client-urls": f"{client},https://127.0.0.1:{_CLIENT}",
        "advertise-client-urls": client,
        "listen-peer-urls": peer_url(address),
        "initial-advertise-peer-urls": peer_url(address),
        "listen-metrics-urls": "http://127.0.0.1:2381",
        "initial-cluster": ",".join(f"{n}={peer_url(a)}" for n, a in sorted(members.items())),
        "initial-cluster-state": "new" if new else "existing",
        "initial-cluster-token": config["cluster"]["clusterName"],
        # Twice the defaults: small machines stall for longer than a second while they start.
        "heartbeat-interval": 200,
        "election-timeout": 2000,
        # A member that was cut off must not end the leader's term when it comes back; the default from 3.5 on.
        "pre-vote": True,
        "quota-backend-bytes": 8 * 2**30,
        "client-transport-security": _security(pki, "server"),
        "peer-transport-security": _security(pki, "peer"),
    }
    local = config["cluster"]["etcd"].get("local") or {}
    for argument in local.get("extraArgs") or []:
        own[argument["name"]] = yaml.safe_load(str(argument["value"]))
    return own


def _security(pki: str, kind: str) -> Object:
    return {
        "cert-file": f"{pki}/{kind}.crt",
        "key-file": f"{pki}/{kind}.key",
        "trusted-ca-file": f"{pki}/ca.crt",
        "client-cert-auth": True,
    }


def ensure_etcd(config: Object, *, new: bool, check: bool) -> Outcome:
    """Have this host's member configured, running and healthy. `new`: the cluster is being made.

    A member that runs with another configuration is not restarted here, since others may be at the same moment: the
    fact `etcd_restart` says that it should be, and `restart_etcd` does it.
    """
    outcome = Outcome()
    name = config["init"]["nodeRegistration"]["name"]
    members, joined = dict(config["host"]["etcd"]["members"]), False
    if not has_data(config) and not new:
        outcome.add(f"add etcd member {name}")
        if not check:
            members, joined = _join(config, name), True
    text = _HEADER + yaml.safe_dump(
        _keep_first_start(config, settings(config, new=new, members=members))
    )
    running = unit_active(NAME)
    written = ensure_text(CONFIG, text, check=check)
    outcome.extend(written)
    if running and written.changed:
        outcome.facts["etcd_restart"] = True
        return outcome
    outcome.extend(ensure_services([_service()], check=check))
    # A run that stopped after the member was added has left it a learner.
    learner = joined or (not new and not check and is_learner(config))
    if not check and (outcome.changed or learner):
        _wait_healthy(config, learner=learner)
        if learner:
            _promote(config, name)
            outcome.add(f"promote etcd member {name}")
    return outcome


def restart_etcd(config: Object, *, check: bool) -> Outcome:
    """Restart this member, when all the others are healthy, and wait until it is."""
    client = client_of(config)
    sick = [url for url in client.urls[1:] if not client.healthy(url)]
    if sick:
        raise KubeinstallError(
            f"etcd is not restarted: {', '.join(sick)} is not healthy, and quorum would be at risk"
        )
    outcome = Outcome(changes=["restart etcd.service"])
    if not check:
        from kubeinstall.ansible.commands import run

        run(["systemctl", "restart", NAME])
        _wait_healthy(config)
    return outcome


def config_here() -> Object:
    """As much of a configuration as asking this host's cluster takes, from what is installed."""
    pki = paths.KUBERNETES / "pki"
    own = str((yaml.safe_load(CONFIG.read_text()) or {})["advertise-client-urls"])
    members = EtcdClient((own,), pki / "etcd").members()
    others = [m.client_url for m in members if m.client_url and m.client_url != own]
    host = {"etcd": {"client_urls": [own, *others]}}
    return {"cluster": {"certificatesDir": str(pki)}, "host": host}


def _service() -> Service:
    return Service(
        name=NAME,
        command=(BINARY, "--config-file", str(CONFIG)),
        description="etcd, the cluster's datastore",
    )


def _keep_first_start(config: Object, wanted: Object) -> Object:
    """A grown cluster must not look like a changed configuration on the members that are there."""
    if has_data(config) and CONFIG.exists():
        before = yaml.safe_load(CONFIG.read_text()) or {}
        return {**wanted, **{key: before[key] for key in _FIRST_START if key in before}}
    return wanted


def _join(config: Object, name: str) -> dict[str, str]:
    """Be on the member list as a learner; the members (name → address) to start with."""
    client, addresses = client_of(config), dict(config["host"]["etcd"]["members"])
    others = client.urls[1:]
    own = peer_url(addresses[name])
    deadline = time.monotonic() + _PROMOTE_SECONDS
    while True:
        listed = client.members(others)
        mine = next((m for m in listed if m.peer_url == own or m.name == name), None)
        if mine is not None and not mine.name:
            break  # an earlier run put it there, or it belongs to the first members
        try:
            if mine is not None:
                # It was a member, and its disk is empty: the old one will never come back.
                client.run("member", "remove", mine.id, urls=others)
            client.run("member", "add", name, "--learner", f"--peer-urls={own}", urls=others)
        except CommandError as error:
            # One learner at a time, and none while a member is unhealthy: another host's turn.
            if "learner" not in str(error) and "unhealthy" not in str(error):
                raise
            if time.monotonic() > deadline:
                raise
            time.sleep(1)
    return _start_with(client.members(others), addresses, name)


def _start_with(listed: list[Member], addresses: dict[str, str], name: str) -> dict[str, str]:
    """What `initial-cluster` must say: exactly the member list, this one by its name."""
    by_url = {peer_url(address): member for member, address in addresses.items()}
    found = {}
    for member in listed:
        known = member.name or by_url.get(member.peer_url) or name
        found[known] = member.peer_url.removeprefix("https://").rpartition(":")[0].strip("[]")
    return found


def _wait_healthy(config: Object, *, learner: bool = False) -> None:
    client = client_of(config)
    deadline = time.monotonic() + _HEALTH_SECONDS
    own = client.urls[0]
    # A learner answers no linearizable read; that it is up is all that can be asked of it.
    while not (_answers(client, own) if learner else client.healthy(own)):
        if time.monotonic() > deadline:
            raise KubeinstallError(
                f"etcd is not healthy after {_HEALTH_SECONDS:.0f} s\n{last_words(NAME)}"
            )
        time.sleep(0.2)


def _answers(client: EtcdClient, url: str) -> bool:
    try:
        # The one thing besides serializable reads that a learner answers.
        client.run("endpoint", "status", seconds=3, urls=[url])
    except CommandError:
        return False
    return True


def is_learner(config: Object) -> bool:
    """Whether this host's member has joined and was not promoted yet."""
    name, client = config["init"]["nodeRegistration"]["name"], client_of(config)
    others = client.urls[1:]
    if not others:
        return False
    try:
        return any(member.learner and member.name == name for member in client.members(others))
    except CommandError:
        return False


def _promote(config: Object, name: str) -> None:
    client = client_of(config)
    others = client.urls[1:]
    deadline = time.monotonic() + _PROMOTE_SECONDS
    while True:
        mine = next((m for m in client.members(others) if m.name == name), None)
        if mine is not None and not mine.learner:
            return
        try:
            if mine is not None:
                client.run("member", "promote", mine.id, urls=others)
                continue
        except CommandError as error:
            if "in sync with leader" not in str(error) or time.monotonic() > deadline:
                raise
        if time.monotonic() > deadline:
            raise KubeinstallError(
                f"etcd member {name} has not caught up after {_PROMOTE_SECONDS:.0f} s"
            )
        time.sleep(0.5)
