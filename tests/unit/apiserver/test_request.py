from __future__ import annotations

import pytest

from kubeinstall.apiserver.request import User, parse_request

CASES = [
    # method, path, query → verb, group, version, namespace, resource, subresource, name
    ("GET", "/api/v1/namespaces/ns/pods/p", {}, ("get", "", "v1", "ns", "pods", "", "p")),
    ("GET", "/api/v1/namespaces/ns/pods", {}, ("list", "", "v1", "ns", "pods", "", "")),
    ("GET", "/api/v1/pods", {"watch": ""}, ("watch", "", "v1", "", "pods", "", "")),
    ("GET", "/api/v1/pods", {"watch": "0"}, ("list", "", "v1", "", "pods", "", "")),
    ("GET", "/api/v1/namespaces", {}, ("list", "", "v1", "", "namespaces", "", "")),
    ("GET", "/api/v1/namespaces/ns", {}, ("get", "", "v1", "ns", "namespaces", "", "ns")),
    (
        "PUT",
        "/api/v1/namespaces/ns/finalize",
        {},
        ("update", "", "v1", "ns", "namespaces", "finalize", "ns"),
    ),
    (
        "PATCH",
        "/apis/apps/v1/namespaces/ns/deployments/d/scale",
        {},
        ("patch", "apps", "v1", "ns", "deployments", "scale", "d"),
    ),
    ("DELETE", "/api/v1/nodes/n", {}, ("delete", "", "v1", "", "nodes", "", "n")),
    (
        "DELETE",
        "/api/v1/namespaces/ns/pods",
        {},
        ("deletecollection", "", "v1", "ns", "pods", "", ""),
    ),
    (
        "GET",
        "/api/v1/watch/namespaces/ns/pods/p",
        {},
        ("watch", "", "v1", "ns", "pods", "", "p"),
    ),
    (
        "GET",
        "/api/v1/pods",
        {"fieldSelector": "spec.nodeName=n,metadata.name=p"},
        ("list", "", "v1", "", "pods", "", "p"),
    ),
    (
        "GET",
        "/api/v1/namespaces/ns/pods/p/proxy/a/b",
        {},
        ("get", "", "v1", "ns", "pods", "proxy", "p"),
    ),
    ("HEAD", "/api/v1/nodes/n", {}, ("get", "", "v1", "", "nodes", "", "n")),
]


@pytest.mark.parametrize(("method", "path", "query", "want"), CASES)
def test_resource_requests(
    method: str, path: str, query: dict[str, str], want: tuple[str, ...]
) -> None:
    info = parse_request(method, path, query)
    assert info.is_resource
    have = (
        info.verb,
        info.group,
        info.version,
        info.namespace,
        info.resource,
        info.subresource,
        info.name,
    )
    assert have == want


@pytest.mark.parametrize(
    "path", ["/", "/healthz", "/api", "/api/v1", "/apis", "/apis/apps", "/apis/apps/v1", "/x/y/z/w"]
)
def test_other_requests(path: str) -> None:
    info = parse_request("GET", path, {})
    assert not info.is_resource
    assert (info.verb, info.path) == ("get", path)


def test_attributes_carry_selectors_only_where_they_select() -> None:
    user = User("u")
    query = {"fieldSelector": "a=b", "labelSelector": "c"}
    listing = parse_request("GET", "/api/v1/pods", query).attributes(user, query)
    assert (listing.field_selector, listing.label_selector) == ("a=b", "c")
    single = parse_request("GET", "/api/v1/nodes/n", query).attributes(user, query)
    assert (single.field_selector, single.label_selector) == ("", "")
    assert hash(single) != hash(listing)
