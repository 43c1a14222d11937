"""matchConditions of webhooks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kubeinstall.apiserver.admission.webhooks.matching import Namespaces, Seen
from kubeinstall.apiserver.interfaces import Authorizer
from kubeinstall.apiserver.request import AdmissionAttributes

if TYPE_CHECKING:
    from kubeinstall.apiserver.admission.webhooks.hooks import Hook


class Conditions:
    """Decides whether a webhook's conditions hold."""

    def __init__(self, authorizer: Authorizer, namespaces: Namespaces) -> None:
        self._authorizer = authorizer
        self._namespaces = namespaces

    def hold(self, hook: Hook, attributes: AdmissionAttributes, seen: Seen) -> bool:
        """Whether all of them are true. Raises `Forbidden` when one fails and failure is fatal."""
        return True
