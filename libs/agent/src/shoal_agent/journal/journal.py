"""The journal: what may happen to a frame between `append` and its acknowledgement.

A frame gets the next `seq` of this journal's `epoch`. Both live as long as the directory does, so that
(epoch, seq) names one frame for ever, and a server can tell a resend from a new frame.

- `append` writes to the file before it returns: the frame survives `kill -9`.
- `sync` is the fsync. `take` hands out synced frames only, so that after a power cut no seq which a server
  may have seen is given to another frame. The stream syncs once per message, the agent once per interval
  while offline.
- `acknowledge` moves the floor, below which nothing is handed out, and deletes the files that lie under it.
  The floor is saved at most once a second: a crash makes the stream resend frames, exactly as they were.
- Older than `max_age`, or more than `max_bytes`: the oldest go first, and are counted. Nothing but the names
  and sizes of files is held in memory.

One process at a time may have a directory open (the agent locks its state directory). Any thread may call.
"""

import itertools
import os
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Self

from shoal_agent.errors import FrameTooLargeError, InvalidSettingError
from shoal_agent.journal.segment import MAX_FRAME_BYTES, Record, Segment
from shoal_agent.journal.values import Cursor, Drops, JournalStats, Position

MAX_SEQ = 2**32 - 1
DAY_S = 24 * 60 * 60.0
_SAVE_EVERY_S = 1.0
_SMALLEST = 8 * MAX_FRAME_BYTES


class Journal:
    """Frames on disk until they are acknowledged."""

    def __init__(
        self,
        directory: Path,
        *,
        max_bytes: int = 64 * 1024 * 1024,
        max_age_s: float = DAY_S,
        now: Callable[[], float] = time.time,
    ) -> None:
        """Open the journal in a directory, making both if need be.

        Raises:
            InvalidSettingError: `max_bytes` is less than 256 KiB.
            OSError: The disk refuses.
        """
        if max_bytes < _SMALLEST:
            raise InvalidSettingError("max_bytes", f"at least {_SMALLEST}")
        self._directory = directory
        self._max_bytes = max_bytes
        self._segment_bytes = min(1024 * 1024, max_bytes // 8)
        self._max_age_ms = int(max_age_s * 1000)
        self._now = now
        self._lock = threading.RLock()
        self._drops = Drops()
        self._floor = 0
        self._saved_at = 0.0
        self._expires_ms = 0
        self._head = Cursor(0)
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._segments = self._recover()
        self._file = self._open_newest()
        self._synced = 0
        self.sync()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Sync and save what is known. The journal cannot be used afterwards."""
        with self._lock:
            if self._file < 0:
                return
            self.sync()
            self._save()
            os.close(self._file)
            self._file = -1

    @property
    def epoch(self) -> str:
        """The name of this journal's life."""
        return self._segments[-1].epoch

    @property
    def last_seq(self) -> int:
        """The seq given out last; 0 before the first."""
        return self._segments[-1].last_seq

    @property
    def pending(self) -> int:
        """How many frames await acknowledgement."""
        return self.last_seq - self._floor

    @property
    def is_synced(self) -> bool:
        """Whether every appended frame is durable."""
        return self._synced == self.last_seq

    def stats(self) -> JournalStats:
        """Return what the journal holds."""
        with self._lock:
            return JournalStats(
                epoch=self.epoch,
                last_seq=self.last_seq,
                acknowledged=self._floor,
                pending=self.pending,
                size_bytes=self._size(),
                drops=self._drops,
            )

    def append(self, frame: bytes) -> int:
        """Add a frame, a JSON object on one line and not empty, and return its seq.

        Raises:
            FrameTooLargeError: It has more than 32 KiB.
            ValueError: It is no JSON object on one line.
            OSError: The disk refuses; nothing was added.
        """
        if len(frame) > MAX_FRAME_BYTES:
            raise FrameTooLargeError(len(frame), MAX_FRAME_BYTES)
        if not frame.startswith(b'{"') or not frame.endswith(b"}") or b"\n" in frame:
            raise ValueError("a frame is a JSON object on one line")
        with self._lock:
            self._expire()
            if self.last_seq >= MAX_SEQ:
                self._renew()
            record = Record(self.last_seq + 1, self._now_ms(), frame)
            self._write(record)
            return record.seq

    def sync(self) -> None:
        """Make every appended frame durable; nothing to do when all are."""
        with self._lock:
            if self.is_synced:
                return
            seq, file = self.last_seq, os.dup(self._file)
        try:
            os.fsync(file)
        finally:
            os.close(file)
        with self._lock:
            self._synced = max(self._synced, seq)

    def unacknowledged(self, after: int = 0) -> Cursor:
        """Return a cursor that stands before the first frame that is unacknowledged and follows `after`."""
        return Cursor(after)

    def take(self, cursor: Cursor, *, items: int, size: int) -> list[Record]:
        """Return the next synced frames behind the cursor and move it.

        Args:
            cursor: From `unacknowledged`.
            items: At most so many.
            size: At most so many bytes of frames together, but always one frame.
        """
        taken: list[Record] = []
        with self._lock:
            self._expire()
            for segment, offset, record in self._behind(cursor):
                size -= len(record.frame)
                if len(taken) == items or record.seq > self._synced or (taken and size < 0):
                    break
                taken.append(record)
                cursor.move(segment, offset, record.seq)
        return taken

    def acknowledge(self, seq: int) -> None:
        """Forget every frame up to `seq`."""
        with self._lock:
            if not self._floor < seq <= self.last_seq:
                return
            self._floor = seq
            self._forget()
            if time.monotonic() - self._saved_at >= _SAVE_EVERY_S:
                self._save()

    def _recover(self) -> list[Segment]:
        """Read what an earlier process left; where the newest file is unreadable, its life ends."""
        for draft in self._directory.glob("*.new"):
            draft.unlink()
        paths = sorted(self._directory.glob("*.log"))
        segments = [segment for path in paths if (segment := Segment.read(path)) is not None]
        if not segments or segments[-1].path != paths[-1]:
            return self._start_anew(paths)
        for segment, following in itertools.pairwise(segments):
            segment.last_seq = following.first_seq - 1
        newest = segments[-1]
        position = Position.load(self._directory, newest.epoch)
        broken = newest.recover()
        self._drops = position.drops.plus(damaged=broken)
        self._floor = max(position.floor, segments[0].first_seq - 1)
        newest.last_seq = max(newest.last_seq, self._floor)
        if broken:
            segments.append(Segment.create(self._directory, newest.epoch, newest.last_seq + 1, self._now_ms()))
        return segments

    def _start_anew(self, paths: list[Path]) -> list[Segment]:
        for path in paths:
            path.unlink()
        self._floor = 0
        return [Segment.create(self._directory, secrets.token_urlsafe(12), 1, self._now_ms())]

    def _renew(self) -> None:
        """Begin another life: its seq has run out."""
        self._drops = self._drops.plus(overflowed=self.pending)
        os.close(self._file)
        self._segments = self._start_anew([segment.path for segment in self._segments])
        self._file, self._synced, self._head = self._open_newest(), 0, Cursor(0)

    def _open_newest(self) -> int:
        return os.open(self._segments[-1].path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)

    def _write(self, record: Record) -> None:
        line = record.to_line()
        newest = self._segments[-1]
        if newest.size + len(line) > self._segment_bytes and newest.last_seq >= newest.first_seq:
            newest = self._rotate()
        while self._size() + len(line) > self._max_bytes and len(self._segments) > 1:
            self._drop_oldest_file()
        try:
            written = 0
            while written < len(line):
                written += os.write(self._file, line[written:])
        except OSError:
            os.ftruncate(self._file, newest.size)  # a full disk lets us shrink; half a line must not stay
            raise
        newest.size += len(line)
        newest.last_seq = record.seq

    def _rotate(self) -> Segment:
        os.fsync(self._file)
        self._synced = self.last_seq
        segment = Segment.create(self._directory, self.epoch, self.last_seq + 1, self._now_ms())
        os.close(self._file)
        self._segments.append(segment)
        self._file = self._open_newest()
        self._forget()
        return segment

    def _behind(self, cursor: Cursor) -> Iterator[tuple[Segment, int, Record]]:
        """Yield the unfinished records that follow a cursor, with the place where each ends."""
        after = max(cursor.seq, self._floor)
        for segment in self._segments:
            if segment.last_seq <= after:
                continue
            offset = cursor.offset if cursor.segment is segment else segment.start
            for end, record in segment.records(offset):
                if record is not None and record.seq > after:
                    after = record.seq
                    yield segment, end, record

    def _expire(self) -> None:
        """Give up the frames older than `max_age`, from the oldest on; looks only when one can be."""
        now = self._now_ms()
        if now < self._expires_ms:
            return
        oldest = now - self._max_age_ms
        while len(self._segments) > 1 and self._segments[1].created_ms < oldest:
            self._drop_oldest_file(is_expired=True)
        self._expires_ms = now + self._max_age_ms
        for segment, offset, record in self._behind(self._head):
            if record.at_ms >= oldest:
                self._expires_ms = record.at_ms + self._max_age_ms + 1
                break
            self._head.move(segment, offset, record.seq)
            self._floor = record.seq
            self._drops = self._drops.plus(expired=1)
        self._forget()

    def _drop_oldest_file(self, *, is_expired: bool = False) -> None:
        segment = self._segments.pop(0)
        segment.path.unlink(missing_ok=True)
        lost = max(0, segment.last_seq - max(self._floor, segment.first_seq - 1))
        self._drops = self._drops.plus(expired=lost if is_expired else 0, overflowed=0 if is_expired else lost)
        self._floor = max(self._floor, segment.last_seq)

    def _forget(self) -> None:
        """Delete the files that hold nothing unfinished; the newest stays, for it knows epoch and seq."""
        while len(self._segments) > 1 and self._segments[0].last_seq <= self._floor:
            self._segments.pop(0).path.unlink(missing_ok=True)

    def _size(self) -> int:
        return sum(segment.size for segment in self._segments)

    def _now_ms(self) -> int:
        return int(self._now() * 1000)

    def _save(self) -> None:
        Position(epoch=self.epoch, floor=self._floor, drops=self._drops).save(self._directory)
        self._saved_at = time.monotonic()
