"""Models of the providers' library, fitted to turns.

Tools are told in its words once: most turns offer a model what the turn before did. And what was said in words alone
comes as one message, `Words`, which is written out here.
"""

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace

from openai.types.chat import ChatCompletionMessageParam
from pydantic_ai._special_tokens import break_special_tokens  # private, but the list that the library keeps for us
from pydantic_ai.messages import ModelRequest
from pydantic_ai.models import Model, ModelRequestParameters
from pydantic_ai.models.anthropic import AnthropicModel
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.tools import ToolDefinition

from agent_runtime.models.clients.words import Words
from agent_runtime.ports import ToolSpec, UserMessage

_MAX_KEPT = 32


class Definitions:
    """Gives the definitions of some tools; the same ones for the same tools."""

    def __init__(self) -> None:
        self._kept: dict[tuple[str, ...], tuple[Sequence[ToolSpec], list[ToolDefinition]]] = {}

    def of(self, tools: Sequence[ToolSpec]) -> list[ToolDefinition]:
        """Tell of tools in the library's words."""
        names = tuple(tool.name for tool in tools)
        known = self._kept.get(names)
        if known is None or known[0] != tools:
            if len(self._kept) >= _MAX_KEPT:
                self._kept.clear()
            known = self._kept[names] = tools, [_definition(tool) for tool in tools]
        return known[1]


class _Fitted(Model):
    """A model that fits tools to what its provider understands, once for each list of them.

    The library would walk the schema of each tool at each call.
    """

    _fitted: tuple[list[ToolDefinition], list[ToolDefinition]] | None = None

    def customize_request_parameters(self, model_request_parameters: ModelRequestParameters) -> ModelRequestParameters:
        given = model_request_parameters.function_tools
        if self._fitted is None or self._fitted[0] is not given:
            fitted = super().customize_request_parameters(model_request_parameters)
            self._fitted = given, fitted.function_tools
        return replace(model_request_parameters, function_tools=self._fitted[1])


class FittedCompletions(_Fitted, OpenAIChatModel):
    """A model that speaks chat completions, and understands `Words`."""

    async def _map_user_message(self, message: ModelRequest) -> AsyncIterator[ChatCompletionMessageParam]:
        if not isinstance(message, Words):
            async for told in super()._map_user_message(message):
                yield told
            return
        may_be_tokens = self.profile.get("may_tokenize_special_tokens_in_content", False)
        for said in message.said:
            text = break_special_tokens(said.text) if may_be_tokens else said.text
            if isinstance(said, UserMessage):
                yield {"role": "user", "content": text}
            elif text.strip():
                yield {"role": "assistant", "content": text}


class FittedMessages(_Fitted, AnthropicModel):
    """A model that speaks Anthropic's messages."""


def _definition(tool: ToolSpec) -> ToolDefinition:
    return ToolDefinition(name=tool.name, description=tool.description, parameters_json_schema=dict(tool.schema))
