"""What models are called."""

from msgspec import Struct

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
