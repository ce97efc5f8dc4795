"""Chat completions by openai's library, without its walk over all that is sent.

The library follows messages and tools along their type hints, to rename fields and to write dates and files. Ours are
JSON already, and in a long conversation that walk takes longer than all else that is done for a turn. What is given as
`extra_body` it sends as it is, in place of what it was given otherwise.
"""

from collections.abc import Mapping
from functools import cached_property
from typing import Any

from openai import AsyncOpenAI, Omit, omit
from openai.resources.chat import AsyncChat, AsyncCompletions


class PlainOpenAI(AsyncOpenAI):
    """A client that sends conversations as they are."""

    @cached_property
    def chat(self) -> AsyncChat:
        """What is asked in a conversation."""
        return _PlainChat(self)


class _PlainChat(AsyncChat):
    @cached_property
    def completions(self) -> AsyncCompletions:
        return _PlainCompletions(self._client)


class _PlainCompletions(AsyncCompletions):
    async def create(  # type: ignore[override]  # as many arguments as the library's, of which two matter here
        self, *, messages: Any, tools: Any = omit, extra_body: Mapping[str, Any] | None = None, **told: Any
    ) -> Any:
        plain = {"messages": messages} if isinstance(tools, Omit) else {"messages": messages, "tools": tools}
        return await super().create(messages=(), extra_body={**plain, **(extra_body or {})}, **told)
