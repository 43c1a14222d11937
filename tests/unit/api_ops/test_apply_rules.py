"""Server-side apply by its rules, over random sequences of applies and updates."""

from __future__ import annotations

import copy
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from kubeinstall.api.apply import fieldset as fs
from kubeinstall.api.apply import server_side_apply, update_managed_fields
from kubeinstall.api.resources import Resource, find
from kubeinstall.errors import Conflict

MANAGERS = ("one", "two", "three")
FIELDS = st.dictionaries(st.sampled_from("abcd"), st.sampled_from("12"), max_size=4)
STEPS = st.lists(
    st.tuples(st.sampled_from(("apply", "force", "update")), st.sampled_from(MANAGERS), FIELDS),
    min_size=1,
    max_size=8,
)


def config_maps() -> Resource:
    found = find("", "v1", "configmaps")
    assert found is not None
    return found


def owners(obj: Any, key: str, operation: str) -> set[str]:
    path = f".data.{key}"
    return {
        entry["manager"]
        for entry in obj["metadata"].get("managedFields", ())
        if entry["operation"] == operation and path in set(fs.paths(entry["fieldsV1"]))
    }


@given(STEPS)
@settings(max_examples=300, deadline=None)
def test_rules_hold_after_every_step(steps: list[tuple[str, str, dict[str, str]]]) -> None:
    resource = config_maps()
    live: Any = None
    for kind, manager, data in steps:
        before = copy.deepcopy(live)
        config = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}}
        if data:
            config["data"] = data
        old = (before or {}).get("data") or {}
        if kind == "update":
            new = {**copy.deepcopy(live or config), "data": dict(data)}
            update_managed_fields(resource, new, live, manager=manager)
            live = new
            for key, value in data.items():
                if old.get(key) != value:
                    assert owners(live, key, "Update") == {manager}
                    assert not owners(live, key, "Apply")
            for key in old.keys() - data.keys():
                assert not owners(live, key, "Update") | owners(live, key, "Apply")
            continue
        clash = [
            key
            for key, value in data.items()
            if key in old
            and old[key] != value
            and (owners(before, key, "Apply") - {manager} or owners(before, key, "Update"))
        ]
        try:
            result = server_side_apply(
                resource, live, config, manager=manager, force=kind == "force"
            )
        except Conflict as error:
            assert kind == "apply"
            fields = {cause["field"] for cause in (error.details or {})["causes"]}
            assert fields == {f".data.{key}" for key in clash}
            assert live == before
            continue
        assert kind == "force" or not clash
        live = result.object
        have = live.get("data") or {}
        for key, value in data.items():
            assert have[key] == value
            assert manager in owners(live, key, "Apply")
        for key in old.keys() - data.keys():
            mine = before is not None and manager in owners(before, key, "Apply")
            others = before is not None and (
                (owners(before, key, "Apply") - {manager}) | owners(before, key, "Update")
            )
            # Only what this manager applied before, and nobody else owns, goes.
            assert (key in have) is not (mine and not others), key
            assert manager not in owners(live, key, "Apply")
