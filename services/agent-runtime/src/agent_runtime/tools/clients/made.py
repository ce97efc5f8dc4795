"""Tools that are made of a function and a Struct of its arguments."""

from collections.abc import Awaitable, Callable
from typing import Any

from msgspec import Struct

from agent_runtime.ports import ToolContext, ToolPolicy, ToolSpec
from agent_runtime.tools.domain.arguments import parse, schema_of

Do = Callable[[Any, ToolContext], Awaitable[str]]


class FunctionTool:
    """A tool that does what a function does; it is named and described as that is.

    Args:
        do: Takes the arguments and on whose behalf; raises `ToolError` where it cannot.
        arguments: The Struct that the arguments are read into; its JSON Schema is the tool's.
        policy: What a call means to agents that do not say otherwise.
    """

    def __init__(self, do: Do, arguments: type[Struct], *, policy: ToolPolicy) -> None:
        self._do = do
        self._arguments = arguments
        described = (do.__doc__ or "").partition("\n")[0]
        self.spec = ToolSpec(getattr(do, "__name__", ""), described, schema_of(arguments))
        self.policy = policy

    async def call(self, arguments: str, context: ToolContext) -> str:
        """Do it.

        Raises:
            ToolError: It could not be done, or the arguments are not what it takes.
        """
        return await self._do(parse(arguments, self._arguments), context)
