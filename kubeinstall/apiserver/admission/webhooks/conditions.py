"""matchConditions of webhooks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kubeinstall.api.cel import Budget, CompileError, EvalError
from kubeinstall.apiserver.admission.plugin import refuse
from kubeinstall.apiserver.admission.policies.environment import condition, values_of
from kubeinstall.apiserver.admission.webhooks.matching import Namespaces, Seen
from kubeinstall.apiserver.interfaces import Authorizer
from kubeinstall.apiserver.request import AdmissionAttributes

if TYPE_CHECKING:
    from kubeinstall.apiserver.admission.webhooks.hooks import Hook

_COST_LIMIT = 2_500_000  # of all conditions of one webhook, as upstream


class Conditions:
    """Decides whether a webhook's conditions hold."""

    def __init__(self, authorizer: Authorizer, namespaces: Namespaces) -> None:
        self._authorizer = authorizer
        self._namespaces = namespaces

    def hold(self, hook: Hook, attributes: AdmissionAttributes, seen: Seen) -> bool:
        """Whether all of them are true. Raises `Forbidden` when one fails and failure is fatal.

        One that is false decides, whatever others fail with.
        """
        values = values_of(attributes, seen, self._authorizer, self._namespaces)
        budget = Budget(_COST_LIMIT)
        failed: list[str] = []
        for one in hook.conditions:
            try:
                if condition(one["expression"]).evaluate(values, budget) is not True:
                    return False
            except (CompileError, EvalError) as error:
                failed.append(f"expression '{one['expression']}' resulted in error: {error}")
        if not failed:
            return True
        if hook.ignores_failure:
            return False
        raise refuse(attributes, f"[{', '.join(failed)}]" if len(failed) > 1 else failed[0])
