"""Reading a bolt file, the form of etcd's database: pages of a B+ tree, one tree a bucket. Nothing is ever written by
way of this, but a value may be overwritten in place by one of its length (`Item.at` says where it stands).

page   id (8) ‖ flags (2) ‖ count (2) ‖ overflow (4) ‖ elements
meta   magic ‖ version ‖ page size ‖ flags (4 each) ‖ root, sequence, free list, pages, transaction, FNV-1a (8 each)
branch position (4) ‖ key size (4) ‖ page (8)
leaf   flags (4) ‖ position (4) ‖ key size (4) ‖ value size (4); the value of a bucket is root (8) ‖ sequence (8), and
       with root 0 its only page follows
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from kubeinstall.provision.backup.manifest import BackupError

_MAGIC = 0xED0CDAED
_VERSION = 2
_HEADER = struct.Struct("<QHHI")
_META = struct.Struct("<IIIIQQQQQQ")
_BRANCH = struct.Struct("<IIQ")
_LEAF = struct.Struct("<IIII")
_BUCKET = struct.Struct("<QQ")
_IS_BRANCH, _IS_LEAF, _IS_BUCKET = 1, 2, 1
_DEEPEST = 64
_FNV_START, _FNV_PRIME = 0xCBF29CE484222325, 0x100000001B3


@dataclass(frozen=True)
class Item:
    """A key and where its value stands in the file. `bucket`: the value is a bucket's head."""

    key: bytes
    at: int
    size: int
    bucket: bool


class BoltFile:
    """A bolt database in memory; BackupError wherever it is not what such a file must be."""

    def __init__(self, data: memoryview) -> None:
        self._data = data
        metas = [meta for meta in map(self._meta, self._meta_places()) if meta]
        if not metas:
            raise BackupError("the snapshot is damaged: it has no valid head")
        _, self._page_size, self._root = max(metas)

    def value(self, item: Item) -> bytes:
        """An item's value."""
        return bytes(self._data[item.at : item.at + item.size])

    def bucket(self, name: bytes) -> Iterator[Item]:
        """The items of a bucket in the order of keys; none when there is no such bucket."""
        try:
            for item in self._walk(self._root * self._page_size, 0):
                if item.key == name and item.bucket:
                    root, _ = _BUCKET.unpack_from(self._data, item.at)
                    start = root * self._page_size if root else item.at + _BUCKET.size
                    yield from self._walk(start, 0)
        except (struct.error, IndexError, ValueError) as error:
            raise BackupError(f"the snapshot is damaged: {error}") from error

    def _meta_places(self) -> Iterator[int]:
        yield 0
        # The second head stands at the second page; how large a page is, the first tells, if it can.
        if len(self._data) >= _HEADER.size + _META.size:
            size = _META.unpack_from(self._data, _HEADER.size)[2]
            if 512 <= size <= 1 << 16:
                yield size

    def _meta(self, place: int) -> tuple[int, int, int] | None:
        start = place + _HEADER.size
        if start + _META.size > len(self._data):
            return None
        magic, version, size, _, root, _, _, _, transaction, checksum = _META.unpack_from(
            self._data, start
        )
        sound = _fnv(self._data[start : start + _META.size - 8]) == checksum
        return (
            (transaction, size, root) if (magic, version) == (_MAGIC, _VERSION) and sound else None
        )

    def _walk(self, start: int, depth: int) -> Iterator[Item]:
        if depth > _DEEPEST:
            raise ValueError("its tree has no end")
        _, flags, count, _ = _HEADER.unpack_from(self._data, start)
        first = start + _HEADER.size
        if flags & _IS_BRANCH:
            for index in range(count):
                _, _, page = _BRANCH.unpack_from(self._data, first + index * _BRANCH.size)
                yield from self._walk(page * self._page_size, depth + 1)
        elif flags & _IS_LEAF:
            for index in range(count):
                yield self._item(first + index * _LEAF.size)
        else:
            raise ValueError(f"the page at {start} is neither branch nor leaf")

    def _item(self, element: int) -> Item:
        flags, position, key_size, value_size = _LEAF.unpack_from(self._data, element)
        at = element + position + key_size
        if at + value_size > len(self._data):
            raise ValueError("a value leads out of the file")
        key = bytes(self._data[element + position : at])
        return Item(key, at, value_size, bool(flags & _IS_BUCKET))


def _fnv(data: memoryview) -> int:
    found = _FNV_START
    for byte in data:
        found = (found ^ byte) * _FNV_PRIME & (1 << 64) - 1
    return found
