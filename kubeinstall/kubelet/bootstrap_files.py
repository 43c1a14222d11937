"""The kubelet's rotated certificates on disk, under upstream's names.

`<pair>-<time>.pem` holds certificate and key, `<pair>-current.pem` is a link to the newest; the pairs are
`kubelet-client` and `kubelet-server`.
"""

from __future__ import annotations

import base64
import contextlib
import random
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

CLIENT, SERVER = "kubelet-client", "kubelet-server"
#: Rotated certificates that are kept; upstream keeps all of them for ever.
KEPT = 3
#: A certificate is renewed when between these parts of its life are over; upstream's.
EARLIEST, LATEST = 0.7, 0.9


@dataclass(frozen=True, slots=True)
class Validity:
    """Of a certificate; seconds since 1970."""

    start: float
    end: float

    @property
    def expired(self) -> bool:
        """By this host's clock."""
        return time.time() >= self.end

    def renewal(self) -> float:
        """When to renew: jittered, so that nodes that joined together do not all ask at once."""
        return self.start + (self.end - self.start) * random.uniform(EARLIEST, LATEST)  # noqa: S311


class Pair:
    """A certificate and its key in the kubelet's `cert-dir`."""

    def __init__(self, folder: Path, name: str) -> None:
        self._folder, self._name = folder, name

    @property
    def current(self) -> Path:
        """The link to the newest."""
        return self._folder / f"{self._name}-current.pem"

    @property
    def pending_key(self) -> Path:
        """The key of a request that is not granted yet: asked with again after a restart."""
        return self._folder / f"{self._name}.key.tmp"

    def store(self, certificate: bytes, key: bytes) -> Path:
        """Keep a new pair and make it current; the file."""
        from kubeinstall.pki.files import KEY_MODE, write_atomic

        stamp = datetime.now(UTC).strftime("%Y-%m-%d-%H-%M-%S")
        file = self._folder / f"{self._name}-{stamp}.pem"
        write_atomic(file, certificate.rstrip() + b"\n" + key.rstrip() + b"\n", KEY_MODE)
        link = self._folder / f".{self._name}-current.pem.new"
        link.unlink(missing_ok=True)
        link.symlink_to(file)
        link.replace(self.current)
        for old in sorted(self._folder.glob(f"{self._name}-2*.pem"))[:-KEPT]:
            with contextlib.suppress(OSError):
                old.unlink()
        self.pending_key.unlink(missing_ok=True)
        return file


def validity_of(pem: bytes) -> Validity | None:
    """Of the first certificate in `pem`; None when there is none.

    Read here from its DER: a library that can do more costs 15 MB for as long as the kubelet lives.
    """
    head, end = b"-----BEGIN CERTIFICATE-----", b"-----END CERTIFICATE-----"
    _, found, rest = pem.partition(head)
    if not found:
        return None
    try:
        der = base64.b64decode(rest.partition(end)[0])
        body = _content(_content(der, 0), 0)  # Certificate → TBSCertificate
        fields = _elements(body)
        first = 1 if fields[0][0] == 0xA0 else 0  # the version is explicit, and optional
        start, stop = _elements(fields[first + 3][1])  # serial, algorithm, issuer, validity
        return Validity(_moment(*start), _moment(*stop))
    except (IndexError, ValueError):
        return None


def _elements(data: bytes) -> list[tuple[int, bytes]]:
    found, position = [], 0
    while position < len(data):
        tag, start, end = _header(data, position)
        found.append((tag, data[start:end]))
        position = end
    return found


def _content(data: bytes, position: int) -> bytes:
    _tag, start, end = _header(data, position)
    return data[start:end]


def _header(data: bytes, position: int) -> tuple[int, int, int]:
    """(tag, start, end) of the element at `position`."""
    length, start = data[position + 1], position + 2
    if length & 0x80:
        size = length & 0x7F
        length, start = int.from_bytes(data[start : start + size]), start + size
    if start + length > len(data):
        raise ValueError("the certificate is cut off")
    return data[position], start, start + length


def _moment(tag: int, text: bytes) -> float:
    """UTCTime (years of two digits, until 2049) or GeneralizedTime."""
    form = "%y%m%d%H%M%SZ" if tag == 0x17 else "%Y%m%d%H%M%SZ"
    return datetime.strptime(text.decode("ascii"), form).replace(tzinfo=UTC).timestamp()
