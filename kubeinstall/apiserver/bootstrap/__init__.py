"""Objects that an API server makes for itself when it starts."""

from kubeinstall.apiserver.bootstrap.ensure import ensure, keep

__all__ = ["ensure", "keep"]
