"""Type aliases that every layer shares."""

from __future__ import annotations

from typing import Any

#: An API object: the plain dict of its JSON.
Object = dict[str, Any]
