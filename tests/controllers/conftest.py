"""A real API server, and a controller manager in the test's own event loop."""

from tests.support.apiserver import api_server

__all__ = ["api_server"]
