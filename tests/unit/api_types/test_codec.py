"""Decoding: upstream's recorded answers, and the forms of values."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from kubeinstall.api import codec, resources
from kubeinstall.api.codec import Kind, gojson, yamldoc
from kubeinstall.errors import BadRequest, Invalid, StatusError, UnsupportedMediaType

from . import reference
from .paths import find, resource_of

_JSON = "application/json"


def _validation(path: str) -> codec.FieldValidation:
    return "Strict" if "fieldValidation=Strict" in path else "Warn"


def _body(case: dict[str, Any]) -> bytes:
    sent = case["send"]
    return sent.encode() if isinstance(sent, str) else orjson.dumps(sent)


def _content_type(case: dict[str, Any]) -> str:
    return str(case["headers"].get("Content-Type", _JSON))


def _decode(case: dict[str, Any]) -> codec.Decoded | StatusError:
    resource = resource_of(case["path"])
    assert resource is not None
    try:
        return codec.decode(
            resource,
            _body(case),
            _content_type(case),
            field_validation=_validation(case["path"]),
        )
    except StatusError as error:
        return error


def _posts() -> list[str]:
    groups = ("bad.", "raw.", "strict.", "warn.", "default.", "rich.")
    return [
        name
        for name, case in reference.golden().items()
        if name.startswith(groups) and case["method"] == "POST" and case["send"] is not None
    ]


def _undecodable(case: dict[str, Any]) -> bool:
    message = case["body"].get("message", "") if isinstance(case["body"], dict) else ""
    return case["status"] == 415 or (
        case["status"] == 400 and ("cannot be handled" in message or "unrecognized" in message)
    )


def test_recorded_refusals_are_word_for_word() -> None:
    compared = 0
    for name in _posts():
        case = reference.golden()[name]
        if not _undecodable(case):
            continue
        answer = _decode(case)
        assert isinstance(answer, StatusError), name
        assert answer.status_code == case["status"], name
        assert answer.message == case["body"]["message"], name
        compared += 1
    assert compared >= 35


def test_recorded_warnings() -> None:
    compared = 0
    for name in _posts():
        case = reference.golden()[name]
        if _undecodable(case):
            continue
        answer = _decode(case)
        assert isinstance(answer, codec.Decoded), name
        header = case["reply_headers"].get("warning", "")
        if "unknown field" in header:
            compared += 1
        for warning in answer.warnings:
            quoted = warning.replace('"', '\\"')
            assert f'299 - "{quoted}"' in header, name
        if "unknown field" not in header:
            assert answer.warnings == (), name
    assert compared >= 25


_PODS = find("", "v1", "pods")
_CONFIG_MAPS = find("", "v1", "configmaps")


def _refusal(resource: resources.Resource, body: bytes, **options: Any) -> str:
    with pytest.raises(BadRequest) as caught:
        codec.decode(resource, body, _JSON, **options)
    return caught.value.message


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        (b"", "unexpected end of JSON input (<empty>)"),
        (b"[1]", 'struct { APIVersion string "json:\\"apiVersion,omitempty\\""; Kind string'),
        (b'{"kind":5}', "json: cannot unmarshal number into Go struct field .kind of type string"),
        (b'{"a":tru}', "invalid character '}' in literal true (expecting 'e')"),
        (b'{"a":1}x', "invalid character 'x' after top-level value"),
        (b'{"a" 1}', "invalid character '1' after object key"),
        (b'{"a":[1 2]}', "invalid character '2' after array element"),
        (b'{"a":"\n"}', "invalid character '\\n' in string literal"),
        (b'{"a":-}', "invalid character '}' in numeric literal"),
    ],
)
def test_unreadable_json(body: bytes, detail: str) -> None:
    message = _refusal(_PODS, body)
    assert message.startswith("the object provided is unrecognized (must be of type Pod): ")
    assert detail in message


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        (
            '{"spec":[]}',
            "json: cannot unmarshal array into Go struct field Pod.spec of type v1.PodSpec",
        ),
        (
            '{"spec":{"priority":1.5}}',
            "json: cannot unmarshal number 1.5 into Go struct field PodSpec.spec.priority of type int32",
        ),
        (
            '{"spec":{"containers":[{"imagePullPolicy":1}]}}',
            "json: cannot unmarshal number into Go struct field {}".format(
                "Container.spec.containers.imagePullPolicy of type v1.PullPolicy"
            ),
        ),
        (
            '{"spec":{"containers":[{"livenessProbe":{"httpGet":{"port":[]}}}]}}',
            "json: cannot unmarshal array into Go struct field {}".format(
                "HTTPGetAction.spec.containers.livenessProbe.httpGet.port of type int32"
            ),
        ),
        (
            '{"metadata":{"creationTimestamp":"soon"}}',
            'parsing time "soon" as "2006-01-02T15:04:05Z07:00": cannot parse "soon" as "2006"',
        ),
        (
            '{"metadata":{"uid":1,"name":2}}',
            "json: cannot unmarshal number into Go struct field ObjectMeta.metadata.uid of type types.UID",
        ),
    ],
)
def test_wrong_types(body: str, detail: str) -> None:
    message = _refusal(_PODS, body.encode())
    assert message == f'Pod in version "v1" cannot be handled as a Pod: {detail}'


def test_strict_findings_by_path_in_order() -> None:
    body = (
        b'{"metadata":{"name":"a","name":"b","labels":{"x":"1","x":"2"}},'
        b'"spec":{"containers":[{"nope":1},{"ports":[{"Port":1}]}]},"nope":null}'
    )
    detail = (
        'duplicate field "metadata.name", duplicate field "metadata.labels.x", '
        'unknown field "spec.containers[0].nope", unknown field "spec.containers[1].ports[0].Port", '
        'unknown field "nope"'
    )
    message = _refusal(_PODS, body, field_validation="Strict")
    assert message.endswith(f"cannot be handled as a Pod: strict decoding error: {detail}")
    decoded = codec.decode(_PODS, body, _JSON, field_validation="Warn")
    assert ", ".join(decoded.warnings) == detail
    assert decoded.object["metadata"] == {"name": "b", "labels": {"x": "2"}}
    assert codec.decode(_PODS, body, _JSON, field_validation="Ignore").warnings == ()


def test_values_take_go_s_form() -> None:
    body = {
        "metadata": {"creationTimestamp": None, "generation": 0, "labels": {"a": None}},
        "spec": {
            "nodeName": "",
            "hostNetwork": False,
            "automountServiceAccountToken": False,
            "volumes": [],
            "securityContext": {},
            "containers": [{"command": [None, "b"], "resources": {"limits": {"cpu": "1000m"}}}],
        },
        "status": {"startTime": "2026-01-02T03:04:05.9+01:00"},
    }
    decoded = codec.decode(_PODS, orjson.dumps(body), _JSON).object
    assert decoded == {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"labels": {"a": ""}},
        "spec": {
            "automountServiceAccountToken": False,
            "securityContext": {},
            "containers": [
                {"name": "", "command": ["", "b"], "resources": {"limits": {"cpu": "1"}}}
            ],
        },
        "status": {"startTime": "2026-01-02T02:04:05Z"},
    }
    assert codec.normalize(_PODS, decoded) == decoded


def test_missing_values_that_go_always_writes() -> None:
    node = codec.decode(find("", "v1", "nodes"), b"{}", _JSON).object
    assert node["status"]["daemonEndpoints"] == {"kubeletEndpoint": {"Port": 0}}
    assert node["status"]["nodeInfo"]["kubeletVersion"] == ""
    pod = codec.decode(_PODS, b'{"spec":{}}', _JSON).object
    assert pod["spec"] == {"containers": None}
    assert pod["status"] == {}
    role = codec.decode(find("rbac.authorization.k8s.io", "v1", "roles"), b"{}", _JSON).object
    assert role["rules"] is None


def test_huge_numbers_do_not_break_free_form_data() -> None:
    revisions = find("apps", "v1", "controllerrevisions")
    body = b'{"data":{"n":123456789012345678901234567890},"revision":1,"nope":1}'
    made = codec.decode(revisions, body, _JSON).object
    assert made["data"] == {"n": 123456789012345678901234567890.0}
    assert codec.encode_body(made)
    message = _refusal(revisions, b'{"revision":123456789012345678901234567890}')
    assert "cannot unmarshal number 123456789012345678901234567890 into" in message


def test_other_versions_of_a_kind() -> None:
    scalers = find("autoscaling", "v2", "horizontalpodautoscalers")
    message = _refusal(
        scalers, b'{"apiVersion":"autoscaling/v1","kind":"HorizontalPodAutoscaler","metadata":{}}'
    )
    assert message == (
        "the API version in the data (autoscaling/v1) does not match "
        "the expected API version (autoscaling/v2)"
    )


def test_retired_versions_are_known() -> None:
    deployments = find("apps", "v1", "deployments")
    body = b'{"apiVersion":"extensions/v1beta1","kind":"Deployment","metadata":{},"spec":1}'
    assert _refusal(deployments, body) == (
        "the API version in the data (extensions/v1beta1) does not match "
        "the expected API version (apps/v1)"
    )
    assert _refusal(_PODS, body).endswith(
        "converting (v1beta1.Deployment) to (core.Pod): unknown conversion"
    )
    unknown = b'{"apiVersion":"v1","kind":"Deployment","metadata":{}}'
    assert 'no kind "Deployment" is registered for version "v1"' in _refusal(deployments, unknown)


def test_empty_lists_that_are_always_there() -> None:
    role = codec.decode(
        find("rbac.authorization.k8s.io", "v1", "roles"), b'{"rules":[]}', _JSON
    ).object
    assert role["rules"] is None
    definition = codec.normalize(
        find("apiextensions.k8s.io", "v1", "customresourcedefinitions"),
        {"status": {"conditions": []}},
    )
    assert definition["status"]["conditions"] == []
    secret = codec.decode(find("", "v1", "secrets"), b'{"data":{"a":null,"b":""}}', _JSON).object
    assert secret["data"] == {"a": "", "b": ""}


def test_kinds_without_a_resource() -> None:
    scale = codec.decode_kind(
        Kind("autoscaling", "v1", "Scale"), b'{"spec":{"replicas":0}}', _JSON
    ).object
    assert scale["spec"] == {}
    assert scale["status"] == {"replicas": 0}


def test_custom_resources_keep_what_they_have() -> None:
    thing = resources.Resource(
        "x.example.com", "v1", "things", "thing", "Thing", "ThingList", True, builtin=False
    )
    body = (
        b'{"apiVersion":"x.example.com/v1","kind":"Thing","metadata":{"name":"a","nope":1},'
        b'"spec":{"a":1,"a":2}}'
    )
    decoded = codec.decode(thing, body, _JSON)
    assert decoded.object["spec"] == {"a": 2}
    assert decoded.object["metadata"] == {"name": "a"}
    assert set(decoded.warnings) == {'duplicate field "spec.a"', 'unknown field "metadata.nope"'}
    with pytest.raises(BadRequest, match="labels of type string"):
        codec.decode(thing, b'{"metadata":{"labels":{"a":1}}}', _JSON)


def test_patched_objects() -> None:
    obj = {"metadata": {"name": "a"}, "data": {"k": "v"}, "nope": 1}
    decoded = codec.decode_patched(_CONFIG_MAPS, obj)
    assert decoded.warnings == ('unknown field "nope"',)
    assert "nope" not in decoded.object
    with pytest.raises(Invalid) as caught:
        codec.decode_patched(_CONFIG_MAPS, obj, field_validation="Strict")
    assert caught.value.message.endswith('strict decoding error: unknown field "nope"')
    with pytest.raises(Invalid, match="cannot unmarshal number"):
        codec.decode_patched(_CONFIG_MAPS, {"data": {"k": 1}})


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a: y", {"a": True}),
        ("a: off", {"a": False}),
        ("a: 010", {"a": 8}),
        ("a: 0x1F", {"a": 31}),
        ("a: 08", {"a": 8}),
        ("a: 1.0", {"a": 1}),
        ("a: 1.5", {"a": 1.5}),
        ("a: ~", {"a": None}),
        ("a: '1'", {"a": "1"}),
        ("a: !!str 1", {"a": "1"}),
        ("a: 2020-01-01", {"a": "2020-01-01"}),
        ("a: 1_000", {"a": 1000}),
        ("1: b", {"1": "b"}),
        ("yes: b", {"true": "b"}),
        ("a: &x {b: 1}\nc: {<<: *x, d: 2}", {"a": {"b": 1}, "c": {"b": 1, "d": 2}}),
        ("---\na: b\n---\nc: d", {"a": "b"}),
    ],
)
def test_yaml_is_read_as_upstream_reads_it(text: str, value: Any) -> None:
    node, duplicates = yamldoc.parse(text.encode())
    assert gojson.plain(node) == value
    assert duplicates == []


def test_yaml_duplicates_and_errors() -> None:
    with pytest.raises(BadRequest) as caught:
        codec.decode(
            _CONFIG_MAPS,
            b"data:\n  a: b\n  a: c\n",
            "application/yaml",
            field_validation="Strict",
        )
    message = caught.value.message
    assert (
        'strict decoding error: yaml: unmarshal errors:\n  line 3: key "a" already set in map'
        in message
    )
    with pytest.raises(BadRequest, match=r"unrecognized .*yaml: line 1: "):
        codec.decode(_CONFIG_MAPS, b"a: b: c", "application/yaml")


def test_unknown_media_type() -> None:
    with pytest.raises(UnsupportedMediaType):
        codec.decode(_PODS, b"x", "text/plain")
    assert codec.decode(_PODS, b"{}", "application/json; charset=utf-8").object["kind"] == "Pod"


def test_body_form() -> None:
    obj = {
        "kind": "ConfigMap",
        "apiVersion": "v1",
        "data": {"a": "b"},
        "metadata": {"name": "n", "resourceVersion": "5"},
    }
    assert codec.encode_body(obj) == b'{"metadata":{"name":"n"},"data":{"a":"b"}}'
    assert obj["metadata"] == {"name": "n", "resourceVersion": "5"}


def test_applied_bodies() -> None:
    obj, warnings = codec.decode_applied(b'{"kind":"ConfigMap","data":{"on":"2020-01-01"}}')
    assert (obj["data"], warnings) == ({"on": "2020-01-01"}, ())
    obj, warnings = codec.decode_applied(b"kind: ConfigMap\ndata: {d: 2020-01-01, y: n}\n")
    assert (obj["data"], warnings) == ({"d": "2020-01-01", "true": False}, ())
    twice = b"data:\n  a: b\n  a: c\n"
    obj, warnings = codec.decode_applied(twice)
    assert obj == {"data": {"a": "c"}}
    assert warnings[0].endswith('line 3: key "a" already set in map')
    with pytest.raises(BadRequest, match="error strict decoding YAML"):
        codec.decode_applied(twice, field_validation="Strict")
    with pytest.raises(
        BadRequest, match="error decoding YAML: error converting YAML to JSON: yaml"
    ):
        codec.decode_applied(b"a: b: c")
    with pytest.raises(BadRequest, match="cannot unmarshal array into Go value"):
        codec.decode_applied(b"[1]")
    assert codec.decode_applied(b"") == ({}, ())
