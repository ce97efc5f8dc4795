"""What a model is told of what was said before."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from agent_runtime.ports import (
    ActiveSkill,
    AssistantMessage,
    Call,
    Message,
    PromptMessage,
    Step,
    ToolCall,
    ToolResultMessage,
    UserMessage,
    tokens_of,
)
from agent_runtime.runs.domain.runs import NO_RESULT, NOTHING_SAID, CallRecord, StepRecord


def prompt_messages(messages: Sequence[Message], *, max_tokens: int) -> tuple[PromptMessage, ...]:
    """Tell as many of the latest messages as fit; the last one always does, and the first is always somebody's own."""
    kept: list[Sequence[PromptMessage]] = []
    left = max_tokens
    for message in reversed(messages):
        said = _said(message)
        left -= tokens_of(*[piece.text for piece in said])
        if kept and left < 0:
            break
        kept.append(said)
    told = [piece for said in reversed(kept) for piece in said]
    while told and not isinstance(told[0], UserMessage):
        told.pop(0)
    return tuple(told)


def continued(steps: Sequence[StepRecord], calls: Sequence[CallRecord]) -> tuple[PromptMessage, ...]:
    """Tell what the agent said and did in this turn already."""
    told: list[PromptMessage] = []
    for step in steps:
        own = [call for call in calls if call.step == step.number]
        told += _step(step.text, own)
    return tuple(told)


def instructions(*parts: str, skills: Iterable[ActiveSkill] = ()) -> str:
    """Join what an agent is told before a turn."""
    told = [part.strip() for part in parts if part.strip()]
    told += [f"# Skill: {skill.name}\n\n{skill.instructions.strip()}" for skill in skills]
    return "\n\n".join(told)


def message_steps(steps: Sequence[StepRecord], calls: Sequence[CallRecord], rest: str = "") -> tuple[Step, ...]:
    """Tell how text and calls of a turn followed each other, and what was said after the last whole step."""
    told = [Step(step.text, tuple(call.id for call in calls if call.step == step.number)) for step in steps]
    return (*told, Step(rest)) if rest else tuple(told)


def whole_text(steps: Sequence[Step]) -> str:
    """Join what was said at each step."""
    return "\n\n".join(text for step in steps if (text := step.text.strip("\n")))


def message_of(payload: Mapping[str, Any]) -> Message:
    """Read a message from an event, where `message_payload` wrote it; without its steps, which nobody is shown."""
    return Message(
        id=payload["id"],
        role=payload["role"],
        content=payload["content"],
        timestamp=datetime.fromisoformat(payload["timestamp"]),
        run_id=payload["run_id"],
        tool_calls=tuple(
            ToolCall(
                id=call["id"],
                name=call["name"],
                arguments=call["arguments"],
                result=call.get("result"),
                is_error=call.get("is_error", False),
            )
            for call in payload["tool_calls"]
        ),
        is_incomplete=payload["incomplete"],
    )


def _said(message: Message) -> Sequence[PromptMessage]:
    if message.role == "user":
        return (UserMessage(message.content),)
    if message.role != "assistant":
        return ()
    steps = message.steps or (Step(message.content),)
    if not message.tool_calls:
        return [AssistantMessage(step.text) for step in steps]
    return [piece for step in steps for piece in _acted(step, message.tool_calls)]


def _acted(step: Step, calls: Sequence[ToolCall]) -> Iterator[PromptMessage]:
    """Tell what an agent said, which tools it called then, and what they answered."""
    own = [call for name in step.calls for call in calls if call.id == name]
    yield AssistantMessage(step.text, tuple(Call(call.id, call.name, call.arguments) for call in own))
    for call in own:
        is_lost = call.result is None
        yield ToolResultMessage(call.id, call.name, _answered(call.result), is_error=call.is_error or is_lost)


def _step(text: str, calls: Sequence[CallRecord]) -> list[PromptMessage]:
    told: list[PromptMessage] = [
        AssistantMessage(text, tuple(Call(call.id, call.name, call.arguments) for call in calls))
    ]
    told += [ToolResultMessage(call.id, call.name, _answered(call.result), is_error=call.is_error) for call in calls]
    return told


def _answered(result: str | None) -> str:
    """Tell what a tool answered; a tool that did its work without a word did it, and is not to be called again."""
    return NO_RESULT if result is None else result or NOTHING_SAID
