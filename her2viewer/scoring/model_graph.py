"""Where the graph of a model (``network.onnx``) takes its weights from, found without a library for ONNX.

A graph may name other files as the place of its weights. Only the weights of its own model are allowed, so that a
model from elsewhere can never make the program read anything else. ONNX is protobuf: messages of numbered fields,
of which those that can hold tensors are walked.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

LARGEST_GRAPH = 256 << 20
"""Bytes; weights stand in a file of their own."""
DEEPEST = 64
"""Of messages in messages; graphs hold graphs."""

_TENSOR = "tensor"
_CHILDREN: dict[str, dict[int, str]] = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "function": {7: "node", 11: "attribute"},
    "graph": {1: "node", 5: _TENSOR, 15: "sparse"},
    "node": {5: "attribute"},
    "attribute": {5: _TENSOR, 6: "graph", 10: _TENSOR, 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: _TENSOR, 2: _TENSOR},
    _TENSOR: {13: "entry"},
}
"""Fields of each message of ONNX that lead to tensors."""


@dataclass(frozen=True)
class Outside:
    """A tensor whose values stand in another file."""

    location: str
    offset: int
    length: int | None
    """Bytes; None to the end of the file."""


def outside_tensors(data: bytes) -> list[Outside]:
    """All tensors of a graph whose values stand in other files.

    Raises:
        ValueError: it is no ONNX graph, or a damaged one.
    """
    if len(data) > LARGEST_GRAPH:
        raise ValueError("it is larger than a graph can be")
    found = list(_walk(memoryview(data), "model", 0))
    if not any(number == 7 for number, _, _ in _fields(memoryview(data))):
        raise ValueError("it holds no graph")
    return found


def _walk(data: memoryview, kind: str, depth: int) -> Iterator[Outside]:
    if depth > DEEPEST:
        raise ValueError("it is nested too deep")
    children = _CHILDREN[kind]
    entries: dict[str, str] = {}
    for number, wire, value in _fields(data):
        child = children.get(number)
        if child is None:
            continue
        if wire != 2 or not isinstance(value, memoryview):
            raise ValueError("a field has the wrong type")
        if child == "entry":
            key, text = _pair(value)
            entries[key] = text
        else:
            yield from _walk(value, child, depth + 1)
    if entries:
        if "location" not in entries:
            raise ValueError("weights without a place")
        length = entries.get("length")
        yield Outside(entries["location"], int(entries.get("offset", "0")), None if length is None else int(length))


def _pair(data: memoryview) -> tuple[str, str]:
    parts = {number: bytes(v).decode("utf-8") for number, _, v in _fields(data) if isinstance(v, memoryview)}
    return parts.get(1, ""), parts.get(2, "")


def _fields(data: memoryview) -> Iterator[tuple[int, int, memoryview | int]]:
    """Number, wire type and value of each field of a protobuf message."""
    at = 0
    while at < len(data):
        tag, at = _number(data, at)
        wire = tag & 7
        value: memoryview | int
        if wire == 0:
            value, at = _number(data, at)
        else:
            if wire == 2:
                size, at = _number(data, at)
            elif wire in (1, 5):
                size = 8 if wire == 1 else 4
            else:
                raise ValueError("it is no protobuf message")
            if at + size > len(data):
                raise ValueError("it ends too early")
            value, at = data[at : at + size], at + size
        yield tag >> 3, wire, value


def _number(data: memoryview, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(data):
            raise ValueError("it ends too early")
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at += 1
        if byte < 0x80:
            return value, at
    raise ValueError("it is no protobuf message")
