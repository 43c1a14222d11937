"""DELETE of one object, and of a collection."""

from __future__ import annotations

import orjson

from kubeinstall.api import codec, schema
from kubeinstall.api.patch.gojson import explain
from kubeinstall.api.types import Object
from kubeinstall.apiserver import params, select, wire
from kubeinstall.apiserver.core import Call, Core
from kubeinstall.apiserver.engine import Deleted, Write, delete, rules
from kubeinstall.apiserver.handlers import body
from kubeinstall.apiserver.handlers.create import answer
from kubeinstall.apiserver.negotiate import JSON, PROTOBUF
from kubeinstall.apiserver.params import ListOptions
from kubeinstall.apiserver.respond import encode, send, send_object, success
from kubeinstall.errors import BadRequest, NotFound, StatusError

_ORPHANS_WARNING = (
    "child pods are preserved by default when jobs are deleted; set propagationPolicy=Background to"
    " remove them or set propagationPolicy=Orphan to suppress this warning"
)


async def delete_object(core: Core, call: Call) -> None:
    """Delete. Answers with a Status, or with the object where it lives on or its kind wants that."""
    served, exchange, info = call.served, call.exchange, call.info
    options = await read_options(call)
    _warn(call, options)
    write = Write(call.user, bool(options.get("dryRun")), options, exchange.warnings)
    done = await delete(core.engine, served, info.namespace, info.name, options, write)
    # 202 only where the client said explicitly that dependents shall go and they are still there.
    status = 202 if not done.gone and options.get("orphanDependents") is False else 200
    if done.gone and not rules.returns_deleted(served.storage):
        await send_object(exchange, status, _deleted_status(call, done), call.output)
        return
    await answer(call, status, done.result)


def _deleted_status(call: Call, done: Deleted) -> Object:
    resource = call.served.resource
    metadata = done.result.object()["metadata"]
    details: Object = {"name": metadata["name"]}
    if resource.group:
        details["group"] = resource.group
    details |= {"kind": resource.name, "uid": metadata["uid"]}
    return success(details=details)


async def read_options(call: Call) -> Object:
    """DeleteOptions: the body's, else the query's, never both. Raises `BadRequest`, `Invalid`."""
    exchange = call.exchange
    data = await exchange.body()
    options = (
        _decode(data, body.media_type(exchange)) if data else params.delete_options(exchange.params)
    )
    params.check_delete_options(options)
    return options


def _decode(data: bytes, media_type: str) -> Object:
    """DeleteOptions belong to every group: only the kind is looked at."""
    try:
        given = _parse(data, media_type)
    except orjson.JSONDecodeError as error:
        raise _undecodable(
            f"couldn't get version/kind; json parse error: {explain(data)}"
        ) from error
    if not isinstance(given, dict):
        raise _undecodable("couldn't get version/kind; json parse error: not an object")
    kind, version = given.pop("kind", "DeleteOptions"), given.pop("apiVersion", "v1")
    if kind != "DeleteOptions":
        raise _undecodable(f'no kind "{kind}" is registered for version "{version}" in scheme')
    return codec.normalize_part(schema.DELETE_OPTIONS, given)


def _undecodable(message: str) -> StatusError:
    """Upstream does not wrap what its decoder says of these options."""
    return StatusError(message, code=500, reason="")


def _parse(data: bytes, media_type: str) -> object:
    if media_type == JSON:
        parsed: object = orjson.loads(data)
        return parsed
    if media_type == PROTOBUF:
        from kubeinstall.api import protobuf

        return protobuf.decode(data)
    import yaml

    try:
        return yaml.load(data, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506 - a safe loader
    except yaml.YAMLError as error:
        raise BadRequest(f"error decoding YAML: {error}") from error


def _warn(call: Call, options: Object) -> None:
    """batch/v1 keeps the default of its first days, which surprises."""
    resource = call.served.resource
    silent = "propagationPolicy" in options or "orphanDependents" in options
    if (resource.group, resource.name) == ("batch", "jobs") and not silent:
        call.exchange.warnings.append(_ORPHANS_WARNING)


async def delete_collection(core: Core, call: Call, listing: ListOptions) -> None:
    """Delete everything selected; answers with the list of what was deleted."""
    served, exchange = call.served, call.exchange
    wanted = select.selection(
        served, call.info.namespace, listing.label_selector, listing.field_selector
    )
    params.check_list_options(listing)
    options = await read_options(call)
    _warn(call, options)
    write = Write(call.user, bool(options.get("dryRun")), options, exchange.warnings)
    await core.cacher.fresh()
    revision = core.cacher.revision
    items = []
    for item in list(core.cache(served).select(wanted)):
        try:
            done = await delete(
                core.engine, served, item.namespace, item.name, dict(options), write
            )
        except NotFound:
            continue  # somebody else was faster
        items.append(wire.from_storage(served, done.result.object()))
    resource = served.resource
    if resource.builtin:
        for obj in items:
            del obj["kind"], obj["apiVersion"]
    answer_list: Object = {
        "kind": resource.list_kind,
        "apiVersion": resource.api_version,
        "metadata": {"resourceVersion": str(revision)},
        "items": items,
    }
    await send(exchange, 200, encode(answer_list, call.output), call.output.media_type)
