"""Reading a log that grows and is set aside now and then."""

import asyncio
import os
from collections.abc import AsyncGenerator
from pathlib import Path

POLL_S = 0.15
IDLE_S = 1.0
_BLOCK = 64 * 1024
_MAX_TAIL_BYTES = 16 * 1024 * 1024


async def read_log(log: Path, *, tail: int, is_following: bool) -> AsyncGenerator[list[str], None]:
    """Yield the last lines, then what comes, in batches; an empty batch when nothing came for a second.

    Waits for a folder that is still to be made, until the reader leaves. Ends when the folder is gone again, or at once
    after the last lines when not following.
    """
    mark, lines, rest = await asyncio.to_thread(_last_lines, log, tail)
    yield lines
    idle_s, was_there = 0.0, False
    while is_following and ((is_there := log.parent.exists()) or not was_there):
        was_there = is_there
        mark, block = _new_bytes(log, mark)
        if block:
            *complete, rest = (rest + block).split(b"\n")
            if len(rest) > _BLOCK:
                complete, rest = [*complete, rest], b""
            if complete:
                yield [line.decode("utf-8", "replace") for line in complete]
                idle_s = 0.0
                continue
        await asyncio.sleep(POLL_S)
        idle_s += POLL_S
        if idle_s >= IDLE_S:
            idle_s = 0.0
            yield []


def _last_lines(log: Path, tail: int) -> tuple[tuple[int, int], list[str], bytes]:
    """Read from the end; returns a mark (file, place), complete lines, and what stands behind the last of them."""
    try:
        with log.open("rb") as file:
            inode, size = os.fstat(file.fileno()).st_ino, file.seek(0, os.SEEK_END)
            data, place = b"", size
            while place and data.count(b"\n") <= tail and len(data) < _MAX_TAIL_BYTES:
                place = max(0, place - _BLOCK)
                file.seek(place)
                data = file.read(min(_BLOCK, size - len(data) - place)) + data
    except FileNotFoundError:
        return (0, 0), [], b""
    *lines, rest = data.split(b"\n")
    if not tail:
        lines = []
    return (inode, size), [line.decode("utf-8", "replace") for line in lines[-tail:]], rest


def _new_bytes(log: Path, mark: tuple[int, int]) -> tuple[tuple[int, int], bytes]:
    """Read what was added since a mark; a file that was replaced or cut is read from its beginning."""
    try:
        with log.open("rb") as file:
            stat = os.fstat(file.fileno())
            place = mark[1] if stat.st_ino == mark[0] and stat.st_size >= mark[1] else 0
            file.seek(place)
            block = file.read(_BLOCK)
            return (stat.st_ino, place + len(block)), block
    except FileNotFoundError:
        return mark, b""
