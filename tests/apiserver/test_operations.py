"""What the conformance tests "should support … API operations" do, for every kind.

Discovery, create, get, list by label, watch from a revision, patch, update, status, delete, delete of a collection.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from tests.apiserver.conftest import Answer, Http
from tests.apiserver.kinds import CASES, Case

MERGE = "application/merge-patch+json"


class Operations:
    """The operations on one kind, in the order of the conformance tests."""

    def __init__(self, http: Http, case: Case) -> None:
        self._http, self._case = http, case
        group, _, _ = case.group_version.rpartition("/")
        self._base = f"/{'apis' if group else 'api'}/{case.group_version}"
        place = f"/namespaces/{http.namespace}" if case.namespaced else ""
        self.path = f"{self._base}{place}/{case.plural}"
        self._mark = f"op={http.namespace}"

    async def discover(self) -> None:
        """Group, version and resources are listed."""
        case = self._case
        group = case.group_version.rpartition("/")[0]
        if group:
            groups = (await self._http("GET", "/apis")).body["groups"]
            assert group in [one["name"] for one in groups]
            versions = (await self._http("GET", f"/apis/{group}")).body["versions"]
            assert case.group_version in [one["groupVersion"] for one in versions]
        resources = (await self._http("GET", self._base)).body["resources"]
        names = {one["name"] for one in resources}
        wanted = {case.plural} | ({f"{case.plural}/status"} if case.status else set())
        assert wanted <= names

    async def create(self) -> list[str]:
        """Three objects; their names."""
        names = []
        for number in range(3):
            text = json.dumps({"apiVersion": self._case.group_version, **self._case.body})
            body = json.loads(text.replace("N.", f"{number}.").replace("pN", f"p{number}"))
            body = json.loads(json.dumps(body).replace('"NS"', f'"{self._http.namespace}"'))
            named = {"name": self._case.name.replace("N", str(number))}
            named = named if self._case.name else {"generateName": "e2e-"}
            body["metadata"] = {**named, "labels": {"op": self._http.namespace}}
            made = await self._http("POST", self.path, body)
            assert made.status == 201, made.body
            names.append(made.body["metadata"]["name"])
        return names

    async def listed(self) -> Answer:
        """The objects by their label."""
        return await self._http("GET", f"{self.path}?labelSelector={self._mark}")

    async def change(self, name: str, revision: str) -> None:
        """Patch and update, and watch that from before."""
        query = f"watch=1&resourceVersion={revision}&labelSelector={self._mark}"
        path = f"{self.path}/{name}"
        async with self._http.session.get(self._http.url(f"{self.path}?{query}")) as stream:
            patch = {"metadata": {"annotations": {"patched": "true"}}}
            patched = await self._http("PATCH", path, patch, Content_Type=MERGE)
            assert patched.status == 200, patched.body
            annotations = (await self._update(path))["metadata"]["annotations"]
            assert {"patched": "true", "updated": "true"}.items() <= annotations.items()
            seen: dict[str, str] = {}
            while "updated" not in seen:  # the server writes the status of some kinds meanwhile
                event = json.loads(await asyncio.wait_for(stream.content.readline(), 10))
                assert event["type"] == "MODIFIED"
                if event["object"]["metadata"]["name"] == name:
                    seen = event["object"]["metadata"].get("annotations") or {}

    async def _update(self, path: str) -> dict[str, Any]:
        """Write with another annotation, again where somebody else was faster; what it is then."""
        for _ in range(10):
            current = (await self._http("GET", path)).body
            current["metadata"]["annotations"]["updated"] = "true"
            updated = await self._http("PUT", path, current)
            if updated.status != 409:
                assert updated.status == 200, updated.body
                found: dict[str, Any] = updated.body
                return found
        raise AssertionError("always somebody else was faster")

    async def status(self, name: str) -> None:
        """Get, patch and update the status; the rest stays as it is."""
        case, path = self._case, f"{self.path}/{name}"
        if case.status is None:
            return
        patch = {"metadata": {"annotations": {"status": "true"}}, "status": case.status}
        patched = await self._http("PATCH", f"{path}/status", patch, Content_Type=MERGE)
        assert patched.status == 200, patched.body
        stored = (await self._http("GET", f"{path}/status")).body
        assert case.status.keys() <= stored["status"].keys()
        assert ("status" in stored["metadata"]["annotations"]) is case.annotates
        replaced = await self._update(f"{path}/status")
        assert replaced.get("spec") == stored.get("spec")

    async def delete(self, name: str) -> None:
        """One, then all that are left."""
        gone = await self._http("DELETE", f"{self.path}/{name}")
        assert gone.status == 200, gone.body
        left = await self._http("GET", f"{self.path}/{name}")
        assert left.status == 404 or left.body["metadata"]["deletionTimestamp"]
        swept = await self._http("DELETE", f"{self.path}?labelSelector={self._mark}")
        assert swept.status == 200, swept.body
        items = (await self.listed()).body["items"]
        assert all("deletionTimestamp" in one["metadata"] for one in items)


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.group_version}-{case.plural}")
async def test_api_operations(http: Http, case: Case) -> None:
    operations = Operations(http, case)
    if case.kind == "Pod":
        path = "/api/v1/namespaces/NS/serviceaccounts"
        assert (await http("POST", path, {"metadata": {"name": "default"}})).status == 201
    await operations.discover()
    names = await operations.create()
    found = (await operations.listed()).body
    assert sorted(one["metadata"]["name"] for one in found["items"]) == sorted(names)
    await operations.change(names[0], found["metadata"]["resourceVersion"])
    await operations.status(names[0])
    await operations.delete(names[0])
