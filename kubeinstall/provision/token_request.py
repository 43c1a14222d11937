"""What token is wished for: flags over the first `bootstrapTokens` entry of an InitConfiguration, as kubeadm."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from kubeinstall.config.documents import Document, read_documents
from kubeinstall.config.durations import parse_duration
from kubeinstall.config.effective import problems_in
from kubeinstall.config.errors import ConfigError
from kubeinstall.config.migrate import migrate_all
from kubeinstall.config.validation import check_token
from kubeinstall.pki import BootstrapToken
from kubeinstall.pki.tokens import DEFAULT_GROUP, DEFAULT_USAGES

Object = dict[str, Any]

_TTL = "24h0m0s"


@dataclass(frozen=True)
class Wish:
    """A token to be created. `ttl` of zero never expires; `until` wins over it."""

    token: BootstrapToken
    ttl: timedelta
    description: str = ""
    usages: tuple[str, ...] = DEFAULT_USAGES
    groups: tuple[str, ...] = (DEFAULT_GROUP,)
    until: datetime | None = None

    def expires(self) -> datetime | None:
        """When it ends, were it created now."""
        if self.until is not None:
            return self.until
        return datetime.now(UTC) + self.ttl if self.ttl else None


def wanted(config: Path | None, flags: Object) -> Wish:
    """ConfigError names file, or flag, and field; PkiError is a token of another form. Empty flags do not count."""
    if flags.get("token"):
        BootstrapToken.parse(flags["token"])
    documents = read_documents(config) if config is not None else []
    problems = problems_in(documents)
    if problems:
        raise ConfigError(problems)
    given = {d["kind"]: d for d in migrate_all([document.data for document in documents])}
    entries = (given.get("InitConfiguration") or {}).get("bootstrapTokens") or [{}]
    entry = {**entries[0], **{key: value for key, value in flags.items() if value}}
    if flags.get("ttl"):
        entry.pop("expires", None)
    entry = {**entry, "token": entry.get("token") or str(BootstrapToken.generate())}
    home = Document({}, str(config) if config else "command line", line=0)
    found = [home.problem(path, text) for path, text in check_token((), entry)]
    if found:
        raise ConfigError(found)
    until = entry.get("expires")
    return Wish(
        token=BootstrapToken.parse(entry["token"]),
        ttl=parse_duration(entry.get("ttl") or _TTL),
        description=entry.get("description") or "",
        usages=tuple(entry.get("usages") or DEFAULT_USAGES),
        groups=tuple(entry.get("groups") or (DEFAULT_GROUP,)),
        until=datetime.fromisoformat(until) if until else None,
    )
