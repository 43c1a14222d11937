"""Health checks of a component and the HTTP endpoints that show them.

`/healthz`, `/livez` and `/readyz` answer `ok`, or 500 and a list of checks, as upstream's; `?verbose` lists them all,
`?exclude=NAME` leaves one out, and `/readyz/NAME` asks one alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

#: Returns None when well; raises with a reason when not.
Probe = Callable[[], Awaitable[None] | None]

_CHECK_TIMEOUT = 5.0  # seconds; a check that hangs has failed


@dataclass(frozen=True, slots=True)
class _Check:
    name: str
    probe: Probe
    live: bool
    ready: bool


class Health:
    """The named checks of one component."""

    def __init__(self) -> None:
        self._checks: dict[str, _Check] = {}

    def add_check(self, name: str, probe: Probe, *, live: bool = False, ready: bool = True) -> None:
        """Add a check; `live` ones decide `/livez` and `/healthz`, `ready` ones `/readyz`."""
        self._checks[name] = _Check(name, probe, live, ready)

    def remove_check(self, name: str) -> None:
        """Forget a check; unknown names are ignored."""
        self._checks.pop(name, None)

    def names(self, endpoint: str) -> list[str]:
        """Checks behind `endpoint` ("healthz", "livez" or "readyz")."""
        return [
            c.name for c in self._checks.values() if (c.ready if endpoint == "readyz" else c.live)
        ]

    async def run(self, endpoint: str, *, exclude: frozenset[str] = frozenset()) -> dict[str, str]:
        """Check name → "" when well, else the reason."""
        names = [name for name in self.names(endpoint) if name not in exclude]
        reasons = await asyncio.gather(*(self._one(self._checks[name].probe) for name in names))
        return dict(zip(names, reasons, strict=True))

    async def _one(self, probe: Probe) -> str:
        try:
            outcome = probe()
            if outcome is not None:
                await asyncio.wait_for(outcome, _CHECK_TIMEOUT)
        except Exception as error:  # noqa: BLE001 - any failure of a probe is its answer
            return str(error) or type(error).__name__
        return ""


async def answer(health: Health, path: str, query: dict[str, list[str]]) -> tuple[int, str] | None:
    """Status and text for a health path such as "/readyz" or "/livez/ping"; None where there is no such check."""
    endpoint, _, single = path.strip("/").partition("/")
    if endpoint not in {"healthz", "livez", "readyz"}:
        return None
    exclude = frozenset(query.get("exclude", []))
    results = {"ping": "", **await health.run(endpoint, exclude=exclude)}
    if single:
        if single not in results:
            return None
        reason = results[single]
        return (200, "ok") if not reason else (500, f"internal server error: {reason}\n")
    failed = any(results.values())
    if not failed and "verbose" not in query:
        return 200, "ok"
    lines = [
        f"[{'-' if bad else '+'}]{name} {'failed: reason withheld' if bad else 'ok'}"
        for name, bad in results.items()
    ]
    lines += [f"[+]{name} excluded: ok" for name in exclude]
    lines.append(f"{endpoint} check {'failed' if failed else 'passed'}")
    return (500 if failed else 200), "\n".join(lines) + "\n"
