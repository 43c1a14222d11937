"""`kubeinstall token` against a cluster: what is created, shown, cleaned up and deleted."""

from __future__ import annotations

import base64
import json
import re

import pytest
import yaml

from tests.join.conftest import FIRST, Lab

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(480)]

TOKEN = r"[a-z0-9]{6}\.[a-z0-9]{16}"


def data_of(lab: Lab, token: str) -> dict[str, str]:
    secret = lab.get(f"secret bootstrap-token-{token.partition('.')[0]} -n kube-system")
    assert secret["type"] == "bootstrap.kubernetes.io/token"
    return {key: base64.b64decode(value).decode() for key, value in secret["data"].items()}


def test_a_token_has_what_was_asked_for(lab: Lab) -> None:
    words = "--ttl 2h --description 'for ada' --usages authentication --groups system:bootstrappers:lab:ada"
    token = lab.ok(FIRST, f"kubeinstall token create {words}")
    assert re.fullmatch(TOKEN, token)
    data = data_of(lab, token)
    assert data["description"] == "for ada"
    assert data["auth-extra-groups"] == "system:bootstrappers:lab:ada"
    assert data["usage-bootstrap-authentication"] == "true"
    assert "usage-bootstrap-signing" not in data
    row = next(r for r in lab.ok(FIRST, "kubeinstall token list").splitlines() if token in r)
    assert re.search(r"\b(1h|2h)\b.*authentication +for ada +system:bootstrappers:lab:ada", row)
    items = [
        json.loads(text) for text in documents(lab.ok(FIRST, "kubeinstall token list -o json"))
    ]
    mine = next(item for item in items if item["token"] == token)
    assert mine["kind"] == "BootstrapToken"
    assert (mine["usages"], mine["groups"]) == (
        ["authentication"],
        ["system:bootstrappers:lab:ada"],
    )
    shown = list(yaml.safe_load_all(lab.ok(FIRST, "kubeinstall token list -o yaml")))
    assert mine in shown
    answer = lab.ok(FIRST, f"kubeinstall token delete {token.partition('.')[0]}")
    assert answer == f'bootstrap token "{token.partition(".")[0]}" deleted'
    assert token not in lab.ok(FIRST, "kubeinstall token list")


def documents(text: str) -> list[str]:
    """JSON documents one after another."""
    return [
        f"{part}}}" for part in re.split(r"^}\n?", text + "\n", flags=re.MULTILINE) if part.strip()
    ]


def test_an_expired_token_is_cleaned_up(lab: Lab) -> None:
    token = lab.ok(FIRST, "kubeinstall token create --ttl 2s")
    name = f"bootstrap-token-{token.partition('.')[0]}"
    look = f"kubectl -n kube-system get secret {name}"
    lab.wait("the token cleaner", lambda: "NotFound" in lab.run(FIRST, look).text, 30)


def test_a_given_token_and_none(lab: Lab) -> None:
    given = lab.ok(FIRST, "kubeinstall token generate")
    assert re.fullmatch(TOKEN, given)
    assert given not in lab.ok(FIRST, "kubeinstall token list")
    assert lab.ok(FIRST, f"kubeinstall token create {given} --ttl 0") == given
    assert "expiration" not in data_of(lab, given)
    assert "<forever>" in lab.ok(FIRST, f"kubeinstall token list | grep {given}")
    again = lab.run(FIRST, f"kubeinstall token create {given}")
    assert (again.code, "already exists" in again.text) == (1, True), again.text
    before = lab.ok(FIRST, "kubeinstall token list")
    lab.ok(FIRST, "kubeinstall token create --dry-run; kubeinstall token delete x12345 --dry-run")
    assert lab.ok(FIRST, "kubeinstall token list") == before
    lab.ok(FIRST, f"kubeinstall token delete {given}")
    for words, said in (
        ("create nonsense", "[a-z0-9]{6}"),
        ("create --usages flying", "signing, authentication"),
        ("create --groups system:masters", "system:bootstrappers:"),
        ("create --ttl soon", "ttl: Invalid value"),
        ("delete x12345", "x12345"),
    ):
        answer = lab.run(FIRST, f"kubeinstall token {words}")
        assert answer.code != 0, words
        assert said in answer.text, (words, answer.text)
        assert "Traceback" not in answer.text
