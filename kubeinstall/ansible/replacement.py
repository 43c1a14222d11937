"""Replacing a cluster's authorities: what each stage does on one host.

Stages are those of `pki/replacement`. Between them every host must have done the one before, and what pods were given
must have followed; `settled` waits for that. All of it may be run again after an interruption at any point.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kubeinstall.ansible import paths, renewal, served, stages
from kubeinstall.ansible.authorities import files_for
from kubeinstall.ansible.components import is_worker
from kubeinstall.ansible.identity import identity_of
from kubeinstall.ansible.objects import with_client
from kubeinstall.ansible.outcome import Outcome
from kubeinstall.ansible.restarts import installed_settings, restart_changed
from kubeinstall.errors import KubeinstallError
from kubeinstall.pki.certificates import is_signed_by, load_certificates
from kubeinstall.pki.expiry import outdated, renew
from kubeinstall.pki.inventory import CA
from kubeinstall.pki.kubeconfigs import client_certificate, trust
from kubeinstall.pki.replacement import (
    FOLDER,
    Stage,
    blocks,
    discard_new,
    make_new,
    place_new,
    public_name,
    read_new,
    replaceable,
    waiting,
    write_stage,
)

if TYPE_CHECKING:
    from kubeinstall.client.client import ApiClient

Object = dict[str, Any]

_KUBELET_SECONDS = 90.0
_SERVER_SECONDS = 60.0


def look(config: Object) -> Outcome:
    """Fact `waiting`: names of the new authorities that wait here."""
    return Outcome(facts={"waiting": waiting(_pki(config))})


def begin(config: Object, names: Sequence[str], *, check: bool) -> Outcome:
    """Make new authorities on the host that acts for the cluster, or find those of a replacement that stopped.

    Facts: `names`; `files` (secret); `authority`, the new ca.crt, empty when it is not replaced; `retired`, key ids of
    the service-account keys that go.
    """
    pki, identity = _pki(config), identity_of(config)
    wanted = list(names) or replaceable(identity)
    unknown = [name for name in wanted if name not in replaceable(identity)]
    if unknown:
        raise KubeinstallError(
            f"there is no authority {unknown[0]!r}; choose from {', '.join(replaceable(identity))}"
        )
    begun = waiting(pki)
    outcome = Outcome()
    if begun and names and sorted(names) != begun:
        outcome.warnings.append(
            f"a replacement of {', '.join(begun)} was begun before; it is ended first"
        )
    if not begun:
        outcome.add(f"make new authorities: {', '.join(wanted)}")
    outcome.facts.update(names=begun or wanted, files={}, authority="", retired=[])
    if check:
        return outcome
    outcome.facts["names"] = make_new(pki, identity, wanted)
    files = read_new(pki)
    outcome.facts["files"] = files
    if "ca.crt" in files:
        outcome.facts["authority"] = base64.b64decode(files["ca.crt"]).decode()
    if "sa.pub" in files:
        outcome.facts["retired"] = _retired(pki, base64.b64decode(files["sa.pub"]))
    return outcome


def _retired(pki: Path, new: bytes) -> list[str]:
    from cryptography.hazmat.primitives import serialization

    from kubeinstall.apiserver.authn.keys import key_id

    keep = blocks(new)
    old = [found for found in blocks((pki / "sa.pub").read_bytes()) if found not in keep]
    keys = [serialization.load_pem_public_key(block) for block in old]
    return [key_id(key) for key in keys]  # type: ignore[arg-type]  # only RSA and EC keys verify tokens


def require_all(known: Sequence[str]) -> None:
    """KubeinstallError when the cluster has a node that does not take part: it would trust nobody at the end, and be
    trusted by nobody."""

    async def work(client: ApiClient) -> Outcome:
        nodes = (await client.list("v1/nodes"))["items"]
        return Outcome(facts={"nodes": [node["metadata"]["name"] for node in nodes]})

    found = with_client(paths.ADMIN, work, _SERVER_SECONDS).facts["nodes"]
    left_out = [name for name in found if name not in known]
    if left_out:
        raise KubeinstallError(
            f"nodes that do not take part would be lost: {', '.join(left_out)}; all hosts must change together, so "
            "have them all in one inventory, and run kubeinstall certs rotate-ca -i INVENTORY"
        )


def place(config: Object, files: Mapping[str, str], *, check: bool) -> Outcome:
    """Have what this host will need of the new authorities wait here."""
    wanted = {name: files[name] for name in files_for(config) if name in files}
    outcome = Outcome()
    if waiting(_pki(config)) != sorted({name.rpartition(".")[0] for name in wanted}):
        outcome.add("bring the new authorities")
    if not check:
        place_new(_pki(config), wanted)
    return outcome


def reach(
    config: Object, stage: Stage, authority: str, others: Sequence[str], *, check: bool
) -> Outcome:
    """Bring this host to the stage: authorities' files, what they signed, and everything that reads either.

    `authority` is the new ca.crt, for workers, which hold nothing else; `others` are the other control planes.
    """
    pki = _pki(config)
    outcome = Outcome()
    if check:
        outcome.add(f"replace authorities: {stage.name.lower()}")
        return outcome
    for name, (new, key) in _new(config, authority).items():
        if write_stage(pki, name, stage, new, key):
            outcome.add(f"{stage.name.lower()}: {pki / public_name(name)}")
    for name in outdated(paths.KUBERNETES, pki, identity_of(config)):
        renew(paths.KUBERNETES, pki, identity_of(config), name)
        outcome.add(f"issue {name} afresh")
    if is_worker(config) and (paths.KUBERNETES / "kubelet.conf").exists():
        outcome.extend(_worker(pki, stage))
    outcome.extend(_serving(pki))
    outcome.extend(_restart(config, others))
    return outcome


def _new(config: Object, authority: str) -> dict[str, tuple[bytes, bytes | None]]:
    """Authority → its new certificate (or public key), and its key where this host holds it."""
    pki = _pki(config)
    folder = pki / FOLDER
    found: dict[str, tuple[bytes, bytes | None]] = {
        name: ((folder / public_name(name)).read_bytes(), (folder / f"{name}.key").read_bytes())
        for name in waiting(pki)
    }
    if authority and is_worker(config) and (pki / "ca.crt").exists():
        found[CA] = (authority.encode(), None)
    return found


def _worker(pki: Path, stage: Stage) -> Outcome:
    """The kubelet's kubeconfig trusts what ca.crt holds, and its certificate is of the authority that signs."""
    outcome = Outcome()
    kubeconfig = paths.KUBERNETES / "kubelet.conf"
    bundle = (pki / "ca.crt").read_bytes()
    if trust(kubeconfig, bundle):
        outcome.add(f"trust: {kubeconfig}")
    if stage >= Stage.ISSUE and not _is_of(client_certificate(kubeconfig), bundle):
        _ask_for_certificate(kubeconfig)
        if not _is_of(client_certificate(kubeconfig), bundle):
            raise KubeinstallError(
                "the kubelet's new certificate is signed by the old authority: a controller manager still uses it"
            )
        outcome.add("the kubelet has a certificate of the new authority")
    return outcome


def _is_of(certificate: bytes, bundle: bytes) -> bool:
    """Whether the authority that signs now, the first of the bundle, signed it."""
    return is_signed_by(load_certificates(certificate)[0], load_certificates(bundle)[0])


def _ask_for_certificate(kubeconfig: Path) -> None:
    from kubeinstall.client.client import ApiClient
    from kubeinstall.kubelet.bootstrap_files import CLIENT, Pair
    from kubeinstall.kubelet.bootstrap_kubeconfig import point_at
    from kubeinstall.kubelet.bootstrap_request import Request, obtain

    pair = Pair(paths.KUBELET / "pki", CLIENT)
    name = str((installed_settings().get("kubelet") or {})["hostname-override"])
    # A key of an earlier request would find that request, which the old authority granted.
    pair.pending_key.unlink(missing_ok=True)

    async def ask() -> tuple[bytes, bytes]:
        async with (
            asyncio.timeout(_KUBELET_SECONDS),
            ApiClient.from_kubeconfig(kubeconfig, user_agent="kubeinstall") as client,
        ):
            return await obtain(client, Request(name), pair.pending_key)

    try:
        certificate, key = asyncio.run(ask())
    except TimeoutError as error:
        raise KubeinstallError(
            f"no certificate for the kubelet after {_KUBELET_SECONDS:.0f} s: is its request approved (kubectl get csr)?"
        ) from error
    pair.store(certificate, key)
    point_at(kubeconfig, pair.current)


def _serving(pki: Path) -> Outcome:
    """A serving certificate that the cluster's authority gave the kubelet (serverTLSBootstrap) is asked for again when
    the kubelet starts without it."""
    current = paths.KUBELET / "pki/kubelet-server-current.pem"
    if not current.exists() or not (pki / "ca.crt").exists():
        return Outcome()
    signers = load_certificates((pki / "ca.crt").read_bytes())
    certificate = load_certificates(current.read_bytes())[0]
    if is_signed_by(certificate, signers[0]) or not any(
        is_signed_by(certificate, signer) for signer in signers[1:]
    ):
        return Outcome()
    current.unlink()
    return Outcome(changes=["have the kubelet ask for a serving certificate"])


def _restart(config: Object, others: Sequence[str]) -> Outcome:
    outcome = Outcome()
    if renewal.etcd_is_stale():
        outcome.extend(renewal.restart_member(config if "host" in config else None))
    if not paths.COMPONENTS.exists():
        return outcome
    if others and restart_changed(["kube-apiserver"], check=True).changed:
        stages.others_serve(config, others)
    restarted = restart_changed()
    outcome.extend(restarted)
    if restarted.changed or outcome.changed:
        if "kube-apiserver" in installed_settings():
            stages.wait_own_server()
        outcome.changes += served.verify(installed_settings())
    return outcome


def end(config: Object, *, check: bool) -> Outcome:
    """Nothing waits here any more."""
    outcome = Outcome()
    if waiting(_pki(config)):
        outcome.add("the replacement of authorities is done")
        if not check:
            discard_new(_pki(config))
    return outcome


def _pki(config: Object) -> Path:
    return Path(config["cluster"]["certificatesDir"])
