"""Tools that read and write the agent's own folder."""

import asyncio
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from agent_runtime.errors import ToolError
from agent_runtime.ports import MAX_RESULT_BYTES, Tool, ToolContext, ToolPolicy
from agent_runtime.tools.clients.made import FunctionTool
from agent_runtime.tools.clients.workspace import MAX_FILE_BYTES, Workspace

Path = Annotated[str, Meta(min_length=1, max_length=1024, description="Relative to the workspace.")]


class ReadFile(Struct, frozen=True):
    """Which file, or which piece of it."""

    path: Path
    offset: Annotated[int, Meta(ge=0, description="Where to begin, in bytes.")] = 0
    limit: Annotated[int, Meta(ge=1, le=MAX_RESULT_BYTES, description="How many bytes.")] = MAX_RESULT_BYTES


class WriteFile(Struct, frozen=True):
    """Which file, and all that it shall hold."""

    path: Path
    content: Annotated[str, Meta(max_length=MAX_FILE_BYTES)]


class EditFile(Struct, frozen=True):
    """Which file, and what to put in place of what."""

    path: Path
    old_text: Annotated[str, Meta(min_length=1, description="Exactly as it stands in the file.")]
    new_text: str
    replace_all: Annotated[bool, Meta(description="Otherwise `old_text` must stand there once.")] = False


class ListDirectory(Struct, frozen=True):
    """Which folder."""

    path: Path = "."


async def read_file(asked: ReadFile, context: ToolContext) -> str:
    """Read a text file from the workspace."""
    workspace = Workspace(context.workspace)
    content, size = await asyncio.to_thread(workspace.read, asked.path, offset=asked.offset, limit=asked.limit)
    if b"\x00" in content:
        raise ToolError(f"{asked.path} is no text.")
    rest = size - asked.offset - len(content)
    return content.decode("utf-8", "replace") + (f"\n… ({rest} bytes more)" if rest > 0 else "")


async def write_file(asked: WriteFile, context: ToolContext) -> str:
    """Write a text file into the workspace; what was there is replaced."""
    content = asked.content.encode("utf-8", "replace")
    await asyncio.to_thread(Workspace(context.workspace).write, asked.path, content)
    return f"Wrote {len(content)} bytes to {asked.path}."


async def edit_file(asked: EditFile, context: ToolContext) -> str:
    """Replace text in a file of the workspace."""
    return await asyncio.to_thread(_edit, asked, Workspace(context.workspace))


async def list_directory(asked: ListDirectory, context: ToolContext) -> str:
    """List a folder of the workspace."""
    entries = await asyncio.to_thread(Workspace(context.workspace).list, asked.path)
    return msgspec.json.encode(entries).decode()


def file_tools() -> list[Tool]:
    """Make the tools."""
    return [
        FunctionTool(read_file, ReadFile, policy=ToolPolicy.AUTO),
        FunctionTool(write_file, WriteFile, policy=ToolPolicy.ASK),
        FunctionTool(edit_file, EditFile, policy=ToolPolicy.ASK),
        FunctionTool(list_directory, ListDirectory, policy=ToolPolicy.AUTO),
    ]


def _edit(asked: EditFile, workspace: Workspace) -> str:
    content, size = workspace.read(asked.path, offset=0, limit=MAX_FILE_BYTES)
    try:
        text = content.decode()
    except UnicodeDecodeError:
        raise ToolError(f"{asked.path} is no text.") from None
    count = text.count(asked.old_text)
    if size > len(content):
        raise ToolError(f"{asked.path} is too large to be edited.")
    if count == 0 or (count > 1 and not asked.replace_all):
        raise ToolError(f"The text stands in {asked.path} {count} times.")
    if len(text) + count * (len(asked.new_text) - len(asked.old_text)) > MAX_FILE_BYTES:
        raise ToolError(f"A file may hold {MAX_FILE_BYTES} bytes.")  # said before there is such a text
    workspace.write(asked.path, text.replace(asked.old_text, asked.new_text).encode("utf-8", "replace"))
    return f"Replaced {count} in {asked.path}."
