"""Whether pods have followed new authorities: by what the kubelet put into their volumes."""

from __future__ import annotations

import threading
import time
from datetime import timedelta
from pathlib import Path

import jwt
import pytest

from kubeinstall.ansible import followed, paths
from kubeinstall.apiserver.authn.keys import key_id
from kubeinstall.errors import KubeinstallError
from kubeinstall.pki.certificates import certificate_pem, new_authority
from kubeinstall.pki.keys import KeyAlgorithm, generate_key

OLD, NEW, OTHER = (
    certificate_pem(new_authority(name, KeyAlgorithm.ECDSA_P256, timedelta(days=1)).certificate)
    for name in ("kubernetes", "kubernetes", "other")
)
KEYS = [generate_key(KeyAlgorithm.ECDSA_P256) for _ in range(2)]
IDS = [key_id(key.public_key()) for key in KEYS]


@pytest.fixture
def volume(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(paths, "KUBELET", tmp_path / "kubelet")
    monkeypatch.setattr(paths, "KUBERNETES", tmp_path / "kubernetes")
    monkeypatch.setattr(followed, "unit_active", lambda _name: False)
    (tmp_path / "kubernetes/pki").mkdir(parents=True)
    (tmp_path / "kubernetes/pki/ca.crt").write_bytes(OLD + NEW)
    made = tmp_path / "kubelet/pods/uid-1/volumes/kubernetes.io~projected/kube-api-access-x"
    (made / "..2026").mkdir(parents=True)
    (made / "..data").symlink_to("..2026")
    (made / "ca.crt").symlink_to("..data/ca.crt")
    (made / "token").symlink_to("..data/token")
    return made


def token(number: int) -> str:
    return jwt.encode({"sub": "x"}, KEYS[number], algorithm="ES256", headers={"kid": IDS[number]})


def test_a_pod_that_trusts_only_the_old_one_is_waited_for(volume: Path) -> None:
    (volume / "..data/ca.crt").write_bytes(OLD)
    with pytest.raises(KubeinstallError, match="do not trust the new authority yet: uid-1"):
        followed.await_trust(NEW.decode(), 0)
    later = threading.Timer(0.2, lambda: (volume / "..data/ca.crt").write_bytes(OLD + NEW))
    later.start()
    started = time.monotonic()
    followed.await_trust(NEW.decode(), 30)
    assert time.monotonic() - started >= 0.2
    later.join()


@pytest.mark.parametrize("content", [NEW, OTHER, b""])
def test_what_is_not_the_clusters_old_authority_is_not(volume: Path, content: bytes) -> None:
    (volume / "..data/ca.crt").write_bytes(content)
    (volume / "..data/copy.pem").write_bytes(OLD)
    (volume / "copy.pem").symlink_to("..data/copy.pem")
    followed.await_trust(NEW.decode(), 0)


def test_a_token_of_the_old_key_is_waited_for(volume: Path) -> None:
    (volume / "..data/token").write_text(token(0))
    with pytest.raises(KubeinstallError, match="tokens of the old key yet: uid-1"):
        followed.await_tokens([IDS[0]], 0)
    (volume / "..data/token").write_text(token(1))
    assert followed.await_tokens([IDS[0]], 0).changes == []


@pytest.mark.parametrize("content", [b"", b"a.b", b"a.b.c", b"W10=.b.c", b"\xff.\xff.\xff"])
def test_what_is_no_token_has_no_key(content: bytes) -> None:
    assert followed.token_key(content) == ""


def test_the_key_of_a_token() -> None:
    assert followed.token_key(token(1).encode() + b"\n") == IDS[1]
