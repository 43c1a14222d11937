"""Phases, events, and what is shown of a run."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
import yaml
from rich.console import Console

from kubeinstall.errors import KubeinstallError
from kubeinstall.provision.closing import closing_text, join_command, summary
from kubeinstall.provision.display import progress, show_diffs, show_failures
from kubeinstall.provision.phases import PHASES, leave_out_addons, select_all_but, select_one
from kubeinstall.provision.playbook import Play, local_inventory, run_play
from kubeinstall.provision.results import RunResult, TaskResult
from kubeinstall.provision.share import shared

REPOSITORY = Path(__file__).resolve().parents[3]


def plain() -> Console:
    return Console(file=io.StringIO(), width=200, soft_wrap=True)


def text_of(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_every_phase_has_its_tag_in_the_playbook_or_a_role() -> None:
    tags: set[str] = set()
    for play in yaml.safe_load((shared("playbooks") / "init.yml").read_text()):
        for role in play["roles"]:
            tags.update(role["tags"])
            tasks = shared("roles") / role["role"] / "tasks/main.yml"
            for task in yaml.safe_load(tasks.read_text()):
                tags.update(task.get("tags", []))
    # These two talk to the cluster from here, without a play.
    known = {phase.tag for phase in PHASES} - {"show-join-command", "upload-certs"}
    assert known <= tags


def test_phase_variables_are_arguments_of_a_role() -> None:
    arguments: set[str] = set()
    for path in shared("roles").glob("*/meta/argument_specs.yml"):
        arguments.update(yaml.safe_load(path.read_text())["argument_specs"]["main"]["options"])
    assert {phase.variable for phase in PHASES if phase.variable} <= arguments


@pytest.mark.parametrize("path", sorted(shared("roles").iterdir()), ids=lambda path: path.name)
def test_argument_specs_equal_defaults(path: Path) -> None:
    specs = yaml.safe_load((path / "meta/argument_specs.yml").read_text())
    defaults = yaml.safe_load((path / "defaults/main.yml").read_text())
    options = specs["argument_specs"]["main"]["options"]
    assert {name: option.get("default") for name, option in options.items()} == defaults
    assert all(name.startswith(f"{path.name}_") for name in defaults)


def test_one_phase() -> None:
    selection = select_one("certs/apiserver")
    assert selection.tags == ["certs"]
    assert selection.variables == {"pki_certificates": ["apiserver"]}
    assert select_one("addon").variables == {"addons_phases": ["addon"]}
    assert select_one("certs/all").variables == {}


def test_kubeadms_other_phases_are_known() -> None:
    assert select_one("wait-control-plane").tags == ["control-plane"]
    assert select_one("upload-config/kubelet").tags == ["upload-config"]
    assert select_one("addon/coredns").variables == {"addons_phases": ["addon"]}
    with pytest.raises(KubeinstallError, match="kubeinstall apply"):
        select_one("etcd/local")
    nothing = select_all_but(["kubelet-finalize", "etcd/local", "addon/kube-proxy"])
    assert (nothing.tags, nothing.skip_tags, nothing.variables) == ([], [], {})
    with pytest.raises(KubeinstallError, match="together with upload-config"):
        select_all_but(["upload-config/kubelet"])


def test_skipped_addons_are_left_out_by_the_configuration() -> None:
    cluster: dict[str, Any] = {"proxy": {}, "dns": {"imageTag": "x"}}
    leave_out_addons(["addon/kube-proxy", "certs"], cluster)
    assert cluster == {"proxy": {"disabled": True}, "dns": {"imageTag": "x"}}


def test_skipped_phases() -> None:
    selection = select_all_but(["images", "control-plane/scheduler", "upload-config"])
    assert selection.skip_tags == ["images"]
    assert selection.variables == {
        "control_plane_components": ["kube-apiserver", "kube-controller-manager"],
        "addons_phases": ["bootstrap-token", "addon"],
    }
    objects = select_all_but(["upload-config", "bootstrap-token", "addon"])
    assert objects.skip_tags == ["upload-config", "bootstrap-token", "addon"]


@pytest.mark.parametrize("name", ["cert", "certs/apiservers", "preflight/x"])
def test_unknown_phases(name: str) -> None:
    with pytest.raises(KubeinstallError, match="invalid phase name"):
        select_all_but([name])


PLAYBOOK = """
- hosts: all
  gather_facts: false
  tasks:
    - name: Look
      ansible.builtin.debug: {msg: fine}
    - name: Change
      ansible.builtin.copy: {content: "%s", dest: "%s"}
    - name: Break
      ansible.builtin.fail: {msg: on purpose}
"""


def test_a_run_from_events_to_screen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "playbooks").mkdir()
    target = tmp_path / "made"
    (tmp_path / "playbooks/try.yml").write_text(PLAYBOOK % ("x", target))
    monkeypatch.setattr("kubeinstall.provision.playbook.shared", lambda name: tmp_path / name)
    console = plain()
    with progress(console) as shown:
        play = Play("try", local_inventory(), {"secret": "s3cret"})
        result = run_play(play, shown)
    assert [(t.task, t.status) for t in result.tasks] == [
        ("Look", "ok"),
        ("Change", "changed"),
        ("Break", "failed"),
    ]
    assert (result.ok, result.changed, target.read_text()) == (False, 1, "x")
    assert "[play] Change: changed (" in text_of(console)
    show_failures(console, result, "/the/log")
    shown_text = text_of(console)
    assert "localhost: [play] Break: FAILED" in shown_text
    assert "  on purpose" in shown_text
    assert "The whole log: /the/log" in shown_text
    assert "Change" in result.output
    assert "s3cret" not in result.output


def test_check_mode_changes_nothing_and_shows_the_diff(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "playbooks").mkdir()
    target = tmp_path / "made"
    text = (PLAYBOOK % ("new content", target)).rpartition("    - name: Break")[0]
    (tmp_path / "playbooks/try.yml").write_text(text)
    monkeypatch.setattr("kubeinstall.provision.playbook.shared", lambda name: tmp_path / name)
    console = plain()
    with progress(console) as shown:
        result = run_play(Play("try", local_inventory(), {}, check=True), shown)
    assert result.ok
    assert not target.exists()
    show_diffs(console, result)
    assert "+new content" in text_of(console)


def test_playbook_that_cannot_run_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "playbooks").mkdir()
    (tmp_path / "playbooks/try.yml").write_text("- hosts: all\n  tasks: 7\n")
    monkeypatch.setattr("kubeinstall.provision.playbook.shared", lambda name: tmp_path / name)
    console = plain()
    with progress(console) as shown:
        result = run_play(Play("try", local_inventory(), {}), shown)
    assert not result.ok
    show_failures(console, result, "/the/log")
    assert "A malformed block was encountered" in text_of(console)


def task(status: str, **more: Any) -> TaskResult:
    return TaskResult("h", "role", "Task", status, 0.1, **more)


def test_no_colour_outside_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    console = plain()
    with progress(console) as shown:
        shown.task_finished(
            task("changed", changes=("write /x",), warnings=("[WARNING Swap]: on",))
        )
    assert text_of(console) == (
        "[role] Task: changed (0.1 s)\n    write /x\n    [WARNING Swap]: on\n"
    )
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    terminal = Console(file=io.StringIO(), force_terminal=True, width=200)
    with progress(terminal) as shown:
        shown.task_finished(task("failed"))
    assert "\x1b[31m" not in text_of(terminal)


def test_summaries() -> None:
    result = RunResult(ok=True, seconds=5.55, tasks=[task("ok"), task("ok")])
    assert summary(result) == "2 tasks in 5.5 s, changed=0, the cluster was as configured"
    result.tasks.append(task("changed", changes=("start kube-node",)))
    result.facts["node_ready_seconds"] = 2.34
    assert summary(result) == (
        "3 tasks in 5.5 s, changed=1, node Ready 2.3 s after its processes started"
    )
    assert "nothing was changed" in summary(result, dry_run=True)


def test_closing_text() -> None:
    command = join_command("192.0.2.1:6443", "abcdef.0123456789abcdef", "sha256:00")
    text = closing_text("/etc/kubernetes/admin.conf", command, ["nginx"])
    assert "export KUBECONFIG=/etc/kubernetes/admin.conf" in text
    assert "join 192.0.2.1:6443 --token abcdef.0123456789abcdef \\\n\t--discovery-token" in text
    assert "--token" not in closing_text("/x", "", [])
