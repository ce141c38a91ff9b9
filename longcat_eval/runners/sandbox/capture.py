"""What is kept of a command's output, and the frames in which the daemon sends it."""

from collections.abc import Iterator

KEPT_AT_EACH_END = 1 << 20
FRAME_HEADER = 8
STDERR = 2


class Capture:
    """The first and the last bytes of an output of any length; the middle is counted and forgotten."""

    def __init__(self, ends: int = KEPT_AT_EACH_END) -> None:
        self._ends = ends
        self._head = bytearray()
        self._tail = bytearray()
        self.total = 0

    def feed(self, data: bytes) -> None:
        """Take the next bytes."""
        self.total += len(data)
        if (room := self._ends - len(self._head)) > 0:
            self._head += data[:room]
            data = data[room:]
        self._tail += data
        if len(self._tail) > 2 * self._ends:
            del self._tail[: -self._ends]

    @property
    def left_out(self) -> int:
        """How many bytes of the middle are not in `output`."""
        return max(0, self.total - len(self._head) - self._ends)

    def output(self) -> bytes:
        """Both ends, with a line between them where something is missing."""
        tail = bytes(self._tail[-self._ends :])
        if not self.left_out:
            return bytes(self._head) + tail
        return b"%s\n[longcat-eval: %d bytes left out here]\n%s" % (bytes(self._head), self.left_out, tail)


class Frames:
    """Cuts the daemon's multiplexed stream: 1 byte channel, 3 zeros, 4 bytes big-endian length, payload."""

    def __init__(self) -> None:
        self._header = bytearray()
        self._left = 0

    def feed(self, data: bytes) -> Iterator[tuple[int, bytes]]:
        """Yield (channel, payload) for all that is there; a payload may come in pieces."""
        position = 0
        while position < len(data):
            if not self._left:
                taken = data[position : position + FRAME_HEADER - len(self._header)]
                self._header += taken
                position += len(taken)
                if len(self._header) < FRAME_HEADER:
                    return
                self._left = int.from_bytes(self._header[4:], "big")
                if not self._left:
                    self._header.clear()
                continue
            piece = data[position : position + self._left]
            position += len(piece)
            self._left -= len(piece)
            yield self._header[0], piece
            if not self._left:
                self._header.clear()
