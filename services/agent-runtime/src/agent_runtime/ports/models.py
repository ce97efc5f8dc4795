"""What models are called, what they are asked, and how they answer, whoever provides them."""

from collections.abc import AsyncGenerator
from typing import Protocol

from msgspec import Struct

from agent_runtime.ports.tools import ToolSpec

_PREFIXES = {
    "claude": "anthropic",
    "gpt": "openai",
    "chatgpt": "openai",
    "o1": "openai",
    "o3": "openai",
    "o4": "openai",
}
"""Whose the well-known models are, by what their names begin with."""


class ModelName(Struct, frozen=True):
    """A model as `provider/name`, such as `offline/rules`."""

    provider: str
    name: str

    def __str__(self) -> str:
        return f"{self.provider}/{self.name}"

    @classmethod
    def parse(cls, text: str) -> "ModelName":
        """Read `provider/name`; well-known names do without a provider, others are taken for OpenAI-compatible."""
        provider, slash, name = text.partition("/")
        if slash:
            return cls(provider, name)
        word = text.partition("-")[0]
        return cls(_PREFIXES.get(word, "openai"), text)


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

    @property
    def size(self) -> int:
        """Guess how many tokens it takes, tools not counted."""
        return tokens_of(self.instructions, *[said.text for said in self.conversation])


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


class Models(Protocol):
    """Gives the models that accounts may ask."""

    async def model(self, account_id: str, name: ModelName) -> Model:
        """Give a model.

        Raises:
            ModelUnknownError: The account has no such provider, or does not use it.
            ModelKeyMissingError: The provider would refuse, for it has no key.
        """
        ...


def tokens_of(*texts: str) -> int:
    """Guess how many tokens texts take, each told by itself."""
    tokens = 4 * len(texts)
    for text in texts:
        tokens += len(text) // 4
    return tokens
