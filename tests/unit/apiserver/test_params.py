from __future__ import annotations

import pytest

from kubeinstall.apiserver import params
from kubeinstall.errors import BadRequest, Invalid


def causes(raised: pytest.ExceptionInfo[Invalid]) -> list[tuple[str, str]]:
    return [(error.path, error.message) for error in raised.value.errors]


@pytest.mark.parametrize(
    ("text", "want"), [(None, False), ("", True), ("0", False), ("FALSE", False), ("yes", True)]
)
def test_booleans(text: str | None, want: bool) -> None:
    assert params.boolean(text) is want


def test_integers_are_gos() -> None:
    assert params.integer("-7") == -7
    with pytest.raises(BadRequest, match=r'strconv.ParseInt: parsing "1_0": invalid syntax'):
        params.integer("1_0")
    with pytest.raises(BadRequest, match="value out of range"):
        params.integer("9223372036854775808")


def test_a_list_cannot_ask_for_initial_events() -> None:
    options = params.list_options({"sendInitialEvents": "true"})
    with pytest.raises(Invalid) as raised:
        params.check_list_options(options)
    assert causes(raised) == [
        ("sendInitialEvents", "Forbidden: sendInitialEvents is forbidden for list")
    ]


def test_an_unknown_match_is_named() -> None:
    options = params.list_options({"resourceVersion": "5", "resourceVersionMatch": "Nope"})
    with pytest.raises(Invalid) as raised:
        params.check_list_options(options)
    assert causes(raised) == [
        (
            "resourceVersionMatch",
            'Unsupported value: "Nope": supported values: "Exact", "NotOlderThan", ""',
        )
    ]


def test_apply_needs_a_manager_and_others_take_no_force() -> None:
    with pytest.raises(Invalid) as raised:
        params.write_options("PatchOptions", {}, patch_type="application/apply-patch+yaml")
    assert causes(raised) == [("fieldManager", "Required value: is required for apply patch")]
    with pytest.raises(Invalid) as raised:
        params.write_options(
            "PatchOptions", {"force": ["true"]}, patch_type="application/merge-patch+json"
        )
    assert causes(raised) == [("force", "Forbidden: may not be specified for non-apply patch")]


def test_every_wrong_write_option_is_told() -> None:
    with pytest.raises(Invalid) as raised:
        params.write_options(
            "CreateOptions",
            {"fieldManager": ["a" * 129], "dryRun": ["Some"], "fieldValidation": ["Maybe"]},
        )
    assert [path for path, _ in causes(raised)] == ["fieldManager", "dryRun", "fieldValidation"]


def test_options_of_a_delete() -> None:
    options = params.delete_options(
        {"gracePeriodSeconds": ["0"], "propagationPolicy": ["Orphan"], "dryRun": ["All"]}
    )
    assert options == {"gracePeriodSeconds": 0, "propagationPolicy": "Orphan", "dryRun": ["All"]}
    params.check_delete_options(options)
    with pytest.raises(Invalid):
        params.check_delete_options({"propagationPolicy": "Sometimes"})
