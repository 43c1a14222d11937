"""What can go wrong with keys and certificates."""

from __future__ import annotations

from kubeinstall.errors import KubeinstallError


class PkiError(KubeinstallError):
    """A key, certificate, kubeconfig or token is unusable; the message names the file."""
