"""Controllers' kinds: a status of their own and a generation that counts changes of the spec."""

from __future__ import annotations

from typing import Final

from kubeinstall.api.defaults.workloads import TEMPLATE_GENERATION
from kubeinstall.api.strategy.generic import bump, metadata, same, set_generation, take
from kubeinstall.api.types import Object

_NAME_LABELS: Final = ("job-name", "batch.kubernetes.io/job-name")
_UID_LABELS: Final = ("controller-uid", "batch.kubernetes.io/controller-uid")


def update_deployment(new: Object, old: Object) -> None:
    """Annotations count too: they are copied to replica sets."""
    take(new, old, "status")
    if not (same(new, old, "spec") and same(metadata(new), metadata(old), "annotations")):
        bump(new, old)


def update_deployment_status(new: Object, old: Object) -> None:
    """Labels stay with the spec."""
    take(new, old, "spec")
    take(metadata(new), metadata(old), "labels")


def create_stateful_set(obj: Object) -> None:
    """As other workloads, less what v1.36 turns off (the gate MaxUnavailableStatefulSet)."""
    obj["status"] = {}
    set_generation(obj, 1)
    _rolling(obj).pop("maxUnavailable", None)


def update_stateful_set(new: Object, old: Object) -> None:
    """A maximum that is in use already stays possible."""
    take(new, old, "status")
    if "maxUnavailable" not in _rolling(old):
        _rolling(new).pop("maxUnavailable", None)
    if not same(new, old, "spec"):
        bump(new, old)


def _rolling(obj: Object) -> Object:
    strategy = (obj.get("spec") or {}).get("updateStrategy") or {}
    return strategy.get("rollingUpdate") or {}


def create_daemon_set(obj: Object) -> None:
    """The template has a generation of its own, kept in an annotation."""
    obj["status"] = {}
    set_generation(obj, 1)
    _set_template_generation(obj, max(1, _template_generation(obj)))


def update_daemon_set(new: Object, old: Object) -> None:
    """Only the server counts the template's generation."""
    take(new, old, "status")
    generation = _template_generation(old)
    if not same(new.get("spec") or {}, old.get("spec") or {}, "template"):
        generation += 1
    _set_template_generation(new, generation)
    if not same(new, old, "spec"):
        bump(new, old)


def _template_generation(obj: Object) -> int:
    text = (metadata(obj).get("annotations") or {}).get(TEMPLATE_GENERATION, "0")
    try:
        return int(text)
    except ValueError:
        return 0


def _set_template_generation(obj: Object, generation: int) -> None:
    meta = metadata(obj)
    meta["annotations"] = {**(meta.get("annotations") or {}), TEMPLATE_GENERATION: str(generation)}


def create_job(obj: Object) -> None:
    """A selector by the job's uid, unless the user manages it. `metadata.uid` must be set."""
    obj["status"] = {}
    set_generation(obj, 1)
    spec = obj.setdefault("spec", {})
    if spec.get("manualSelector"):
        return
    meta = metadata(obj)
    name, uid = meta.get("name", ""), meta.get("uid", "")
    inner = spec.setdefault("template", {}).setdefault("metadata", {})
    labels = dict(inner.get("labels") or {})
    # A value the user chose stays; validation refuses it when it conflicts.
    for key in _NAME_LABELS:
        labels.setdefault(key, name)
    for key in _UID_LABELS:
        labels.setdefault(key, uid)
    inner["labels"] = labels
    selector = spec.get("selector") or {}
    selector["matchLabels"] = {_UID_LABELS[1]: uid, **(selector.get("matchLabels") or {})}
    spec["selector"] = selector
