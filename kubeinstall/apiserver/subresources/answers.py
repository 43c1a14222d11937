"""Small answers and checks that several subresources share."""

from __future__ import annotations

from kubeinstall.api.types import Object
from kubeinstall.apiserver.request import CREATE, AdmissionAttributes, SubresourceContext
from kubeinstall.errors import BadRequest


def success() -> Object:
    """The `Status` that subresources without an object of their own answer."""
    return {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Success",
        "code": 201,
    }


def require_same_name(context: SubresourceContext, what: str) -> str:
    """The name of URL and body, which must agree. Raises `BadRequest`."""
    name = (context.body.get("metadata") or {}).get("name", "")
    if context.info.name and name != context.info.name:
        raise BadRequest(f"name in URL does not match name in {what} object")
    return context.info.name or name


async def admit(context: SubresourceContext, name: str) -> None:
    """Run admission on the subresource's object, as upstream does for creates."""
    await context.registry.admit(
        AdmissionAttributes(
            resource=context.resource,
            operation=CREATE,
            object=context.body,
            old=None,
            user=context.user,
            name=name,
            namespace=context.info.namespace,
            subresource=context.info.subresource,
            dry_run=context.dry_run,
            warnings=context.warnings,
        )
    )
