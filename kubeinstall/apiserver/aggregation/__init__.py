"""API groups that other servers serve: APIServices, as upstream's kube-aggregator.

`services.py` knows which group versions are served elsewhere, `availability.py` sees whether they are
and what they offer, `forward.py` hands requests on, `registration.py` keeps an APIService for each
version of each custom resource's group, `transport.py` holds connections and `documents.py` fetches OpenAPI.
"""

from kubeinstall.apiserver.aggregation.availability import Availability
from kubeinstall.apiserver.aggregation.registration import Registration
from kubeinstall.apiserver.aggregation.services import Aggregation, Remote

__all__ = ["Aggregation", "Availability", "Registration", "Remote"]
