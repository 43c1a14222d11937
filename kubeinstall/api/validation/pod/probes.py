"""Probes and lifecycle handlers."""

from __future__ import annotations

from typing import Any

from kubeinstall.api.types import Object
from kubeinstall.api.validation.errors import Errors
from kubeinstall.api.validation.formats import http_header_name, port_name, port_number

_PROBE_HANDLERS = ("exec", "httpGet", "tcpSocket", "grpc")
_LIFECYCLE_HANDLERS = ("exec", "httpGet", "tcpSocket", "sleep")
_COUNTS = (
    "initialDelaySeconds",
    "timeoutSeconds",
    "periodSeconds",
    "successThreshold",
    "failureThreshold",
)


def check_probes(errors: Errors, container: Object, path: str) -> None:
    """The three probes of a container."""
    for field in ("livenessProbe", "readinessProbe", "startupProbe"):
        probe = container.get(field)
        if probe is None:
            continue
        at = f"{path}.{field}"
        _check_handlers(errors, probe, at, _PROBE_HANDLERS)
        for count in _COUNTS:
            errors.not_negative(f"{at}.{count}", probe.get(count))
        grace = probe.get("terminationGracePeriodSeconds")
        if field == "readinessProbe":
            if grace is not None:
                errors.invalid(
                    f"{at}.terminationGracePeriodSeconds",
                    grace,
                    "must not be set for readinessProbes",
                )
            continue
        if grace is not None and grace <= 0:
            errors.invalid(f"{at}.terminationGracePeriodSeconds", grace, "must be greater than 0")
        if probe.get("successThreshold", 1) != 1:
            errors.invalid(f"{at}.successThreshold", probe["successThreshold"], "must be 1")


def check_lifecycle(errors: Errors, lifecycle: Object | None, path: str, grace: int | None) -> None:
    """postStart, preStop and stopSignal."""
    for field in ("postStart", "preStop"):
        handler = (lifecycle or {}).get(field)
        if handler is not None:
            _check_handlers(errors, handler, f"{path}.{field}", _LIFECYCLE_HANDLERS, grace)


def _check_handlers(
    errors: Errors, handler: Object, path: str, kinds: tuple[str, ...], grace: int | None = None
) -> None:
    found = [kind for kind in kinds if handler.get(kind) is not None]
    if not found:
        errors.required(path, "must specify a handler type")
        return
    for kind in found[1:]:
        errors.forbidden(f"{path}.{kind}", "may not specify more than 1 handler type")
    kind = found[0]
    action, at = handler[kind], f"{path}.{kind}"
    if kind == "exec" and not action.get("command"):
        errors.required(f"{at}.command")
    elif kind == "httpGet":
        _check_http_get(errors, action, at)
    elif kind in {"tcpSocket", "grpc"}:
        check_port(errors, action.get("port", 0), f"{at}.port")
    elif kind == "sleep":
        seconds = action.get("seconds", 0)
        if seconds < 0 or (grace is not None and seconds > grace):
            errors.invalid(
                at,
                seconds,
                f"must be non-negative and less than terminationGracePeriodSeconds ({grace or 0})",
            )


def _check_http_get(errors: Errors, action: Object, path: str) -> None:
    if not action.get("path"):
        errors.required(f"{path}.path")
    check_port(errors, action.get("port", 0), f"{path}.port")
    if action.get("scheme", "HTTP") not in {"HTTP", "HTTPS"}:
        errors.not_supported(f"{path}.scheme", action["scheme"], ("HTTP", "HTTPS"))
    for header in action.get("httpHeaders") or []:
        name = header.get("name", "")
        errors.each(f"{path}.httpHeaders", name, http_header_name(name))


def check_port(errors: Errors, port: Any, path: str) -> None:
    """A port number, or the name of one."""
    if isinstance(port, str):
        errors.each(path, port, port_name(port))
    else:
        errors.each(path, port, port_number(port))
