"""Messages between the window and the scoring process: pickled objects with their arrays beside them, on a pipe.

Both ends are this program; nothing that a user hands in is ever unpickled.
"""

from __future__ import annotations

import pickle
import struct
import threading
from typing import IO, Any

_COUNT = struct.Struct("<I")
_LENGTH = struct.Struct("<Q")


class FrameWriter:
    """Writes messages; callable from several threads."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._lock = threading.Lock()

    def send(self, message: Any) -> None:
        """Write one message.

        Raises:
            OSError: the other end is gone.
        """
        buffers: list[pickle.PickleBuffer] = []
        body = pickle.dumps(message, protocol=5, buffer_callback=buffers.append)
        # Arrays stay out of the pickle, so each is copied once, by the pipe itself.
        parts = [memoryview(body), *(b.raw() for b in buffers)]
        head = _COUNT.pack(len(parts)) + b"".join(_LENGTH.pack(p.nbytes) for p in parts)
        with self._lock:
            self._stream.write(head)
            for part in parts:
                self._stream.write(part)
            self._stream.flush()

    def close(self) -> None:
        """Close the pipe; the other end reads its end."""
        with self._lock:
            self._stream.close()


class FrameReader:
    """Reads messages, one thread only."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream

    def receive(self) -> Any:
        """The next message; arrays in it are writable and own their memory.

        Raises:
            EOFError: the other end is gone.
        """
        (count,) = _COUNT.unpack(self._exactly(_COUNT.size))
        lengths = [_LENGTH.unpack(self._exactly(_LENGTH.size))[0] for _ in range(count)]
        parts = [self._exactly(n) for n in lengths]
        return pickle.loads(parts[0], buffers=parts[1:])

    def _exactly(self, size: int) -> bytearray:
        data = bytearray(size)
        view, got = memoryview(data), 0
        while got < size:
            n = self._stream.readinto(view[got:])  # type: ignore[attr-defined]
            if not n:
                raise EOFError
            got += n
        return data
