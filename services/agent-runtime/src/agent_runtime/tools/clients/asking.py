"""Tools that ask other subjects: memory, delegation, the canvas."""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from agent_runtime.errors import ToolError
from agent_runtime.ports import Assignment, Canvases, Delegations, Memories, Tool, ToolContext, ToolPolicy
from agent_runtime.tools.clients.made import FunctionTool


class MemoryRead(Struct, frozen=True):
    """What to look for."""

    query: Annotated[str, Meta(min_length=1, max_length=500)]
    namespace: Annotated[str, Meta(max_length=128, description="Empty: all.")] = ""
    limit: Annotated[int, Meta(ge=1, le=50)] = 10


class MemoryWrite(Struct, frozen=True):
    """What to remember, and under which key."""

    key: Annotated[str, Meta(min_length=1, max_length=256)]
    value: Annotated[str, Meta(min_length=1, max_length=65536)]
    namespace: Annotated[str, Meta(min_length=1, max_length=128)] = "default"
    tags: Annotated[list[Annotated[str, Meta(max_length=64)]], Meta(max_length=32)] = []


_TASK = (
    "What is to be done, in words. Plain code reads no words: for its kinds of work the bare text that it works on, "
    "such as `12.5 * (3 + 4)` for `calculate`, `2026-01-31 + 4 weeks` for `date-add`, the JSON for `format-json`."
)
_KIND = "The kind of work, by which rules choose who does it: `calculate`, `format-json` and the like are plain code's."


class DelegateTask(Struct, frozen=True):
    """What is to be done, and what kind of work it is."""

    task: Annotated[str, Meta(min_length=1, max_length=65536, description=_TASK)]
    tool_name: Annotated[str, Meta(max_length=64, description=_KIND)] = "task"


class RenderUi(Struct, frozen=True):
    """What to draw: a command of the canvas."""

    command: Literal["render", "update", "remove", "reset", "batch"]
    id: Annotated[str, Meta(max_length=128, description="Which element; for all but `reset` and `batch`.")] = ""
    element: Annotated[dict[str, Any] | None, Meta(description="The element: `type`, and what that type shows.")] = None
    position: dict[str, Any] | None = None
    commands: Annotated[list[dict[str, Any]] | None, Meta(description="For `batch`: its commands.")] = None
    canvas_id: Annotated[str, Meta(max_length=128, description="Empty: the session's canvas.")] = ""


class Asking:
    """Tools that reach other subjects."""

    def __init__(self, *, memories: Memories, delegations: Delegations, canvases: Canvases) -> None:
        self._memories = memories
        self._delegations = delegations
        self._canvases = canvases

    def tools(self) -> list[Tool]:
        """Make the tools."""
        return [
            FunctionTool(self.memory_read, MemoryRead, policy=ToolPolicy.AUTO),
            FunctionTool(self.memory_write, MemoryWrite, policy=ToolPolicy.AUTO),
            FunctionTool(self.delegate_task, DelegateTask, policy=ToolPolicy.AUTO),
            FunctionTool(self.render_ui, RenderUi, policy=ToolPolicy.AUTO),
        ]

    async def memory_read(self, asked: MemoryRead, context: ToolContext) -> str:
        """Find what was remembered."""
        found = await self._memories.search(
            context.account_id, asked.query, namespace=asked.namespace, limit=asked.limit
        )
        return msgspec.json.encode(found).decode()

    async def memory_write(self, asked: MemoryWrite, context: ToolContext) -> str:
        """Remember something, in place of what was remembered under the same key."""
        entry = await self._memories.put(
            context.account_id, asked.key, asked.value, namespace=asked.namespace, tags=asked.tags
        )
        return f"Remembered {entry.key} in {entry.namespace}."

    async def delegate_task(self, asked: DelegateTask, context: ToolContext) -> str:
        """Hand a task to whoever the account's rules choose for it."""
        outcome = await self._delegations.delegate(
            Assignment(
                account_id=context.account_id,
                agent_id=context.agent_id,
                session_key=context.session_key,
                run_id=context.run_id,
                task=asked.task,
                tool_name=asked.tool_name,
            )
        )
        if outcome.status != "completed":
            raise ToolError(f"{outcome.target or 'Nobody'} did not do it: {outcome.output}")
        if outcome.fallback_reason:
            return f"{outcome.output}\n\n({outcome.target} did it, for {outcome.fallback_reason}.)"
        return outcome.output

    async def render_ui(self, asked: RenderUi, context: ToolContext) -> str:
        """Draw on the canvas that people look at."""
        told = msgspec.to_builtins(asked)
        command = {name: value for name, value in told.items() if value and name != "canvas_id"}
        canvas_id = asked.canvas_id or context.session_key
        await self._canvases.apply(context.account_id, canvas_id, command, agent_id=context.agent_id)
        return f"Drawn: {asked.command} {asked.id}".strip() + "."
