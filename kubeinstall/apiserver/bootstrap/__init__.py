"""Objects that an API server makes for itself when it starts."""

from kubeinstall.apiserver.bootstrap.ensure import advertised_address, ensure, keep

__all__ = ["advertised_address", "ensure", "keep"]
