"""Replay of the recorded answers of an upstream API server.

    python -m tests.apiserver.golden                  # share equal, by group
    python -m tests.apiserver.golden --diff GROUP     # what differs, of groups or names beginning so
    python -m tests.apiserver.golden --names GROUP    # only the names of what differs

Volatile values are starred in the recording: a star matches anything.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import re
import ssl
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import aiohttp
from yarl import URL

from tests.apiserver import fixtures
from tests.support.apiserver import REPOSITORY, RunningServer, run_api_server

REFERENCE = Path(os.environ.get("KUBEINSTALL_REFERENCE", REPOSITORY.parent / "shared/reference"))
RECORDING = REFERENCE / "golden-v1.36.json"
_AT_ONCE = 4
_ADMIN = {"Authorization": "Bearer golden-token"}
_UUID = "[0-9a-f]{8}-[0-9a-f-]{27}"


@dataclass
class Outcome:
    """One replayed request."""

    name: str
    case: dict[str, Any]
    status: int
    body: Any
    headers: dict[str, str]

    @property
    def group(self) -> str:
        """The part of the name before the first dot."""
        return self.name.split(".")[0]

    @property
    def same_status(self) -> bool:
        """Whether the code is the recorded one."""
        return bool(self.status == self.case["status"])

    def differences(self) -> list[str]:
        """What differs in body and recorded headers, with paths."""
        found = differences(self.case["body"], normalized(self.body, self.case["body"]))
        for header, value in self.case["reply_headers"].items():
            ours = self.headers.get(header, "")
            # Of several warnings the recording kept one.
            if not any(_matches(value, one) for one in ours.split("\n")):
                found.append(f"header {header}: want {value!r}, have {ours!r}")
        return found

    @property
    def same_body(self) -> bool:
        """Whether status, body and headers are as recorded."""
        return self.same_status and not self.differences()


@contextlib.contextmanager
def golden_server() -> Iterator[RunningServer]:
    """A server that knows the recorder's user, `admin`, by a static token."""
    with tempfile.TemporaryDirectory(prefix="golden-") as directory:
        tokens = Path(directory) / "tokens.csv"
        tokens.write_text('golden-token,admin,admin-uid,"system:masters"\n')
        with run_api_server(Path(directory), {"token-auth-file": str(tokens)}) as server:
            yield server


def normalized(ours: Any, recorded: Any) -> Any:
    """Our answer without what the recording left out."""
    if isinstance(ours, dict):
        if ours.get("kind") == "Table" and isinstance(recorded, dict):
            ours = {key: value for key, value in ours.items() if key in recorded}
        return {
            key: _volumes(value) if key == "volumes" else normalized(value, None)
            for key, value in ours.items()
            if key != "description"
        }
    if isinstance(ours, list):
        return [normalized(one, None) for one in ours]
    return ours


def _volumes(value: Any) -> Any:
    """The recording lacks the volume of the service-account token."""
    if not isinstance(value, list):
        return value
    return [
        normalized(one, None)
        for one in value
        if not (isinstance(one, dict) and str(one.get("name", "")).startswith("kube-api-access-"))
    ]


def differences(want: Any, have: Any, path: str = "") -> list[str]:
    """Paths at which two JSON values differ; stars in `want` match anything."""
    if isinstance(want, str) and _matches(want, have):
        return []
    if isinstance(want, dict) and isinstance(have, dict):
        found = []
        for key in sorted(want.keys() | have.keys()):
            if key not in have:
                found.append(f"{path}.{key}: missing, want {_short(want[key])}")
            elif key not in want:
                found.append(f"{path}.{key}: not wanted, have {_short(have[key])}")
            else:
                found += differences(want[key], have[key], f"{path}.{key}")
        return found
    if isinstance(want, list) and isinstance(have, list):
        found = []
        if len(want) != len(have):
            found.append(
                f"{path}: want {len(want)} items, have {len(have)}: {_short(want)} / {_short(have)}"
            )
        for index, (one, other) in enumerate(zip(want, have, strict=False)):
            found += differences(one, other, f"{path}[{index}]")
        return found
    if want == have and type(want) is type(have):
        return []
    return [f"{path}: want {_short(want)}\n{' ' * len(path)}  have {_short(have)}"]


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) < 1500 else text[:1500] + "…"


def _matches(want: str, have: Any) -> bool:
    if want in ("*", "TIME"):
        return True
    return isinstance(have, str) and _pattern(want).fullmatch(have) is not None


@lru_cache(maxsize=10_000)
def _pattern(want: str) -> re.Pattern[str]:
    pattern = re.escape(want).replace(r"\*", ".*?").replace("UUID", _UUID)
    return re.compile(pattern.replace(r"current:\ N", r"current:\ \d+"), re.DOTALL)


async def replay(server: RunningServer, prefix: str = "") -> list[Outcome]:
    """Prepare the fixtures and send every request whose name begins with `prefix`."""
    cases = json.loads(RECORDING.read_text())
    tls = ssl.create_default_context(cafile=str(server.directory / "pki/ca.crt"))
    gate = asyncio.Semaphore(_AT_ONCE)
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(ssl=tls),
        skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding"),
    ) as session:
        await _prepare(server, session)

        async def one(name: str, case: dict[str, Any]) -> Outcome:
            async with gate:
                return await _send(server, session, name, case)

        return list(
            await asyncio.gather(
                *(one(name, case) for name, case in cases.items() if name.startswith(prefix))
            )
        )


async def _prepare(server: RunningServer, session: aiohttp.ClientSession) -> None:
    for path, obj in fixtures.OBJECTS:
        url = URL(server.url + path, encoded=True)
        async with session.post(url, json=obj, headers=_ADMIN) as answer:
            text = await answer.text()
            if answer.status not in (201, 409):
                print(f"fixture {path}: {answer.status} {text}")
    status = f"{server.url}{fixtures.DEPLOYMENT}/status?fieldManager=kube-controller-manager"
    headers = {"Content-Type": "application/merge-patch+json", **_ADMIN}
    data = json.dumps(fixtures.DEPLOYMENT_STATUS)
    async with session.patch(status, data=data, headers=headers) as answer:
        if answer.status != 200:
            print(f"fixture status: {answer.status} {await answer.text()}")


async def _send(
    server: RunningServer, session: aiohttp.ClientSession, name: str, case: dict[str, Any]
) -> Outcome:
    given = {**_ADMIN, **case["headers"]}
    headers = {key: value for key, value in given.items() if value}
    content = case.get("send")
    data: bytes | None = None
    if content is not None:
        data = content.encode() if isinstance(content, str) else json.dumps(content).encode()
        headers.setdefault("Content-Type", "application/json")
    url = URL(server.url + case["path"].replace(" ", "%20"), encoded=True)
    async with session.request(case["method"], url, data=data, headers=headers) as answer:
        text = await answer.text()
        body: Any = text
        if answer.content_type == "application/json":
            body = json.loads(text)
        kept = {key.lower(): value for key, value in answer.headers.items() if key != "Warning"}
        if "Warning" in answer.headers:
            kept["warning"] = "\n".join(answer.headers.getall("Warning"))
        return Outcome(name, case, answer.status, body, kept)


def shares(outcomes: list[Outcome]) -> tuple[float, float, str]:
    """Share of equal statuses, of equal bodies, and a table by group."""
    by_group: dict[str, list[Outcome]] = defaultdict(list)
    for outcome in outcomes:
        by_group[outcome.group].append(outcome)
    rows = [f"{'group':18}{'cases':>6}{'status':>8}{'body':>8}"]
    for group, members in sorted(by_group.items()):
        statuses = sum(one.same_status for one in members)
        bodies = sum(one.same_body for one in members)
        rows.append(f"{group:18}{len(members):6}{statuses:8}{bodies:8}")
    total = len(outcomes) or 1
    status = sum(one.same_status for one in outcomes) / total
    body = sum(one.same_body for one in outcomes) / total
    rows.append(f"{'all':18}{len(outcomes):6}{status:8.1%}{body:8.1%}")
    return status, body, "\n".join(rows)


def _report(outcome: Outcome) -> str:
    case = outcome.case
    sent = case.get("send")
    lines = [f"=== {outcome.name}: {case['method']} {case['path']}"]
    if sent is not None:
        lines.append(f"    sent {_short(sent)}")
    if not outcome.same_status:
        lines.append(f"    status: want {case['status']}, have {outcome.status}")
    lines += [f"    {line}" for line in outcome.differences()]
    return "\n".join(lines)


def main() -> None:
    """See the module's docstring."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--diff", metavar="GROUP", help="show what differs")
    parser.add_argument("--names", metavar="GROUP", help="show the names of what differs")
    chosen = parser.parse_args()
    prefix = chosen.diff or chosen.names or ""
    with golden_server() as server:
        outcomes = asyncio.run(replay(server, prefix))
        for outcome in outcomes:
            if outcome.same_body:
                continue
            if chosen.diff is not None:
                print(_report(outcome))
            elif chosen.names is not None:
                print(outcome.name)
        print(shares(outcomes)[2])


if __name__ == "__main__":
    main()
