"""Every role has a Molecule scenario that runs it twice and dry; what a sequence names is there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

TREE = Path(__file__).parents[2]
SHARED: dict[str, Any] = yaml.safe_load((TREE / ".config/molecule/config.yml").read_text())
ROLES = sorted(path.parents[1].name for path in TREE.glob("roles/*/tasks/main.yml"))
SCENARIOS = sorted(path.parent.name for path in TREE.glob("molecule/*/molecule.yml"))


def sequence(scenario: str) -> list[str]:
    """What `molecule test` does."""
    own = yaml.safe_load((TREE / "molecule" / scenario / "molecule.yml").read_text())
    assert own["scenario"]["name"] == scenario
    found: list[str] = own["scenario"].get("test_sequence") or SHARED["scenario"]["test_sequence"]
    return found


@pytest.mark.parametrize("role", ROLES)
def test_a_role_has_a_scenario(role: str) -> None:
    assert role in SCENARIOS


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_a_scenario_runs_twice_and_dry_and_leaves_no_host(scenario: str) -> None:
    steps = sequence(scenario)
    assert (steps[0], steps[1], steps[-1]) == ("destroy", "create", "destroy")
    wanted = ("dry_before.yml", "converge", "idempotence", "dry_after.yml", "verify")
    places = [next(n for n, step in enumerate(steps) if step.endswith(name)) for name in wanted]
    assert places == sorted(places)


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_what_a_sequence_names_is_there(scenario: str) -> None:
    for step in sequence(scenario):
        for name in step.split()[1:]:
            assert (TREE / "molecule" / scenario / name).is_file(), step
