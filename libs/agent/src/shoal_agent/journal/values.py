"""What the journal tells of itself."""

import contextlib
from pathlib import Path
from typing import Self

import msgspec
from msgspec import Struct

from shoal_agent.files import write_private
from shoal_agent.journal.segment import Segment

_POSITION = "position.json"


class Drops(Struct, frozen=True, kw_only=True):
    """How many frames were given up, and why."""

    expired: int = 0
    overflowed: int = 0
    damaged: int = 0

    def plus(self, *, expired: int = 0, overflowed: int = 0, damaged: int = 0) -> "Drops":
        """Return the sum."""
        return Drops(
            expired=self.expired + expired,
            overflowed=self.overflowed + overflowed,
            damaged=self.damaged + damaged,
        )


class JournalStats(Struct, frozen=True, kw_only=True):
    """What the journal holds."""

    epoch: str
    last_seq: int
    acknowledged: int
    pending: int
    size_bytes: int
    drops: Drops


class Cursor:
    """A reader's place in the journal; see `Journal.take`."""

    def __init__(self, seq: int) -> None:
        self.seq = seq
        self.segment: Segment | None = None
        self.offset = 0

    def move(self, segment: Segment, offset: int, seq: int) -> None:
        """Stand behind a record."""
        self.segment, self.offset, self.seq = segment, offset, seq


class Position(Struct, frozen=True, kw_only=True):
    """What a journal saves beside its files: the seq up to which all is done, and what was lost."""

    epoch: str
    floor: int = 0
    drops: Drops = Drops()

    @classmethod
    def load(cls, directory: Path, epoch: str) -> Self:
        """Return what was saved in this epoch, or that nothing is done, which costs a resend."""
        try:
            position = msgspec.json.decode((directory / _POSITION).read_bytes(), type=cls)
        except (OSError, msgspec.DecodeError, UnicodeDecodeError):
            return cls(epoch=epoch)
        return position if position.epoch == epoch else cls(epoch=epoch)

    def save(self, directory: Path) -> None:
        """Save, if the disk takes it."""
        with contextlib.suppress(OSError):
            write_private(directory / _POSITION, msgspec.json.encode(self))
