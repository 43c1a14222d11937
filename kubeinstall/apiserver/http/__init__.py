"""HTTP as the API server needs it: requests, answers, streams and raw connections, over TLS.

The rest of the server knows only `Exchange`; aiohttp is named nowhere else.
"""

from kubeinstall.apiserver.http.exchange import Connection, Exchange
from kubeinstall.apiserver.http.server import HttpServer

__all__ = ["Connection", "Exchange", "HttpServer"]
