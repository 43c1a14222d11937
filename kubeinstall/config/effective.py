"""From files and flags to one complete, checked configuration."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kubeinstall.config import validation
from kubeinstall.config.defaults import default_cluster, default_init, default_reset
from kubeinstall.config.documents import Document, read_documents
from kubeinstall.config.errors import ConfigError, Problem
from kubeinstall.config.migrate import migrate_all
from kubeinstall.config.schemas import KUBELET, PROXY, V1BETA3, V1BETA4
from kubeinstall.config.structure import structure_problems

Object = dict[str, Any]

_CHECKS: dict[str, Callable[[Object], Iterator[validation.Finding]]] = {
    "InitConfiguration": validation.check_init,
    "ClusterConfiguration": validation.check_cluster,
    "JoinConfiguration": validation.check_join,
    "ResetConfiguration": validation.check_reset,
    "UpgradeConfiguration": validation.check_upgrade,
}
_FOR_INIT = {
    "InitConfiguration",
    "ClusterConfiguration",
    "KubeletConfiguration",
    "KubeProxyConfiguration",
}


@dataclass(frozen=True)
class InitConfig:
    """What `init` works from: complete documents. `kubelet` and `proxy` are as the user gave them."""

    init: Object
    cluster: Object
    kubelet: Object = field(default_factory=lambda: {"apiVersion": KUBELET})
    proxy: Object = field(default_factory=lambda: {"apiVersion": PROXY})

    @property
    def node_name(self) -> str:
        """The Node's name."""
        return str(self.init["nodeRegistration"]["name"])

    @property
    def advertise_address(self) -> str:
        """The address of this host's API server."""
        return str(self.init["localAPIEndpoint"]["advertiseAddress"])

    @property
    def bind_port(self) -> int:
        """Its port."""
        return int(self.init["localAPIEndpoint"]["bindPort"])


def problems_in(documents: list[Document]) -> list[Problem]:
    """Everything wrong with the documents, shape and meaning, in file order."""
    problems: list[Problem] = []
    seen: dict[tuple[str, str], Document] = {}
    for document in documents:
        key = (document.source, document.kind)
        if key in seen and document.kind:
            line = seen[key].line
            problems.append(document.problem((), f"a second {document.kind} (first: line {line})"))
        seen.setdefault(key, document)
        found = structure_problems(document)
        if not found and document.api_version in (V1BETA4, V1BETA3):
            [current] = [d for d in migrate_all([document.data]) if d["kind"] == document.kind]
            found = [document.problem(path, text) for path, text in _CHECKS[document.kind](current)]
        problems.extend(found)
    return problems


def load_init(
    path: Path | None,
    *,
    node_name: str,
    address: str,
    init_overrides: Object | None = None,
    cluster_overrides: Object | None = None,
) -> InitConfig:
    """Read, lay flags over, default and check. ConfigError names file, line and field.

    `node_name` and `address` are this host's own; the overrides are partial documents made from
    command line flags, whose values win over the file's.
    """
    documents = read_documents(path) if path is not None else []
    problems = problems_in(documents)
    problems.extend(
        document.problem(("kind",), f"{document.kind} is not read by init")
        for document in documents
        if document.kind and document.kind not in _FOR_INIT
    )
    if problems:
        raise ConfigError(problems)
    given = {d["kind"]: d for d in migrate_all([document.data for document in documents])}
    init = merge(given.get("InitConfiguration", {}), init_overrides or {})
    cluster = merge(given.get("ClusterConfiguration", {}), cluster_overrides or {})
    config = InitConfig(
        init=default_init(init, node_name=node_name, address=address),
        cluster=default_cluster(cluster),
        kubelet=given.get("KubeletConfiguration", {"apiVersion": KUBELET}),
        proxy=given.get("KubeProxyConfiguration", {"apiVersion": PROXY}),
    )
    _check_complete(config, documents, str(path) if path else "command line")
    return config


def load_reset(path: Path | None, overrides: Object | None = None) -> Object:
    """A complete ResetConfiguration."""
    documents = read_documents(path) if path is not None else []
    problems = problems_in(documents)
    if problems:
        raise ConfigError(problems)
    given = next((d.data for d in documents if d.kind == "ResetConfiguration"), {})
    return default_reset(merge(given, overrides or {}))


def merge(base: Object, over: Object) -> Object:
    """Lay one document over another: mappings merge, everything else is replaced."""
    result = dict(base)
    for key, value in over.items():
        if isinstance(value, dict) and isinstance(result.get(key), dict):
            result[key] = merge(result[key], value)
        else:
            result[key] = value
    return result


def _check_complete(config: InitConfig, documents: list[Document], source: str) -> None:
    """Check again with defaults and flags in: a given pod range may overlap the default service
    range, and flags were never in a file."""
    problems: list[Problem] = []
    for kind, data in (
        ("InitConfiguration", config.init),
        ("ClusterConfiguration", config.cluster),
    ):
        home = next((d for d in documents if d.kind == kind), Document({}, source, line=0))
        problems.extend(home.problem(path, text) for path, text in _CHECKS[kind](data))
    if problems:
        raise ConfigError(problems)
