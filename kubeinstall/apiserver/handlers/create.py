"""POST to a collection."""

from __future__ import annotations

from kubeinstall.apiserver import fields, params, wire
from kubeinstall.apiserver.core import Call, Core
from kubeinstall.apiserver.engine import Result, Write, create
from kubeinstall.apiserver.handlers import body
from kubeinstall.apiserver.respond import encode, send


async def create_object(core: Core, call: Call) -> None:
    """Create, and answer 201 with the object as stored."""
    served, exchange = call.served, call.exchange
    body.media_type(exchange)
    options = params.write_options("CreateOptions", exchange.params)
    obj = await body.read(call, served.resource, options.field_validation)
    body.settle_namespace(call, obj, served.resource)
    fields.own(served, None, obj, fields.manager(options, exchange))
    write = Write(call.user, options.dry_run, options.object, exchange.warnings)
    result = await create(
        core.engine, served, wire.to_storage(served, obj), write, call.info.namespace
    )
    await answer(call, 201, result)


async def answer(call: Call, status: int, result: Result) -> None:
    """Send a stored object in the form that the client wants."""
    served, output = call.served, call.output
    if served.same and output.plain:
        call.exchange.respond(status, "application/json", wire.plain(served, result.data))
        return
    include = call.exchange.query.get("includeObject", "")
    obj = wire.transform(served, wire.decode(served, result.data), output, include=include)
    await send(call.exchange, status, encode(obj, output), output.media_type)
