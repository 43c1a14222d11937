"""The loop of upstream's horizontal-pod-autoscaler-controller: every 15 s each autoscaler is brought in line."""

from __future__ import annotations

import time
from typing import ClassVar

from kubeinstall.api import times
from kubeinstall.api.quantity import Quantity
from kubeinstall.api.selectors import LabelSelector
from kubeinstall.api.types import Object
from kubeinstall.client import key_of
from kubeinstall.controllers.autoscaling.behavior import History, decide
from kubeinstall.controllers.autoscaling.calculator import MetricProblem, Startup, Tolerance
from kubeinstall.controllers.autoscaling.metrics import MetricsClient
from kubeinstall.controllers.autoscaling.proposals import FAILED, Proposals, Target, Wish
from kubeinstall.controllers.common import conditions, owners
from kubeinstall.controllers.common.discovery import Found, discover
from kubeinstall.controllers.common.pods import PODS
from kubeinstall.controllers.controller import ControllerContext, QueueController
from kubeinstall.errors import StatusError

AUTOSCALERS = "autoscaling/v2/horizontalpodautoscalers"
SYNC_SECONDS = 15.0
ABLE, ACTIVE, LIMITED = "AbleToScale", "ScalingActive", "ScalingLimited"


class HorizontalPodAutoscalerController(QueueController):
    """Keys are `namespace/name` of HorizontalPodAutoscalers."""

    name: ClassVar[str] = "horizontal-pod-autoscaler-controller"
    component: ClassVar[str] = "horizontal-pod-autoscaler"

    def __init__(self, context: ControllerContext) -> None:
        super().__init__(context)
        self._scalers = self.informer(AUTOSCALERS)
        self._pods = self.informer(PODS)
        self._proposals = Proposals(MetricsClient(self.client), Startup())
        self._histories: dict[str, History] = {}
        self._selectors: dict[str, LabelSelector] = {}
        self._kinds: dict[tuple[str, str], Found] = {}
        self._scalers.add_handler(self._changed)

    def _changed(self, old: Object | None, new: Object | None) -> None:
        if new is None and old is not None:
            self._histories.pop(key_of(old), None)
            self._selectors.pop(key_of(old), None)
            return
        if new is not None and (old is None or old.get("spec") != new.get("spec")):
            self.queue.add(key_of(new))

    async def reconcile(self, key: str) -> float | None:
        """One look at one autoscaler; always again after the sync period."""
        scaler = self._scalers.get_key(key)
        if scaler is None or owners.deleting(scaler):
            return None
        run = _Run(self, scaler, self._histories.setdefault(key, History()))
        try:
            await run.scale()
        except MetricProblem as error:
            self.log.debug("Not scaled", autoscaler=key, error=str(error))
        await run.write()
        return SYNC_SECONDS

    async def resource_of(self, api_version: str, kind: str) -> Found:
        """The resource of a kind; StatusError where there is none."""
        found = self._kinds.get((api_version, kind))
        if found is None:
            self._kinds = (await discover(self.client)).by_kind()
            found = self._kinds.get((api_version, kind))
        if found is None:
            raise StatusError(f'no matches for kind "{kind}" in version "{api_version}"')
        return found

    def selected(self, key: str, namespace: str, text: str) -> list[Object]:
        """The pods of a target; `MetricProblem` where another autoscaler has some of them too."""
        selector = LabelSelector.parse(text)
        self._selectors[key] = selector
        pods = [p for p in self._pods.list(namespace) if selector.matches(owners.labels_of(p))]
        others = {
            other
            for other, theirs in self._selectors.items()
            if other.startswith(f"{namespace}/")
            and any(theirs.matches(owners.labels_of(pod)) for pod in pods)
        } | {key}
        if len(others) > 1:
            listed = " ".join(sorted(others))
            raise MetricProblem(
                f"pods by selector {text} are controlled by multiple HPAs: [{listed}]"
            )
        return pods

    async def wish(self, metric: Object, target: Target) -> Wish:
        """What one metric asks for."""
        plural = ""
        if metric["type"] == "Object":
            described = metric["object"]["describedObject"]
            try:
                found = await self.resource_of(
                    described.get("apiVersion") or "v1", described["kind"]
                )
            except StatusError as error:
                raise MetricProblem(error.message) from error
            plural = f"{found.plural}.{found.group}" if found.group else found.plural
        return await self._proposals.of(metric, target, plural)


class _Run:
    """One reconciliation: collects the status while it goes."""

    def __init__(
        self, controller: HorizontalPodAutoscalerController, scaler: Object, history: History
    ) -> None:
        self._own = controller
        self._scaler = scaler
        self._spec = scaler["spec"]
        self._history = history
        self._namespace = scaler["metadata"]["namespace"]
        self._status: Object = dict(scaler.get("status") or {})
        self._conditions = list(self._status.get("conditions") or [])

    async def scale(self) -> None:
        """Read the scale, decide, write it."""
        try:
            gvr, scale = await self._read_scale()
        except StatusError as error:
            text = (
                f"the HPA controller was unable to get the target's current scale: {error.message}"
            )
            self._event("Warning", "FailedGetScale", error.message)
            self._set(ABLE, "False", "FailedGetScale", text)
            return
        text = "the HPA controller was able to get the target's current scale"
        self._set(ABLE, "True", "SucceededGetScale", text)
        current = int(scale["spec"].get("replicas") or 0)
        if not self._history.recommended:
            self._history.recommended.append((time.monotonic(), current))
        self._status["currentReplicas"] = current
        wanted, reason = await self._wanted(scale, current)
        if wanted != current:
            await self._rescale(gvr, scale, current, wanted, reason)
        else:
            self._status["desiredReplicas"] = current

    async def _read_scale(self) -> tuple[str, Object]:
        reference = self._spec["scaleTargetRef"]
        found = await self._own.resource_of(reference.get("apiVersion") or "v1", reference["kind"])
        name = reference["name"]
        scale = await self._own.client.get(found.gvr, name, self._namespace, "scale")
        return found.gvr, scale

    async def _wanted(self, scale: Object, current: int) -> tuple[int, str]:
        """(replicas to set, why)."""
        least, most = self._spec.get("minReplicas"), int(self._spec["maxReplicas"])
        least = 1 if least is None else int(least)
        if current == 0 and least != 0:
            text = "scaling is disabled since the replica count of the target is zero"
            self._set(ACTIVE, "False", "ScalingDisabled", text)
            return 0, ""
        if current > most:
            return most, "Current number of replicas above Spec.MaxReplicas"
        if current < least:
            return least, "Current number of replicas below Spec.MinReplicas"
        asked, metric = await self._by_metrics(scale, current)
        decision = decide(self._spec, current, asked, self._history, time.monotonic())
        self._set(ABLE, "True", *decision.able)
        self._set(LIMITED, "True" if decision.limited else "False", *decision.limit)
        above = decision.replicas > current
        return decision.replicas, f"{metric} above target" if above else "All metrics below target"

    async def _by_metrics(self, scale: Object, current: int) -> tuple[int, str]:
        """The largest count that a metric asks for, and its name. Raises `MetricProblem`."""
        target = self._target(scale, current)
        best: Wish | None = None
        problems: list[tuple[Object, MetricProblem]] = []
        statuses: list[Object] = []
        metrics = self._spec.get("metrics") or []
        for metric in metrics:
            try:
                wish = await self._own.wish(metric, target)
            except MetricProblem as error:
                problems.append((metric, error))
                self._event(
                    "Warning", FAILED.get(metric["type"], "InvalidMetricSourceType"), str(error)
                )
                continue
            statuses.append(wish.status)
            if best is None or wish.replicas > best.replicas:
                best = wish
        self._status["currentMetrics"] = statuses
        if best is None or (problems and best.replicas < current):
            metric, problem = problems[0]
            text = f"the HPA was unable to compute the replica count: {problem}"
            self._set(ACTIVE, "False", FAILED.get(metric["type"], "InvalidMetricSourceType"), text)
            summed = (
                f"invalid metrics ({len(problems)} invalid out of {len(metrics)}), "
                f"first error is: {_wrapped(metric, problem)}"
            )
            self._event("Warning", "FailedComputeMetricsReplicas", summed)
            raise MetricProblem(summed)
        text = f"the HPA was able to successfully calculate a replica count from {best.name}"
        self._set(ACTIVE, "True", "ValidMetricFound", text)
        return best.replicas, best.name

    def _target(self, scale: Object, current: int) -> Target:
        status = scale.get("status") or {}
        selector = status.get("selector") or ""
        if not selector:
            self._event("Warning", "SelectorRequired", "selector is required")
            text = "the HPA target's scale is missing a selector"
            self._set(ACTIVE, "False", "InvalidSelector", text)
            raise MetricProblem("selector is required")
        try:
            pods = self._own.selected(key_of(self._scaler), self._namespace, selector)
        except MetricProblem as error:
            self._event("Warning", "AmbiguousSelector", str(error))
            self._set(ACTIVE, "False", "AmbiguousSelector", str(error))
            raise
        behavior = self._spec.get("behavior") or {}
        down, up = (
            (behavior.get(direction) or {}).get("tolerance")
            for direction in ("scaleDown", "scaleUp")
        )
        exact = Tolerance(
            0.1 if down is None else _fraction(down), 0.1 if up is None else _fraction(up)
        )
        return Target(
            self._namespace, selector, pods, current, int(status.get("replicas") or 0), exact
        )

    async def _rescale(
        self, gvr: str, scale: Object, current: int, wanted: int, reason: str
    ) -> None:
        changed = {**scale, "spec": {**scale["spec"], "replicas": wanted}}
        try:
            await self._own.client.update(gvr, changed, "scale")
        except StatusError as error:
            self._event(
                "Warning",
                "FailedRescale",
                f"New size: {wanted}; reason: {reason}; error: {error.message}",
            )
            text = f"the HPA controller was unable to update the target scale: {error.message}"
            self._set(ABLE, "False", "FailedUpdateScale", text)
            return
        text = f"the HPA controller was able to update the target scale to {wanted}"
        self._set(ABLE, "True", "SucceededRescale", text)
        self._event("Normal", "SuccessfulRescale", f"New size: {wanted}; reason: {reason}")
        self._history.scaled(current, wanted, time.monotonic())
        self._status["desiredReplicas"] = wanted
        self._status["lastScaleTime"] = times.now()

    async def write(self) -> None:
        """The status, where it changed."""
        self._status["conditions"] = self._conditions
        self._status.setdefault("desiredReplicas", 0)
        if self._status == (self._scaler.get("status") or {}):
            return
        await self._own.client.update_status(AUTOSCALERS, {**self._scaler, "status": self._status})

    def _set(self, kind: str, status: str, reason: str, message: str) -> None:
        new = conditions.make(kind, status, reason, message)
        old = conditions.find(self._conditions, kind)
        if old is None:
            self._conditions.append(new)
            return
        if old["status"] == status and "lastTransitionTime" in old:
            new["lastTransitionTime"] = old["lastTransitionTime"]
        self._conditions = [new if c is old else c for c in self._conditions]

    def _event(self, kind: str, reason: str, message: str) -> None:
        self._own.events.event(self._scaler, kind, reason, message)


def _wrapped(metric: Object, error: MetricProblem) -> str:
    kind = metric["type"]
    if kind == "Resource":
        return f"failed to get {metric['resource']['name']} resource metric value: {error}"
    if kind == "ContainerResource":
        source = metric["containerResource"]
        return f"failed to get {source['name']} container metric value: {error}"
    names = {"Pods": "pods", "Object": "object", "External": "external"}
    return f"failed to get {names.get(kind, kind)} metric value: {error}"


def _fraction(text: str) -> float:
    return Quantity.parse(text).milli / 1000
