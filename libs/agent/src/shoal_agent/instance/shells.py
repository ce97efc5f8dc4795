"""Commands and terminals of whoever signed in by SSH."""

import asyncio
import contextlib
import fcntl
import os
import pty
import signal
import struct
import termios
from asyncio.subprocess import PIPE, Process
from collections.abc import Mapping
from pathlib import Path

import asyncssh

_BLOCK = 32 * 1024
SHELLS = ("/bin/bash", "/bin/sh")

Peer = asyncssh.SSHServerProcess[bytes]


async def serve_shell(peer: Peer, *, home: Path, user: str) -> None:
    """Run what the peer asks for in the home: one command, or a login shell, with or without a terminal."""
    shell = _shell()
    command = [shell, "-c", peer.command] if peer.command else [shell, "-l"]
    environment = {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": str(home),
        "USER": user,
        "LOGNAME": user,
        "SHELL": shell,
        "LANG": os.environ.get("LANG", "C.UTF-8"),
    }
    try:
        if peer.term_type is not None:
            await _with_terminal(peer, command, environment | {"TERM": peer.term_type}, home)
        else:
            await _with_pipes(peer, command, environment, home)
    except OSError as error:
        peer.stderr.write(f"{error}\n".encode())
        peer.exit(127)


async def _with_pipes(peer: Peer, command: list[str], environment: Mapping[str, str], home: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        *command, stdin=PIPE, stdout=PIPE, stderr=PIPE, cwd=home, env=environment, start_new_session=True
    )
    assert process.stdin is not None  # noqa: S101 - all three are pipes
    assert process.stdout is not None  # noqa: S101
    assert process.stderr is not None  # noqa: S101
    coming_in = asyncio.ensure_future(_copy_in(peer, process.stdin))
    going_out = [
        asyncio.ensure_future(_copy_out(process.stdout, peer.stdout)),
        asyncio.ensure_future(_copy_out(process.stderr, peer.stderr)),
    ]
    await _until_end(peer, process, going_out, coming_in)


async def _with_terminal(peer: Peer, command: list[str], environment: Mapping[str, str], home: Path) -> None:
    master, slave = pty.openpty()
    try:
        _resize(master, peer.term_size)
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=slave,
            stdout=slave,
            stderr=slave,
            cwd=home,
            env=environment,
            start_new_session=True,
            preexec_fn=_take_terminal,
        )
    finally:
        os.close(slave)
    try:
        coming_in = asyncio.ensure_future(_type_in(peer, master))
        await _until_end(peer, process, [asyncio.ensure_future(_show(master, peer))], coming_in)
    finally:
        os.close(master)


async def _until_end(
    peer: Peer, process: Process, going_out: list[asyncio.Task[None]], coming_in: asyncio.Task[None]
) -> None:
    """Wait for the process, or for the peer to go; then nothing of the process is left."""
    ended = asyncio.ensure_future(process.wait())
    gone = asyncio.ensure_future(peer.wait_closed())
    try:
        await asyncio.wait({ended, gone}, return_when=asyncio.FIRST_COMPLETED)
        if ended.done():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(5):  # a child that it left behind may hold its output open
                    await asyncio.gather(*going_out, return_exceptions=True)
            status = ended.result()
            if not gone.done():
                peer.exit(status if status >= 0 else 128 - status)
    finally:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGHUP if process.returncode is None else signal.SIGKILL)
        if process.returncode is None:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(asyncio.shield(ended), 1)
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
        for task in (*going_out, coming_in, gone):
            task.cancel()
        await asyncio.gather(*going_out, coming_in, gone, return_exceptions=True)


async def _copy_in(peer: Peer, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError, asyncssh.Error):
        while block := await peer.stdin.read(_BLOCK):
            writer.write(block)
            await writer.drain()
    writer.close()


async def _copy_out(reader: asyncio.StreamReader, writer: asyncssh.SSHWriter[bytes]) -> None:
    with contextlib.suppress(OSError, asyncssh.Error):
        while block := await reader.read(_BLOCK):
            writer.write(block)
            await writer.drain()


async def _type_in(peer: Peer, master: int) -> None:
    loop = asyncio.get_running_loop()
    while True:
        try:
            block = await peer.stdin.read(_BLOCK)
            if not block:
                return
            while block:
                written = await loop.run_in_executor(None, os.write, master, block[:1024])
                block = block[written:]
        except asyncssh.TerminalSizeChanged as change:
            _resize(master, (change.width, change.height, change.pixwidth, change.pixheight))
        except (asyncssh.BreakReceived, asyncssh.SignalReceived):
            continue
        except (OSError, asyncssh.Error):
            return


async def _show(master: int, peer: Peer) -> None:
    loop, readable = asyncio.get_running_loop(), asyncio.Event()
    os.set_blocking(master, False)
    loop.add_reader(master, readable.set)
    try:
        while True:
            await readable.wait()
            readable.clear()
            try:
                block = os.read(master, _BLOCK)
            except BlockingIOError:
                continue
            if not block:
                return
            peer.stdout.write(block)
            await peer.stdout.drain()
    except (OSError, asyncssh.Error):
        return  # the last process that had the terminal is gone, or the peer is
    finally:
        loop.remove_reader(master)


def _shell() -> str:
    return next(path for path in SHELLS if Path(path).exists())


def _resize(master: int, size: tuple[int, int, int, int]) -> None:
    width, height, pixel_width, pixel_height = size
    with contextlib.suppress(OSError):
        fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, pixel_width, pixel_height))


def _take_terminal() -> None:
    """Make standard input the session's terminal, in the child."""
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
