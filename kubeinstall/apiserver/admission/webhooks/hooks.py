"""The webhooks of all configurations, in upstream's order: by configuration name, then as listed."""

from __future__ import annotations

from collections.abc import Sequence

from kubeinstall.api.types import Object
from kubeinstall.apiserver.admission.webhooks.client import Target, target_of
from kubeinstall.apiserver.admission.webhooks.matching import Matcher
from kubeinstall.apiserver.admission.webhooks.review import VERSIONS
from kubeinstall.apiserver.authz.kinds import kind
from kubeinstall.apiserver.registry import Registry

_GROUP = "admissionregistration.k8s.io"


class Hook:
    """One webhook."""

    def __init__(self, configuration: str, index: int, webhook: Object) -> None:
        self.name: str = webhook.get("name") or ""
        #: Tells webhooks of one name apart.
        self.uid = f"{configuration}/{self.name}/{index}"
        self.matcher = Matcher.of_webhook(webhook)
        self.target: Target = target_of(webhook.get("clientConfig") or {})
        self.ignores_failure = webhook.get("failurePolicy") == "Ignore"
        self.seconds: int = webhook.get("timeoutSeconds") or 10
        self.reinvoked = webhook.get("reinvocationPolicy") == "IfNeeded"
        self.safe_in_dry_run = webhook.get("sideEffects") in ("None", "NoneOnDryRun")
        versions = webhook.get("admissionReviewVersions") or []
        #: The first that both sides know; "" where there is none.
        self.version = next((one for one in versions if one in VERSIONS), "")
        self.conditions: list[Object] = webhook.get("matchConditions") or []


class Hooks:
    """Follows the configurations of one kind."""

    def __init__(self, registry: Registry, plural: str) -> None:
        self._by_name: dict[str, list[Hook]] = {}
        self._sorted: Sequence[Hook] = ()
        registry.observe(kind(plural, _GROUP), self._changed)

    @property
    def all(self) -> Sequence[Hook]:
        """All webhooks in order; replaced, never changed."""
        return self._sorted

    def _changed(self, old: Object | None, new: Object | None) -> None:
        name = (new or old or {})["metadata"]["name"]
        if new is None:
            self._by_name.pop(name, None)
        else:
            self._by_name[name] = [
                Hook(name, index, webhook)
                for index, webhook in enumerate(new.get("webhooks") or [])
            ]
        self._sorted = [hook for key in sorted(self._by_name) for hook in self._by_name[key]]
