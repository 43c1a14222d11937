"""storage.k8s.io: StorageClasses, VolumeAttachments, CSINodes, CSIDrivers, CSIStorageCapacities."""

from __future__ import annotations

from typing import Any

from kubeinstall.api.quantity import Quantity
from kubeinstall.api.types import Object
from kubeinstall.api.validation.errors import Errors
from kubeinstall.api.validation.formats import dns1123_subdomain, label_value, qualified_name
from kubeinstall.api.validation.labels import check_label_selector
from kubeinstall.api.validation.pod.volumes import check_driver_name


def check_class(errors: Errors, item: Object) -> None:
    """A StorageClass."""
    provisioner = item.get("provisioner", "")
    if not provisioner:
        errors.required("provisioner")
    else:
        errors.each("provisioner", provisioner, qualified_name(provisioner.lower()))
    parameters = item.get("parameters") or {}
    if len(parameters) > 512:
        errors.too_long("parameters", 512)
    if "" in parameters:
        errors.invalid("parameters", "", "field can not be empty.")
    policy = item.get("reclaimPolicy")
    if policy:
        errors.one_of("reclaimPolicy", policy, ("Delete", "Retain"))
    mode = item.get("volumeBindingMode")
    if mode is None:
        errors.required("volumeBindingMode")
    else:
        errors.one_of("volumeBindingMode", mode, ("Immediate", "WaitForFirstConsumer"))
    for index, term in enumerate(item.get("allowedTopologies") or []):
        _check_topology(errors, term, f"allowedTopologies[{index}]")


def _check_topology(errors: Errors, term: Object, path: str) -> None:
    keys: set[str] = set()
    for index, expression in enumerate(term.get("matchLabelExpressions") or []):
        at, key, values = (
            f"{path}.matchLabelExpressions[{index}]",
            expression.get("key", ""),
            expression.get("values") or [],
        )
        if not values:
            errors.required(f"{at}.values")
        for number, value in enumerate(values):
            if value in values[:number]:
                errors.duplicate(f"{at}.values[{number}]", value)
            errors.each(f"{at}.values[{number}]", value, label_value(value))
        errors.each(f"{at}.key", key, qualified_name(key))
        if key in keys:
            errors.duplicate(f"{at}.key", key)
        keys.add(key)


def check_class_update(errors: Errors, new: Object, old: Object) -> None:
    """Nearly everything of a StorageClass is fixed."""
    for field in ("parameters", "provisioner", "reclaimPolicy", "volumeBindingMode"):
        if (new.get(field) or None) != (old.get(field) or None):
            if field == "volumeBindingMode":
                errors.invalid(field, new.get(field), "field is immutable")
            else:
                errors.forbidden(field, f"updates to {field} are forbidden.")


def check_attachment(errors: Errors, item: Object) -> None:
    """A VolumeAttachment."""
    spec = item.get("spec") or {}
    attacher, node = spec.get("attacher", ""), spec.get("nodeName", "")
    check_driver_name(errors, attacher, "spec.attacher")
    source = spec.get("source") or {}
    inline, name = source.get("inlineVolumeSpec"), source.get("persistentVolumeName")
    if inline is None and name is None:
        errors.required(
            "spec.source", "must specify exactly one of inlineVolumeSpec and persistentVolumeName"
        )
    elif inline is not None and name is not None:
        errors.forbidden(
            "spec.source", "must specify exactly one of inlineVolumeSpec and persistentVolumeName"
        )
    elif name == "":
        errors.required(
            "spec.source.persistentVolumeName", "must specify non empty persistentVolumeName"
        )
    if not node:
        errors.required("spec.nodeName")
    else:
        errors.each("spec.nodeName", node, dns1123_subdomain(node))


def check_attachment_update(errors: Errors, new: Object, old: Object) -> None:
    """A VolumeAttachment's spec is fixed."""
    check_attachment(errors, new)
    errors.immutable("spec", new.get("spec"), old.get("spec"))


def check_csi_node(errors: Errors, item: Object) -> None:
    """A CSINode."""
    seen: set[str] = set()
    for index, driver in enumerate((item.get("spec") or {}).get("drivers") or []):
        at, name = f"spec.drivers[{index}]", driver.get("name", "")
        check_driver_name(errors, name, f"{at}.name")
        if not driver.get("nodeID"):
            errors.required(f"{at}.nodeID")
        if name in seen:
            errors.duplicate(f"{at}.name", name)
        seen.add(name)
        count = (driver.get("allocatable") or {}).get("count")
        errors.not_negative(f"{at}.allocatable.count", count)
        keys = driver.get("topologyKeys") or []
        for number, key in enumerate(keys):
            if key in keys[:number]:
                errors.duplicate(f"{at}.topologyKeys", key)
            errors.each(f"{at}.topologyKeys", key, qualified_name(key))


def check_driver(errors: Errors, item: Object) -> None:
    """A CSIDriver."""
    check_driver_name(errors, item["metadata"].get("name", ""), "metadata.name")
    spec = item.get("spec") or {}
    for field in ("attachRequired", "podInfoOnMount", "storageCapacity"):
        if spec.get(field) is None:
            errors.required(f"spec.{field}")
    for index, mode in enumerate(spec.get("volumeLifecycleModes") or []):
        if mode not in {"Ephemeral", "Persistent"}:
            errors.not_supported(
                f"spec.volumeLifecycleModes[{index}]", mode, ("Ephemeral", "Persistent")
            )
    policy = spec.get("fsGroupPolicy")
    if policy is not None:
        errors.one_of("spec.fsGroupPolicy", policy, ("File", "None", "ReadWriteOnceWithFSType"))
    audiences: set[Any] = set()
    for index, request in enumerate(spec.get("tokenRequests") or []):
        audience = request.get("audience", "")
        if audience in audiences:
            errors.duplicate(f"spec.tokenRequests[{index}].audience", audience)
        audiences.add(audience)
        seconds = request.get("expirationSeconds")
        if seconds is not None and seconds < 600:
            message = "may not specify a duration less than 10 minutes"
            errors.invalid(f"spec.tokenRequests[{index}].expirationSeconds", seconds, message)


def check_driver_update(errors: Errors, new: Object, old: Object) -> None:
    """How volumes attach and live is fixed."""
    check_driver(errors, new)
    now, before = (x.get("spec") or {} for x in (new, old))
    for field in ("attachRequired", "volumeLifecycleModes"):
        errors.immutable(f"spec.{field}", now.get(field), before.get(field))


def check_capacity(errors: Errors, item: Object) -> None:
    """A CSIStorageCapacity."""
    name = item.get("storageClassName", "")
    if not name:
        errors.required("storageClassName")
    else:
        errors.each("storageClassName", name, dns1123_subdomain(name))
    check_label_selector(errors, item.get("nodeTopology"), "nodeTopology")
    for field in ("capacity", "maximumVolumeSize"):
        if item.get(field) is not None and Quantity.parse(item[field]) < Quantity():
            errors.invalid(
                field, str(Quantity.parse(item[field])), "must be greater than or equal to 0"
            )


def check_capacity_update(errors: Errors, new: Object, old: Object) -> None:
    """What the capacity is of is fixed."""
    check_capacity(errors, new)
    for field in ("nodeTopology", "storageClassName"):
        errors.immutable(field, new.get(field), old.get(field))


def check_attributes_class(errors: Errors, item: Object) -> None:
    """A VolumeAttributesClass."""
    name = item.get("driverName", "")
    if not name:
        errors.required("driverName")
    else:
        errors.each("driverName", name, qualified_name(name.lower()))
    if not item.get("parameters"):
        errors.required("parameters", "must contain at least one key/value pair")


def check_attributes_class_update(errors: Errors, new: Object, old: Object) -> None:
    """A VolumeAttributesClass is fixed."""
    for field in ("driverName", "parameters"):
        if new.get(field) != old.get(field):
            errors.forbidden(field, f"updates to {field} are forbidden.")
