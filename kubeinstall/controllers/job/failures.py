"""What a failed pod means under the Job's podFailurePolicy."""

from __future__ import annotations

from typing import NamedTuple

from kubeinstall.api.types import Object


class Verdict(NamedTuple):
    """The action of the rule that matched ("" for none) and why."""

    action: str
    message: str


def judge(policy: Object | None, pod: Object) -> Verdict:
    """The first rule that matches a failed pod."""
    for number, rule in enumerate((policy or {}).get("rules") or ()):
        action = rule["action"]
        if rule.get("onExitCodes"):
            found = _exit_code(rule["onExitCodes"], pod)
            if found is not None:
                container, code = found
                return Verdict(
                    action,
                    f"Container {container} for pod {_name(pod)} failed with exit code {code}"
                    f" matching {action} rule at index {number}",
                )
        elif kind := _condition(rule.get("onPodConditions") or (), pod):
            return Verdict(
                action,
                f"Pod {_name(pod)} has condition {kind} matching {action} rule at index {number}",
            )
    return Verdict("", "")


def counts(policy: Object | None, pod: Object) -> bool:
    """The failure counts towards the back-off limit."""
    return judge(policy, pod).action != "Ignore"


def _name(pod: Object) -> str:
    return f"{pod['metadata']['namespace']}/{pod['metadata']['name']}"


def _exit_code(wanted: Object, pod: Object) -> tuple[str, int] | None:
    status = pod.get("status") or {}
    listed = [
        *(status.get("initContainerStatuses") or ()),
        *(status.get("containerStatuses") or ()),
    ]
    for container in listed:
        if wanted.get("containerName") not in {None, container["name"]}:
            continue
        ended = (container.get("state") or {}).get("terminated")
        code = (ended or {}).get("exitCode") or 0
        if code == 0:
            continue
        inside = code in (wanted.get("values") or ())
        if inside == (wanted["operator"] == "In"):
            return container["name"], code
    return None


def _condition(wanted: list[Object] | tuple[()], pod: Object) -> str:
    for pattern in wanted:
        for found in (pod.get("status") or {}).get("conditions") or ():
            if found["type"] == pattern["type"] and found["status"] == pattern.get(
                "status", "True"
            ):
                return str(found["type"])
    return ""
