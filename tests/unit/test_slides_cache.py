from __future__ import annotations

import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from her2viewer.slides.cache import ByteCache


def entry(size: int) -> np.ndarray:
    return np.zeros(size, dtype=np.uint8)


def test_the_least_recently_used_entry_goes_first():
    cache: ByteCache[str, np.ndarray] = ByteCache(30)
    for key in "abc":
        cache.put(key, entry(10))
    assert cache.get("a") is not None
    cache.put("d", entry(10))
    assert "a" in cache
    assert "b" not in cache
    assert cache.used == 30


def test_a_pinned_entry_outlives_all_others():
    cache: ByteCache[str, np.ndarray] = ByteCache(20)
    cache.put("coarsest", entry(15))
    assert cache.pin("coarsest")
    for k in range(100):
        cache.put(f"tile {k}", entry(10))
    assert "coarsest" in cache
    cache.unpin("coarsest")
    cache.put("last", entry(10))
    cache.put("very last", entry(10))
    assert "coarsest" not in cache


def test_pinning_what_is_not_there_says_so():
    assert not ByteCache(10).pin("nothing")


def test_an_entry_larger_than_the_cache_is_kept_alone():
    cache: ByteCache[str, np.ndarray] = ByteCache(20)
    cache.put("small", entry(10))
    cache.put("large", entry(100))
    assert "large" in cache
    assert len(cache) == 1


def test_a_value_without_bytes_needs_a_size():
    cache: ByteCache[str, object] = ByteCache(20)
    with pytest.raises(TypeError):
        cache.put("key", object())
    cache.put("key", object(), 7)
    assert cache.used == 7


def test_clear_and_discard_forget_pinned_entries_too():
    cache: ByteCache[str, np.ndarray] = ByteCache(20)
    cache.put("a", entry(5), pinned=True)
    cache.put("b", entry(5), pinned=True)
    cache.discard("a")
    assert cache.used == 5
    cache.clear()
    assert (cache.used, len(cache), cache.get("b")) == (0, 0, None)


@given(
    st.integers(0, 200),
    st.lists(
        st.tuples(st.sampled_from(["put", "get", "pin", "unpin", "discard"]), st.integers(0, 8), st.integers(0, 90))
    ),
)
def test_used_is_the_sum_of_what_is_held_and_exceeds_the_bound_by_one_entry_at_most(bound, steps):
    cache: ByteCache[int, np.ndarray] = ByteCache(bound)
    pinned: set[int] = set()
    for action, key, size in steps:
        if action == "put":
            cache.put(key, entry(size))
        elif action == "get":
            cache.get(key)
        elif action == "pin" and cache.pin(key):
            pinned.add(key)
        elif action == "unpin":
            cache.unpin(key)
            pinned.discard(key)
        elif action == "discard":
            cache.discard(key)
            pinned.discard(key)
        held = {k: cache.get(k) for k in range(9)}
        sizes = {k: v.nbytes for k, v in held.items() if v is not None}
        assert cache.used == sum(sizes.values())
        loose = [s for k, s in sizes.items() if k not in pinned]
        assert cache.used <= max(bound, sum(sizes[k] for k in pinned)) + max(loose, default=0)


def test_many_threads_leave_the_count_of_bytes_right():
    cache: ByteCache[int, np.ndarray] = ByteCache(1000)

    def work(seed: int) -> None:
        rng = np.random.default_rng(seed)
        for _ in range(500):
            cache.put(int(rng.integers(40)), entry(int(rng.integers(1, 90))))
            cache.get(int(rng.integers(40)))
            cache.discard(int(rng.integers(40)))

    threads = [threading.Thread(target=work, args=(k,)) for k in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    held = [cache.get(k) for k in range(40)]
    assert cache.used == sum(v.nbytes for v in held if v is not None)
