"""What every handler works with: the parts of a running server, and one request under way."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from kubeinstall.apiserver.catalog import Catalog, Served, cache_of
from kubeinstall.apiserver.http import Exchange
from kubeinstall.apiserver.negotiate import Output
from kubeinstall.apiserver.request import RequestInfo, User

if TYPE_CHECKING:
    from kubeinstall.apiserver.aggregation import Aggregation
    from kubeinstall.apiserver.aggregation.transport import Transport
    from kubeinstall.apiserver.config import ApiServerSettings
    from kubeinstall.apiserver.engine import Engine
    from kubeinstall.apiserver.fairness import Fairness
    from kubeinstall.apiserver.interfaces import Services
    from kubeinstall.apiserver.metrics import Metrics
    from kubeinstall.apiserver.proxy.kubelets import Kubelets
    from kubeinstall.apiserver.streams import Streams
    from kubeinstall.runtime.health import Health
    from kubeinstall.storage.cache import Cacher, ResourceCache
    from kubeinstall.storage.store import Store


@dataclass(slots=True)
class Core:
    """The parts of a running server."""

    settings: ApiServerSettings
    catalog: Catalog
    store: Store
    cacher: Cacher
    engine: Engine
    services: Services
    metrics: Metrics
    streams: Streams
    kubelets: Kubelets
    health: Health
    aggregation: Aggregation
    transport: Transport
    fairness: Fairness
    #: Held while a large document is built.
    building: asyncio.Lock = field(default_factory=asyncio.Lock)

    def cache(self, served: Served) -> ResourceCache:
        """The watch cache of a resource."""
        return cache_of(self.cacher, served)


@dataclass(slots=True)
class Call:
    """One request for a resource, authenticated and authorized."""

    exchange: Exchange
    info: RequestInfo
    user: User
    served: Served
    output: Output = field(default_factory=Output)

    @property
    def key(self) -> str:
        """Where the named object stands in the watch cache: "namespace/name" or "name"."""
        info = self.info
        return f"{info.namespace}/{info.name}" if self.served.resource.namespaced else info.name
