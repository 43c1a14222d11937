"""POST to subresources and to resources that are never stored: looked up in `subresources.HANDLERS`."""

from __future__ import annotations

from kubeinstall.api.types import Object
from kubeinstall.apiserver import fields, params
from kubeinstall.apiserver.core import Call, Core
from kubeinstall.apiserver.handlers import body
from kubeinstall.apiserver.request import SubresourceContext
from kubeinstall.apiserver.respond import send_object, unknown_route
from kubeinstall.apiserver.subresources import HANDLERS


async def create_subresource(core: Core, call: Call) -> None:
    """Decode what the path takes, run the handler, answer 201 with its result."""
    resource, info, exchange = call.served.resource, call.info, call.exchange
    handler = HANDLERS.get((resource.group, resource.name, info.subresource))
    if handler is None:
        raise unknown_route()
    body.media_type(exchange)
    options = params.write_options("CreateOptions", exchange.params)
    if info.subresource:
        subresource = resource.subresource(info.subresource)
        if subresource is None:
            raise unknown_route()
        kind = body.subresource_kind(resource, subresource)
        obj = await body.read_kind(call, kind, options.field_validation)
    else:
        obj = await body.read(call, resource, options.field_validation)
        fields.own(call.served, None, obj, fields.manager(options, exchange))
    body.settle_namespace(call, obj, resource)
    context = SubresourceContext(
        registry=core.services.registry,
        info=info,
        resource=resource,
        user=call.user,
        body=obj,
        query=exchange.query,
        services=core.services,
        dry_run=options.dry_run,
        warnings=exchange.warnings,
    )
    result: Object = await handler(context)
    if result.get("kind") == "Status":
        result.setdefault("code", 201)
    await send_object(exchange, 201, result, call.output)
