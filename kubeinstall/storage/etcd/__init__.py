"""The etcd v3 driver."""

from kubeinstall.storage.etcd.driver import EtcdStore
from kubeinstall.storage.etcd.endpoints import EtcdEndpoints

__all__ = ["EtcdEndpoints", "EtcdStore"]
