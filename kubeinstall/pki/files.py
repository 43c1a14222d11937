"""Atomic files: a reader sees the old content or the new, a crash leaves one of the two."""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path

KEY_MODE = 0o600
CERTIFICATE_MODE = 0o644


def write_atomic(path: Path, data: bytes, mode: int) -> None:
    """Put `data` at `path` with permission bits `mode`, making parent directories.

    The temporary file is created 0600 in the same directory, so a private key is never readable
    by others, not even for a moment.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fchmod(stream.fileno(), mode)
            os.fsync(stream.fileno())
        Path(name).replace(path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            Path(name).unlink()
        raise
