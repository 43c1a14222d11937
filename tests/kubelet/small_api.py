"""A small API of dictionaries over real HTTP: what the kubelet needs, and control over what it sees.

It stores objects, watches, patches with the product's own patch code, issues tokens, and can be made to go
away. It validates nothing: the tests against the real API server do.
"""

from __future__ import annotations

import asyncio
import uuid
from typing import Any

import orjson
from aiohttp import web

from kubeinstall.api import resources
from kubeinstall.api.patch import json_patch, merge_patch, strategic_merge_patch
from kubeinstall.api.selectors import FieldSelector, LabelSelector
from kubeinstall.api.times import now

Object = dict[str, Any]


class SmallApi:
    """`url` after `start()`; `objects` by (group, version, plural, namespace, name)."""

    def __init__(self) -> None:
        self.objects: dict[tuple[str, str, str, str, str], Object] = {}
        self.requests: list[tuple[str, str]] = []
        self.revision = 1
        self.history: list[tuple[int, str, tuple[str, str, str, str, str], Object]] = []
        self.changed = asyncio.Condition()
        self.url = ""
        self._runner: web.AppRunner | None = None
        self._port = 0

    async def start(self) -> None:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._handle)
        self._runner = web.AppRunner(app, handle_signals=False, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self._port)
        await site.start()
        self._port = self._runner.addresses[0][1]
        self.url = f"http://127.0.0.1:{self._port}"

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    # For tests

    async def put(self, gvr: str, obj: Object, event: str = "") -> Object:
        group, version, plural = _split(gvr)
        meta = obj.setdefault("metadata", {})
        key = (group, version, plural, meta.get("namespace", ""), meta["name"])
        kind = event or ("MODIFIED" if key in self.objects else "ADDED")
        self.revision += 1
        meta.setdefault("uid", str(uuid.uuid4()))
        meta.setdefault("creationTimestamp", now())
        meta["resourceVersion"] = str(self.revision)
        if plural == "pods":
            meta.setdefault("generation", 1)
            obj.setdefault("status", {"phase": "Pending"})
        if kind == "DELETED":
            self.objects.pop(key, None)
        else:
            self.objects[key] = obj
        async with self.changed:
            self.history.append((self.revision, kind, key, orjson.loads(orjson.dumps(obj))))
            self.changed.notify_all()
        return obj

    def get(self, gvr: str, name: str, namespace: str = "") -> Object | None:
        return self.objects.get((*_split(gvr), namespace, name))

    async def remove(self, gvr: str, name: str, namespace: str = "") -> None:
        obj = self.get(gvr, name, namespace)
        assert obj is not None
        await self.put(gvr, obj, "DELETED")

    async def delete_pod(
        self, name: str, namespace: str = "default", grace: int | None = None
    ) -> None:
        """What `kubectl delete pod` does to a pod that runs on a node."""
        pod = self.get("v1/pods", name, namespace)
        assert pod is not None
        seconds = pod["spec"].get("terminationGracePeriodSeconds", 30) if grace is None else grace
        pod = orjson.loads(orjson.dumps(pod))
        pod["metadata"]["deletionTimestamp"] = now()
        pod["metadata"]["deletionGracePeriodSeconds"] = seconds
        await self.put("v1/pods", pod)

    def events(self, name: str) -> list[tuple[str, str]]:
        return [
            (e["reason"], e["message"])
            for key, e in self.objects.items()
            if key[2] == "events" and e["involvedObject"]["name"] == name
        ]

    # HTTP

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        parts = request.path.strip("/").split("/")
        self.requests.append((request.method, request.path_qs))
        if parts[0] == "api":
            group, version, rest = "", parts[1], parts[2:]
        elif parts[0] == "apis":
            group, version, rest = parts[1], parts[2], parts[3:]
        else:
            return web.Response(text="ok")
        namespace = ""
        if rest[0] == "namespaces" and len(rest) > 2:
            namespace, rest = rest[1], rest[2:]
        plural, name = rest[0], rest[1] if len(rest) > 1 else ""
        subresource = rest[2] if len(rest) > 2 else ""
        key = (group, version, plural, namespace, name)
        if request.query.get("watch"):
            return await self._watch(request, key)
        if request.method == "GET" and not name:
            return self._list(request, key)
        body = orjson.loads(await request.read() or b"null")
        if subresource == "token":
            return _token(body)
        if plural in ("tokenreviews", "subjectaccessreviews"):
            return self.review(plural, body)
        return await self._verb(request, key, subresource, body)

    def review(self, plural: str, body: Object) -> web.Response:
        """Authentication and authorization of the kubelet's own clients."""
        spec = body["spec"]
        if plural == "tokenreviews":
            good = spec["token"] in ("admin-token", "nobody-token")
            status: Object = {"authenticated": good}
            if good:
                status["user"] = {"username": spec["token"].partition("-")[0], "groups": []}
        else:
            status = {"allowed": spec.get("user") == "admin"}
        return web.json_response({**body, "status": status}, status=201)

    async def _verb(
        self, request: web.Request, key: tuple[str, str, str, str, str], subresource: str, body: Any
    ) -> web.Response:
        gvr = f"{key[0]}/{key[1]}/{key[2]}" if key[0] else f"{key[1]}/{key[2]}"
        if request.method == "POST":
            full = (*key[:4], body["metadata"]["name"])
            if full in self.objects:
                return _status(409, "AlreadyExists")
            if key[3]:
                body["metadata"]["namespace"] = key[3]
            return web.json_response(await self.put(gvr, body), status=201)
        found = self.objects.get(key)
        if found is None:
            return _status(404, "NotFound", f'{key[2]} "{key[4]}" not found')
        if request.method == "GET":
            return web.json_response(found)
        if request.method == "PUT":
            return web.json_response(await self.put(gvr, body))
        if request.method == "PATCH":
            return await self._patch(request, gvr, key, found, body, subresource)
        return await self._delete(gvr, found, body or {})

    async def _patch(
        self,
        request: web.Request,
        gvr: str,
        key: tuple[str, str, str, str, str],
        found: Object,
        body: Any,
        subresource: str,
    ) -> web.Response:
        uid = (body.get("metadata") or {}).get("uid") if isinstance(body, dict) else None
        if uid and uid != found["metadata"]["uid"]:
            return _status(409, "Conflict")
        kind = request.content_type
        if "strategic" in kind:
            resource = resources.find(*key[:3])
            assert resource is not None
            made = strategic_merge_patch(resource, found, body)
        elif "json-patch" in kind:
            made = json_patch(found, body)
        else:
            made = merge_patch(found, body)
        if subresource == "status":
            made = {**found, "status": made["status"]}
        return web.json_response(await self.put(gvr, made))

    async def _delete(self, gvr: str, found: Object, options: Object) -> web.Response:
        wanted = (options.get("preconditions") or {}).get("uid")
        if wanted and wanted != found["metadata"]["uid"]:
            return _status(409, "Conflict")
        await self.put(gvr, found, "DELETED")
        return web.json_response(found)

    def _selected(
        self, request: web.Request, key: tuple[str, str, str, str, str], obj: Object
    ) -> bool:
        fields = FieldSelector.parse(request.query.get("fieldSelector", ""))
        labels = LabelSelector.parse(request.query.get("labelSelector", ""))
        meta = obj["metadata"]
        shown = {
            "metadata.name": meta["name"],
            "metadata.namespace": meta.get("namespace", ""),
            "spec.nodeName": (obj.get("spec") or {}).get("nodeName", ""),
        }
        return fields.matches(shown) and labels.matches(meta.get("labels") or {})

    def _list(self, request: web.Request, key: tuple[str, str, str, str, str]) -> web.Response:
        items = [
            obj
            for k, obj in self.objects.items()
            if k[:3] == key[:3]
            and (not key[3] or k[3] == key[3])
            and self._selected(request, k, obj)
        ]
        return web.json_response(
            {
                "kind": "List",
                "apiVersion": "v1",
                "metadata": {"resourceVersion": str(self.revision)},
                "items": items,
            }
        )

    async def _watch(
        self, request: web.Request, key: tuple[str, str, str, str, str]
    ) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        seen = int(request.query.get("resourceVersion") or 0)
        while True:
            for revision, kind, k, obj in list(self.history):
                mine = k[:3] == key[:3] and (not key[3] or k[3] == key[3])
                if revision > seen and mine and self._selected(request, k, obj):
                    await response.write(orjson.dumps({"type": kind, "object": obj}) + b"\n")
            seen = max(seen, self.revision)
            async with self.changed:
                await self.changed.wait_for(lambda: self.revision > seen)  # noqa: B023


def _split(gvr: str) -> tuple[str, str, str]:
    parts = gvr.split("/")
    return (parts[0], parts[1], parts[2]) if len(parts) == 3 else ("", parts[0], parts[1])


def _token(body: Object) -> web.Response:
    return web.json_response(
        {
            **body,
            "status": {
                "token": f"token-{uuid.uuid4()}",
                "expirationTimestamp": "2099-01-01T00:00:00Z",
            },
        },
        status=201,
    )


def _status(code: int, reason: str, message: str = "") -> web.Response:
    return web.json_response(
        {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "reason": reason,
         "message": message or reason},
        status=code,
    )  # fmt: skip
