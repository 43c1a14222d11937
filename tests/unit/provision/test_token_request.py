"""What token is wished for, how one is shown, and reset's phases."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from kubeinstall.config import ConfigError
from kubeinstall.errors import KubeinstallError
from kubeinstall.pki import BootstrapToken
from kubeinstall.pki.errors import PkiError
from kubeinstall.provision.reset import all_but, check_reset
from kubeinstall.provision.token_request import wanted
from kubeinstall.provision.tokens import TokenInfo, document_of, token_id_of

TOKEN = "abcdef.0123456789abcdef"
FILE = """
apiVersion: kubeadm.k8s.io/v1beta4
kind: InitConfiguration
bootstrapTokens:
- token: abcdef.0123456789abcdef
  ttl: 3h0m0s
  description: of a file
  usages: [authentication]
"""


def test_without_flags_it_is_kubeadms() -> None:
    wish = wanted(None, {"token": "", "ttl": ""})
    assert wish.ttl == timedelta(hours=24)
    assert wish.usages == ("signing", "authentication")
    assert wish.groups == ("system:bootstrappers:kubeadm:default-node-token",)
    assert wish.token != wanted(None, {}).token


def test_flags_win_over_the_file(tmp_path: Path) -> None:
    file = tmp_path / "init.yaml"
    file.write_text(FILE)
    wish = wanted(file, {"ttl": "0", "description": ""})
    assert (str(wish.token), wish.description, wish.usages) == (
        TOKEN,
        "of a file",
        ("authentication",),
    )
    assert wish.expires() is None
    file.write_text(FILE.replace("ttl: 3h0m0s", 'expires: "2030-01-01T00:00:00Z"'))
    assert wanted(file, {}).expires() == datetime(2030, 1, 1, tzinfo=UTC)
    assert wanted(file, {"ttl": "1h"}).until is None


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ({"usages": ["flying"]}, "signing, authentication"),
        ({"groups": ["system:masters"]}, "system:bootstrappers:"),
        ({"ttl": "soon"}, "ttl"),
    ],
)
def test_what_is_wrong_is_named(flags: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        wanted(None, flags)


def test_a_token_of_another_form() -> None:
    with pytest.raises(PkiError, match="invalid"):
        wanted(None, {"token": "nonsense"})
    assert token_id_of(TOKEN) == token_id_of("abcdef") == "abcdef"
    with pytest.raises(KubeinstallError, match="does not have the form"):
        token_id_of("ABCDEF")


def test_a_token_as_kubeadms_document() -> None:
    moment = datetime(2030, 1, 1, 12, tzinfo=UTC)
    info = TokenInfo(BootstrapToken.parse(TOKEN), moment, ("authentication",), "", ("g",))
    assert document_of(info) == {
        "kind": "BootstrapToken",
        "apiVersion": "output.kubeadm.k8s.io/v1alpha3",
        "creationTimestamp": None,
        "token": TOKEN,
        "expires": "2030-01-01T12:00:00Z",
        "usages": ["authentication"],
        "groups": ["g"],
    }


def test_phases_of_reset() -> None:
    assert all_but("cleanup-node") == ["preflight", "remove-etcd-member"]
    with pytest.raises(KubeinstallError, match='invalid phase name: "cleanup"'):
        check_reset({"skipPhases": ["cleanup"]})
    check_reset({"skipPhases": ["preflight"]})
