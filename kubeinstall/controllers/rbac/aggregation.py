"""The loop of upstream's clusterrole aggregation controller."""

from __future__ import annotations

from typing import Any, ClassVar

from kubeinstall.api.selectors import LabelSelector
from kubeinstall.api.types import Object
from kubeinstall.client import key_of
from kubeinstall.controllers.common import owners
from kubeinstall.controllers.controller import ControllerContext, QueueController

ROLES = "rbac.authorization.k8s.io/v1/clusterroles"


class ClusterRoleAggregationController(QueueController):
    """Keys are names of ClusterRoles."""

    name: ClassVar[str] = "clusterrole-aggregation-controller"
    component: ClassVar[str] = "clusterrole-aggregation-controller"

    def __init__(self, context: ControllerContext) -> None:
        super().__init__(context)
        self._roles = self.informer(ROLES)
        self._roles.add_handler(self._changed)

    def _changed(self, old: Object | None, new: Object | None) -> None:
        # A change of any role may be a change of what an aggregate is made of.
        for role in self._roles.list():
            if role.get("aggregationRule"):
                self.queue.add(key_of(role))

    async def reconcile(self, key: str) -> float | None:
        """Write the union of the selected roles' rules."""
        role = self._roles.get_key(key)
        if role is None or not role.get("aggregationRule"):
            return None
        rules: list[Any] = []
        for selector in role["aggregationRule"].get("clusterRoleSelectors") or ():
            wanted = LabelSelector.from_object(selector)
            for other in sorted(self._roles.list(), key=key_of):
                if other is role or not wanted.matches(owners.labels_of(other)):
                    continue
                rules += [rule for rule in other.get("rules") or () if rule not in rules]
        if rules != (role.get("rules") or []):
            await self.client.update(ROLES, {**role, "rules": rules})
        return None
