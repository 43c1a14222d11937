"""Bootstrap tokens: `[a-z0-9]{6}.[a-z0-9]{16}`, and the Secret that holds one."""

from __future__ import annotations

import base64
import re
import secrets
import string
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from kubeinstall.pki.errors import PkiError

_ALPHABET = string.ascii_lowercase + string.digits
_FORM = re.compile(r"([a-z0-9]{6})\.([a-z0-9]{16})")
DEFAULT_GROUP = "system:bootstrappers:kubeadm:default-node-token"
DEFAULT_USAGES = ("signing", "authentication")
TYPE = "bootstrap.kubernetes.io/token"
NAME_PREFIX = "bootstrap-token-"
NAMESPACE = "kube-system"


@dataclass(frozen=True)
class BootstrapToken:
    """A token; `str()` shows it whole, `repr()` never shows the secret half."""

    token_id: str
    secret: str

    @classmethod
    def generate(cls) -> BootstrapToken:
        """A new random token."""
        return cls(_random(6), _random(16))

    @classmethod
    def parse(cls, text: str) -> BootstrapToken:
        """Read a token; PkiError (without the secret in it) when it is malformed."""
        match = _FORM.fullmatch(text)
        if match is None:
            raise PkiError(
                'the bootstrap token is invalid: it must be of the form "\\A([a-z0-9]{6})\\.'
                '([a-z0-9]{16})\\z"; make one with: kubeinstall token generate'
            )
        return cls(match[1], match[2])

    def __str__(self) -> str:
        return f"{self.token_id}.{self.secret}"

    def __repr__(self) -> str:
        return f"BootstrapToken({self.token_id}.…)"

    @property
    def secret_name(self) -> str:
        """Name of the Secret in kube-system."""
        return NAME_PREFIX + self.token_id


def token_secret(
    token: BootstrapToken,
    *,
    expires: datetime | None,
    description: str = "",
    usages: tuple[str, ...] = DEFAULT_USAGES,
    groups: tuple[str, ...] = (DEFAULT_GROUP,),
) -> dict[str, Any]:
    """The Secret object for the API, keys as upstream's bootstrap token Secrets have them."""
    data = {"token-id": token.token_id, "token-secret": token.secret}
    if description:
        data["description"] = description
    if expires is not None:
        data["expiration"] = expires.strftime("%Y-%m-%dT%H:%M:%SZ")
    for usage in usages:
        data[f"usage-bootstrap-{usage}"] = "true"
    if groups and "authentication" in usages:
        data["auth-extra-groups"] = ",".join(groups)
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": token.secret_name, "namespace": NAMESPACE},
        "type": TYPE,
        "data": {key: base64.b64encode(value.encode()).decode() for key, value in data.items()},
    }


def _random(length: int) -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(length))
