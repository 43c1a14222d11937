"""The condition Dangling of FlowSchemas, as upstream's config consumer writes it, and mandatory objects put back."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

from kubeinstall.api.types import Object
from kubeinstall.apiserver.authz.kinds import kind
from kubeinstall.apiserver.bootstrap.flowcontrol import (
    CONSUMER,
    dangling,
    ensure_flow_control,
    level_of,
)
from kubeinstall.apiserver.fairness.fairness import GROUP
from kubeinstall.errors import KubeinstallError, NotFound

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

    from kubeinstall.apiserver.registry import Registry

_KEEP_SECONDS = 60.0


class Conditions:
    """Follows schemas and levels; `run()` works until cancelled."""

    def __init__(self, registry: Registry, log: FilteringBoundLogger) -> None:
        self._registry = registry
        self._log = log
        self._schemas = kind("flowschemas", GROUP)
        self._levels = kind("prioritylevelconfigurations", GROUP)
        self._pending: dict[str, None] = {}
        self._wake = asyncio.Event()

    async def run(self) -> None:
        """Write what is not said yet; look after the default objects once a minute."""
        self._registry.observe(self._schemas, self._schema_changed)
        self._registry.observe(self._levels, self._level_changed)
        loop = asyncio.get_running_loop()
        kept = loop.time()
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(
                    self._wake.wait(), max(kept + _KEEP_SECONDS - loop.time(), 0.01)
                )
            self._wake.clear()
            try:
                if loop.time() >= kept + _KEEP_SECONDS:
                    kept = loop.time()
                    await ensure_flow_control(self._registry)
                while self._pending:
                    name = next(iter(self._pending))
                    await self._write(name)
                    self._pending.pop(name, None)
            except KubeinstallError as error:
                self._log.warning("Flow control not kept", error=str(error))
                await asyncio.sleep(1)
                self._wake.set()

    def _schema_changed(self, old: Object | None, new: Object | None) -> None:
        if new is not None and (old is None or old.get("spec") != new.get("spec")):
            self._pending[new["metadata"]["name"]] = None
            self._wake.set()

    def _level_changed(self, old: Object | None, new: Object | None) -> None:
        if old is not None and new is not None:
            return
        level = (new or old or {})["metadata"]["name"]
        for schema in self._registry.list(self._schemas):
            if level_of(schema) == level:
                self._pending[schema["metadata"]["name"]] = None
                self._wake.set()

    async def _write(self, name: str) -> None:
        try:
            schema = self._registry.get(self._schemas, name)
        except NotFound:
            return
        config = dangling(self._registry, schema)
        if config is None:
            return
        with contextlib.suppress(NotFound):
            await self._registry.apply(
                self._schemas, config, manager=CONSUMER, subresource="status"
            )
