"""Where etcd is and how to reach it: `etcd://host:2379,host:2379?cacert=FILE&cert=FILE&key=FILE`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from kubeinstall.errors import SettingsError

_FILES = ("cacert", "cert", "key")


@dataclass(frozen=True, slots=True)
class EtcdEndpoints:
    """Members' client addresses ("host:port") and TLS files; no `cacert` means no TLS."""

    addresses: tuple[str, ...]
    cacert: Path | None = None
    cert: Path | None = None
    key: Path | None = None

    @classmethod
    def parse(cls, url: str) -> EtcdEndpoints:
        """Read the URL; `SettingsError` says what is wrong with it."""
        parts = urlsplit(url)
        addresses = tuple(address for address in parts.netloc.split(",") if address)
        if not addresses:
            raise SettingsError(
                f"storage-url: {url!r}: no member is named; write etcd://host:2379,…"
            )
        for address in addresses:
            if not address.rpartition(":")[2].isdecimal():
                raise SettingsError(f"storage-url: {address!r}: write host:port")
        query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
        unknown = sorted(set(query) - set(_FILES))
        if unknown:
            raise SettingsError(
                f"storage-url: unknown parameter {unknown[0]!r}; use {', '.join(_FILES)}"
            )
        if ("cert" in query) != ("key" in query):
            raise SettingsError("storage-url: cert and key go together")
        return cls(addresses, **{name: Path(value) for name, value in query.items()})

    def read_files(self) -> tuple[bytes, bytes | None, bytes | None] | None:
        """CA, certificate and key as PEM; None without TLS."""
        if self.cacert is None:
            return None
        try:
            pair = (
                (self.cert.read_bytes(), self.key.read_bytes())
                if self.cert and self.key
                else (None, None)
            )
            return self.cacert.read_bytes(), *pair
        except OSError as error:
            raise SettingsError(
                f"storage-url: {error.filename}: cannot be read: {error.strerror}"
            ) from error
