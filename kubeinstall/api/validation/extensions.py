"""apiextensions.k8s.io/v1: CustomResourceDefinitions."""

from __future__ import annotations

from typing import Any

from kubeinstall.api.regex import RegexError, regex
from kubeinstall.api.types import Object
from kubeinstall.api.validation.admission import check_client_config
from kubeinstall.api.validation.errors import Errors
from kubeinstall.api.validation.formats import dns1035_label, dns1123_subdomain

_TYPES = ("array", "boolean", "integer", "number", "object", "string")
_COLUMN_TYPES = ("boolean", "date", "integer", "number", "string")
_COLUMN_FORMATS = ("", "byte", "date", "date-time", "double", "float", "int32", "int64", "password")
_NOT_STRUCTURAL = ("type", "default", "title", "description", "nullable", "additionalProperties")
_UNIQUE_ITEMS = "uniqueItems cannot be set to true since the runtime complexity becomes quadratic"
_FORBIDDEN = ("definitions", "dependencies", "id", "patternProperties", "additionalItems", "$ref")
_JUNCTORS = ("allOf", "anyOf", "oneOf")
_SCHEMA = "openAPIV3Schema"


def check_definition(errors: Errors, item: Object) -> None:
    """A CustomResourceDefinition."""
    spec = item.get("spec") or {}
    names, group = spec.get("names") or {}, spec.get("group", "")
    if item["metadata"].get("name") != f"{names.get('plural', '')}.{group}":
        message = 'must be spec.names.plural+"."+spec.group'
        errors.invalid("metadata.name", item["metadata"].get("name", ""), message)
    _check_group(errors, group)
    scope = spec.get("scope", "")
    if not scope:
        errors.required("spec.scope")
    else:
        errors.one_of("spec.scope", scope, ("Cluster", "Namespaced"))
    _check_versions(errors, spec)
    _check_names(errors, names, "spec.names")
    if spec.get("preserveUnknownFields"):
        message = (
            "cannot set to true, set x-kubernetes-preserve-unknown-fields to true in "
            "spec.versions[*].schema instead"
        )
        errors.invalid("spec.preserveUnknownFields", True, message)
    _check_conversion(errors, spec.get("conversion") or {}, "spec.conversion")
    stored = (item.get("status") or {}).get("storedVersions") or []
    if not stored and not any(v.get("storage") for v in spec.get("versions") or []):
        errors.invalid("status.storedVersions", None, "must have at least one stored version")


def _check_group(errors: Errors, group: str) -> None:
    if not group:
        errors.required("spec.group")
        return
    problems = dns1123_subdomain(group)
    errors.each("spec.group", group, problems)
    if not problems and "." not in group:
        errors.invalid("spec.group", group, "should be a domain with at least one dot")


def _check_versions(errors: Errors, spec: Object) -> None:
    versions = spec.get("versions") or []
    seen: set[str] = set()
    for index, version in enumerate(versions):
        at, name = f"spec.versions[{index}]", version.get("name", "")
        errors.each(f"{at}.name", name, dns1035_label(name))
        if name in seen:
            errors.invalid("spec.versions", versions, "must contain unique version names")
        seen.add(name)
        schema = (version.get("schema") or {}).get(_SCHEMA)
        # With one version upstream converts to its older layout, which keeps the schema at the top.
        where = f"{at}.schema.{_SCHEMA}" if len(versions) > 1 else f"spec.validation.{_SCHEMA}"
        if schema is None:
            errors.required(f"{at}.schema.{_SCHEMA}", "schemas are required")
        else:
            _check_root(errors, schema, where)
            from kubeinstall.api.custom.rules import check_rules  # CEL: only definitions pay for it

            check_rules(errors, schema, where)
        _check_subresources(errors, version.get("subresources") or {}, f"{at}.subresources")
        for number, column in enumerate(version.get("additionalPrinterColumns") or []):
            _check_column(errors, column, f"{at}.additionalPrinterColumns[{number}]")
    if sum(bool(version.get("storage")) for version in versions) != 1:
        message = "must have exactly one version marked as storage version"
        errors.invalid("spec.versions", versions, message)


def _check_names(errors: Errors, names: Object, path: str) -> None:
    for field in ("plural", "singular", "kind", "listKind"):
        value = names.get(field, "")
        if not value:
            if field in {"plural", "kind"}:
                errors.required(f"{path}.{field}")
            continue
        text = value.lower() if field in {"kind", "listKind"} else value
        for problem in dns1035_label(text):
            detail = f"may have mixed case, but should otherwise match: {problem}"
            errors.invalid(
                f"{path}.{field}", value, detail if field in {"kind", "listKind"} else problem
            )
    for field in ("shortNames", "categories"):
        for index, value in enumerate(names.get(field) or []):
            errors.each(f"{path}.{field}[{index}]", value, dns1035_label(value))
    if names.get("kind") and names.get("kind") == names.get("listKind"):
        message = "kind and listKind may not be the same"
        errors.invalid(f"{path}.listKind", names["listKind"], message)


def _check_conversion(errors: Errors, conversion: Object, path: str) -> None:
    strategy, hook = conversion.get("strategy", "None"), conversion.get("webhook")
    if strategy not in {"None", "Webhook"}:
        errors.not_supported(f"{path}.strategy", strategy, ("None", "Webhook"))
    if strategy == "None" and hook is not None:
        message = "should not be set when strategy is not set to Webhook"
        errors.forbidden(f"{path}.webhookClientConfig", message)
    if strategy == "Webhook":
        config = (hook or {}).get("clientConfig")
        if config is None:
            message = "required when strategy is set to Webhook"
            errors.required(f"{path}.webhookClientConfig", message)
        else:
            check_client_config(errors, config, f"{path}.webhookClientConfig")
        if not (hook or {}).get("conversionReviewVersions"):
            errors.required(f"{path}.conversionReviewVersions")


def _check_column(errors: Errors, column: Object, path: str) -> None:
    for field in ("name", "type", "jsonPath"):
        if not column.get(field):
            errors.required(f"{path}.{'JSONPath' if field == 'jsonPath' else field}")
    kind = column.get("type", "")
    if kind:
        errors.one_of(f"{path}.type", kind, _COLUMN_TYPES)
    errors.one_of(f"{path}.format", column.get("format", ""), _COLUMN_FORMATS)


def _check_subresources(errors: Errors, subresources: Object, path: str) -> None:
    scale = subresources.get("scale")
    if scale is None:
        return
    for field, prefix in (("specReplicasPath", ".spec."), ("statusReplicasPath", ".status.")):
        value = scale.get(field, "")
        if not value:
            errors.required(f"{path}.scale.{field}")
        elif not value.startswith(prefix):
            message = f"should be a json path under {prefix[:-1]}"
            errors.invalid(f"{path}.scale.{field}", value, message)


def _check_root(errors: Errors, schema: Object, path: str) -> None:
    if schema.get("type") != "object":
        if not schema.get("type"):
            errors.required(f"{path}.type", "must not be empty at the root")
        else:
            message = "must be object at the root"
            errors.invalid(f"{path}.type", schema["type"], message)
    if schema.get("nullable"):
        errors.forbidden(f"{path}.nullable", "nullable cannot be true at the root")
    _check_schema(errors, schema, path)


def _check_schema(errors: Errors, schema: Object, path: str) -> None:
    """Structural schemas: types everywhere, no constructs that the API server cannot prune by."""
    kind = schema.get("type", "")
    int_or_string = schema.get("x-kubernetes-int-or-string")
    preserve = schema.get("x-kubernetes-preserve-unknown-fields")
    if kind:
        errors.one_of(f"{path}.type", kind, _TYPES)
    elif not int_or_string and not preserve and not path.endswith(_SCHEMA):
        errors.required(f"{path}.type", "must not be empty for specified object fields")
    if schema.get("uniqueItems"):
        errors.forbidden(f"{path}.uniqueItems", _UNIQUE_ITEMS)
    for field in _FORBIDDEN:
        if schema.get(field):
            errors.forbidden(f"{path}.{field}", f"{field} is not supported")
    _check_children(errors, schema, path)
    _check_extensions(errors, schema, path)
    pattern = schema.get("pattern")
    if pattern:
        try:
            regex(pattern)
        except RegexError as error:
            errors.invalid(
                f"{path}.pattern",
                pattern,
                f"must be a valid regular expression, but isn't: {error}",
            )


def _check_children(errors: Errors, schema: Object, path: str) -> None:
    properties, extra, items = (
        schema.get("properties"),
        schema.get("additionalProperties"),
        schema.get("items"),
    )
    if properties and extra not in (None, False):
        message = "additionalProperties and properties are mutual exclusive"
        errors.forbidden(f"{path}.additionalProperties", message)
    for name, child in (properties or {}).items():
        _check_schema(errors, child, f"{path}.properties[{name}]")
    if isinstance(extra, dict):
        _check_schema(errors, extra, f"{path}.additionalProperties")
    if isinstance(items, dict):
        _check_schema(errors, items, f"{path}.items")
    elif isinstance(items, list):
        message = "items must be a schema object and not an array"
        errors.forbidden(f"{path}.items", message)
    elif schema.get("type") == "array":
        errors.required(f"{path}.items", "must be specified")
    for junctor in _JUNCTORS:
        for index, child in enumerate(schema.get(junctor) or []):
            _check_junctor(errors, child, f"{path}.{junctor}[{index}]")
    if schema.get("not"):
        _check_junctor(errors, schema["not"], f"{path}.not")


def _check_junctor(errors: Errors, schema: Object, path: str) -> None:
    """Below allOf, anyOf, oneOf and not, a schema only validates: it may not shape the object."""
    for field in _NOT_STRUCTURAL:
        if schema.get(field) and not (
            field == "type" and schema.get("type") in {"integer", "string"}
        ):
            errors.forbidden(f"{path}.{field}", "must be empty to be structural")
    for name, child in (schema.get("properties") or {}).items():
        _check_junctor(errors, child, f"{path}.properties[{name}]")
    if isinstance(schema.get("items"), dict):
        _check_junctor(errors, schema["items"], f"{path}.items")


def _check_extensions(errors: Errors, schema: Object, path: str) -> None:
    kind = schema.get("type", "")
    list_type, map_type = schema.get("x-kubernetes-list-type"), schema.get("x-kubernetes-map-type")
    keys = schema.get("x-kubernetes-list-map-keys") or []
    if schema.get("x-kubernetes-preserve-unknown-fields") is False:
        errors.invalid(
            f"{path}.x-kubernetes-preserve-unknown-fields", False, "must be true or undefined"
        )
    if list_type is not None:
        if kind != "array":
            errors.invalid(
                f"{path}.type", kind, "must be array if x-kubernetes-list-type is specified"
            )
        errors.one_of(f"{path}.x-kubernetes-list-type", list_type, ("atomic", "map", "set"))
    if map_type is not None:
        if kind != "object":
            errors.invalid(
                f"{path}.type", kind, "must be object if x-kubernetes-map-type is specified"
            )
        errors.one_of(f"{path}.x-kubernetes-map-type", map_type, ("atomic", "granular"))
    if keys and list_type != "map":
        message = "must be map if x-kubernetes-list-map-keys is non-empty"
        _required_or_invalid(errors, f"{path}.x-kubernetes-list-type", list_type, message)
    if list_type == "map":
        _check_map_keys(errors, schema, keys, path)
    for index, rule in enumerate(schema.get("x-kubernetes-validations") or []):
        if not (rule.get("rule") or "").strip():
            errors.required(
                f"{path}.x-kubernetes-validations[{index}].rule", "rule is not specified"
            )


def _required_or_invalid(errors: Errors, path: str, value: Any, message: str) -> None:
    if value is None:
        errors.required(path, message)
    else:
        errors.invalid(path, value, message)


def _check_map_keys(errors: Errors, schema: Object, keys: list[str], path: str) -> None:
    if not keys:
        message = "must not be empty if x-kubernetes-list-type is map"
        errors.required(f"{path}.x-kubernetes-list-map-keys", message)
        return
    item = schema.get("items")
    properties = (item or {}).get("properties") or {} if isinstance(item, dict) else {}
    for index, key in enumerate(keys):
        at = f"{path}.x-kubernetes-list-map-keys[{index}]"
        if key in keys[:index]:
            errors.invalid(
                f"{path}.x-kubernetes-list-map-keys", keys, "must not contain duplicate entries"
            )
        if key not in properties:
            errors.invalid(at, key, "entries must all be names of item properties")


def check_definition_update(errors: Errors, new: Object, old: Object) -> None:
    """Group, names and scope of an established definition are fixed."""
    check_definition(errors, new)
    now, before = (x.get("spec") or {} for x in (new, old))
    established = any(
        c.get("type") == "Established" and c.get("status") == "True"
        for c in (old.get("status") or {}).get("conditions") or []
    )
    errors.immutable("spec.group", now.get("group"), before.get("group"))
    new_names, old_names = now.get("names") or {}, before.get("names") or {}
    errors.immutable("spec.names.plural", new_names.get("plural"), old_names.get("plural"))
    if established:
        errors.immutable("spec.scope", now.get("scope"), before.get("scope"))
        errors.immutable("spec.names.kind", new_names.get("kind"), old_names.get("kind"))
    stored = (new.get("status") or {}).get("storedVersions") or []
    known = {version.get("name") for version in now.get("versions") or []}
    for index, name in enumerate(stored):
        if name not in known:
            message = (
                f"missing from spec.versions; {name} was previously a storage version, and must remain in "
                f"spec.versions until a storage migration ensures no data remains persisted in {name} and removes "
                f"{name} from status.storedVersions"
            )
            errors.invalid(f"status.storedVersions[{index}]", name, message)
