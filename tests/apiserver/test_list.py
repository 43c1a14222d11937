"""Lists: pages, revisions, selectors, forms."""

from __future__ import annotations

from tests.apiserver.conftest import Http

MAPS = "/api/v1/namespaces/NS/configmaps"


async def _names(http: Http, query: str) -> list[str]:
    answer = await http("GET", f"{MAPS}?{query}")
    assert answer.status == 200, answer.body
    return [item["metadata"]["name"] for item in answer.body["items"]]


async def test_pages_show_one_moment(http: Http) -> None:
    for name in "abcde":
        await http.create_configmap(name)
    first = (await http("GET", f"{MAPS}?limit=2")).body
    assert [item["metadata"]["name"] for item in first["items"]] == ["a", "b"]
    assert first["metadata"]["remainingItemCount"] == 3
    await http("DELETE", f"{MAPS}/d")
    await http.create_configmap("bb")
    token = first["metadata"]["continue"]
    second = (await http("GET", f"{MAPS}?limit=2&continue={token}")).body
    assert [item["metadata"]["name"] for item in second["items"]] == ["c", "d"]
    assert second["metadata"]["resourceVersion"] == first["metadata"]["resourceVersion"]
    token = second["metadata"]["continue"]
    third = (await http("GET", f"{MAPS}?limit=2&continue={token}")).body
    assert [item["metadata"]["name"] for item in third["items"]] == ["e"]
    assert "continue" not in third["metadata"]
    assert await _names(http, "") == ["a", "b", "bb", "c", "e"]


async def test_an_exact_revision_shows_what_was(http: Http) -> None:
    made = await http.create_configmap("a")
    version = made["metadata"]["resourceVersion"]
    await http.create_configmap("b")
    assert await _names(http, f"resourceVersion={version}&resourceVersionMatch=Exact") == ["a"]
    assert await _names(http, f"resourceVersion={version}&resourceVersionMatch=NotOlderThan") == [
        "a",
        "b",
    ]


async def test_a_page_of_selected_objects_hides_how_many_remain(http: Http) -> None:
    for name in "abc":
        await http.create_configmap(name, labels={"x": "y"})
    page = (await http("GET", f"{MAPS}?limit=1&labelSelector=x%3Dy")).body
    assert "remainingItemCount" not in page["metadata"]
    assert page["metadata"]["continue"]


async def test_every_write_is_seen_by_the_next_read(http: Http) -> None:
    for number in range(50):
        await http.create_configmap(f"m{number}")
        assert (await http("GET", f"{MAPS}/m{number}")).status == 200
        assert len(await _names(http, "")) == number + 1


async def test_a_wrong_revision_is_refused(http: Http) -> None:
    answer = await http("GET", f"{MAPS}?resourceVersion=x")
    assert answer.status == 400
    assert answer.body["message"].startswith("invalid resource version: resourceVersion: Invalid")


async def test_forms(http: Http) -> None:
    await http.create_configmap("a")
    yaml = await http("GET", f"{MAPS}/a", Accept="application/yaml")
    assert yaml.headers["Content-Type"] == "application/yaml"
    assert "\nkind: ConfigMap\n" in yaml.body
    partial = await http(
        "GET",
        f"{MAPS}/a",
        Accept="application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io",
    )
    assert partial.body["kind"] == "PartialObjectMetadata"
    assert "data" not in partial.body
    table = await http("GET", f"{MAPS}?", Accept="application/json;as=Table;v=v1;g=meta.k8s.io")
    names = [column["name"] for column in table.body["columnDefinitions"]]
    assert names == ["Name", "Data", "Age"]
    assert table.body["rows"][0]["cells"][:2] == ["a", 1]
    assert (await http("GET", f"{MAPS}/a?pretty=1", Accept="*/*")).body["kind"] == "ConfigMap"


async def test_large_answers_are_compressed_when_accepted(http: Http) -> None:
    big = {"metadata": {"name": "big"}, "data": {"k": "v" * 200_000}}
    assert (await http("POST", MAPS, big)).status == 201
    plain = await http("GET", f"{MAPS}/big", Accept="application/json", Accept_Encoding="identity")
    packed = await http("GET", MAPS, Accept_Encoding="gzip")
    assert "Content-Encoding" not in plain.headers
    assert packed.headers["Content-Encoding"] == "gzip"
    assert packed.body["items"][0]["data"] == plain.body["data"]
