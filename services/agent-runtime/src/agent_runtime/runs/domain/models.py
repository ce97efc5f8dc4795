"""What a model is asked, and how it answers, whoever provides it."""

from collections.abc import AsyncGenerator, Mapping
from typing import Any, Protocol

from msgspec import Struct

from agent_runtime import ports

OFFLINE_PROVIDER = "offline"
ModelName = ports.ModelName


class ToolSpec(Struct, frozen=True):
    """A tool as a model is told of it; `schema` is the JSON Schema of its arguments."""

    name: str
    description: str
    schema: Mapping[str, Any]


class Call(Struct, frozen=True):
    """A tool that a model wants called; `arguments` is JSON text, as the model wrote it."""

    id: str
    name: str
    arguments: str


class UserMessage(Struct, frozen=True, tag="user"):
    """What people said."""

    text: str


class AssistantMessage(Struct, frozen=True, tag="agent"):
    """What the agent said, and which tools it then called."""

    text: str
    calls: tuple[Call, ...] = ()


class ToolResultMessage(Struct, frozen=True, tag="tool"):
    """What a tool answered."""

    call_id: str
    name: str
    text: str
    is_error: bool = False


PromptMessage = UserMessage | AssistantMessage | ToolResultMessage


class Prompt(Struct, frozen=True, kw_only=True):
    """Everything that a model is told for one answer."""

    model: ModelName
    instructions: str
    conversation: tuple[PromptMessage, ...]
    tools: tuple[ToolSpec, ...]
    max_tokens: int
    temperature: float


class TextDelta(Struct, frozen=True):
    """Some more text."""

    text: str


class ToolCallDelta(Struct, frozen=True):
    """A tool call, complete."""

    name: str
    arguments: str


class UsageReport(Struct, frozen=True):
    """What the answer took; comes last, where the provider tells it."""

    input_tokens: int
    output_tokens: int
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0


StreamPart = TextDelta | ToolCallDelta | UsageReport


class Model(Protocol):
    """Something that answers prompts."""

    def stream(self, prompt: Prompt) -> AsyncGenerator[StreamPart, None]:
        """Answer, piece by piece; closing the generator closes the provider's stream.

        Raises:
            ModelUnavailableError, ModelRefusedError, ModelSilentError: Before the first piece.
            ModelBrokeOffError, ModelSilentError: Later.
        """
        ...


def tokens_of(text: str) -> int:
    """Guess how many tokens a text takes."""
    return len(text) // 4 + 4


def storable(text: str) -> str:
    """Put a mark in place of what no text column holds: NUL, and halves of surrogate pairs."""
    return text.replace("\x00", "\ufffd").encode("utf-8", "replace").decode()
