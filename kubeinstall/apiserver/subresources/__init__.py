"""POSTs that are no plain creates: (group, plural, subresource) → handler.

Subresources that are views of the object itself (status, scale, resize, ephemeralcontainers,
approval, finalize) are updates, and the core does them.
"""

from typing import Final

from kubeinstall.apiserver.interfaces import SubresourceHandler
from kubeinstall.apiserver.subresources import access_reviews, identity_reviews
from kubeinstall.apiserver.subresources.bindings import bind
from kubeinstall.apiserver.subresources.evictions import evict
from kubeinstall.apiserver.subresources.token_requests import request_token

HANDLERS: Final[dict[tuple[str, str, str], SubresourceHandler]] = {
    ("", "bindings", ""): bind,
    ("", "pods", "binding"): bind,
    ("", "pods", "eviction"): evict,
    ("", "serviceaccounts", "token"): request_token,
    ("authentication.k8s.io", "selfsubjectreviews", ""): identity_reviews.review_self,
    ("authentication.k8s.io", "tokenreviews", ""): identity_reviews.review_token,
    ("authorization.k8s.io", "localsubjectaccessreviews", ""): access_reviews.review_local,
    ("authorization.k8s.io", "selfsubjectaccessreviews", ""): access_reviews.review_self,
    ("authorization.k8s.io", "selfsubjectrulesreviews", ""): access_reviews.review_rules,
    ("authorization.k8s.io", "subjectaccessreviews", ""): access_reviews.review_subject,
}

__all__ = ["HANDLERS"]
