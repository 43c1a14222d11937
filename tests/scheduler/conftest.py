"""A real API server for the tests of this folder."""

from tests.support.apiserver import api_server

__all__ = ["api_server"]
