"""Creates, updates and deletes the pods of a StatefulSet, with their claims and events."""

from __future__ import annotations

from kubeinstall.api.types import Object
from kubeinstall.client import ApiClient, EventRecorder, Informer
from kubeinstall.controllers.common.podcontrol import namespace_terminating
from kubeinstall.controllers.common.pods import PODS
from kubeinstall.controllers.statefulset import building, facts
from kubeinstall.errors import AlreadyExists, NotFound, StatusError


class StatefulPodControl:
    """The writes."""

    def __init__(self, client: ApiClient, events: EventRecorder, claims: Informer) -> None:
        self._client = client
        self._events = events
        self._claims = claims

    async def create(self, stateful_set: Object, pod: Object) -> None:
        """Create the claims that are missing, then the pod."""
        name, owner = pod["metadata"]["name"], stateful_set["metadata"]["name"]
        try:
            await self.create_claims(stateful_set, pod)
            await self._client.create(PODS, pod)
        except AlreadyExists:
            raise
        except StatusError as error:
            if not namespace_terminating(error):
                text = f"create Pod {name} in StatefulSet {owner} failed error: {error.message}"
                self._events.event(stateful_set, "Warning", "FailedCreate", text)
            raise
        text = f"create Pod {name} in StatefulSet {owner} successful"
        self._events.event(stateful_set, "Normal", "SuccessfulCreate", text)

    async def create_claims(self, stateful_set: Object, pod: Object) -> None:
        """Create the claims of a pod that are not there yet."""
        owner, namespace = stateful_set["metadata"]["name"], stateful_set["metadata"]["namespace"]
        for claim in building.claims(stateful_set, facts.ordinal(pod)):
            name = claim["metadata"]["name"]
            if self._claims.get(name, namespace) is not None:
                continue
            text = f"create Claim {name} Pod {pod['metadata']['name']} in StatefulSet {owner}"
            wanted = building.claim_owners(stateful_set, claim, pod, condemned=False)
            if wanted:
                claim["metadata"]["ownerReferences"] = wanted
            try:
                await self._client.create(facts.CLAIMS, claim)
            except AlreadyExists:
                continue
            except StatusError as error:
                failed = f"{text} failed error: {error.message}"
                self._events.event(stateful_set, "Warning", "FailedCreate", failed)
                raise
            self._events.event(stateful_set, "Normal", "SuccessfulCreate", f"{text} success")

    async def mend(self, stateful_set: Object, pod: Object) -> None:
        """Put right the labels that name the pod, and its claims."""
        await self.create_claims(stateful_set, pod)
        if building.has_identity(pod):
            return
        meta = pod["metadata"]
        changed: Object = {"metadata": {"name": meta["name"]}}
        building.give_identity(changed, facts.ordinal(pod))
        patch = {"metadata": {"uid": meta["uid"], "labels": changed["metadata"]["labels"]}}
        await self._client.patch(PODS, meta["name"], patch, meta["namespace"])

    async def own_claims(self, stateful_set: Object, pod: Object, *, condemned: bool) -> None:
        """Make the claims' owners what the retention policy asks for."""
        namespace = stateful_set["metadata"]["namespace"]
        for template in building.claims(stateful_set, facts.ordinal(pod)):
            claim = self._claims.get(template["metadata"]["name"], namespace)
            if claim is None:
                continue
            wanted = building.claim_owners(stateful_set, claim, pod, condemned=condemned)
            if wanted == (claim["metadata"].get("ownerReferences") or []):
                continue
            meta = {**claim["metadata"], "ownerReferences": wanted}
            await self._client.update(facts.CLAIMS, {**claim, "metadata": meta})

    async def delete(self, stateful_set: Object, pod: Object) -> None:
        """Delete a pod."""
        meta, owner = pod["metadata"], stateful_set["metadata"]["name"]
        text = f"delete Pod {meta['name']} in StatefulSet {owner}"
        try:
            await self._client.delete(PODS, meta["name"], meta["namespace"], uid=meta["uid"])
        except NotFound:
            return
        except StatusError as error:
            failed = f"{text} failed error: {error.message}"
            self._events.event(stateful_set, "Warning", "FailedDelete", failed)
            raise
        self._events.event(stateful_set, "Normal", "SuccessfulDelete", f"{text} successful")
