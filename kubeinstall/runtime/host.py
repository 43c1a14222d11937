"""Runs components in this process: start in order, ready in order, stop in reverse."""

from __future__ import annotations

import asyncio
import gc
import signal
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kubeinstall.errors import KubeinstallError
from kubeinstall.runtime.component import Component, ComponentContext
from kubeinstall.runtime.logs import get_logger
from kubeinstall.runtime.notify import notify
from kubeinstall.runtime.settings import load

#: Returns the class for a component's name; importing lazily, so that a process pays only for what it runs.
Loader = Callable[[str], type[Component[Any]]]

_LOOK_SECONDS = 0.2


class ComponentFailed(KubeinstallError):
    """A component ended though nobody asked it to; the process ends so that its supervisor restarts it."""


@dataclass(slots=True)
class _Hosted:
    name: str
    context: ComponentContext
    task: asyncio.Task[None]
    stop_seconds: float


def run_components(
    names: Sequence[str],
    loader: Loader,
    values: Mapping[str, Mapping[str, Any]],
    source: str,
) -> None:
    """Run the named components until SIGTERM or SIGINT, or until one fails (`ComponentFailed`).

    `values` maps a component's name to its settings by flag name, `source` names the file they came from. All settings
    are validated before anything starts.
    """
    import uvloop

    prepared = [
        (name, kind, load(kind.settings_type, values.get(name, {}), f"{source}: {name}"))
        for name, kind in ((n, loader(n)) for n in names)
    ]
    # What is loaded by now lives as long as the process: keep the collector from walking it again and again.
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)

    async def main() -> None:
        await host_components(
            [(name, kind(settings, ComponentContext(name))) for name, kind, settings in prepared]
        )

    uvloop.run(main())


async def host_components(components: Sequence[tuple[str, Component[Any]]]) -> None:
    """Start `components` one after the other (each may need the one before it), then wait for a signal or a failure."""
    log = get_logger("runtime")
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    hosted: list[_Hosted] = []
    try:
        written = {path for _, other in components for path in other.writes()}
        for name, component in components:
            run = _run_after(component, written - set(component.writes()))
            task = asyncio.create_task(run, name=name)
            hosted.append(_Hosted(name, component.context, task, component.stop_seconds))
        readiness = asyncio.create_task(_announce(hosted), name="announce")
        stopping = asyncio.create_task(stop.wait(), name="signals")
        await asyncio.wait(
            {stopping, *(item.task for item in hosted)}, return_when=asyncio.FIRST_COMPLETED
        )
        readiness.cancel()
        stopping.cancel()
    finally:
        notify("STOPPING=1")
        failure = await _stop(hosted)
    if failure is not None and not stop.is_set():
        name, error = failure
        log.error("Component failed", failed=name, error=str(error), exc_info=error)
        raise ComponentFailed(f"{name}: {error}")


async def _run_after(component: Component[Any], written: set[Path]) -> None:
    """Run a component whose kubeconfig another one of this process may still have to write."""
    kubeconfig = getattr(component.settings, "kubeconfig", None)
    while True:
        if kubeconfig not in written or _exists(kubeconfig):
            break
        await asyncio.sleep(_LOOK_SECONDS)
    await component.run()


def _exists(path: Path) -> bool:
    return path.exists()


async def _announce(hosted: Sequence[_Hosted]) -> None:
    for item in hosted:
        await item.context.started.wait()
        get_logger("runtime").info("Component ready", ready=item.name)
    notify("READY=1")


async def _stop(hosted: Sequence[_Hosted]) -> tuple[str, BaseException] | None:
    """Cancel in reverse order of start; the first failure found is returned."""
    failure: tuple[str, BaseException] | None = None
    for item in reversed(hosted):
        item.task.cancel()
        await asyncio.wait({item.task}, timeout=item.stop_seconds)
        if not item.task.done():
            get_logger("runtime").warning(
                "Component did not stop in time", component_name=item.name
            )
            continue
        if item.task.cancelled():
            continue
        error = item.task.exception()
        failure = (item.name, error or RuntimeError("ended by itself"))
    return failure
