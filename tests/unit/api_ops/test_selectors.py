"""Selectors: syntax, messages as recorded from upstream, matching."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from kubeinstall.api.selectors import (
    FieldSelector,
    LabelSelector,
    SelectorError,
    field_selector,
    selectable_fields,
)

LABELS = {"app": "web", "tier": "front", "size": "7"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", True),
        ("app", True),
        ("!app", False),
        ("!legacy", True),
        ("app=web", True),
        ("app==web,tier=front", True),
        ("app!=web", False),
        ("none!=x", True),
        ("app in (web,db)", True),
        ("app notin (web, db)", False),
        ("none notin (a)", True),
        ("size>5", True),
        ("size<5", False),
        ("app>5", False),
        ("none=", False),
        ("in in (in,notin)", False),
    ],
)
def test_matching(text: str, expected: bool) -> None:
    assert LabelSelector.parse(text).matches(LABELS) is expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a===b", "unable to parse requirement: found '=', expected: identifier"),
        ("a b", "unable to parse requirement: found 'b', expected: in, notin, =, ==, !=, gt, lt"),
        ("a=b c", "found 'c', expected: ',' or 'end of string'"),
        ("a=b,", "found '', expected: identifier after ','"),
        ("a in b", "unable to parse requirement: found 'b' expected: '('"),
        (",a", "found ',', expected: !, identifier, or 'end of string'"),
        ("a>x", "the value must be an integer"),
        ("a in ()", "values set can't be empty"),
        ("-a=b", '<nil>: Invalid value: "-a": name part must consist of'),
        ("a=-b", r'values[0][a]: Invalid value: "-b": a valid label must be'),
    ],
)
def test_messages(text: str, message: str) -> None:
    with pytest.raises(SelectorError) as caught:
        LabelSelector.parse(text)
    assert message in caught.value.message
    assert caught.value.status_code == 400


def test_objects() -> None:
    assert not LabelSelector.from_object(None).matches(LABELS)
    assert LabelSelector.from_object({}).matches(LABELS)
    selector = LabelSelector.from_object(
        {
            "matchLabels": {"app": "web"},
            "matchExpressions": [{"key": "tier", "operator": "In", "values": ["front", "back"]}],
        }
    )
    assert selector.matches(LABELS)
    assert not selector.matches({"app": "web"})
    with pytest.raises(SelectorError, match='"Is" is not a valid label selector operator'):
        LabelSelector.from_object({"matchExpressions": [{"key": "a", "operator": "Is"}]})


def test_field_selector_syntax() -> None:
    selector = FieldSelector.parse(r"a=b\,c,d!=e")
    assert selector.matches({"a": "b,c", "d": "x"})
    assert not selector.matches({"a": "b,c", "d": "e"})
    assert str(FieldSelector.parse(str(selector))) == str(selector)
    with pytest.raises(SelectorError, match="can't understand 'nope'"):
        FieldSelector.parse("nope")


def test_pod_fields() -> None:
    pod = {"metadata": {"name": "p", "namespace": "n"}, "spec": {"nodeName": "x"}, "status": {}}
    selector = field_selector("spec.host=x,status.phase!=Running", "", "v1", "Pod")
    assert selector.matches(selectable_fields("", "Pod", pod))


def test_custom_resources() -> None:
    selector = field_selector("spec.color=red", "e.com", "v1", "Foo", ("spec.color",))
    assert selector.matches(
        selectable_fields("e.com", "Foo", {"spec": {"color": "red"}}, ("spec.color",))
    )
    with pytest.raises(SelectorError, match=r"field label not supported: spec\.size"):
        field_selector("spec.size=1", "e.com", "v1", "Foo")


def test_recorded_messages(golden: dict[str, Any]) -> None:
    """Every recorded refusal of a selector, word for word."""
    checked = 0
    for name, case in golden.items():
        if not name.startswith(("bad-field.", "bad-selector.")):
            continue
        url = urlsplit(case["path"])
        query = {key: values[0] for key, values in parse_qs(url.query).items()}
        parts = url.path.strip("/").split("/")
        group, version = ("", parts[1]) if parts[0] == "api" else (parts[1], parts[2])
        kind = name.split(".")[1]
        labels, fields = query.get("labelSelector"), query.get("fieldSelector", "")
        with pytest.raises(SelectorError) as caught:
            LabelSelector.parse(labels) if labels else field_selector(fields, group, version, kind)
        assert caught.value.to_status() | {"apiVersion": "v1"} == case["body"], name
        checked += 1
    assert checked > 40
