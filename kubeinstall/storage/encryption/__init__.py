"""Encryption at rest: EncryptionConfiguration, its ciphers, and a store that applies them.

    store = EncryptedStore(await open_store(url), read_configuration(path))

What is stored is upstream's form, so that a datastore can move between the two.
"""

from kubeinstall.storage.encryption.configuration import (
    EncryptionConfiguration,
    new_configuration,
    parse_configuration,
    read_configuration,
)
from kubeinstall.storage.encryption.store import EncryptedStore

__all__ = [
    "EncryptedStore",
    "EncryptionConfiguration",
    "new_configuration",
    "parse_configuration",
    "read_configuration",
]
