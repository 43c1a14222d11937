"""Structured logs: a constant message and key-value pairs, one line each, to standard error.

2026-01-02T03:04:05.678Z info  kubelet  Container started  pod=default/web container=nginx
"""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING, Any, cast

from kubeinstall.runtime.lean import import_structlog

if TYPE_CHECKING:
    import structlog
    from structlog.typing import EventDict, FilteringBoundLogger, WrappedLogger

else:
    structlog = import_structlog()

LEVELS = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}


def configure(*, level: str = "info", json: bool = False) -> None:
    """Set up logging for this process. `json` gives one JSON document a line."""
    renderer: Any = (
        structlog.processors.JSONRenderer() if json else structlog.processors.KeyValueRenderer()
    )
    processors: list[Any] = [
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="ts"),
        structlog.processors.add_log_level,
        structlog.processors.format_exc_info,
        renderer if json else _render_line,
    ]
    structlog.configure(
        processors=processors,
        wrapper_class=structlog.make_filtering_bound_logger(LEVELS[level]),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=True,
    )
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="%(name)s: %(message)s")


def get_logger(component: str) -> FilteringBoundLogger:
    """A logger whose every line carries `component`."""
    return cast("FilteringBoundLogger", structlog.get_logger(component=component))


def _render_line(_logger: WrappedLogger, _method: str, event: EventDict) -> str:
    head = f"{event.pop('ts')} {event.pop('level'):<7} {event.pop('component', '-')} {event.pop('event')}"
    trace = event.pop("exception", None)
    pairs = "".join(f" {key}={_value(item)}" for key, item in event.items())
    return f"{head}{pairs}\n{trace}" if trace else f"{head}{pairs}"


def _value(item: object) -> str:
    text = str(item)
    return repr(text) if not text or any(c.isspace() or c == "=" for c in text) else text
