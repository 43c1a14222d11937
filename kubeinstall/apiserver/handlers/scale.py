"""The scale subresource: an `autoscaling/v1` Scale as a view of a workload."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from kubeinstall.api import codec, table
from kubeinstall.api.resources import Resource
from kubeinstall.api.selectors import LabelSelector
from kubeinstall.api.types import Object
from kubeinstall.apiserver import fields, params
from kubeinstall.apiserver.core import Call, Core
from kubeinstall.apiserver.engine import Write, update
from kubeinstall.apiserver.handlers import body
from kubeinstall.apiserver.handlers.get import find
from kubeinstall.apiserver.handlers.patch import PatchBody, read_patch, unreadable
from kubeinstall.apiserver.respond import send_object
from kubeinstall.errors import BadRequest, Conflict, FieldError, Invalid

_SCALE = codec.Kind("autoscaling", "v1", "Scale")
_SCALE_TYPE = "io.k8s.api.autoscaling.v1.Scale"

#: The wanted Scale out of the current one.
_Make = Callable[[Object], Awaitable[Object]]


async def get_scale(core: Core, call: Call) -> None:
    """GET …/scale."""
    item = await find(core, call)
    await _answer(call, item.object())


async def update_scale(core: Core, call: Call) -> None:
    """PUT …/scale."""
    exchange = call.exchange
    body.media_type(exchange)
    options = params.write_options("UpdateOptions", exchange.params)
    obj = await body.read_kind(call, _SCALE, options.field_validation)
    body.settle_namespace(call, obj, call.served.resource)
    body.check_name(call, obj)

    async def scale(_current: Object) -> Object:
        return obj

    await _update(core, call, options, scale)


async def patch_scale(core: Core, call: Call) -> None:
    """PATCH …/scale."""
    patch: PatchBody = await read_patch(call)

    async def scale(current: Object) -> Object:
        changed = patch.change(call.served.resource, current)
        try:
            return codec.normalize_part(_SCALE_TYPE, changed)
        except BadRequest as error:
            raise unreadable(changed, error.message) from error

    await _update(core, call, patch.options, scale)


async def _update(core: Core, call: Call, options: params.WriteOptions, make: _Make) -> None:
    served, exchange, info = call.served, call.exchange, call.info
    manager = fields.manager(options, exchange)
    write = Write(call.user, options.dry_run, options.object, exchange.warnings)

    async def transform(old: Object | None) -> Object | None:
        if old is None:
            return None
        wanted = await make(scale_of(served.resource, old))
        _check(served.resource, info.name, wanted, old)
        replicas = (wanted.get("spec") or {}).get("replicas", 0)
        new = _with(old, _paths(served.resource)["specReplicasPath"], replicas)
        new["metadata"] = dict(old["metadata"])
        live = {"kind": served.resource.kind, "apiVersion": served.resource.api_version, **old}
        fields.own(served, live, new, manager, subresource="scale")
        return new

    done = await update(
        core.engine, served, info.namespace, info.name, transform, write, subresource="scale"
    )
    await _answer(call, done.result.object())


async def _answer(call: Call, workload: Object) -> None:
    """Send the Scale of a workload in the form that the client wants."""
    resource, output = call.served.resource, call.output
    scale = scale_of(resource, workload)
    if output.transform == "Table":
        version = {"resourceVersion": scale["metadata"]["resourceVersion"]}
        include = call.exchange.query.get("includeObject") or "Metadata"
        scale = table.table(
            resource, [scale], list_metadata=version, include=include, kind=_SCALE.kind
        )
    await send_object(call.exchange, 200, scale, output)


def _check(resource: Resource, name: str, scale: Object, old: Object) -> None:
    version = (scale.get("metadata") or {}).get("resourceVersion")
    if version and version != old["metadata"]["resourceVersion"]:
        why = (
            "the object has been modified; please apply your changes to the latest version and try"
            " again"
        )
        raise Conflict.for_object(resource.group, resource.name, name, why)
    replicas = (scale.get("spec") or {}).get("replicas", 0)
    if replicas < 0:
        message = f"Invalid value: {replicas}: must be greater than or equal to 0"
        error = FieldError("FieldValueInvalid", "spec.replicas", message)
        raise Invalid("autoscaling", "Scale", name, [error])


def scale_of(resource: Resource, obj: Object) -> Object:
    """The Scale of a workload."""
    metadata = obj["metadata"]
    paths = _paths(resource)
    replicas = _at(obj, paths["specReplicasPath"])
    kept = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")
    scale: Object = {
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": {key: metadata[key] for key in kept if key in metadata},
        "spec": {},
        "status": {"replicas": _at(obj, paths["statusReplicasPath"]) or 0},
    }
    if replicas:
        scale["spec"]["replicas"] = replicas
    text = _selector(resource, obj)
    if text:
        scale["status"]["selector"] = text
    return scale


def _selector(resource: Resource, obj: Object) -> str:
    """The selector in its textual form; a custom resource keeps it as text already."""
    if resource.custom is not None:
        path = _paths(resource).get("labelSelectorPath")
        return str(_at(obj, path) or "") if path else ""
    selector = (obj.get("spec") or {}).get("selector")
    if resource.kind == "ReplicationController":
        return str(LabelSelector.from_set(selector or {}))
    return str(LabelSelector.from_object(selector))


def _paths(resource: Resource) -> Object:
    """Where the numbers of a Scale stand: plain paths such as `.spec.replicas`."""
    if resource.custom is not None and resource.custom.scale is not None:
        return resource.custom.scale
    return {"specReplicasPath": ".spec.replicas", "statusReplicasPath": ".status.replicas"}


def _at(obj: Object, path: str) -> Any:
    value: Any = obj
    for name in path.strip(".").split("."):
        value = value.get(name) if isinstance(value, dict) else None
    return value


def with_replicas(resource: Resource, obj: Object, replicas: int) -> Object:
    """The workload with another number of replicas: what an admission plug-in made of its Scale."""
    return _with(obj, _paths(resource)["specReplicasPath"], replicas)


def _with(obj: Object, path: str, value: Any) -> Object:
    """A copy with another value at `path`; what is not on the way is shared."""
    name, _, rest = path.strip(".").partition(".")
    return {**obj, name: _with(obj.get(name) or {}, rest, value) if rest else value}
