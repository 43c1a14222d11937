"""House rules of the roles, as tests: arguments, names, modules, check mode, scenarios."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.unit.roles.tree import (
    ACTIONS,
    BLOCKS,
    MODULES,
    PLAYBOOKS,
    PLUGINS,
    ROLES,
    ROOT,
    SCENARIOS,
    TASK_FILES,
    load,
    module_of,
    tasks,
)

_HANDLERS_OF_FAILURE = ("ignore_errors", "ignore_unreachable")
#: Facts of a run that one role leaves for the next; each is made by the role it is named after.
_TASKS_THAT_NAME_VARIABLES = ("ansible.builtin.set_fact",)


def by_name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def role_files(role: Path) -> list[Path]:
    return [*role.glob("tasks/*.yml"), *role.glob("handlers/*.yml")]


def test_there_is_something_to_test() -> None:
    assert len(ROLES) >= 10
    assert len(MODULES) >= 10
    assert len(TASK_FILES) > len(ROLES)


@pytest.mark.parametrize("role", ROLES, ids=by_name)
class TestRole:
    def test_argument_specs_are_the_defaults(self, role: Path) -> None:
        specs = load(role / "meta/argument_specs.yml")
        assert specs is not None, "meta/argument_specs.yml is missing"
        options: dict[str, Any] = specs["argument_specs"]["main"].get("options") or {}
        defaults = load(role / "defaults/main.yml") or {}
        optional = {name: o.get("default") for name, o in options.items() if not o.get("required")}
        assert _stripped(optional) == _stripped(defaults)

    def test_arguments_are_described_and_typed(self, role: Path) -> None:
        main = load(role / "meta/argument_specs.yml")["argument_specs"]["main"]
        assert main["short_description"]
        for name, option in (main.get("options") or {}).items():
            assert option.get("description"), f"{name} has no description"
            assert option.get("type"), f"{name} has no type"
            assert option["type"] != "list" or option.get("elements"), f"{name}: a list of what?"

    def test_variables_bear_the_roles_name(self, role: Path) -> None:
        prefix = f"{role.name}_"
        for name in load(role / "defaults/main.yml") or {}:
            assert name.startswith(prefix)
        for path in role_files(role):
            for name in _variables_made(path):
                assert name.startswith(prefix), f"{by_name(path)}: {name}"

    def test_default_of_another_roles_variable_is_stated_in_defaults(self, role: Path) -> None:
        """Tasks read the role's own variables only: what they need is to be seen in defaults/ and documented."""
        others = [other.name for other in ROLES if other != role]
        others.sort(key=len, reverse=True)
        foreign = re.compile(rf"(?<![\w.'])({'|'.join(others)})_\w+")
        for path in role_files(role):
            text = re.sub(r"#.*", "", path.read_text())
            for match in re.finditer(r"{{(.*?)}}|when:(.*)", text, re.DOTALL):
                expression = match.group(1) or match.group(2) or ""
                used = [m.group(0) for m in foreign.finditer(expression)]
                used = [name for name in used if not name.startswith(f"{role.name}_")]
                assert not used, f"{by_name(path)} uses {used}"

    def test_has_readme_and_metadata(self, role: Path) -> None:
        assert (role / "README.md").exists(), "README.md is missing"
        information = load(role / "meta/main.yml")["galaxy_info"]
        assert information["description"]
        assert information["license"] == "Apache-2.0"

    def test_has_a_scenario(self, role: Path) -> None:
        names = {scenario.name for scenario in SCENARIOS}
        assert role.name in names, f"molecule/{role.name} is missing"
        assert role.name in load(ROOT / "molecule/shared/vars/needs.yml")["needs"]


def _stripped(values: dict[str, Any]) -> dict[str, Any]:
    """A folded text ends as its block style wants; that is no difference."""
    return {k: v.strip() if isinstance(v, str) else v for k, v in values.items()}


def _variables_made(path: Path) -> list[str]:
    made = []
    for task in tasks(path):
        if "register" in task:
            made.append(str(task["register"]))
        made += list(task.get("vars") or {})
        for module in _TASKS_THAT_NAME_VARIABLES:
            made += [name for name in task.get(module) or {} if name != "cacheable"]
        loop_control = task.get("loop_control") or {}
        if "loop_var" in loop_control:
            made.append(str(loop_control["loop_var"]))
    return made


@pytest.mark.parametrize("path", TASK_FILES, ids=by_name)
class TestTasks:
    def test_modules_have_their_full_names(self, path: Path) -> None:
        for task in tasks(path):
            if not any(key in task for key in BLOCKS):
                module = module_of(task)
                assert module.count(".") >= 2, f"{task.get('name')}: {module or 'no module'}"

    def test_our_modules_exist(self, path: Path) -> None:
        names = {module.stem for module in MODULES}
        for task in tasks(path):
            collection, _, name = module_of(task).rpartition(".")
            assert collection != "kubeinstall.cluster" or name in names, name

    def test_failures_are_not_ignored(self, path: Path) -> None:
        for task in tasks(path):
            assert not [key for key in _HANDLERS_OF_FAILURE if key in task], task.get("name")
            assert task.get("failed_when") is not False, task.get("name")

    def test_every_task_has_a_name(self, path: Path) -> None:
        for task in tasks(path):
            if not any(key in task for key in BLOCKS):
                assert task.get("name"), task


def _constant(path: Path, name: str) -> str:
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.Assign) and any(getattr(t, "id", "") == name for t in node.targets):
            return str(ast.literal_eval(node.value))
    return ""


@pytest.mark.parametrize("module", MODULES, ids=by_name)
class TestModule:
    def test_works_in_check_mode_and_says_so(self, module: Path) -> None:
        action = PLUGINS / "action" / module.name
        text = module.read_text()
        if "AnsibleModule(" in text:
            assert "supports_check_mode=True" in text
        else:
            assert action.exists(), "neither a module nor an action plugin"
        if action.exists():
            assert "_supports_check_mode = True" in action.read_text()
        said = _constant(module, "DOCUMENTATION")
        assert re.search("check mode|touches no host", said), "check mode is not documented"

    def test_documented_options_are_the_accepted_ones(self, module: Path) -> None:
        documentation = yaml.safe_load(_constant(module, "DOCUMENTATION"))
        assert documentation["module"] == module.stem
        accepted = _spec(module)
        if accepted is not None:
            assert set(documentation.get("options") or {}) == accepted
        for task in (t for path in TASK_FILES for t in tasks(path)):
            given = task.get(f"kubeinstall.cluster.{module.stem}")
            if isinstance(given, dict):
                assert set(given) <= set(documentation.get("options") or {}), task.get("name")

    def test_has_examples_and_return_values(self, module: Path) -> None:
        examples = yaml.safe_load(_constant(module, "EXAMPLES"))
        assert any(f"kubeinstall.cluster.{module.stem}" in task for task in examples)
        assert yaml.safe_load(_constant(module, "RETURN"))


def _spec(module: Path) -> set[str] | None:
    """Keys of the module's SPEC, as far as they are written there."""
    for node in ast.parse(module.read_text()).body:
        target = getattr(node, "target", None)
        if isinstance(node, ast.AnnAssign) and getattr(target, "id", "") == "SPEC":
            assert isinstance(node.value, ast.Dict)
            return {key.value for key in node.value.keys if isinstance(key, ast.Constant)}  # type: ignore[misc]  # a text
    return None


def test_every_action_is_documented_as_a_module() -> None:
    assert {path.name for path in ACTIONS} <= {path.name for path in MODULES}


def test_playbooks_call_roles_that_exist() -> None:
    names = {role.name for role in ROLES}
    for path in PLAYBOOKS:
        for play in load(path):
            for entry in play.get("roles") or ():
                name = entry["role"] if isinstance(entry, dict) else entry
                assert name in names, f"{by_name(path)}: {name}"


def test_playbooks_have_names_that_a_collection_can_hold() -> None:
    """`ansible-playbook kubeinstall.cluster.NAME` wants a Python identifier."""
    assert [path.stem for path in PLAYBOOKS if not path.stem.isidentifier()] == []


def test_scenarios_are_of_roles_or_of_whole_clusters() -> None:
    names = {role.name for role in ROLES} | {"default", "ha"}
    for scenario in SCENARIOS:
        assert scenario.name in names
        assert (scenario / "vars/checks.yml").exists() or (scenario / "verify.yml").exists()
