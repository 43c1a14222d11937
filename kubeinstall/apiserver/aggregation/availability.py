"""Whether aggregated servers answer: the condition Available of APIServices, and what they offer.

Upstream's remote available controller, with its reasons. The question that finds out, GET of the group
version, is answered with the resources, which is what the discovery documents need: one request does for both.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING, NamedTuple

import aiohttp
import orjson

from kubeinstall.api import times
from kubeinstall.api.discovery import External
from kubeinstall.api.types import Object
from kubeinstall.apiserver.admission.webhooks.client import CallFailed, resolve_service
from kubeinstall.apiserver.aggregation import documents
from kubeinstall.apiserver.aggregation.services import Aggregation, GroupVersion, Remote
from kubeinstall.apiserver.aggregation.transport import BadTransport, Transport, identity_headers
from kubeinstall.apiserver.authz.kinds import kind
from kubeinstall.apiserver.request import MASTERS_GROUP, User
from kubeinstall.errors import KubeinstallError, NotFound

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

    from kubeinstall.apiserver.catalog import Catalog
    from kubeinstall.apiserver.registry import Registry

#: Who asks: servers let this group do anything.
AGGREGATOR = User("system:kube-aggregator", groups=(MASTERS_GROUP,))
_AGAIN_SECONDS = 30.0  # between two looks at one that answered
_ASK_SECONDS = 5.0
_ATTEMPTS = 5
_DOCUMENT_LIMIT = 16 << 20  # bytes of an answer
_SLICES = kind("endpointslices", "discovery.k8s.io")
_SERVICES = kind("services")


class Verdict(NamedTuple):
    """A condition Available."""

    status: str
    reason: str
    message: str


_PASSED = Verdict("True", "Passed", "all checks passed")


class Availability:
    """Looks after all remotes; `run()` works until cancelled."""

    def __init__(
        self,
        aggregation: Aggregation,
        registry: Registry,
        catalog: Catalog,
        transport: Transport,
        log: FilteringBoundLogger,
    ) -> None:
        self._aggregation = aggregation
        self._registry = registry
        self._catalog = catalog
        self._transport = transport
        self._log = log
        self._due: dict[GroupVersion, float] = {}
        self._failures: dict[GroupVersion, int] = {}
        self._wake = asyncio.Event()
        self._observing = False

    async def run(self) -> None:
        """Look at each when it is due: at once after a change of its service, else every 30 s."""
        self._aggregation.listen(self._changed)
        for place in self._aggregation.remotes:
            self._now(place)
        self._observe_services()
        while True:
            now = time.monotonic()
            due = [place for place, moment in self._due.items() if moment <= now]
            for place in due:
                del self._due[place]
            if due:
                # All at once: one that does not answer must not make the others wait.
                await asyncio.gather(*(self._look(place) for place in due))
                continue
            wait = min(self._due.values(), default=now + 3600) - now
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), wait)
            self._wake.clear()

    def _now(self, place: GroupVersion) -> None:
        self._due[place] = 0.0
        self._failures.pop(place, None)
        self._wake.set()

    def _changed(self, old: Object | None, new: Object | None) -> None:
        spec = (new or old or {}).get("spec") or {}
        place = (spec.get("group", ""), spec.get("version", ""))
        if place not in self._aggregation.remotes:
            self._due.pop(place, None)
            self._failures.pop(place, None)
            return
        self._observe_services()
        if old is None or old.get("spec") != spec:
            self._now(place)

    def _observe_services(self) -> None:
        """Only where there is a remote: most clusters need not pay for it."""
        if self._observing or not self._aggregation.remotes:
            return
        self._observing = True
        self._registry.observe(_SERVICES, self._service_changed)
        self._registry.observe(_SLICES, self._slice_changed)

    def _service_changed(self, old: Object | None, new: Object | None) -> None:
        metadata = (new or old or {})["metadata"]
        self._touched(metadata.get("namespace", ""), metadata["name"])

    def _slice_changed(self, old: Object | None, new: Object | None) -> None:
        metadata = (new or old or {})["metadata"]
        name = (metadata.get("labels") or {}).get("kubernetes.io/service-name", "")
        self._touched(metadata.get("namespace", ""), name)

    def _touched(self, namespace: str, name: str) -> None:
        for place, remote in self._aggregation.remotes.items():
            if (remote.namespace, remote.service) == (namespace, name):
                self._now(place)

    async def _look(self, place: GroupVersion) -> None:
        remote = self._aggregation.remotes.get(place)
        if remote is None:
            return
        try:
            verdict, offered = await self._judge(remote)
            self._offer(remote, offered)
            await self._write(remote, verdict)
            if offered is not None:
                await documents.fetch(self._transport, remote, self._catalog)
            again = _AGAIN_SECONDS
            if verdict.status != "True":
                again = self._backoff(place)
        except NotFound:
            return
        except KubeinstallError as error:
            self._log.warning("APIService not checked", name=remote.name, error=str(error))
            again = self._backoff(place)
        if place in self._aggregation.remotes:
            self._due.setdefault(place, time.monotonic() + again)

    def _backoff(self, place: GroupVersion) -> float:
        count = self._failures[place] = self._failures.get(place, 0) + 1
        return min(_AGAIN_SECONDS, 0.25 * float(1 << min(count, 10)))

    async def _judge(self, remote: Remote) -> tuple[Verdict, list[Object] | None]:
        problem = self._service_problem(remote)
        if problem is not None:
            return problem, None
        last = ""
        for _ in range(_ATTEMPTS):
            try:
                return _PASSED, await self._ask(remote)
            except (CallFailed, BadTransport, aiohttp.ClientError, OSError, TimeoutError) as error:
                last = str(error) or "context deadline exceeded"
                if isinstance(error, CallFailed | BadTransport | TimeoutError):
                    break
                await asyncio.sleep(0.05)
        text = f"failing or missing response from {self._place(remote)}: {last}"
        return Verdict("False", "FailedDiscoveryCheck", text), None

    def _place(self, remote: Remote) -> str:
        """The address that was asked, as upstream names it."""
        try:
            host, port = resolve_service(
                self._registry, remote.namespace, remote.service, remote.port
            )
        except CallFailed:
            return remote.origin + remote.path
        return f"https://{f'[{host}]' if ':' in host else host}:{port}{remote.path}"

    def _service_problem(self, remote: Remote) -> Verdict | None:
        namespace, name = remote.namespace, remote.service
        try:
            service = self._registry.get(_SERVICES, name, namespace)
        except NotFound:
            text = f'service/{name} in "{namespace}" is not present'
            return Verdict("False", "ServiceNotFound", text)
        spec = service.get("spec") or {}
        if spec.get("type", "ClusterIP") != "ClusterIP":
            return None
        ports = [one for one in spec.get("ports") or [] if one.get("port") == remote.port]
        if not ports:
            text = f'service/{name} in "{namespace}" is not listening on port {remote.port}'
            return Verdict("False", "ServicePortError", text)
        wanted = ports[0].get("name") or ""
        slices = self._registry.list(_SLICES, namespace, f"kubernetes.io/service-name={name}")
        if not slices:
            text = f'cannot find endpointslices for service/{name} in "{namespace}"'
            return Verdict("False", "EndpointsNotFound", text)
        if not any(_has_endpoints(one, wanted) for one in slices):
            text = (
                f'endpoints for service/{name} in "{namespace}" have no addresses with port name'
                f' "{wanted}"'
            )
            return Verdict("False", "MissingEndpoints", text)
        return None

    async def _ask(self, remote: Remote) -> list[Object]:
        """The APIResourceList's entries."""
        async with (
            asyncio.timeout(_ASK_SECONDS),
            self._transport.session.get(
                remote.origin + remote.path,
                headers=[("Accept", "application/json"), *identity_headers(AGGREGATOR)],
                ssl=self._transport.context(remote.bundle, insecure=remote.insecure),
                allow_redirects=False,
            ) as response,
        ):
            body = await documents.read(response, _DOCUMENT_LIMIT)
        if not 200 <= response.status < 300:
            raise aiohttp.ClientPayloadError(
                f"bad status from {self._place(remote)}: {response.status}"
            )
        try:
            found = orjson.loads(body)
        except orjson.JSONDecodeError:
            return []
        return list(found.get("resources") or []) if isinstance(found, dict) else []

    def _offer(self, remote: Remote, offered: list[Object] | None) -> None:
        """Into the discovery documents: what it offers, or that what is known may be old."""
        place = (remote.group, remote.version)
        if place not in self._aggregation.remotes:
            return
        known = self._catalog.external.get(place)
        if offered is None:
            new = External(remote.group, remote.version, known.resources if known else [], False)
        else:
            new = External(remote.group, remote.version, offered, True)
        if new != known:
            self._catalog.external[place] = new
            self._catalog.forget_documents()

    async def _write(self, remote: Remote, verdict: Verdict) -> None:
        def mutate(current: Object) -> Object | None:
            if not (current.get("spec") or {}).get("service"):
                return None
            status = current["status"] = current.get("status") or {}
            conditions = status["conditions"] = status.get("conditions") or []
            found = next((c for c in conditions if c.get("type") == "Available"), None)
            if found is None:
                found = {"type": "Available"}
                conditions.append(found)
            if (found.get("status"), found.get("reason"), found.get("message")) == verdict:
                return None
            if found.get("status") != verdict.status:
                found["lastTransitionTime"] = times.now()
            found.update(verdict._asdict())
            return current

        await self._registry.update(
            self._aggregation.kind, "", remote.name, mutate, subresource="status", admit=False
        )


def _has_endpoints(one: Object, port_name: str) -> bool:
    """Whether a slice has a ready address at the port."""
    if not any((port.get("name") or "") == port_name for port in one.get("ports") or []):
        return False
    return any(
        endpoint.get("addresses") and (endpoint.get("conditions") or {}).get("ready") is not False
        for endpoint in one.get("endpoints") or []
    )
