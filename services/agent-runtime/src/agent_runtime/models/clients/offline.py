"""`offline/rules`: a model that needs no provider.

It names itself in every answer. A line that reads `/tool <name> <JSON arguments>` has it call that tool, several lines
several tools; `/slowly <text>` has it say the text, ten words a second; anything else it answers in words.
"""

import asyncio
import re
from collections.abc import AsyncGenerator, Sequence

from agent_runtime.ports import (
    Prompt,
    PromptMessage,
    StreamPart,
    TextDelta,
    ToolCallDelta,
    ToolResultMessage,
    UsageReport,
    UserMessage,
    tokens_of,
)

PROVIDER = "offline"
NAME = f"{PROVIDER}/rules"
_TOOL = re.compile(r"^/tool[ \t]+(?P<name>[A-Za-z0-9_-]{1,64})(?:[ \t]+(?P<arguments>\S.*))?$", re.MULTILINE)
_SLOWLY = re.compile(r"\s*/slowly\s+(?P<text>.+)", re.DOTALL)
_WORDS = re.compile(r"\s*\S+|\s+$")
_SLOW_S = 0.1
_AT_ONCE = 5
_MAX_REPEATED = 2000


class OfflineModel:
    """Answers by rules."""

    async def stream(self, prompt: Prompt) -> AsyncGenerator[StreamPart, None]:
        """Answer, a few words at a time."""
        read = prompt.size
        asked, results = _latest(prompt.conversation)
        wanted = [] if results else list(_TOOL.finditer(asked))
        if wanted:
            for found in wanted:
                yield ToolCallDelta(found["name"], found["arguments"] or "{}")
            yield UsageReport(read, tokens_of(*(found[0] for found in wanted)))
            return
        slow = None if results else _SLOWLY.match(asked)
        text = f"{NAME}: {slow['text']}" if slow else _words(asked, results, len(prompt.tools))
        words = _WORDS.findall(text)
        step = 1 if slow else _AT_ONCE
        for place in range(0, len(words), step):
            yield TextDelta("".join(words[place : place + step]))
            await asyncio.sleep(_SLOW_S if slow else 0)
        yield UsageReport(read, tokens_of(text))


def _latest(conversation: Sequence[PromptMessage]) -> tuple[str, list[ToolResultMessage]]:
    """Find what was asked last, and what tools have answered since."""
    results: list[ToolResultMessage] = []
    for said in reversed(conversation):
        if isinstance(said, UserMessage):
            return said.text, results[::-1]
        if isinstance(said, ToolResultMessage):
            results.append(said)
        elif not said.calls:
            break
    return "", results[::-1]


def _words(asked: str, results: Sequence[ToolResultMessage], tools: int) -> str:
    if results:
        told = [f"`{said.name}` {'failed' if said.is_error else 'answered'}:\n{_cut(said.text)}" for said in results]
        return f"I am {NAME}. " + "\n\n".join(told)
    return (
        f"I am {NAME}, a model that follows rules and needs no provider. You said: {_cut(asked.strip())}\n\n"
        f"I can call {tools} tools: write `/tool <name> <JSON arguments>`."
    )


def _cut(text: str) -> str:
    return text if len(text) <= _MAX_REPEATED else f"{text[:_MAX_REPEATED]} …"
