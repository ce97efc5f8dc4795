"""One append-only file of the journal, readable with `less`.

The first line is `shoal-journal/1 <epoch> <first seq> <created, unix ms>`; each other line is one record,
`<crc32 of the rest> <seq> <unix ms> <frame>`. A file appears under its name once its first line is on disk.
"""

import re
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Self

from msgspec import Struct

from shoal_agent.files import write_private

MAX_FRAME_BYTES = 32 * 1024
_HEADER = re.compile(rb"shoal-journal/1 ([A-Za-z0-9_-]{1,64}) ([0-9]{1,10}) ([0-9]{1,15})\n")
_HEADER_BYTES = 128


class Record(Struct, frozen=True, gc=False):
    """One frame: its number, when it was appended (unix milliseconds), and its JSON."""

    seq: int
    at_ms: int
    frame: bytes

    def to_line(self) -> bytes:
        """Return the record as it stands in a file."""
        body = b"%d %d %b\n" % (self.seq, self.at_ms, self.frame)
        return b"%08x %b" % (zlib.crc32(body), body)

    @classmethod
    def from_line(cls, line: bytes) -> Self | None:
        """Return the record, or None when the line is damaged."""
        try:
            if int(line[:8], 16) != zlib.crc32(line[9:]):
                return None
            seq, at_ms, frame = line[9:-1].split(b" ", 2)
            return cls(int(seq), int(at_ms), frame)
        except ValueError:
            return None


class Segment:
    """A file of records with rising seq; only the newest one of a journal grows."""

    def __init__(self, path: Path, epoch: str, first_seq: int, created_ms: int, start: int) -> None:
        self.path = path
        self.epoch = epoch
        self.first_seq = first_seq
        self.last_seq = first_seq - 1
        self.created_ms = created_ms
        self.start = start
        self.size = start

    @classmethod
    def create(cls, directory: Path, epoch: str, first_seq: int, created_ms: int) -> Self:
        """Make an empty file, durably."""
        header = b"shoal-journal/1 %b %d %d\n" % (epoch.encode(), first_seq, created_ms)
        path = directory / f"{first_seq:010d}.log"
        write_private(path, header, is_durable=True)
        return cls(path, epoch, first_seq, created_ms, len(header))

    @classmethod
    def read(cls, path: Path) -> Self | None:
        """Return what the first line says, or None when it is damaged."""
        with path.open("rb") as file:
            header = _HEADER.match(file.readline(_HEADER_BYTES))
        if header is None:
            return None
        segment = cls(path, header[1].decode(), int(header[2]), int(header[3]), len(header[0]))
        segment.size = path.stat().st_size
        return segment

    def recover(self) -> int:
        """Find the last record that the writer lived to finish.

        Returns:
            How many lines follow it that are unfinished or damaged. The seq of each counts as used, so that
            it never names another frame; such a file must not grow any more.
        """
        lines, end = 0, self.start
        for offset, record in self.records(self.start):
            lines += 1
            if record is not None and record.seq > self.last_seq:
                self.last_seq, end, lines = record.seq, offset, 0
        broken = max(1, lines) if end < self.size else 0
        self.last_seq += broken
        return broken

    def records(self, offset: int) -> Iterator[tuple[int, Record | None]]:
        """Yield where each finished line ends, and its record, or None when it is damaged."""
        with self.path.open("rb") as file:
            file.seek(offset)
            for line in file:
                if not line.endswith(b"\n"):
                    return
                offset += len(line)
                yield offset, Record.from_line(line)
