"""Writes: everything between a decoded request and the store, one verb a file.

Requests and in-process callers take the same way: mutating admission → strategy → hooks →
validation → validating admission → store.
"""

from kubeinstall.apiserver.engine.create import create
from kubeinstall.apiserver.engine.delete import Deleted, delete
from kubeinstall.apiserver.engine.engine import Engine, Result, Write
from kubeinstall.apiserver.engine.update import Transform, Updated, update

__all__ = [
    "Deleted",
    "Engine",
    "Result",
    "Transform",
    "Updated",
    "Write",
    "create",
    "delete",
    "update",
]
