"""Create, update, patch, scale: what is kept, what is refused, what is retried."""

from __future__ import annotations

import asyncio

from tests.apiserver.conftest import Http

MAPS = "/api/v1/namespaces/NS/configmaps"
DEPLOYMENTS = "/apis/apps/v1/namespaces/NS/deployments"
MERGE = {"Content_Type": "application/merge-patch+json"}
DEPLOYMENT = {
    "metadata": {"name": "d"},
    "spec": {
        "selector": {"matchLabels": {"a": "b"}},
        "template": {
            "metadata": {"labels": {"a": "b"}},
            "spec": {"containers": [{"name": "c", "image": "i"}]},
        },
    },
}


async def test_names_are_generated(http: Http) -> None:
    names = set()
    for _ in range(5):
        answer = await http("POST", MAPS, {"metadata": {"generateName": "x-"}})
        assert answer.status == 201
        names.add(answer.body["metadata"]["name"])
    assert len(names) == 5
    assert all(name.startswith("x-") and len(name) == 7 for name in names)


async def test_patches_of_many_writers_all_count(http: Http) -> None:
    await http.create_configmap("a")
    answers = await asyncio.gather(
        *(
            http("PATCH", f"{MAPS}/a", {"data": {f"k{number}": "v"}}, **MERGE)
            for number in range(20)
        )
    )
    assert {answer.status for answer in answers} == {200}
    assert len((await http("GET", f"{MAPS}/a")).body["data"]) == 21


async def test_a_stale_put_is_refused_and_one_without_revision_wins(http: Http) -> None:
    made = await http.create_configmap("a")
    changed = {"metadata": made["metadata"], "data": {"k": "2"}}
    assert (await http("PUT", f"{MAPS}/a", changed)).status == 200
    assert (await http("PUT", f"{MAPS}/a", changed)).status == 409
    bold = {"metadata": {"name": "a"}, "data": {"k": "3"}}
    answer = await http("PUT", f"{MAPS}/a", bold)
    assert (answer.status, answer.body["data"]) == (200, {"k": "3"})
    assert answer.body["metadata"]["uid"] == made["metadata"]["uid"]


async def test_a_put_with_another_uid_is_a_failed_precondition(http: Http) -> None:
    await http.create_configmap("a")
    answer = await http("PUT", f"{MAPS}/a", {"metadata": {"name": "a", "uid": "other"}})
    assert answer.status == 409
    assert "Precondition failed: UID in precondition: other" in answer.body["message"]


async def test_what_changes_nothing_is_not_written(http: Http) -> None:
    made = await http.create_configmap("a")
    same = await http("PATCH", f"{MAPS}/a", {"data": {"k": "v"}}, **MERGE)
    assert same.body["metadata"]["resourceVersion"] == made["metadata"]["resourceVersion"]


async def test_a_put_creates_only_where_upstream_does(http: Http) -> None:
    assert (await http("PUT", f"{MAPS}/a", {"metadata": {"name": "a"}})).status == 404
    leases = "/apis/coordination.k8s.io/v1/namespaces/NS/leases"
    assert (await http("PUT", f"{leases}/l", {"metadata": {"name": "l"}, "spec": {}})).status == 201


async def test_status_and_spec_are_written_apart(http: Http) -> None:
    made = (await http("POST", DEPLOYMENTS, DEPLOYMENT)).body
    assert made["metadata"]["generation"] == 1
    both = {"spec": {"replicas": 7}, "status": {"replicas": 5}}
    status = (await http("PATCH", f"{DEPLOYMENTS}/d/status", both, **MERGE)).body
    assert (status["spec"]["replicas"], status["status"]["replicas"]) == (1, 5)
    assert status["metadata"]["generation"] == 1
    spec = (await http("PATCH", f"{DEPLOYMENTS}/d", both, **MERGE)).body
    assert (spec["spec"]["replicas"], spec["status"]["replicas"]) == (7, 5)
    assert spec["metadata"]["generation"] == 2


async def test_scale(http: Http) -> None:
    await http("POST", DEPLOYMENTS, DEPLOYMENT)
    scale = (await http("GET", f"{DEPLOYMENTS}/d/scale")).body
    assert (scale["kind"], scale["spec"]) == ("Scale", {"replicas": 1})
    assert scale["status"]["selector"] == "a=b"
    scale["spec"]["replicas"] = 3
    assert (await http("PUT", f"{DEPLOYMENTS}/d/scale", scale)).body["spec"] == {"replicas": 3}
    assert (await http("PUT", f"{DEPLOYMENTS}/d/scale", scale)).status == 409
    patched = await http("PATCH", f"{DEPLOYMENTS}/d/scale", {"spec": {"replicas": 4}}, **MERGE)
    assert patched.body["spec"] == {"replicas": 4}
    assert (await http("GET", f"{DEPLOYMENTS}/d")).body["spec"]["replicas"] == 4


async def test_bodies_that_are_too_large_are_refused(http: Http) -> None:
    answer = await http("POST", MAPS, '{"data":{"k":"' + "v" * (3 << 20) + '"}}')
    assert (answer.status, answer.body["reason"]) == (413, "RequestEntityTooLarge")


async def test_a_namespace_in_the_body_must_be_the_paths(http: Http) -> None:
    answer = await http("POST", MAPS, {"metadata": {"name": "a", "namespace": "default"}})
    assert answer.status == 400
    assert "does not match the namespace sent on the request" in answer.body["message"]


async def test_a_scale_is_a_table_too(http: Http) -> None:
    await http("POST", DEPLOYMENTS, DEPLOYMENT)
    accept = "application/json;as=Table;v=v1;g=meta.k8s.io"
    table = (await http("GET", f"{DEPLOYMENTS}/d/scale", Accept=accept)).body
    assert [column["name"] for column in table["columnDefinitions"]][:2] == ["Name", "Desired"]
    assert table["rows"][0]["cells"][:2] == ["d", 1]


async def test_a_new_object_has_no_revision_yet(http: Http) -> None:
    body = {"metadata": {"name": "a", "resourceVersion": "5"}}
    refused = await http("POST", MAPS, body)
    assert refused.status == 500
    assert refused.body["message"] == "resourceVersion should not be set on objects to be created"


async def test_patches_are_refused_in_the_words_of_their_way(http: Http) -> None:
    await http.create_configmap("a")
    wrong = {"data": {"a": 1}}
    strategic = {"Content_Type": "application/strategic-merge-patch+json"}
    for headers, words in (
        (MERGE, "json: cannot unmarshal number into Go struct field ConfigMap.data of type string"),
        (strategic, "cannot convert int64 to string"),
    ):
        answer = await http("PATCH", f"{MAPS}/a", wrong, **headers)
        assert answer.status == 422
        assert answer.body["details"]["causes"][0]["field"] == "patch"
        assert answer.body["message"].endswith(words)
    moved = await http("PATCH", f"{MAPS}/a", {"metadata": {"namespace": "x"}}, **MERGE)
    assert moved.status == 400
    assert "does not match the namespace on the request" in moved.body["message"]
