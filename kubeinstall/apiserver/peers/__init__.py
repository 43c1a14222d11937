"""What API servers of one cluster tell each other through the datastore: who lives, and where.

`leases.py` keeps a key with a time to live for each running server, `endpoints.py` makes the `kubernetes`
Endpoints and EndpointSlice of them, `identity.py` keeps the server's own identity Lease (KEP-1965).
"""

from kubeinstall.apiserver.peers.address import advertised_address
from kubeinstall.apiserver.peers.peers import Peers

__all__ = ["Peers", "advertised_address"]
