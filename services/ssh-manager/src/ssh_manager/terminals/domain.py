"""Terminals: their size, what they showed, how they end, and the frames of their sockets."""

from collections import deque
from datetime import datetime
from enum import StrEnum
from typing import Final

from msgspec import Struct

from ssh_manager.entrance import Close
from ssh_manager.terminals.errors import UnknownShellError

MAX_COLUMNS, MAX_ROWS = 500, 200
MAX_SCROLLBACK = 1024 * 1024
MAX_MESSAGE = 64 * 1024
MESSAGES_PER_S, BURST = 100.0, 200.0
MAX_TERMINALS = 8
"""Of one instance; SSH servers allow ten at once, and two are for others."""


class State(StrEnum):
    """Whether a terminal is shown to somebody, waits for its user, or is closed."""

    ACTIVE = "active"
    DETACHED = "detached"
    CLOSED = "closed"


GONE: Final = Close(1000, "")
EXITED: Final = Close(1000, "the shell has ended")
TOO_BIG: Final = Close(1009, "the message is too large")
STALLED: Final = Close(1013, "the browser took nothing for too long")
TAKEN_OVER: Final = Close(4409, "the terminal was opened elsewhere")
CLOSED: Final = Close(4410, "the terminal was closed")
IDLE: Final = Close(4410, "the terminal was closed: nobody used it")
TOO_OLD: Final = Close(4410, "the terminal was closed: it was open for too long")
LOST: Final = Close(4502, "the connection to the instance was lost")


class Size(Struct, frozen=True):
    """The size of a terminal, in characters."""

    columns: int = 80
    rows: int = 24

    @classmethod
    def of(cls, columns: int, rows: int) -> "Size":
        """Make a size that a terminal can have."""
        return cls(min(max(columns, 1), MAX_COLUMNS), min(max(rows, 1), MAX_ROWS))


class Shell(StrEnum):
    """Which shell."""

    LOGIN = ""
    """The user's own."""
    BASH = "bash"
    SH = "sh"
    ZSH = "zsh"

    @classmethod
    def named(cls, name: str) -> "Shell":
        """Find one by name.

        Raises:
            UnknownShellError: There is none.
        """
        try:
            return cls(name)
        except ValueError:
            raise UnknownShellError from None

    @property
    def command(self) -> str | None:
        """What starts it; None: what starts by itself."""
        return f"exec {self.value} -l" if self.value else None

    @property
    def word(self) -> str:
        """What it is called."""
        return self.value or "login"


class Summary(Struct, frozen=True, kw_only=True):
    """One terminal as it is now."""

    id: str
    instance_id: int
    user_id: str
    shell: str
    state: State
    created_at: datetime
    closed_at: datetime | None


class Scrollback:
    """The last that a terminal showed, bounded in bytes."""

    def __init__(self, max_bytes: int = MAX_SCROLLBACK) -> None:
        self._max_bytes = max_bytes
        self._parts: deque[bytes] = deque()
        self._size = 0

    def add(self, part: bytes) -> None:
        """Add to the end; what is too old is forgotten."""
        part = part[-self._max_bytes :]
        self._parts.append(part)
        self._size += len(part)
        while self._size > self._max_bytes:
            excess = self._size - self._max_bytes
            oldest = self._parts.popleft()
            self._size -= len(oldest)
            if len(oldest) > excess:
                self._parts.appendleft(oldest[excess:])
                self._size += len(oldest) - excess

    def all(self) -> bytes:
        """Give everything that is remembered."""
        return b"".join(self._parts)


class Pace:
    """So many messages a second, and more in a burst: says how long to wait before the next is read."""

    def __init__(self, per_s: float = MESSAGES_PER_S, burst: float = BURST) -> None:
        self._per_s = per_s
        self._burst = burst
        self._left = burst
        self._at = 0.0

    def wait_s(self, now: float) -> float:
        """Count a message; returns for how many seconds no further one should be read."""
        self._left = min(self._burst, self._left + (now - self._at) * self._per_s) - 1
        self._at = now
        return max(0.0, -self._left / self._per_s)


class Resize(Struct, frozen=True, tag="resize"):
    """The browser's terminal has another size."""

    cols: int
    rows: int

    @property
    def size(self) -> Size:
        """The nearest size that a terminal can have."""
        return Size.of(self.cols, self.rows)


class Input(Struct, frozen=True, tag="input"):
    """Something was typed; the same as a binary frame."""

    data: str


class Ping(Struct, frozen=True, tag="ping"):
    """Asks for a sign of life."""


ClientFrame = Resize | Input | Ping


class SessionFrame(Struct, frozen=True, tag="session"):
    """The first frame: which terminal this is, and how it was until now."""

    session_id: str
    state: str


class Pong(Struct, frozen=True, tag="pong"):
    """A sign of life."""


class ErrorFrame(Struct, frozen=True, tag="error"):
    """A frame that could not be read; nothing else happens."""

    code: str
    message: str
