from __future__ import annotations

import pytest

from kubeinstall.apiserver.negotiate import JSON, YAML, Output, negotiate
from kubeinstall.errors import NotAcceptable

TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"


@pytest.mark.parametrize(
    ("accept", "want"),
    [
        ("", Output()),
        ("*/*", Output()),
        ("text/html,*/*;q=0.8", Output()),
        ("application/yaml", Output(YAML)),
        ("application/json;q=0.5, application/yaml", Output(YAML)),
        (f"{TABLE},application/json", Output(JSON, "Table")),
        ("application/json;as=Nope;v=v1;g=meta.k8s.io,application/json", Output()),
        (
            "application/json;as=PartialObjectMetadataList;v=v1beta1;g=meta.k8s.io",
            Output(JSON, "PartialObjectMetadataList", "v1beta1"),
        ),
    ],
)
def test_the_best_clause_that_can_be_served(accept: str, want: Output) -> None:
    assert negotiate(accept, None, "kubectl") == want


def test_what_no_route_produces_is_refused_in_the_routers_words() -> None:
    with pytest.raises(NotAcceptable) as refused:
        negotiate("application/xml", None, "", listing=True)
    assert refused.value.message.startswith("406: Not Acceptable\n\nAvailable representations: ")
    assert "application/json;stream=watch" in refused.value.message
    with pytest.raises(NotAcceptable) as refused:
        negotiate("application/xml", None, "")
    assert "stream=watch" not in refused.value.message


def test_no_table_of_what_has_no_columns() -> None:
    with pytest.raises(NotAcceptable) as refused:
        negotiate(TABLE, None, "", tables=False)
    assert refused.value.message.startswith("only the following media types are accepted: ")
    assert negotiate(f"{TABLE},application/json", None, "", tables=False) == Output()


def test_people_get_it_pretty() -> None:
    assert negotiate("", None, "curl/8").pretty
    assert not negotiate("", "false", "curl/8").pretty
    assert negotiate("", "true", "kubectl").pretty
