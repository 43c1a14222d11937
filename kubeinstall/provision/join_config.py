"""`JoinConfiguration`: read from a file, flags laid over, completed and checked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from kubeinstall.config.defaults import default_join
from kubeinstall.config.documents import Document, read_documents
from kubeinstall.config.effective import merge, problems_in
from kubeinstall.config.errors import ConfigError
from kubeinstall.config.migrate import migrate_all
from kubeinstall.config.validation import check_join

Object = dict[str, Any]


def load_join(path: Path | None, overrides: Object, *, node_name: str, address: str) -> Object:
    """A complete JoinConfiguration. ConfigError names file, line and field.

    `overrides` is a partial document made from command line flags, whose values win over the file's.
    """
    documents = read_documents(path) if path is not None else []
    problems = problems_in(documents)
    problems.extend(
        document.problem(("kind",), f"{document.kind} is not read by join")
        for document in documents
        if document.kind and document.kind not in ("JoinConfiguration", "KubeletConfiguration")
    )
    if problems:
        raise ConfigError(problems)
    given = {d["kind"]: d for d in migrate_all([document.data for document in documents])}
    merged = merge(given.get("JoinConfiguration", {}), overrides)
    complete = default_join(merged, node_name=node_name, address=address)
    home = next(
        (d for d in documents if d.kind == "JoinConfiguration"),
        Document({}, str(path) if path else "command line", line=0),
    )
    found = [home.problem(field, text) for field, text in check_join(complete)]
    if found:
        raise ConfigError(found)
    return complete
