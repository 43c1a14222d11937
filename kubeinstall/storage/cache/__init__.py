"""The watch cache: encoded current objects and a bounded window of events, per resource."""

from kubeinstall.storage.cache.cacher import Cacher, resource_prefix
from kubeinstall.storage.cache.events import WatchEvent
from kubeinstall.storage.cache.objects import CachedObject
from kubeinstall.storage.cache.resource import ResourceCache, Subscription
from kubeinstall.storage.cache.selection import ALL, Selection

__all__ = [
    "ALL",
    "CachedObject",
    "Cacher",
    "ResourceCache",
    "Selection",
    "Subscription",
    "WatchEvent",
    "resource_prefix",
]
