"""A shell, for agents that are allowed one.

A command runs under a warden, which waits on a pipe that this process holds: when the call ends, however it does (an
answer, the time limit, a cancellation, the death of this process), the pipe closes and every process that came of the
command is killed, wherever it has gone.
"""

import asyncio
import os
import signal
import sys
from io import FileIO
from pathlib import Path
from typing import Annotated

from msgspec import Meta, Struct

from agent_runtime.errors import ToolError
from agent_runtime.ports import MAX_RESULT_BYTES, Tool, ToolContext, ToolPolicy
from agent_runtime.tools.clients import warden
from agent_runtime.tools.clients.made import FunctionTool
from agent_runtime.tools.clients.workspace import Workspace

MAX_S = 300
MAX_PROCESSES = 128
_MEMORY = 1024 * 1024 * 1024
_FILE = 128 * 1024 * 1024
_END_S = 5.0
_LAST_WORDS_S = 1.0
_WARDEN = str(Path(warden.__file__))


class ExecShell(Struct, frozen=True):
    """What to run, and for how long at most."""

    command: Annotated[str, Meta(min_length=1, max_length=16384, description="For `sh`, in the workspace.")]
    timeout_s: Annotated[float, Meta(gt=0, le=MAX_S)] = 30


async def exec_shell(asked: ExecShell, context: ToolContext) -> str:
    """Run a shell command in the workspace."""
    folder = await asyncio.to_thread(Workspace(context.workspace).make)
    guarded, guard = _pipe()
    output, written = _pipe()
    with guarded, guard, output, written:
        try:
            process = await _start(asked.command, folder, guarded=guarded, output=written)
        except OSError as error:
            raise ToolError(f"No shell can be started: {error.strerror}.") from error
        guarded.close()
        written.close()
        said = bytearray()
        reading = asyncio.create_task(_collect(output, said))
        try:
            async with asyncio.timeout(asked.timeout_s):
                code = await process.wait()
        except TimeoutError:
            raise ToolError(f"Stopped after {asked.timeout_s:g} s.\n{_text(said)}") from None
        finally:
            guard.close()
            await asyncio.shield(_end(process, reading))
    if code == -signal.SIGUSR1:
        raise ToolError(f"Stopped: it had more than {MAX_PROCESSES} processes.\n{_text(said)}")
    if code:
        raise ToolError(f"Exit status {code}.\n{_text(said)}")
    return _text(said)


def shell_tools() -> list[Tool]:
    """Make the tool."""
    return [FunctionTool(exec_shell, ExecShell, policy=ToolPolicy.ASK)]


def _pipe() -> tuple[FileIO, FileIO]:
    reading, writing = os.pipe()
    return FileIO(reading, "rb"), FileIO(writing, "wb")


async def _start(command: str, folder: Path, *, guarded: FileIO, output: FileIO) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-I", "-S", _WARDEN, str(_MEMORY), str(_FILE), str(MAX_PROCESSES), command),
        stdin=guarded,
        stdout=output,
        stderr=output,
        cwd=folder,
        env={"PATH": os.defpath, "HOME": str(folder), "LANG": "C.UTF-8"},
        start_new_session=True,
    )


async def _collect(output: FileIO, said: bytearray) -> None:
    """Read what the command says; what is too much is read and thrown away."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), output)
    try:
        while piece := await reader.read(65536):
            said += piece[: max(0, MAX_RESULT_BYTES - len(said))]
    finally:
        transport.close()


async def _end(process: asyncio.subprocess.Process, reading: "asyncio.Task[None]") -> None:
    """Wait for the warden to have killed everything, and read what was said last."""
    try:
        async with asyncio.timeout(_END_S):
            await process.wait()
    except TimeoutError:  # something that the kernel does not let die; the warden goes without it
        process.kill()
        await process.wait()
    try:
        async with asyncio.timeout(_LAST_WORDS_S):
            await reading
    except TimeoutError:
        return  # somebody whom the warden does not know holds the pipe


def _text(output: bytearray) -> str:
    text = output.decode("utf-8", "replace")
    return text + ("\n… (cut)" if len(output) >= MAX_RESULT_BYTES else "")
