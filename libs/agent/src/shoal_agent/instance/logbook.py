"""The log of an instance: a file, and whoever watches it live."""

import asyncio
import logging
import sys
import time
from collections import deque
from logging.handlers import RotatingFileHandler
from pathlib import Path

MAX_BYTES = 5 * 1024 * 1024
KEPT_LINES = 500
MAX_WAITING = 1000


class Logbook(logging.Handler):
    """Keeps the last lines, and hands new ones to watchers; one who reads too slowly misses some."""

    def __init__(self) -> None:
        super().__init__()
        self._lines: deque[str] = deque(maxlen=KEPT_LINES)
        self._watchers: set[asyncio.Queue[str]] = set()
        self._loop = asyncio.get_running_loop()

    def emit(self, record: logging.LogRecord) -> None:
        """Take a line, from any thread."""
        line = self.format(record)
        self._lines.append(line)
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._tell, line)

    def watch(self) -> tuple[list[str], asyncio.Queue[str]]:
        """Return the last lines, and a queue of those to come; give it back with `leave`."""
        queue: asyncio.Queue[str] = asyncio.Queue(MAX_WAITING)
        self._watchers.add(queue)
        return list(self._lines), queue

    def leave(self, queue: asyncio.Queue[str]) -> None:
        """Watch no more."""
        self._watchers.discard(queue)

    def _tell(self, line: str) -> None:
        for queue in self._watchers:
            if not queue.full():
                queue.put_nowait(line)


def open_log(file: Path, *, is_on_stdout: bool) -> Logbook:
    """Send what this package logs to a file, set aside when it is large, to a logbook, and to standard output."""
    formatter = logging.Formatter("%(asctime)s %(message)s", "%Y-%m-%dT%H:%M:%SZ")
    formatter.converter = time.gmtime
    logbook = Logbook()
    logger = logging.getLogger("shoal_agent")
    handlers: list[logging.Handler] = [
        RotatingFileHandler(file, maxBytes=MAX_BYTES, backupCount=1, encoding="utf-8"),
        logbook,
    ]
    if is_on_stdout:
        handlers.append(logging.StreamHandler(sys.stdout))
    for handler in handlers:
        handler.setFormatter(formatter)
        logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    return logbook
