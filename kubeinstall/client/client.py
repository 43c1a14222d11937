"""The API client: verbs on resources named `"<group>/<version>/<plural>"`."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Mapping
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

import aiohttp
import orjson

from kubeinstall.api.types import Object
from kubeinstall.client import kubeconfig, resources, status
from kubeinstall.client.kubeconfig import ClientConfig
from kubeinstall.client.lines import LineSplitter
from kubeinstall.client.transport import REQUEST_SECONDS, Transport
from kubeinstall.errors import Timeout

PatchKind = Literal["merge", "strategic", "json", "apply"]
WatchEvent = tuple[str, Object]
#: A JSON array; the class below has a method named `list`.
Items = list[Any]

PAGE_SIZE = 500
#: A watch asks the server to end it after 5 to 10 minutes, as upstream's reflector does.
WATCH_SECONDS = 300

_JSON = "application/json"
_PARTIAL = "application/json;as={kind};g=meta.k8s.io;v=v1,application/json"
_PATCH_TYPES: dict[PatchKind, str] = {
    "merge": "application/merge-patch+json",
    "strategic": "application/strategic-merge-patch+json",
    "json": "application/json-patch+json",
    "apply": "application/apply-patch+yaml",
}


class ApiClient:
    """Talks to one API server; use inside `async with`.

    Objects are plain dicts. Errors are `kubeinstall.errors.StatusError` and its subclasses;
    `client.status.Unreachable` when there is no answer.
    """

    def __init__(
        self, config: ClientConfig, user_agent: str = "kubeinstall", transport: Any = None
    ) -> None:
        self.transport: Transport = transport or Transport(config, user_agent)

    @classmethod
    def from_kubeconfig(
        cls, path: str | Path, user_agent: str = "kubeinstall", context: str | None = None
    ) -> ApiClient:
        """A client for the current (or the named) context of a kubeconfig file."""
        read = partial(kubeconfig.load, path, context)
        config = read()
        return cls(config, user_agent, Transport(config, user_agent, read))

    async def __aenter__(self) -> ApiClient:
        await self.transport.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.transport.__aexit__(kind, error, trace)

    def reload(self) -> None:
        """Read credentials from disk again, after a certificate was rotated."""
        self.transport.reload()

    async def request(
        self,
        method: str,
        path: str,
        *,
        body: Object | Items | bytes | None = None,
        params: Mapping[str, str] | None = None,
        content_type: str = _JSON,
        accept: str = _JSON,
        timeout: float = REQUEST_SECONDS,
    ) -> Any:
        """Any request by its path; the answer decoded when it is JSON, else as bytes."""
        headers = {"Accept": accept}
        data: bytes | None = None
        if body is not None:
            data = body if isinstance(body, bytes) else orjson.dumps(body)
            headers["Content-Type"] = content_type
        answer = await self.transport.send(
            method, path, params=params, body=data, headers=headers, timeout=timeout
        )
        if accept.startswith(_JSON):
            return orjson.loads(answer) if answer else None
        return answer

    async def get(
        self, gvr: str, name: str, namespace: str | None = None, subresource: str = ""
    ) -> Object:
        """One object; NotFound when there is none."""
        return await self._object("GET", resources.path(gvr, namespace, name, subresource))

    async def list(
        self,
        gvr: str,
        namespace: str | None = None,
        *,
        label_selector: str = "",
        field_selector: str = "",
        resource_version: str = "",
        limit: int = PAGE_SIZE,
        metadata_only: bool = False,
    ) -> Object:
        """The whole collection as one list object, fetched in pages of `limit`.

        Items are given `apiVersion` and `kind`, which the server leaves out of built-in lists.
        `Expired` when the history was compacted between two pages.
        """
        result: Object | None = None
        params = _selectors(label_selector, field_selector)
        if resource_version:
            params["resourceVersion"] = resource_version
        if limit:
            params["limit"] = str(limit)
        accept = _PARTIAL.format(kind="PartialObjectMetadataList") if metadata_only else _JSON
        path = resources.path(gvr, namespace)
        while True:
            page = await self.request("GET", path, params=params, accept=accept)
            items = page.get("items") or []
            _name_items(page, items)
            if result is None:
                result = page
                result["items"] = items
            else:
                result["items"].extend(items)
                result["metadata"] = page.get("metadata") or {}
            token = (page.get("metadata") or {}).get("continue")
            if not token:
                return result
            params["continue"] = token
            params.pop("resourceVersion", None)

    async def create(
        self, gvr: str, obj: Object, *, subresource: str = "", field_manager: str = ""
    ) -> Object:
        """Create `obj` in its `metadata.namespace`; the object as stored.

        With a subresource (`eviction`, `token`, `binding`) it is posted to the object's own path.
        """
        meta = obj.get("metadata") or {}
        name = meta.get("name") if subresource else None
        target = resources.path(gvr, meta.get("namespace"), name, subresource)
        return await self._object("POST", target, obj, _manager(field_manager))

    async def update(
        self, gvr: str, obj: Object, subresource: str = "", *, field_manager: str = ""
    ) -> Object:
        """Replace the object, or with `subresource="status"` its status; Conflict when stale."""
        meta = obj["metadata"]
        target = resources.path(gvr, meta.get("namespace"), meta["name"], subresource)
        return await self._object("PUT", target, obj, _manager(field_manager))

    async def update_status(self, gvr: str, obj: Object) -> Object:
        """Replace the object's status."""
        return await self.update(gvr, obj, "status")

    async def patch(
        self,
        gvr: str,
        name: str,
        patch: Object | Items,
        namespace: str | None = None,
        kind: PatchKind = "merge",
        subresource: str = "",
        *,
        field_manager: str = "",
        force: bool = False,
    ) -> Object:
        """Patch one object. `apply` needs `field_manager`; `force` takes fields from others."""
        params = _manager(field_manager)
        if force:
            params["force"] = "true"
        target = resources.path(gvr, namespace, name, subresource)
        return await self._object("PATCH", target, patch, params, _PATCH_TYPES[kind])

    async def delete(
        self,
        gvr: str,
        name: str,
        namespace: str | None = None,
        *,
        grace_period_seconds: int | None = None,
        propagation_policy: str | None = None,
        uid: str | None = None,
        resource_version: str | None = None,
    ) -> Object:
        """Delete one object: its last state, or a Status of success.

        `uid` and `resource_version` are preconditions: Conflict when the object has others.
        """
        options = _delete_options(grace_period_seconds, propagation_policy, uid, resource_version)
        return await self._object("DELETE", resources.path(gvr, namespace, name), options)

    async def delete_collection(
        self,
        gvr: str,
        namespace: str | None = None,
        *,
        label_selector: str = "",
        field_selector: str = "",
        propagation_policy: str | None = None,
    ) -> Object:
        """Delete all objects that match."""
        options = _delete_options(None, propagation_policy, None, None)
        params = _selectors(label_selector, field_selector)
        return await self._object("DELETE", resources.path(gvr, namespace), options, params)

    async def watch(
        self,
        gvr: str,
        namespace: str | None = None,
        *,
        resource_version: str = "",
        label_selector: str = "",
        field_selector: str = "",
        metadata_only: bool = False,
        timeout_seconds: int | None = None,
    ) -> AsyncIterator[WatchEvent]:
        """One watch connection: (type, object) pairs until the server ends it.

        Types are ADDED, MODIFIED, DELETED and BOOKMARK. Raises `Expired` when the version is too
        old, other StatusErrors as the server sends them, `Unreachable` when the connection breaks.
        """
        seconds = timeout_seconds or round(WATCH_SECONDS * (1 + random.random()))  # noqa: S311
        params = _selectors(label_selector, field_selector)
        params |= {"watch": "true", "allowWatchBookmarks": "true", "timeoutSeconds": str(seconds)}
        if resource_version:
            params["resourceVersion"] = resource_version
        accept = _PARTIAL.format(kind="PartialObjectMetadata") if metadata_only else _JSON
        answer = await self.transport.stream(
            resources.path(gvr, namespace),
            params=params,
            headers={"Accept": accept},
            idle_seconds=seconds + 30.0,
        )
        splitter = LineSplitter()
        try:
            async for chunk in answer.content.iter_any():
                for line in splitter.feed(chunk):
                    yield _event(line)
        except TimeoutError as error:
            raise Timeout(f"watch of {gvr}: silent for {seconds + 30}s") from error
        except (aiohttp.ClientError, OSError) as error:
            raise status.Unreachable(f"watch of {gvr}: {error or type(error).__name__}") from error
        finally:
            _hang_up(answer)

    async def _object(
        self,
        method: str,
        path: str,
        body: Object | Items | None = None,
        params: Mapping[str, str] | None = None,
        content_type: str = _JSON,
    ) -> Object:
        answer: Object = await self.request(
            method, path, body=body, params=params, content_type=content_type
        )
        return answer


def _hang_up(answer: aiohttp.ClientResponse) -> None:
    """End a stream now: a polite TLS shutdown would keep the socket until the server answers it."""
    connection = answer.connection
    if connection is not None and connection.transport is not None:
        connection.transport.abort()
    answer.close()


def _event(line: bytes) -> WatchEvent:
    event = orjson.loads(line)
    kind, obj = event["type"], event["object"]
    if kind == "ERROR":
        raise status.from_status(obj)
    return kind, obj


def _name_items(page: Object, items: list[Object]) -> None:
    kind = str(page.get("kind") or "").removesuffix("List")
    version = page.get("apiVersion")
    for item in items:
        if "kind" not in item:
            item["kind"] = kind
            item["apiVersion"] = version


def _selectors(label: str, field: str) -> dict[str, str]:
    params: dict[str, str] = {}
    if label:
        params["labelSelector"] = label
    if field:
        params["fieldSelector"] = field
    return params


def _manager(field_manager: str) -> dict[str, str]:
    return {"fieldManager": field_manager} if field_manager else {}


def _delete_options(
    grace: int | None, policy: str | None, uid: str | None, version: str | None
) -> Object | None:
    options: Object = {}
    if grace is not None:
        options["gracePeriodSeconds"] = grace
    if policy:
        options["propagationPolicy"] = policy
    preconditions = {
        name: value for name, value in (("uid", uid), ("resourceVersion", version)) if value
    }
    if preconditions:
        options["preconditions"] = preconditions
    if not options:
        return None
    return {"kind": "DeleteOptions", "apiVersion": "v1", **options}
