"""The end of a run, in a dry run."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from kubeinstall.ansible import nodes
from kubeinstall.ansible.outcome import Outcome
from kubeinstall.client.status import from_status
from kubeinstall.errors import Forbidden

MARKS: dict[str, Any] = {"labels": {"a": "b"}, "taints": []}


class Refusing:
    """A client of a cluster whose administrator has no rights yet."""

    async def list(self, _kind: str) -> dict[str, Any]:
        raise from_status(
            {"status": "Failure", "code": 403, "reason": "Forbidden", "message": "no"}
        )


def _with(_path: object, work: Callable[[Any], Awaitable[Outcome]], _seconds: float) -> Outcome:
    import asyncio

    async def run() -> Outcome:
        return await work(Refusing())

    return asyncio.run(run())


def test_no_rights_yet_is_as_no_nodes_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    """A run ended between the API server's start and the cluster's objects."""
    monkeypatch.setattr(nodes, "with_client", _with)
    assert nodes.ensure_nodes({"x": MARKS}, check=True).changes == ["mark node x"]


def test_a_run_itself_tells_that_it_has_no_rights(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nodes, "with_client", _with)
    with pytest.raises(Forbidden):
        nodes.ensure_nodes({"x": MARKS}, check=False)
