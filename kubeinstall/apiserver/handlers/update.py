"""PUT of an object, or of one of its subresources that are views of the same object."""

from __future__ import annotations

import orjson

from kubeinstall.api.types import Object
from kubeinstall.apiserver import fields, params, wire
from kubeinstall.apiserver.core import Call, Core
from kubeinstall.apiserver.engine import Write, rules, update
from kubeinstall.apiserver.handlers import body
from kubeinstall.apiserver.handlers.create import answer


async def update_object(core: Core, call: Call) -> None:
    """Replace, and answer with the object as stored: 200, or 201 where the update created it."""
    served, exchange, info = call.served, call.exchange, call.info
    body.media_type(exchange)
    options = params.write_options("UpdateOptions", exchange.params)
    obj = await body.read(call, served.resource, options.field_validation)
    body.settle_namespace(call, obj, served.resource)
    body.check_name(call, obj)
    manager = fields.manager(options, exchange)
    encoded = orjson.dumps(obj)
    write = Write(call.user, options.dry_run, options.object, exchange.warnings)

    async def replace(old: Object | None) -> Object:
        new: Object = orjson.loads(encoded)  # a copy of its own for each attempt
        live = wire.from_storage(served, old) if old is not None else None
        fields.own(served, live, new, manager, subresource=info.subresource)
        return wire.to_storage(served, new)

    done = await update(
        core.engine,
        served,
        info.namespace,
        info.name,
        replace,
        write,
        subresource=info.subresource,
        may_create=not info.subresource and rules.allows_create_on_update(served.storage),
        precondition_uid=True,
    )
    await answer(call, 201 if done.created else 200, done.result)
