"""DELETE of one object, and of a collection."""

from __future__ import annotations

from kubeinstall.api import codec
from kubeinstall.api.types import Object
from kubeinstall.apiserver import params, select, wire
from kubeinstall.apiserver.core import Call, Core
from kubeinstall.apiserver.engine import Deleted, Write, delete, rules
from kubeinstall.apiserver.handlers import body
from kubeinstall.apiserver.handlers.create import answer
from kubeinstall.apiserver.params import ListOptions
from kubeinstall.apiserver.respond import encode, send, send_object, success
from kubeinstall.errors import NotFound

_DELETE_OPTIONS = codec.Kind("", "v1", "DeleteOptions")


async def delete_object(core: Core, call: Call) -> None:
    """Delete. Answers with a Status, or with the object where it lives on or its kind wants that."""
    served, exchange, info = call.served, call.exchange, call.info
    options = await read_options(call)
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
    if data:
        media_type = body.media_type(exchange)
        decoded = codec.decode_kind(_DELETE_OPTIONS, data, media_type, field_validation="Ignore")
        options = decoded.object
    else:
        options = params.delete_options(exchange.params)
    params.check_delete_options(options)
    return options


async def delete_collection(core: Core, call: Call, listing: ListOptions) -> None:
    """Delete everything selected; answers with the list of what was deleted."""
    served, exchange = call.served, call.exchange
    wanted = select.selection(
        served, call.info.namespace, listing.label_selector, listing.field_selector
    )
    params.check_list_options(listing)
    options = await read_options(call)
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
