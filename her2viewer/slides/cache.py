"""Byte-bounded cache of decoded tiles, least recently used out first."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Hashable
from typing import Any, Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class ByteCache(Generic[K, V]):
    """Thread-safe LRU cache that counts bytes, not entries.

    Pinned entries stay until discarded or unpinned. ``used`` exceeds ``max_bytes`` by one entry at most, unless
    more than that is pinned.
    """

    def __init__(self, max_bytes: int) -> None:
        if max_bytes < 0:
            raise ValueError("A cache cannot be bounded by a negative number of bytes.")
        self._max_bytes = max_bytes
        self._used = 0
        self._entries: OrderedDict[K, tuple[V, int]] = OrderedDict()
        self._pinned: dict[K, tuple[V, int]] = {}
        self._lock = threading.Lock()

    @property
    def max_bytes(self) -> int:
        """The bound, bytes."""
        return self._max_bytes

    @property
    def used(self) -> int:
        """Bytes held now, pinned ones included."""
        with self._lock:
            return self._used

    def __len__(self) -> int:
        with self._lock:
            return len(self._entries) + len(self._pinned)

    def __contains__(self, key: K) -> bool:
        with self._lock:
            return key in self._entries or key in self._pinned

    def get(self, key: K) -> V | None:
        """The value, now the most recently used one, or None."""
        with self._lock:
            pinned = self._pinned.get(key)
            if pinned is not None:
                return pinned[0]
            entry = self._entries.get(key)
            if entry is None:
                return None
            self._entries.move_to_end(key)
            return entry[0]

    def put(self, key: K, value: V, size: int | None = None, *, pinned: bool = False) -> None:
        """Keep ``value``; an older value of the same key is replaced.

        Args:
            key: what it is found by.
            value: an array, or anything with ``nbytes``.
            size: bytes it weighs, where it has no ``nbytes``.
            pinned: keep it whatever else comes (a key pinned before stays pinned).
        """
        weight = _size_of(value) if size is None else size
        with self._lock:
            pinned = pinned or key in self._pinned
            self._remove(key)
            (self._pinned if pinned else self._entries)[key] = (value, weight)
            self._used += weight
            self._shrink(keep_last=not pinned)

    def pin(self, key: K) -> bool:
        """Never drop this entry by itself; False where there is none."""
        with self._lock:
            entry = self._entries.pop(key, None)
            if entry is not None:
                self._pinned[key] = entry
            return key in self._pinned

    def unpin(self, key: K) -> None:
        """Let this entry go when its turn comes."""
        with self._lock:
            entry = self._pinned.pop(key, None)
            if entry is not None:
                self._entries[key] = entry
                self._shrink(keep_last=True)

    def discard(self, key: K) -> None:
        """Drop one entry, pinned or not."""
        with self._lock:
            self._remove(key)

    def clear(self) -> None:
        """Drop everything, pinned entries too."""
        with self._lock:
            self._entries.clear()
            self._pinned.clear()
            self._used = 0

    def resize(self, max_bytes: int) -> None:
        """Another bound; what is too much goes at once."""
        if max_bytes < 0:
            raise ValueError("A cache cannot be bounded by a negative number of bytes.")
        with self._lock:
            self._max_bytes = max_bytes
            self._shrink(keep_last=False)

    def _remove(self, key: K) -> None:
        for table in (self._entries, self._pinned):
            entry = table.pop(key, None)
            if entry is not None:
                self._used -= entry[1]

    def _shrink(self, *, keep_last: bool) -> None:
        while self._used > self._max_bytes and len(self._entries) > int(keep_last):
            _, (_, weight) = self._entries.popitem(last=False)
            self._used -= weight


def _size_of(value: Any) -> int:
    try:
        return int(value.nbytes)
    except AttributeError:
        raise TypeError("A value without nbytes needs its size in bytes.") from None
