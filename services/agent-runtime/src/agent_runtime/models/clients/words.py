"""A conversation in the words of the providers' library.

The library goes through a conversation seven times, part by part, for what words alone do not hold: files, thoughts,
settings, calls of tools. So what was said in words alone may be told to it as one message, which it passes on
and `FittedCompletions` writes out. What providers are told is the same: tests compare the two.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from pydantic_ai.messages import (
    ModelMessage,
    ModelRequest,
    ModelRequestPart,
    ModelResponse,
    ModelResponsePart,
    SystemPromptPart,
    TextPart,
    ToolCallPart,
    ToolReturnPart,
    UserPromptPart,
)

from agent_runtime.ports import AssistantMessage, Prompt, PromptMessage, ToolResultMessage, UserMessage


@dataclass(repr=False)
class Words(ModelRequest):
    """What people and the agent said to each other, without tools."""

    said: Sequence[UserMessage | AssistantMessage] = ()


def messages(prompt: Prompt) -> list[ModelMessage]:
    """Tell a conversation part by part; neighbours of one side are one message."""
    return list(_told(prompt.instructions, _in_turn(prompt.conversation)))


def messages_with_words(prompt: Prompt) -> list[ModelMessage]:
    """Tell a conversation to a model that understands `Words`."""
    told = list(_told(prompt.instructions, ()))
    for is_plain, group in groupby(_in_turn(prompt.conversation), key=_is_plain):
        said = list(group)
        told += [Words(parts=[], said=said)] if is_plain else _told("", said)  # type: ignore[arg-type]
    return told


def _in_turn(conversation: Iterable[PromptMessage]) -> Sequence[PromptMessage]:
    """Tell what nobody answered together with what was said next: some models want question and answer in turn."""
    told: list[PromptMessage] = []
    for said in conversation:
        if isinstance(said, UserMessage) and told and isinstance(told[-1], UserMessage):
            told[-1] = UserMessage(f"{told[-1].text}\n\n{said.text}")
        else:
            told.append(said)
    return told


def _told(instructions: str, conversation: Iterable[PromptMessage]) -> Iterator[ModelMessage]:
    asked: list[ModelRequestPart] = [SystemPromptPart(instructions)] if instructions else []
    for said in conversation:
        if isinstance(said, AssistantMessage):
            parts = list(_spoken(said))
            if parts:
                yield ModelRequest(parts=asked)
                yield ModelResponse(parts=parts)
                asked = []
        else:
            asked.append(_asked(said))
    yield ModelRequest(parts=asked)


def _is_plain(said: PromptMessage) -> bool:
    return isinstance(said, UserMessage) or (isinstance(said, AssistantMessage) and not said.calls)


def _spoken(said: AssistantMessage) -> Iterator[ModelResponsePart]:
    if said.text.strip():
        yield TextPart(said.text)
    for call in said.calls:
        yield ToolCallPart(call.name, call.arguments, tool_call_id=call.id)


def _asked(said: PromptMessage) -> ModelRequestPart:
    if isinstance(said, ToolResultMessage):
        outcome = "failed" if said.is_error else "success"
        return ToolReturnPart(said.name, said.text, tool_call_id=said.call_id, outcome=outcome)  # type: ignore[arg-type]
    return UserPromptPart(said.text)
