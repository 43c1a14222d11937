"""The async API client, and what controllers are built from: informers, work queues, events, leases.

Public names: see `__all__`; resources are named `"<group>/<version>/<plural>"`, core `"v1/pods"`.
"""

from kubeinstall.client.client import ApiClient
from kubeinstall.client.events import EventRecorder
from kubeinstall.client.expectations import Expectations
from kubeinstall.client.informer import (
    Informer,
    InformerSet,
    drop_managed_fields,
    key_of,
    split_key,
)
from kubeinstall.client.kubeconfig import ClientConfig
from kubeinstall.client.leader import LeaderElector, LeadershipLost
from kubeinstall.client.status import Unreachable
from kubeinstall.client.workqueue import WorkQueue

__all__ = [
    "ApiClient",
    "ClientConfig",
    "EventRecorder",
    "Expectations",
    "Informer",
    "InformerSet",
    "LeaderElector",
    "LeadershipLost",
    "Unreachable",
    "WorkQueue",
    "drop_managed_fields",
    "key_of",
    "split_key",
]
