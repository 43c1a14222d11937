"""Our answers against those of a real upstream API server."""

from __future__ import annotations

import pytest

from tests.apiserver import golden

#: Of 481 requests. What is left: recorded values that depend on the recorder's cluster, and CEL.
STATUSES, BODIES = 0.98, 0.94


@pytest.mark.skipif(
    not golden.RECORDING.exists(), reason="no reference data: set KUBEINSTALL_REFERENCE"
)
async def test_answers_are_upstreams(capsys: pytest.CaptureFixture[str]) -> None:
    with golden.golden_server() as server:
        outcomes = await golden.replay(server)
    statuses, bodies, table = golden.shares(outcomes)
    with capsys.disabled():
        print(f"\n{table}")
    assert statuses >= STATUSES
    assert bodies >= BODIES


def test_stars_match_only_where_they_stand() -> None:
    assert not golden.differences({"a": "*", "b": ["x*z"]}, {"a": 1, "b": ["xyz"]})
    assert golden.differences({"a": "x*z"}, {"a": "xy"})
    assert golden.differences({"a": 1}, {"a": True})
    assert golden.differences({"a": 1}, {"a": 1, "b": 2}) == [".b: not wanted, have 2"]
    assert golden.differences([1, 2], [1]) != []
