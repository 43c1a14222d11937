"""`status.typeChecking` of policies: expressions checked with the types of what the policy matches.

Upstream's validatingadmissionpolicy-status controller. It warns; a policy works all the same.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from kubeinstall.api import schema
from kubeinstall.api.cel import CompileError, compile_expression, type_of_schema
from kubeinstall.api.cel import types as t
from kubeinstall.api.cel.admission import policy_variables
from kubeinstall.api.resources import Resource
from kubeinstall.api.types import Object
from kubeinstall.api.validation.expressions import with_variables
from kubeinstall.apiserver.authz.kinds import kind
from kubeinstall.apiserver.registry import Registry
from kubeinstall.errors import KubeinstallError

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

    from kubeinstall.apiserver.catalog import Catalog

_KINDS_AT_MOST = 10  # of one policy, as upstream
_SCALARS = {
    schema.STRING: t.STRING,
    schema.BOOLEAN: t.BOOL,
    schema.INT32: t.INT,
    schema.INT64: t.INT,
    schema.NUMBER: t.DOUBLE,
    schema.BYTES: t.BYTES,
    schema.TIME: t.TIMESTAMP,
    schema.MICRO_TIME: t.TIMESTAMP,
    schema.QUANTITY: t.DYN,
    schema.INT_OR_STRING: t.DYN,
}


class TypeChecking:
    """Keeps the status of policies; `run()` works until cancelled."""

    def __init__(self, registry: Registry, catalog: Catalog, log: FilteringBoundLogger) -> None:
        self._registry = registry
        self._catalog = catalog
        self._log = log
        self._kind = kind("validatingadmissionpolicies", "admissionregistration.k8s.io")
        self._pending: dict[str, None] = {}
        self._wake = asyncio.Event()
        registry.observe(self._kind, self._changed)

    def _changed(self, _old: Object | None, new: Object | None) -> None:
        if new is None:
            return
        if (new.get("status") or {}).get("observedGeneration") != new["metadata"].get("generation"):
            self._pending[new["metadata"]["name"]] = None
            self._wake.set()

    async def run(self) -> None:
        """Check one policy after the other."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._pending:
                name = next(iter(self._pending))
                del self._pending[name]
                try:
                    await self._registry.update(
                        self._kind, "", name, self._checked, subresource="status", admit=False
                    )
                except KubeinstallError as error:
                    self._log.warning("Policy not type-checked", policy=name, error=str(error))

    def _checked(self, policy: Object) -> Object:
        warnings = check_policy(self._catalog, policy)
        checking: Object = {"expressionWarnings": warnings} if warnings else {}
        status = {
            "observedGeneration": policy["metadata"].get("generation", 0),
            "typeChecking": checking,
        }
        return {**policy, "status": {**(policy.get("status") or {}), **status}}


def check_policy(catalog: Catalog, policy: Object) -> list[Object]:
    """The `expressionWarnings` of a policy."""
    spec = policy.get("spec") or {}
    found: list[Object] = []
    resources = _matched(catalog, spec)
    for index, validation in enumerate(spec.get("validations") or []):
        for field in ("expression", "messageExpression"):
            source = validation.get(field)
            texts = [_warning(one, spec, source) for one in resources] if source else []
            text = "\n".join(one for one in texts if one)
            if text:
                found.append({"fieldRef": f"spec.validations[{index}].{field}", "warning": text})
    return found


def _matched(catalog: Catalog, spec: Object) -> list[Resource]:
    """The kinds that rules name in full; a wildcard tells no type."""
    found: dict[Resource, None] = {}
    for rule in (spec.get("matchConstraints") or {}).get("resourceRules") or []:
        for served in catalog:
            one = served.resource
            if (
                one.group in rule.get("apiGroups", ())
                and one.version in rule.get("apiVersions", ())
                and one.name in rule.get("resources", ())
            ):
                found[one] = None
    return list(found)[:_KINDS_AT_MOST]


def _warning(resource: Resource, spec: Object, source: str) -> str:
    made = _type_of(resource)
    known: Mapping[str, t.Type] = policy_variables(
        params=spec.get("paramKind") is not None, typed={"object": made, "oldObject": made}
    )
    fields: dict[str, t.Type] = {}
    try:
        for variable in spec.get("variables") or []:
            program = compile_expression(variable["expression"], with_variables(known, fields))
            fields[variable["name"]] = program.type
        compile_expression(source, with_variables(known, fields))
    except CompileError as error:
        return f"{resource.api_version}, Kind={resource.kind}: {error}"
    return ""


def _type_of(resource: Resource) -> t.Type:
    if resource.custom is not None:
        found = type_of_schema(resource.custom.schema or {}, root=True)
        return t.DYN if found is None else found
    name = schema.type_name(resource.group, resource.version, resource.kind)
    return t.DYN if name is None else _struct(name)


@functools.cache
def _struct(name: str) -> t.Type:
    def fields() -> Mapping[str, t.Type]:
        return dict(_fields(name))

    return t.Type(schema.short_name(name), (), fields)


def _fields(name: str) -> Iterator[tuple[str, t.Type]]:
    yield from (("apiVersion", t.STRING), ("kind", t.STRING))
    for field, found in schema.named(name).fields.items():
        yield field, _shape(found.shape)


def _shape(shape: schema.Shape) -> t.Type:
    if shape.kind == schema.STRUCT:
        return _struct(shape.type_name)
    if shape.kind == schema.LIST and shape.element is not None:
        return t.list_of(_shape(shape.element))
    if shape.kind == schema.MAP and shape.element is not None:
        return t.map_of(t.STRING, _shape(shape.element))
    return _SCALARS.get(shape.kind, t.DYN)
