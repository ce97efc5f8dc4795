"""A shell, for agents that are allowed one.

Its commands are a process group of their own. A guard in the group waits on a pipe that this process holds: when the
call ends, however it does (an answer, the time limit, a cancellation, the death of this process), the pipe closes and
the whole group is killed.
"""

import asyncio
import contextlib
import os
import signal
from io import FileIO
from pathlib import Path
from typing import Annotated

from msgspec import Meta, Struct

from agent_runtime.ports import ToolPolicy
from agent_runtime.runs.clients.tools.made import MadeTool
from agent_runtime.runs.clients.workspace import Workspace
from agent_runtime.runs.domain.tools import MOST_RESULT_BYTES, Tool, ToolContext
from agent_runtime.runs.errors import ToolError

MOST_S = 300
_MEMORY_KIB = 1024 * 1024
_FILE_BLOCKS = 256 * 1024
_LAST_WORDS_S = 1.0
_SCRIPT = """
exec 3<&0 </dev/null
ulimit -v "$1"; ulimit -f "$2"; ulimit -c 0
( exec >/dev/null 2>&1; read -r _ <&3; kill -9 0 ) &
exec 3<&-
exec /bin/sh -c "$3"
"""
"""What the group begins with: limits, the guard, the command."""


class ExecShell(Struct, frozen=True):
    """What to run, and for how long at most."""

    command: Annotated[str, Meta(min_length=1, max_length=16384, description="For `sh`, in the workspace.")]
    timeout_s: Annotated[float, Meta(gt=0, le=MOST_S)] = 30


async def exec_shell(asked: ExecShell, context: ToolContext) -> str:
    """Run a shell command in the workspace."""
    folder = await asyncio.to_thread(Workspace(context.workspace).make)
    guard, guarding = _pipe()
    output, written = _pipe()
    with guard, guarding, output, written:
        try:
            process = await _start(asked.command, folder, guard=guard, output=written)
        except OSError as error:
            raise ToolError(f"No shell can be started: {error.strerror}.") from error
        guard.close()
        written.close()
        said = bytearray()
        reading = asyncio.create_task(_collect(output, said))
        try:
            async with asyncio.timeout(asked.timeout_s):
                code = await process.wait()
        except TimeoutError:
            raise ToolError(f"Stopped after {asked.timeout_s:g} s.\n{_text(said)}") from None
        finally:
            await asyncio.shield(_end(process, reading))
    if code:
        raise ToolError(f"Exit status {code}.\n{_text(said)}")
    return _text(said)


def shell_tools() -> list[Tool]:
    """Make the tool."""
    return [MadeTool(exec_shell, ExecShell, policy=ToolPolicy.ASK)]


def _pipe() -> tuple[FileIO, FileIO]:
    reading, writing = os.pipe()
    return FileIO(reading, "rb"), FileIO(writing, "wb")


async def _start(command: str, folder: Path, *, guard: FileIO, output: FileIO) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *("/bin/sh", "-c", _SCRIPT, "sh", str(_MEMORY_KIB), str(_FILE_BLOCKS), command),
        stdin=guard,
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
            said += piece[: max(0, MOST_RESULT_BYTES - len(said))]
    finally:
        transport.close()


async def _end(process: asyncio.subprocess.Process, reading: "asyncio.Task[None]") -> None:
    """Kill the whole group, whatever of it is left, and read what it said last."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    await process.wait()
    try:
        async with asyncio.timeout(_LAST_WORDS_S):
            await reading
    except TimeoutError:
        return  # somebody outside the group holds the pipe


def _text(output: bytearray) -> str:
    text = output.decode("utf-8", "replace")
    return text + ("\n… (cut)" if len(output) >= MOST_RESULT_BYTES else "")
