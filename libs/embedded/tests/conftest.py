import asyncio
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import psutil
import pytest


@pytest.fixture
def open_directory() -> Iterator[Path]:
    """A directory that every user may enter, as pytest's own are not."""
    with tempfile.TemporaryDirectory(prefix="shoal-embedded-") as folder:
        directory = Path(folder)
        directory.chmod(0o755)
        yield directory


async def until(condition: Callable[[], Awaitable[bool]], *, within: float = 5.0) -> None:
    """Poll until true; fail when it is not `within` seconds."""
    deadline = time.monotonic() + within
    while not await condition():
        assert time.monotonic() < deadline, f"not within {within} s"
        await asyncio.sleep(0.01)


@asynccontextmanager
async def program(script: str, *arguments: str) -> AsyncIterator[tuple[asyncio.subprocess.Process, Sequence[str]]]:
    """Run a Python script in a process of its own; yields it with the words of its first line of output."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", script, *arguments, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        words = (await process.stdout.readline()).decode().split()
        yield process, words
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGKILL)
        await process.communicate()


async def gone(pid: int) -> None:
    """Wait until a process has ended."""

    async def ended() -> bool:
        return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE

    await until(ended)


def copied(source: Path, target: Path) -> Path:
    """A copy of a directory of servers' data, modes kept."""
    return Path(shutil.copytree(source, target))
