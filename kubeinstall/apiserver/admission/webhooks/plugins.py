"""The two plug-ins. Mutating webhooks are called one after the other, validating ones all at once."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from typing import ClassVar, NamedTuple

from kubeinstall.api.patch import json_patch
from kubeinstall.api.patch.jsonpatch import PatchFailed
from kubeinstall.api.types import Object
from kubeinstall.apiserver.admission.plugin import Plugin
from kubeinstall.apiserver.admission.webhooks import review
from kubeinstall.apiserver.admission.webhooks.client import CallFailed, WebhookClient
from kubeinstall.apiserver.admission.webhooks.conditions import Conditions
from kubeinstall.apiserver.admission.webhooks.hooks import Hook, Hooks
from kubeinstall.apiserver.admission.webhooks.matching import (
    Namespaces,
    Seen,
    is_configuration,
    see,
)
from kubeinstall.apiserver.admission.webhooks.settling import settled
from kubeinstall.apiserver.interfaces import Authorizer
from kubeinstall.apiserver.registry import Registry
from kubeinstall.apiserver.request import AdmissionAttributes
from kubeinstall.errors import BadRequest, InternalError, RequestTooLarge, StatusError
from kubeinstall.runtime.logs import get_logger

_LOG = get_logger("kube-apiserver")
_AT_ONCE = 64  # validating webhooks asked at the same time for one request


class _Invocation(NamedTuple):
    hook: Hook
    seen: Seen


def internal(text: str) -> InternalError:
    """`NewInternalError` of upstream."""
    return InternalError(
        f"Internal error occurred: {text}", details={"causes": [{"message": text}]}
    )


class _Webhooks(Plugin):
    """What both plug-ins share."""

    plural: ClassVar[str]
    mutating: ClassVar[bool]

    def __init__(self, registry: Registry, authorizer: Authorizer) -> None:
        self._registry = registry
        self._hooks = Hooks(registry, self.plural)
        self._namespaces = Namespaces(registry)
        self._client = WebhookClient(registry)
        self._conditions = Conditions(authorizer, self._namespaces)

    def handles(self, group: str, plural: str, subresource: str, operation: str) -> bool:
        """Everything but the configuration of admission."""
        return not is_configuration(group, plural)

    async def close(self) -> None:
        """Close connections to webhooks."""
        await self._client.close()

    def _invocation(self, hook: Hook, attributes: AdmissionAttributes) -> _Invocation | None:
        """How the webhook is to be called, or None. Raises what refuses the request."""
        served = hook.matcher.match(self._registry, self._namespaces, attributes)
        if served is None:
            return None
        seen = see(attributes, served)
        if hook.conditions and not self._conditions.hold(hook, attributes, seen):
            return None
        return _Invocation(hook, seen)

    async def _ask(
        self, invocation: _Invocation, attributes: AdmissionAttributes
    ) -> review.Verdict | None:
        """The verdict; None when the webhook failed and its failure is ignored."""
        hook = invocation.hook
        if attributes.dry_run and not hook.safe_in_dry_run:
            raise BadRequest(f'admission webhook "{hook.name}" does not support dry run')
        try:
            verdict = await self._call(invocation, attributes)
        except (CallFailed, review.BadAnswer) as error:
            text = f'failed calling webhook "{hook.name}": {_why(error)}'
            if not hook.ignores_failure:
                _LOG.warning(
                    "Failed calling webhook, failing closed", webhook=hook.name, error=text
                )
                raise internal(text) from error
            _LOG.warning("Failed calling webhook, failing open", webhook=hook.name, error=text)
            return None
        for warning in verdict.warnings:
            if warning not in attributes.warnings:
                attributes.warnings.append(warning)
        if not verdict.allowed:
            raise review.denied(hook.name, verdict.status)
        return verdict

    async def _call(
        self, invocation: _Invocation, attributes: AdmissionAttributes
    ) -> review.Verdict:
        hook = invocation.hook
        if not hook.version:
            raise CallFailed(
                "could not create admission objects: webhook does not accept known versions"
            )
        request = review.question(attributes, invocation.seen)
        answer = await self._client.post(
            hook.target, review.body(request, hook.version), hook.seconds
        )
        return review.read(answer, request["uid"], hook.version, mutating=self.mutating)


def _why(error: Exception) -> str:
    if isinstance(error, review.BadAnswer):
        return f"received invalid webhook response: {error}"
    return f"failed to call webhook: {error}"


class MutatingAdmissionWebhook(_Webhooks):
    """Calls mutating webhooks in order, each with what the former ones made of the object."""

    name = "MutatingAdmissionWebhook"
    plural = "mutatingwebhookconfigurations"
    mutating = True

    async def mutate(self, attributes: AdmissionAttributes) -> None:
        """Apply the webhooks' patches. Raises what a webhook refuses with."""
        hooks = self._hooks.all
        if not hooks:
            return
        state = attributes.reinvocation
        if state.again and attributes.object != state.output:
            state.changed()
        for hook in hooks:
            if state.again and hook.uid not in state.due:
                continue
            invocation = self._invocation(hook, attributes)
            if invocation is None:
                continue
            verdict = await self._ask(invocation, attributes)
            if verdict is not None and verdict.patch:
                before = attributes.object
                self._apply(invocation, attributes, verdict.patch)
                if attributes.object != before:
                    state.changed()
            if hook.reinvoked:
                state.previous.add(hook.uid)
        state.output = attributes.object if state.again else _copied(attributes.object)

    def _apply(
        self, invocation: _Invocation, attributes: AdmissionAttributes, patch: list[Object]
    ) -> None:
        hook, seen = invocation
        if attributes.object is None:
            raise internal(
                f'admission webhook "{hook.name}" attempted to modify the object, which is not'
                " supported for this operation"
            )
        try:
            changed = json_patch(seen.object, patch)
        except PatchFailed as error:
            raise internal(error.why) from error
        except RequestTooLarge as error:
            raise internal(error.message) from error
        if not isinstance(changed, dict):
            raise internal("the patched object is no JSON object")
        try:
            attributes.object = settled(attributes, seen, changed)
        except StatusError as error:
            raise internal(error.message) from error


def _copied(obj: Object | None) -> Object | None:
    import copy

    return copy.deepcopy(obj)


class ValidatingAdmissionWebhook(_Webhooks):
    """Asks all validating webhooks that a request concerns at the same time."""

    name = "ValidatingAdmissionWebhook"
    plural = "validatingwebhookconfigurations"
    mutating = False

    async def validate(self, attributes: AdmissionAttributes) -> None:
        """Raise what the first webhook that says no refuses with."""
        hooks = self._hooks.all
        if not hooks:
            return
        found = [self._invocation(hook, attributes) for hook in hooks]
        invocations = [one for one in found if one is not None]
        if len(invocations) == 1:
            await self._ask(invocations[0], attributes)
            return
        for start in range(0, len(invocations), _AT_ONCE):
            await self._ask_all(invocations[start : start + _AT_ONCE], attributes)

    async def _ask_all(
        self, invocations: Sequence[_Invocation], attributes: AdmissionAttributes
    ) -> None:
        tasks = [asyncio.ensure_future(self._ask(one, attributes)) for one in invocations]
        try:
            for task in tasks:
                await task
        finally:
            for task in tasks:
                task.cancel()
            for task in tasks:
                with contextlib.suppress(asyncio.CancelledError, StatusError):
                    await task
