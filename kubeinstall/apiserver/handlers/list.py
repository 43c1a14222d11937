"""GET of a collection: whole, in pages, by selectors, at a revision."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice

import orjson

from kubeinstall.api import table
from kubeinstall.api.types import Object
from kubeinstall.apiserver import continuation, params, select, wire
from kubeinstall.apiserver.catalog import Served, fields_for
from kubeinstall.apiserver.core import Call, Core
from kubeinstall.apiserver.params import ListOptions
from kubeinstall.apiserver.respond import Pieces, encode, send, send_pieces
from kubeinstall.errors import BadRequest, Expired, RevisionCompacted, RevisionInFuture
from kubeinstall.storage.cache import CachedObject, ResourceCache, Selection

_EXPIRED_CONTINUE = (
    "The provided continue parameter is too old to display a consistent list result. You can start a"
    " new list without the continue parameter, or use the continue token in this response to retrieve"
    " the remainder of the results. Continuing with the provided token results in an inconsistent list"
    " - objects that were created, modified, or deleted between the time the first chunk was returned"
    " and now may show up in the list."
)
_EXPIRED_REVISION = "The resourceVersion for the provided list is too old."
_LIST_END = b"]}\n"
_BATCH = 1 << 20  # bytes of a list joined at a time
_SCAN_PAGE = 1000  # keys read at a time from history


@dataclass(slots=True)
class Listing:
    """What a list found, and the list's metadata. `items` are the encodings in the served version."""

    revision: int
    found: list[CachedObject] = field(default_factory=list)
    items: list[bytes] = field(default_factory=list)
    continue_token: str = ""
    remaining: int = 0

    def metadata(self) -> Object:
        """The `ListMeta`."""
        metadata: Object = {"resourceVersion": str(self.revision)}
        if self.continue_token:
            metadata["continue"] = self.continue_token
        if self.remaining:
            metadata["remainingItemCount"] = self.remaining
        return metadata


async def list_objects(core: Core, call: Call, options: ListOptions) -> None:
    """Answer with the list. Plain JSON joins stored bytes and decodes nothing."""
    served = call.served
    wanted = select.selection(
        served, call.info.namespace, options.label_selector, options.field_selector
    )
    params.check_list_options(options)
    wanted, matches = select.widened(served, wanted)
    if matches is not None:
        options.limit = 0  # which objects a page has is known only once they are converted
    found = await read(core, served, wanted, options)
    if served.reading is None:
        found.items = [item.data for item in found.found]
    else:
        found.items = await served.reading.read(found.found)
    if matches is not None:
        found.items = [data for data in found.items if matches(data)]
    output = call.output
    if output.plain and served.same:
        await send_pieces(call.exchange, _pieces(served, found), output.media_type)
    else:
        body = encode(_assembled(call, found), output)
        await send(call.exchange, 200, body, output.media_type)


async def read(core: Core, served: Served, wanted: Selection, options: ListOptions) -> Listing:
    """Find the objects. Raises `BadRequest`, `Expired` and `Timeout` as upstream's storage does."""
    cache = core.cache(served)
    if options.continue_token:
        return await _continue(core, served, wanted, options)
    revision = _revision(options)
    if not options.resource_version:
        await core.cacher.fresh()
    elif revision > core.cacher.revision:
        await core.cacher.caught_up(revision)
    limit = options.limit if options.resource_version != "0" else 0
    exact = options.match == "Exact" or (not options.match and limit > 0 and revision > 0)
    if exact and revision < cache.revision:
        return await _history(core, served, wanted, revision, limit, "", _EXPIRED_REVISION)
    found = _current(core, cache, wanted, limit, "")
    if exact:
        found.revision = revision
    return found


def _revision(options: ListOptions) -> int:
    try:
        return params.revision(options.resource_version)
    except ValueError as error:
        raise BadRequest(f"invalid resource version: {error}") from error


async def _continue(core: Core, served: Served, wanted: Selection, options: ListOptions) -> Listing:
    cache = core.cache(served)
    token = continuation.decode(options.continue_token)
    if options.resource_version not in ("", "0"):
        raise BadRequest("specifying resource version is not allowed when using continue")
    start = f"{wanted.namespace}/{token.start}" if wanted.namespace else token.start
    if token.revision < 0:
        await core.cacher.fresh()
        return _current(core, cache, wanted, options.limit, start)
    if token.revision > core.cacher.revision:
        await core.cacher.caught_up(token.revision)
    if token.revision >= cache.revision:
        if token.revision < core.cacher.revision:
            await _see_kept(core, cache, wanted, token.revision, start)
        found = _current(core, cache, wanted, options.limit, start)
        found.revision = token.revision
        if found.continue_token:  # the list goes on as it began
            found.continue_token = _token_after(wanted, token.revision, found.found[-1].key)
        return found
    return await _history(
        core, served, wanted, token.revision, options.limit, start, _EXPIRED_CONTINUE
    )


async def _see_kept(
    core: Core, cache: ResourceCache, wanted: Selection, revision: int, start: str
) -> None:
    """Refuse a token whose revision the store has compacted, although the cache could still answer.

    Upstream reads pages from its store; a client that pages for ever must notice alike.
    """
    try:
        await core.store.scan(cache.prefix, revision=revision, limit=1)
    except RevisionCompacted as error:
        raise _expired_token(wanted, start) from error


def _expired_token(wanted: Selection, last: str) -> Expired:
    """What tells the client, with a token for the rest as it is now."""
    gone = Expired(_EXPIRED_CONTINUE)
    gone.metadata["continue"] = _token_after(wanted, -1, last.removesuffix("\0"))
    return gone


def _current(
    core: Core, cache: ResourceCache, wanted: Selection, limit: int, start: str
) -> Listing:
    """From the watch cache."""
    listing = Listing(core.cacher.revision)
    matching = cache.select(wanted, start=start)
    if limit <= 0:
        listing.found = list(matching)
        return listing
    page = list(islice(matching, limit))
    listing.found = page
    if next(matching, None) is None:
        return listing
    listing.continue_token = _token_after(wanted, listing.revision, page[-1].key)
    if wanted.everything and not wanted.name:
        listing.remaining = 1 + sum(1 for _ in matching)
    return listing


async def _history(
    core: Core,
    served: Served,
    wanted: Selection,
    revision: int,
    limit: int,
    start: str,
    expired: str,
) -> Listing:
    """From the store's history: the collection as it was at `revision`."""
    listing = Listing(revision)
    cache = core.cache(served)
    fields_of = fields_for(served.storage.group, served.storage.name)
    prefix = cache.prefix + (f"{wanted.namespace}/" if wanted.namespace else "")
    key = cache.prefix + start if start else ""
    last = start
    try:
        while True:
            page = await core.store.scan(prefix, revision=revision, limit=_SCAN_PAGE, start=key)
            for index, stored in enumerate(page.items):
                item = CachedObject(
                    stored.key[len(cache.prefix) :],
                    stored.value,
                    stored.mod_revision,
                    stored.create_revision,
                    fields_of,
                )
                if not _matches(item, wanted):
                    continue
                if 0 < limit <= len(listing.found):
                    listing.continue_token = _token_after(wanted, revision, last)
                    if wanted.everything:
                        listing.remaining = len(page.items) - index + page.remaining
                    return listing
                listing.found.append(item)
                last = item.key
            if not page.more:
                return listing
            key = page.items[-1].key + "\0"
    except RevisionCompacted as error:
        if expired is _EXPIRED_CONTINUE:
            raise _expired_token(wanted, last) from error
        raise Expired(expired) from error
    except RevisionInFuture as error:
        raise BadRequest(str(error)) from error


def _matches(item: CachedObject, wanted: Selection) -> bool:
    if wanted.name and item.name != wanted.name:
        return False
    if wanted.labels is not None and not wanted.labels(item.labels):
        return False
    return wanted.fields is None or wanted.fields(item.fields)


def _token_after(wanted: Selection, revision: int, key: str) -> str:
    if wanted.namespace:
        key = key.removeprefix(f"{wanted.namespace}/")
    return continuation.encode(revision, key)


def _pieces(served: Served, found: Listing) -> Pieces:
    """The list's JSON, joined in batches: a large one never stands in memory as a whole."""
    head = b'%b"metadata":%b,"items":[' % (served.list_head, orjson.dumps(found.metadata()))
    # Items of a built-in list carry neither kind nor apiVersion, those of a custom one do.
    items = (
        found.items if served.resource.builtin else [served.head + item[1:] for item in found.items]
    )
    length = len(head) + sum(map(len, items)) + max(len(items) - 1, 0) + len(_LIST_END)

    def batches() -> Iterator[bytes]:
        yield head
        start = size = 0
        for index, item in enumerate(items):
            size += len(item)
            if size >= _BATCH:
                yield (b"," if start else b"") + b",".join(items[start : index + 1])
                start, size = index + 1, 0
        if start < len(items):
            yield (b"," if start else b"") + b",".join(items[start:])
        yield _LIST_END

    return Pieces(length, batches())


def _assembled(call: Call, found: Listing) -> Object:
    served, output = call.served, call.output
    metadata = found.metadata()
    items = [wire.decode(served, data) for data in found.items]
    if output.transform == "Table":
        include = call.exchange.query.get("includeObject", "")
        return wire.tabulate(served, items, output, metadata, include)
    if output.transform:
        return table.partial_list(items, metadata, wire.META + output.version)
    return {
        "kind": served.resource.list_kind,
        "apiVersion": served.resource.api_version,
        "metadata": metadata,
        "items": _without_names(items) if served.resource.builtin else items,
    }


def _without_names(items: Iterable[Object]) -> list[Object]:
    """Items of a built-in list carry neither kind nor apiVersion."""
    return [
        {key: value for key, value in item.items() if key not in ("kind", "apiVersion")}
        for item in items
    ]
