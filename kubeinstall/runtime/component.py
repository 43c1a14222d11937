"""What a component is, and what the runtime gives it.

A component is a class with one blocking `run()`. The runtime hosts one or several in a process, serves their
health and metrics, and stops them in the reverse of the order in which they started.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

from prometheus_client import CollectorRegistry

from kubeinstall.runtime.health import Health
from kubeinstall.runtime.logs import get_logger
from kubeinstall.runtime.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from structlog.typing import FilteringBoundLogger

S = TypeVar("S", bound=Settings)


@dataclass(slots=True)
class ComponentContext:
    """The surroundings of one component: its name, health, metrics, log and readiness.

    `ready()` is called once, when the component serves; `/readyz` fails before that, and under
    systemd the unit counts as started only then.
    """

    name: str
    health: Health = field(default_factory=Health)
    metrics: CollectorRegistry = field(
        default_factory=lambda: CollectorRegistry(auto_describe=True)
    )
    started: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def log(self) -> FilteringBoundLogger:
        """A structured logger that carries the component's name."""
        return get_logger(self.name)

    def ready(self) -> None:
        """Say that the component serves."""
        self.started.set()


class Component(ABC, Generic[S]):
    """Base of every component. `name` is upstream's binary name, e.g. "kube-scheduler"."""

    name: ClassVar[str]
    settings_type: ClassVar[type[Settings]]

    @property
    def stop_seconds(self) -> float:
        """How long the component may take to end after it was cancelled."""
        return 25.0

    def __init__(self, settings: S, context: ComponentContext) -> None:
        self.settings = settings
        self.context = context
        self.log = context.log

    @abstractmethod
    async def run(self) -> None:
        """Work until cancelled. Raise only what a restart may mend; call `context.ready()` when serving."""

    def writes(self) -> tuple[Path, ...]:
        """Kubeconfigs that this component may write; others of its process that use one wait for it."""
        return ()


async def run_guarded(
    work: Coroutine[Any, Any, None], name: str, log: FilteringBoundLogger
) -> None:
    """Run a background task that must not end by itself: its failure is logged and raised to the owner."""
    try:
        await work
    except asyncio.CancelledError:
        raise
    except Exception as error:
        log.error("Task failed", task=name, error=str(error), exc_info=True)
        raise
