"""PATCH: JSON patch, merge patch, strategic merge patch, and server-side apply."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import orjson

from kubeinstall.api import apply, codec, defaults, patch, resources
from kubeinstall.api.resources import Resource
from kubeinstall.api.types import Object
from kubeinstall.apiserver import fields, params, wire
from kubeinstall.apiserver.core import Call, Core
from kubeinstall.apiserver.engine import Write, update
from kubeinstall.apiserver.handlers import body
from kubeinstall.apiserver.handlers.create import answer
from kubeinstall.apiserver.handlers.gotext import go_text
from kubeinstall.apiserver.params import WriteOptions
from kubeinstall.errors import FieldError, Invalid, UnsupportedMediaType

APPLY = "application/apply-patch+yaml"
_TYPES = (patch.JSON_PATCH, patch.MERGE_PATCH, patch.STRATEGIC_MERGE_PATCH, APPLY)

#: What the JSON decoder says of a value of the wrong type.
_TYPE_ERROR = re.compile(
    r"json: cannot unmarshal (?P<found>\w+)(?: \S+)? into Go .* of type (?P<type>\S+)$"
)
_GO_KINDS = {
    "number": "int64",
    "string": "string",
    "bool": "bool",
    "array": "slice",
    "object": "map",
}
_GO_TYPES = {
    **_GO_KINDS,
    "array": "[]interface {}",
    "object": "map[string]interface {}",
}


async def patch_object(core: Core, call: Call) -> None:
    """Patch, retrying when somebody else was faster; 201 where an apply created."""
    served, exchange, info = call.served, call.exchange, call.info
    wanted = await read_patch(call)
    options = wanted.options
    manager = fields.manager(options, exchange)
    write = Write(call.user, options.dry_run, options.object, exchange.warnings)

    async def transform(old: Object | None) -> Object | None:
        if old is None:
            if wanted.media_type != APPLY or info.subresource:
                return None
            new = wanted.merge(call, None, manager)
        else:
            live = wire.from_storage(served, old)
            new = wanted.merge(call, live, manager)
        body.check_target(call, new, served.resource)
        return wire.to_storage(served, new)

    done = await update(
        core.engine,
        served,
        info.namespace,
        info.name,
        transform,
        write,
        subresource=info.subresource,
        may_create=wanted.media_type == APPLY and not info.subresource,
    )
    await answer(call, 201 if done.created else 200, done.result)


@dataclass(slots=True)
class PatchBody:
    """A patch as it came."""

    media_type: str
    content: Any
    options: WriteOptions
    warn: Callable[[str], None]
    #: What strict decoding finds in the patch itself: fields twice, operations with more than they may have.
    findings: list[str] = field(default_factory=list)

    def merge(self, call: Call, live: Object | None, manager: str) -> Object:
        """The patched object, defaulted, with its fields' owners noted."""
        resource = call.served.resource
        subresource = call.info.subresource
        if self.media_type == APPLY:
            done = apply.server_side_apply(
                resource,
                live,
                self.content,
                manager=manager,
                force=bool(self.options.force),
                subresource=subresource,
            )
            new = codec.normalize(resource, done.object)
            defaults.apply(resource, new)
            return new
        new = self.apply(resource, live or {})
        fields.own(call.served, live, new, manager, subresource=subresource)
        return new

    def apply(self, resource: Resource, current: Object) -> Object:
        """`current` with the patch applied, decoded as `resource`'s kind and defaulted."""
        return self._decode(resource, self.change(resource, current))

    def change(self, resource: Resource, current: Object) -> Object:
        """`current` with the patch applied, as it comes out."""
        if self.media_type == patch.JSON_PATCH:
            changed: Object = patch.json_patch(current, self.content)
            return changed
        if self.media_type == patch.STRATEGIC_MERGE_PATCH:
            return patch.strategic_merge_patch(resource, current, self.content)
        merged: Object = patch.merge_patch(current, self.content)
        return merged

    def _decode(self, resource: Resource, patched: Object) -> Object:
        strategic = self.media_type == patch.STRATEGIC_MERGE_PATCH
        # Upstream decodes anew what came out of the other patches: their kind may have changed.
        kind = resource if strategic else _kind_of(resource, patched)
        validation = body.validation(self.options.field_validation)
        try:
            decoded = codec.decode_patched(
                kind,
                patched,
                field_validation=validation,
                before=self.findings,
                shown=go_text(self.content) if strategic else "",
            )
        except Invalid as error:
            if strategic:
                raise _unconvertible(error, self.content) from error
            raise
        if kind is not resource:
            raise unreadable(
                patched,
                f"unable to decode {kind.api_version}, Kind={kind.kind} into {resource.kind}",
            )
        for warning in decoded.warnings:
            self.warn(warning)
        defaults.apply(resource, decoded.object)
        return decoded.object


def _kind_of(resource: Resource, patched: Object) -> Resource:
    """The kind that the patched object says it is: a patch may have changed it."""
    kind, version = patched.get("kind"), patched.get("apiVersion")
    if kind == resource.kind and version == resource.api_version:
        return resource
    if not kind or not version:
        missing = "Kind" if not kind else "apiVersion"
        shown = orjson.dumps(patched).decode()
        raise unreadable(patched, f"Object '{missing}' is missing in '{shown}'")
    group, _, bare = str(version).rpartition("/")
    found = resources.find_kind(group, bare, str(kind))
    if found is None:
        raise unreadable(
            patched,
            f'no kind "{kind}" is registered for version "{version}" in scheme'
            ' "pkg/api/legacyscheme/scheme.go:30"',
        )
    return found


def unreadable(patched: Object, message: str) -> Invalid:
    """The refusal of a patch whose outcome cannot be read."""
    shown = orjson.dumps(orjson.dumps(patched).decode()).decode()
    error = FieldError("FieldValueInvalid", "patch", f"Invalid value: {shown}: {message}")
    invalid = Invalid("", "", "", [error])
    invalid.details = {"causes": (invalid.details or {})["causes"]}
    return invalid


def _unconvertible(error: Invalid, content: Any) -> Invalid:
    """The same refusal in the words of the converter that strategic patches go through."""
    found = _TYPE_ERROR.search(error.errors[0].message)
    if found is None:
        return error
    source, target = found["found"], found["type"]
    if target.startswith("[]"):
        message = f"cannot restore slice from {_GO_KINDS[source]}"
    elif target.startswith("map["):
        message = f"cannot restore map from {_GO_KINDS[source]}"
    elif "." in target:
        message = f"cannot restore struct from: {_GO_KINDS[source]}"
    else:
        message = f"cannot convert {_GO_TYPES[source]} to {target}"
    return unreadable(content, message)


async def read_patch(call: Call) -> PatchBody:
    """Read the patch and its options. Raises what the router and upstream's handler raise."""
    exchange = call.exchange
    media_type = exchange.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if media_type not in _TYPES:
        # The router's own answer: no route consumes this.
        raise UnsupportedMediaType("415: Unsupported Media Type", details={})
    if media_type == patch.STRATEGIC_MERGE_PATCH and not call.served.resource.builtin:
        raise UnsupportedMediaType("415: Unsupported Media Type", details={})
    data = await exchange.body()
    options = params.write_options("PatchOptions", exchange.params, patch_type=media_type)
    if media_type == APPLY:
        wanted = body.validation(options.field_validation)
        content, warnings = codec.decode_applied(data, field_validation=wanted)
        exchange.warnings.extend(warnings)
    else:
        content = patch.decode(data, media_type)
    findings: list[str] = []
    if media_type != APPLY and body.validation(options.field_validation) != "Ignore":
        findings = _strict_findings(data, content, media_type)
    return PatchBody(media_type, content, options, exchange.warnings.append, findings)


_OPERATION = frozenset({"op", "path", "from", "value"})


def _strict_findings(data: bytes, content: Any, media_type: str) -> list[str]:
    found: list[str] = []
    if not codec.without_duplicates(content, data):
        found = codec.duplicates_of(data)
    if media_type != patch.JSON_PATCH:
        return found
    found += [
        f'unknown field "[{index}].{name}"'
        for index, operation in enumerate(content)
        for name in operation
        if name not in _OPERATION
    ]
    return [f"json patch {one}" for one in found]
