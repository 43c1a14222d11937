"""GET with `watch`: events of a collection as they happen.

The watch cache calls a watcher synchronously; the frame, made once for all of them, goes straight to
the transport: no task wakes up. A client that reads too slowly is dropped, and starts anew.
"""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Callable, Iterable

from kubeinstall.apiserver import params, select, wire
from kubeinstall.apiserver.core import Call, Core
from kubeinstall.apiserver.frames import FrameEncoder
from kubeinstall.apiserver.params import ListOptions
from kubeinstall.errors import Expired, RevisionCompacted, StatusError
from kubeinstall.runtime.logs import get_logger
from kubeinstall.storage.cache import CachedObject, Selection, WatchEvent

_LOG = get_logger("kube-apiserver")

#: Unsent bytes after which a watcher counts as too slow.
_BUFFER_LIMIT = 4 << 20
#: Initial objects are sent in pieces of about this many bytes.
_BATCH = 256 << 10
#: Events that may wait for a conversion webhook.
_UNREAD_LIMIT = 1000


async def watch(core: Core, call: Call, options: ListOptions) -> None:
    """Stream events until the timeout, the client or the server ends it."""
    served, info = call.served, call.info
    name = info.name if info.parts and len(info.parts) > 1 else ""
    wanted = select.selection(
        served, info.namespace, options.label_selector, options.field_selector, name
    )
    params.check_list_options(options)
    encoder = FrameEncoder(served, call.output, call.exchange.query.get("includeObject", ""))
    start = await _start_revision(core, options)
    watcher = Watcher(core, call, encoder, bookmarks=options.bookmarks)
    seconds: float = options.timeout or 0
    if seconds <= 0:
        least = core.settings.min_request_timeout
        seconds = random.uniform(least, 2 * least)  # noqa: S311 - spreads clients, no secret
    await watcher.run(wanted, start, seconds, marks_end=bool(options.send_initial_events))


async def _start_revision(core: Core, options: ListOptions) -> int | None:
    """The revision after which to begin; None: with the current objects."""
    try:
        revision = params.revision(options.resource_version)
    except ValueError as error:
        raise StatusError(str(error), code=500, reason="") from error
    if not options.resource_version:
        await core.cacher.fresh()
    if options.send_initial_events:
        await core.cacher.caught_up(revision)
        return None
    if revision == 0:
        return core.cacher.revision if options.send_initial_events is False else None
    return revision


class Watcher:
    """One running watch."""

    def __init__(self, core: Core, call: Call, encoder: FrameEncoder, *, bookmarks: bool) -> None:
        self._core = core
        self._cache = core.cache(call.served)
        self._exchange = call.exchange
        self._served = call.served
        self._encoder = encoder
        self._variants = encoder.variants
        self._bookmarks = bookmarks
        self._after = 0
        self._held: list[tuple[str, WatchEvent]] | None = []
        self._done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        #: Whether what is shown is wanted, where the cache cannot tell.
        self._matches: Callable[[bytes], bool] | None = None
        #: Of a custom resource: what makes stored objects what is shown, and events that wait for it.
        self._reading = call.served.reading
        self._unread: deque[tuple[str, WatchEvent]] = deque()
        self._converting: asyncio.Task[None] | None = None

    async def run(
        self, wanted: Selection, start: int | None, seconds: float, *, marks_end: bool
    ) -> None:
        """Send what there is, then what comes."""
        wanted, self._matches = select.widened(self._served, wanted)
        exchange, core = self._exchange, self._core
        exchange.start(200, self._encoder.content_type)
        # From here to `subscribe` nothing is awaited: no event falls between.
        initial: Iterable[CachedObject] = ()
        replay: list[WatchEvent] = []
        if start is None:
            self._after = core.cacher.revision
            initial = list(self._cache.select(wanted))
        else:
            self._after = start
            try:
                replay = list(self._cache.events_since(start))
            except RevisionCompacted as error:
                self._fail(Expired(str(error)))
                return
        subscription = self._cache.subscribe(wanted, self._sink)
        core.streams.add(self)
        forget = exchange.connection.on_lost(self.end)
        timer = asyncio.get_running_loop().call_later(seconds, self.end)
        try:
            await self._send_initial(initial)
            if marks_end:
                exchange.write(self._encoder.bookmark(self._after, initial_end=True))
            self._release(replay, wanted)
            await self._done
        except ConnectionError:
            return
        except StatusError as error:
            exchange.write(self._encoder.error(error.to_status()))
        finally:
            if self._converting is not None:
                self._converting.cancel()
            timer.cancel()
            forget()
            core.streams.remove(self)
            subscription.cancel()
        exchange.finish()

    def bookmark(self) -> None:
        """See `Stream.bookmark`."""
        if self._bookmarks and self._held is None and not self._exchange.lost:
            self._exchange.write(self._encoder.bookmark(self._core.cacher.revision))

    def end(self) -> None:
        """See `Stream.end`."""
        if not self._done.done():
            self._done.set_result(None)

    def _sink(self, kind: str, event: WatchEvent) -> None:
        if self._held is not None:
            self._held.append((kind, event))
        else:
            self._send(kind, event)

    def _send(self, kind: str, event: WatchEvent) -> None:
        if event.revision <= self._after:
            return
        if self._reading is not None and not self._readable(kind, event):
            return
        self._write(kind, event)

    def _readable(self, kind: str, event: WatchEvent) -> bool:
        """Whether the event can be sent at once. Else a task reads it first, and all that come after it."""
        if not self._unread and self._known(kind, event):
            return True
        self._unread.append((kind, event))
        if len(self._unread) > _UNREAD_LIMIT:
            self._drop()
        elif self._converting is None or self._converting.done():
            self._converting = asyncio.get_running_loop().create_task(self._convert())
        return False

    def _known(self, kind: str, event: WatchEvent) -> bool:
        return self._reading is None or all(
            self._reading.known(item) is not None for item in self._needed(kind, event)
        )

    def _needed(self, kind: str, event: WatchEvent) -> list[CachedObject]:
        """The objects that must be read to send the event."""
        if self._matches is None or event.previous is None:
            return [_shown(kind, event)]
        return [event.current, event.previous]

    def _narrowed(self, kind: str, event: WatchEvent) -> str | None:
        """The event's type for who selects by fields of the converted object; None: not for them."""
        if self._matches is None:
            return kind
        now = kind != "DELETED" and self._fits(event.current)
        known = kind != "ADDED" and event.previous is not None
        before = known and event.previous is not None and self._fits(event.previous)
        if now:
            return "MODIFIED" if before else "ADDED"
        return "DELETED" if before else None

    def _fits(self, item: CachedObject) -> bool:
        data = wire.data_of(self._served, item)
        return self._matches is None or self._matches(data)

    async def _convert(self) -> None:
        reading = self._reading
        while self._unread and reading is not None and not self._done.done():
            kind, event = self._unread[0]
            try:
                await reading.read(self._needed(kind, event))
            except StatusError as error:
                self._exchange.write(self._encoder.error(error.to_status()))
                self.end()
                return
            self._write(kind, event)
            self._unread.popleft()

    def _drop(self) -> None:
        """The client, or the webhook, is too slow: it starts anew."""
        self._core.metrics.watchers_dropped.inc()
        if self._exchange.transport is not None:
            self._exchange.transport.abort()
        self.end()

    def _write(self, wide: str, event: WatchEvent) -> None:
        kind = self._narrowed(wide, event)
        if kind is None:
            return
        transport = self._exchange.transport
        if transport is None or transport.is_closing():
            self.end()
            return
        variant, encode = self._variants[kind]
        self._variants = self._encoder.later
        try:
            frame = event.frame(variant, encode)
        except Exception:  # noqa: BLE001 - the watch cache must go on, whatever one watcher wants
            _LOG.error("Watch event cannot be encoded", variant=str(variant), exc_info=True)
            transport.abort()
            self.end()
            return
        transport.write(frame)
        if transport.get_write_buffer_size() > _BUFFER_LIMIT:
            self._drop()

    async def _send_initial(self, items: Iterable[CachedObject]) -> None:
        batch: list[bytes] = []
        size = 0
        if self._reading is not None:
            items = list(items)
            await self._reading.read(items)
            items = [item for item in items if self._fits(item)]
        for item in items:
            frame = self._encoder.item(item, first=self._variants is not self._encoder.later)
            self._variants = self._encoder.later
            batch.append(frame)
            size += len(frame)
            if size >= _BATCH:
                self._exchange.write(b"".join(batch))
                batch, size = [], 0
                await self._exchange.drain()
        self._exchange.write(b"".join(batch))

    def _release(self, replay: list[WatchEvent], wanted: Selection) -> None:
        """Send history, then what was held back meanwhile; from now on events go out at once."""
        for event in replay:
            kind = event.type_for(wanted)
            if kind is not None:
                self._send(kind, event)
        held, self._held = self._held or [], None
        for kind, event in held:
            self._send(kind, event)

    def _fail(self, error: StatusError) -> None:
        self._exchange.write(self._encoder.error(error.to_status()))
        self._exchange.finish()


def _shown(kind: str, event: WatchEvent) -> CachedObject:
    """The object that an event shows: what was, where it only ceased to match."""
    if kind == "DELETED" and not event.deleted and event.previous is not None:
        return event.previous
    return event.current
