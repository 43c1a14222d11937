from __future__ import annotations

from typing import Any

import pytest

from kubeinstall.api.custom.costs import estimate, length_of, message
from kubeinstall.api.custom.rules import check_rules
from kubeinstall.api.validation.errors import Errors

STRING = {"type": "string"}


def array(items: dict[str, Any], most: int | None = None) -> dict[str, Any]:
    return {"type": "array", "items": items, **({} if most is None else {"maxItems": most})}


def problems(schema: dict[str, Any]) -> dict[str, list[str]]:
    errors = Errors()
    check_rules(errors, {"type": "object", "properties": {"x": schema}}, "root")
    found: dict[str, list[str]] = {}
    for error in errors:
        found.setdefault(error.path, []).append(error.message)
    return found


def ruled(schema: dict[str, Any], rule: str) -> dict[str, Any]:
    return {**schema, "x-kubernetes-validations": [{"rule": rule}]}


def test_lengths_without_limits_are_those_of_the_largest_request() -> None:
    assert length_of(STRING) == 3145726
    assert length_of({**STRING, "maxLength": 5}) == 20
    assert length_of(array(STRING)) == 3145726 // 3
    assert length_of(array(STRING, 7)) == 7
    assert length_of({"type": "object", "additionalProperties": STRING}) == 3145726 // 8
    assert length_of({"type": "integer"}) is None


@pytest.mark.parametrize(
    ("schema", "rule", "accepted"),
    [
        ({"type": "integer"}, "self > 1 && self < 10", True),
        (STRING, "self.startsWith('a')", True),
        (STRING, "self.matches('^[a-z]+$')", True),
        (array(STRING), "self.all(one, one == 'x')", True),
        (array(array(STRING)), "self.all(a, a.all(b, a.all(c, c == b)))", False),
        (array(STRING), "self.all(a, self.exists(b, a == b))", False),
        (array({**STRING, "maxLength": 10}, 10), "self.all(a, self.exists(b, a == b))", True),
        (array(STRING), "self.all(one, one.contains(self[0]))", False),
    ],
)
def test_only_what_may_take_too_long_is_refused(
    schema: dict[str, Any], rule: str, accepted: bool
) -> None:
    found = problems(ruled(schema, rule))
    assert (found == {}) is accepted, estimate(rule, schema)
    if not accepted:
        text = found["root.properties[x].x-kubernetes-validations[0].rule"][0]
        assert text.startswith("Forbidden: estimated rule cost exceeds budget by factor of more")


def test_simple_rules_cost_what_cel_go_says() -> None:
    unbounded = array(STRING)
    assert estimate("self.all(one, one == 'x')", unbounded) == 1 + 1 + 5 * (3145726 // 3)
    assert estimate("self > 1", {"type": "integer"}) == 2
    assert estimate("self.matches('^abcdefg$')", {**STRING, "maxLength": 25}) == 1 + 11 * 3


def test_rules_of_items_count_for_each_item() -> None:
    rule = "self.all(one, one.startsWith('abc'))"
    inner = ruled(array({**STRING, "maxLength": 10}, 1000), rule)
    assert problems(array(inner, 100)) == {}
    found = problems(array(inner))
    (first, *_) = found["root.properties[x].items.x-kubernetes-validations[0].rule"]
    assert "exceeds budget by factor of" in first


def test_all_rules_together_have_a_limit() -> None:
    rule = {"rule": "self.all(a, self.all(b, a == b))"}
    schema = {**array({**STRING, "maxLength": 2}, 1000), "x-kubernetes-validations": [rule] * 25}
    found = problems(schema)
    assert "estimated rule cost total for entire OpenAPIv3 schema" in found["root"][0]
    assert len(found) == 5


def test_factors_are_worded_as_upstream_does() -> None:
    assert "factor of 1.200000x (try" in message("w", 12_000_000, 10_000_000)
    assert "factor of 2.5x (try" in message("w", 25_000_000, 10_000_000)
    assert "factor of more than 100x (try" in message("w", 10**10, 10_000_000)
