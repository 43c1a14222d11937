"""`kubeinstall join [ENDPOINT] [phase NAME [ENDPOINT]]`."""

from __future__ import annotations

import pytest
import typer

from kubeinstall.cli.join import _words

ENDPOINT = "10.0.0.1:6443"


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([], ("", None)),
        ([ENDPOINT], (ENDPOINT, None)),
        (["phase"], ("", "")),
        ([ENDPOINT, "phase", "preflight"], (ENDPOINT, "preflight")),
        (["phase", "preflight", ENDPOINT], (ENDPOINT, "preflight")),
        (
            ["phase", "control-plane-prepare", "all", "api.lab"],
            ("api.lab", "control-plane-prepare/all"),
        ),
        (
            ["phase", "control-plane-join/mark-control-plane"],
            ("", "control-plane-join/mark-control-plane"),
        ),
    ],
)
def test_words(words: list[str], expected: tuple[str, str | None]) -> None:
    assert _words(words) == expected


@pytest.mark.parametrize("words", [[ENDPOINT, ENDPOINT + "1"], [ENDPOINT, "phase", "certs", "b:1"]])
def test_two_endpoints_are_one_too_many(words: list[str]) -> None:
    with pytest.raises(typer.BadParameter, match="one API server endpoint"):
        _words(words)
