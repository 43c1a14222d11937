from __future__ import annotations

import asyncio

from kubeinstall.api.resources import Resource, find
from kubeinstall.apiserver.catalog import Catalog
from kubeinstall.apiserver.frames import FrameEncoder
from kubeinstall.apiserver.negotiate import Output
from kubeinstall.apiserver.streams import Streams
from kubeinstall.storage.cache import CachedObject, WatchEvent


class Stream:
    def __init__(self) -> None:
        self.bookmarks = 0
        self.ended = False

    def bookmark(self) -> None:
        self.bookmarks += 1

    def end(self) -> None:
        self.ended = True


async def test_running_watches_get_bookmarks_and_an_end() -> None:
    streams = Streams(period=0.01)
    one, gone = Stream(), Stream()
    streams.add(one)
    streams.add(gone)
    streams.remove(gone)
    task = asyncio.create_task(streams.run())
    await asyncio.sleep(0.1)
    task.cancel()
    assert one.bookmarks >= 2
    assert gone.bookmarks == 0
    await streams.end_all()
    assert one.ended
    assert len(streams) == 1


async def test_watches_can_be_ended_over_a_while() -> None:
    streams = Streams()
    many = [Stream() for _ in range(4)]
    for stream in many:
        streams.add(stream)
    ending = asyncio.create_task(streams.end_all(0.4))
    await asyncio.sleep(0.05)
    assert sum(stream.ended for stream in many) == 1
    await ending
    assert all(stream.ended for stream in many)


def _pods() -> Resource:
    pods = find("", "v1", "pods")
    assert pods is not None
    return pods


def test_a_frame_is_a_splice_made_once() -> None:
    encoder = FrameEncoder(Catalog().of(_pods()), Output())
    item = CachedObject("ns/p", b'{"metadata":{"name":"p","namespace":"ns"}}', 7, 7, lambda _: {})
    event = WatchEvent(item, None, deleted=False)
    variant, encode = encoder.variants["ADDED"]
    frame = event.frame(variant, encode)
    body = (
        b'{"type":"ADDED","object":{"kind":"Pod","apiVersion":"v1","metadata":'
        b'{"resourceVersion":"7","name":"p","namespace":"ns"}}}\n'
    )
    assert frame == b"%x\r\n%b\r\n" % (len(body), body)
    assert event.frame(variant, encode) is frame


def test_a_bookmark_names_only_the_revision() -> None:
    mark = FrameEncoder(Catalog().of(_pods()), Output()).bookmark(9)
    assert b'"type":"BOOKMARK"' in mark
    assert b'"resourceVersion":"9"' in mark
    assert b"annotations" not in mark
