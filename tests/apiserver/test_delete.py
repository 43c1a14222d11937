"""Deletes: finalizers, grace, dependents, preconditions."""

from __future__ import annotations

from tests.apiserver.conftest import Http

MAPS = "/api/v1/namespaces/NS/configmaps"
PODS = "/api/v1/namespaces/NS/pods"
MERGE = {"Content_Type": "application/merge-patch+json"}
POD = {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "i"}]}}


async def _account(http: Http) -> None:
    await http("POST", "/api/v1/namespaces/NS/serviceaccounts", {"metadata": {"name": "default"}})


async def test_a_finalizer_holds_the_object(http: Http) -> None:
    await http.create_configmap("a", finalizers=["example.com/hold"])
    marked = await http("DELETE", f"{MAPS}/a")
    assert marked.status == 200
    assert marked.body["metadata"]["deletionTimestamp"]
    assert marked.body["metadata"]["deletionGracePeriodSeconds"] == 0
    again = await http("POST", MAPS, {"metadata": {"name": "a"}})
    assert again.status == 409
    assert again.body["message"] == 'object is being deleted: configmaps "a" already exists'
    freed = await http("PATCH", f"{MAPS}/a", {"metadata": {"finalizers": None}}, **MERGE)
    assert freed.status == 200
    assert (await http("GET", f"{MAPS}/a")).status == 404


async def test_policies_become_finalizers(http: Http) -> None:
    for policy, finalizer in (("Foreground", "foregroundDeletion"), ("Orphan", "orphan")):
        await http.create_configmap(policy.lower())
        answer = await http("DELETE", f"{MAPS}/{policy.lower()}?propagationPolicy={policy}")
        assert answer.body["metadata"]["finalizers"] == [finalizer]


async def test_an_unscheduled_pod_goes_at_once(http: Http) -> None:
    await _account(http)
    assert (await http("POST", PODS, POD)).status == 201
    gone = await http("DELETE", f"{PODS}/p")
    assert (gone.status, gone.body["kind"]) == (200, "Pod")
    assert (await http("GET", f"{PODS}/p")).status == 404


async def test_a_scheduled_pod_gets_its_grace_which_only_shrinks(http: Http) -> None:
    await _account(http)
    scheduled = {**POD, "spec": {**POD["spec"], "nodeName": "n"}}  # type: ignore[dict-item]  # POD is plain JSON
    assert (await http("POST", PODS, scheduled)).status == 201
    first = (await http("DELETE", f"{PODS}/p")).body["metadata"]
    assert first["deletionGracePeriodSeconds"] == 30
    assert first["generation"] == 2
    longer = (await http("DELETE", f"{PODS}/p?gracePeriodSeconds=60")).body["metadata"]
    assert longer["deletionGracePeriodSeconds"] == 30
    shorter = (await http("DELETE", f"{PODS}/p?gracePeriodSeconds=5")).body["metadata"]
    assert shorter["deletionGracePeriodSeconds"] == 5
    assert shorter["deletionTimestamp"] < first["deletionTimestamp"]
    await http("DELETE", f"{PODS}/p?gracePeriodSeconds=0")
    assert (await http("GET", f"{PODS}/p")).status == 404


async def test_preconditions(http: Http) -> None:
    made = await http.create_configmap("a")
    stale = {"preconditions": {"resourceVersion": "1"}}
    refused = await http("DELETE", f"{MAPS}/a", stale)
    assert refused.status == 409
    assert "the ResourceVersion in the precondition (1) does not match" in refused.body["message"]
    right = {"preconditions": {"uid": made["metadata"]["uid"]}}
    assert (await http("DELETE", f"{MAPS}/a", right)).status == 200


async def test_a_collection_goes_by_selector(http: Http) -> None:
    await http.create_configmap("a", labels={"x": "y"})
    await http.create_configmap("b")
    answer = await http("DELETE", f"{MAPS}?labelSelector=x%3Dy")
    assert [item["metadata"]["name"] for item in answer.body["items"]] == ["a"]
    left = (await http("GET", MAPS)).body["items"]
    assert [item["metadata"]["name"] for item in left] == ["b"]


async def test_a_namespace_terminates_first(http: Http) -> None:
    answer = await http("DELETE", "/api/v1/namespaces/NS")
    assert answer.body["status"]["phase"] == "Terminating"
    refused = await http("POST", MAPS, {"metadata": {"name": "late"}})
    assert refused.status == 403
    assert "because it is being terminated" in refused.body["message"]
    body = {"metadata": {"name": http.namespace}, "spec": {"finalizers": []}}
    done = await http("PUT", "/api/v1/namespaces/NS/finalize", body)
    assert done.status == 200
    assert (await http("GET", "/api/v1/namespaces/NS")).status == 404


async def test_a_dry_run_deletes_nothing(http: Http) -> None:
    await http.create_configmap("a")
    assert (await http("DELETE", f"{MAPS}/a?dryRun=All")).status == 200
    assert (await http("GET", f"{MAPS}/a")).status == 200
