"""Static tokens: a CSV file of `token,user,uid[,"group1,group2"]`."""

from __future__ import annotations

import csv
import hashlib
from pathlib import Path

from kubeinstall.apiserver.request import User
from kubeinstall.errors import SettingsError


class StaticTokens:
    """Authenticates by the tokens of a file, read once at start as upstream does."""

    def __init__(self, path: Path) -> None:
        self._users: dict[bytes, User] = {}
        try:
            with path.open(newline="") as file:
                for number, row in enumerate(csv.reader(file), 1):
                    self._add(path, number, [cell.strip() for cell in row])
        except OSError as error:
            raise SettingsError(f"--token-auth-file {path}: {error.strerror}") from error

    def _add(self, path: Path, number: int, row: list[str]) -> None:
        if not row or row[0].startswith("#"):
            return
        if len(row) < 3:
            raise SettingsError(
                f"--token-auth-file {path}: line {number} has {len(row)} columns, needs at least 3"
            )
        token, name, uid = row[:3]
        if not token or not name:
            raise SettingsError(f"--token-auth-file {path}: line {number} lacks token or user")
        groups = tuple(g.strip() for g in row[3].split(",")) if len(row) > 3 and row[3] else ()
        self._users[_digest(token)] = User(name, uid, groups)

    def user(self, token: str) -> User | None:
        """The token's user, or None."""
        return self._users.get(_digest(token))


def _digest(token: str) -> bytes:
    # Looked up by digest, so that the time of a lookup says nothing about the token.
    return hashlib.sha256(token.encode()).digest()
