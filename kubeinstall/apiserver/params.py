"""Query parameters as upstream reads and checks them: ListOptions, CreateOptions and so on."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from kubeinstall.api.types import Object
from kubeinstall.errors import BadRequest, FieldError, Invalid

_INTEGER = re.compile(r"[+-]?[0-9]+")
_MANAGER_LIMIT = 128  # characters
META_GROUP = "meta.k8s.io"


def boolean(text: str | None) -> bool:
    """Upstream's reading of a boolean parameter: anything but "", "0" and "false" given is true.

    A parameter that is there without a value (`?watch`) is true as well.
    """
    return text is not None and text.lower() not in ("false", "0")


def integer(text: str | None) -> int | None:
    """A 64-bit integer parameter; raises `BadRequest` with the words of Go's strconv."""
    if text is None:
        return None
    if not _INTEGER.fullmatch(text):
        raise BadRequest(f'strconv.ParseInt: parsing "{text}": invalid syntax')
    value = int(text)
    if not -(2**63) <= value < 2**63:
        raise BadRequest(f'strconv.ParseInt: parsing "{text}": value out of range')
    return value


def revision(text: str) -> int:
    """A resourceVersion; "" is 0. Raises `FieldError`-shaped text through `ValueError`."""
    if not text:
        return 0
    if not re.fullmatch(r"[0-9]+", text):
        raise ValueError(_revision_message(text, "invalid syntax"))
    value = int(text)
    if value >= 2**64:
        raise ValueError(_revision_message(text, "value out of range"))
    return value


def _revision_message(text: str, why: str) -> str:
    return f'resourceVersion: Invalid value: "{text}": strconv.ParseUint: parsing "{text}": {why}'


@dataclass(slots=True)
class ListOptions:
    """Parameters of list, watch and deletecollection; selectors as text."""

    label_selector: str = ""
    field_selector: str = ""
    watch: bool = False
    bookmarks: bool = False
    resource_version: str = ""
    match: str = ""
    timeout: int | None = None
    limit: int = 0
    continue_token: str = ""
    send_initial_events: bool | None = None


def list_options(query: Mapping[str, str]) -> ListOptions:
    """Read and check ListOptions; raises `BadRequest` or `Invalid`."""
    options = ListOptions()
    if not query:
        return options
    options.label_selector = query.get("labelSelector", "")
    options.field_selector = query.get("fieldSelector", "")
    options.watch = boolean(query.get("watch"))
    options.bookmarks = boolean(query.get("allowWatchBookmarks"))
    options.resource_version = query.get("resourceVersion", "")
    options.match = query.get("resourceVersionMatch", "")
    options.timeout = integer(query.get("timeoutSeconds"))
    options.limit = integer(query.get("limit")) or 0
    options.continue_token = query.get("continue", "")
    if "sendInitialEvents" in query:
        options.send_initial_events = boolean(query["sendInitialEvents"])
    return options


def check_list_options(options: ListOptions) -> None:
    """Combinations that are forbidden; raises `Invalid`."""
    errors = _watch_errors(options) if options.watch else _list_errors(options)
    if errors:
        raise Invalid(META_GROUP, "ListOptions", "", errors)


def _forbidden(path: str, why: str) -> FieldError:
    return FieldError("FieldValueForbidden", path, f"Forbidden: {why}")


def _unsupported(path: str, value: str, supported: tuple[str, ...]) -> FieldError:
    names = ", ".join(f'"{one}"' for one in supported)
    message = f"Unsupported value: {value}: supported values: {names}"
    return FieldError("FieldValueNotSupported", path, message)


def _list_errors(options: ListOptions) -> list[FieldError]:
    errors = []
    path = "resourceVersionMatch"
    if options.match:
        if not options.resource_version:
            errors.append(
                _forbidden(
                    path, "resourceVersionMatch is forbidden unless resourceVersion is provided"
                )
            )
        if options.continue_token:
            errors.append(
                _forbidden(path, "resourceVersionMatch is forbidden when continue is provided")
            )
        if options.match not in ("Exact", "NotOlderThan"):
            errors.append(_unsupported(path, f'"{options.match}"', ("Exact", "NotOlderThan", "")))
        if options.match == "Exact" and options.resource_version == "0":
            errors.append(
                _forbidden(
                    path, 'resourceVersionMatch "exact" is forbidden for resourceVersion "0"'
                )
            )
    if options.send_initial_events is not None:
        errors.append(_forbidden("sendInitialEvents", "sendInitialEvents is forbidden for list"))
    return errors


def _watch_errors(options: ListOptions) -> list[FieldError]:
    errors = []
    path = "resourceVersionMatch"
    if options.send_initial_events is not None and options.match != "NotOlderThan":
        errors.append(
            _forbidden(
                path, "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"
            )
        )
    if options.match:
        if options.send_initial_events is None:
            errors.append(
                _forbidden(
                    path,
                    "resourceVersionMatch is forbidden for watch unless sendInitialEvents is"
                    " provided",
                )
            )
        if options.match != "NotOlderThan":
            errors.append(_unsupported(path, f'"{options.match}"', ("NotOlderThan",)))
        if options.continue_token:
            errors.append(
                _forbidden(path, "resourceVersionMatch is forbidden when continue is provided")
            )
    return errors


@dataclass(slots=True)
class WriteOptions:
    """Parameters of create, update and patch. `kind` names the options object for admission."""

    kind: str
    dry_run: bool = False
    manager: str = ""
    field_validation: str = ""
    force: bool | None = None
    object: Object = field(default_factory=dict)


def write_options(
    kind: str, params: Mapping[str, list[str]], *, patch_type: str = ""
) -> WriteOptions:
    """Read and check CreateOptions, UpdateOptions or PatchOptions; raises `Invalid`.

    `patch_type` is the media type of a patch.
    """
    if not params and not patch_type:
        return WriteOptions(kind)
    dry_run = [value for value in params.get("dryRun", []) if value]
    options = WriteOptions(
        kind,
        bool(dry_run),
        _first(params, "fieldManager"),
        _first(params, "fieldValidation"),
        boolean(params["force"][0]) if "force" in params else None,
    )
    errors: list[FieldError] = []
    if patch_type:
        _check_patch(options, patch_type, errors)
    _check_manager(options.manager, errors)
    check_dry_run(dry_run, errors)
    if options.field_validation not in ("", "Ignore", "Warn", "Strict"):
        errors.append(
            _unsupported(
                "fieldValidation", f'"{options.field_validation}"', ("Ignore", "Warn", "Strict")
            )
        )
    _raise_invalid(kind, errors)
    options.object = _options_object(kind, options, dry_run)
    return options


def _raise_invalid(kind: str, errors: list[FieldError]) -> None:
    if errors:
        raise Invalid(META_GROUP, kind, "", errors)


def _first(params: Mapping[str, list[str]], key: str) -> str:
    return params[key][0] if key in params else ""


def _check_patch(options: WriteOptions, patch_type: str, errors: list[FieldError]) -> None:
    if patch_type.startswith("application/apply-patch"):
        if not options.manager:
            message = "Required value: is required for apply patch"
            errors.append(FieldError("FieldValueRequired", "fieldManager", message))
    elif options.force is not None:
        errors.append(_forbidden("force", "may not be specified for non-apply patch"))


def _check_manager(manager: str, errors: list[FieldError]) -> None:
    if len(manager.encode()) > _MANAGER_LIMIT:
        errors.append(
            FieldError(
                "FieldValueTooLong",
                "fieldManager",
                f"Too long: may not be more than {_MANAGER_LIMIT} bytes",
            )
        )
    for position, character in enumerate(manager):
        if not character.isprintable():
            errors.append(
                FieldError(
                    "FieldValueInvalid",
                    "fieldManager",
                    f'Invalid value: "{manager}": invalid character U+{ord(character):04X}'
                    f" (at position {position})",
                )
            )


def check_dry_run(values: list[str], errors: list[FieldError]) -> None:
    """`dryRun` knows only "All"."""
    if any(value != "All" for value in values):
        shown = "[" + ",".join(f'"{value}"' for value in values) + "]"
        errors.append(_unsupported("dryRun", shown, ("All",)))


def _options_object(kind: str, options: WriteOptions, dry_run: list[str]) -> Object:
    obj: Object = {"kind": kind, "apiVersion": f"{META_GROUP}/v1"}
    if dry_run:
        obj["dryRun"] = dry_run
    if options.manager:
        obj["fieldManager"] = options.manager
    if options.field_validation:
        obj["fieldValidation"] = options.field_validation
    if options.force is not None:
        obj["force"] = options.force
    return obj


def delete_options(params: Mapping[str, list[str]]) -> Object:
    """DeleteOptions of the query: what counts when there is no body."""
    options: Object = {}
    grace = integer(params["gracePeriodSeconds"][0]) if "gracePeriodSeconds" in params else None
    if grace is not None:
        options["gracePeriodSeconds"] = grace
    if "orphanDependents" in params:
        options["orphanDependents"] = boolean(params["orphanDependents"][0])
    if "propagationPolicy" in params:
        options["propagationPolicy"] = params["propagationPolicy"][0]
    dry_run = [value for value in params.get("dryRun", []) if value]
    if dry_run:
        options["dryRun"] = dry_run
    return options


def check_delete_options(options: Mapping[str, Any]) -> None:
    """Raises `Invalid` where policies contradict each other or are unknown."""
    errors: list[FieldError] = []
    policy = options.get("propagationPolicy")
    path = "propagationPolicy"
    if policy is not None and options.get("orphanDependents") is not None:
        errors.append(
            FieldError(
                "FieldValueInvalid",
                path,
                f'Invalid value: "{policy}": orphanDependents and deletionPropagation cannot be'
                " both set",
            )
        )
    supported = ("Foreground", "Background", "Orphan")
    if policy is not None and policy not in supported:
        errors.append(_unsupported(path, f'"{policy}"', (*supported, "nil")))
    check_dry_run(list(options.get("dryRun") or []), errors)
    _raise_invalid("DeleteOptions", errors)
