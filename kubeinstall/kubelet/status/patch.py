"""The smallest strategic merge patch from one pod status to another."""

from __future__ import annotations

from kubeinstall.api.types import Object
from kubeinstall.kubelet.pod.conditions import OWNED

_MERGED_LISTS = {"podIPs": "ip", "hostIPs": "ip"}


def status_patch(uid: str, old: Object, new: Object) -> Object | None:
    """A patch for `pods/status`, bound to the pod's uid; None where nothing differs.

    Conditions merge by type, and those of others are left alone; other lists are replaced whole.
    """
    changes: Object = {}
    for name in {*old, *new}:
        before, after = old.get(name), new.get(name)
        if before == after:
            continue
        if name == "conditions":
            changed = _conditions(before or [], after or [])
            if changed:
                changes[name] = changed
        elif name in _MERGED_LISTS and after is not None:
            changes[name] = [*after, {"$patch": "replace"}] if before else after
        elif after is None:
            changes[name] = None
        elif isinstance(before, dict) and isinstance(after, dict):
            changes[name] = {**dict.fromkeys(before.keys() - after.keys()), **after}
        else:
            changes[name] = after
    if not changes:
        return None
    return {"metadata": {"uid": uid}, "status": changes}


def _conditions(before: list[Object], after: list[Object]) -> list[Object]:
    known = {condition["type"]: condition for condition in before}
    made = []
    for condition in after:
        old = known.pop(condition["type"], None)
        if old is None:
            made.append(condition)
        elif _content(old) != _content(condition):
            gone = dict.fromkeys(old.keys() - condition.keys())
            made.append({**gone, **condition})
    # Those of others stay: what this node has not seen yet must not be undone by it.
    made += [{"type": kind, "$patch": "delete"} for kind in known if kind in OWNED]
    return made


def _content(condition: Object) -> Object:
    return {k: v for k, v in condition.items() if v is not None}
