"""How subjects reach each other: small protocols that the factory fills, and the values that pass.

A subject imports this package and never another subject. What a protocol raises is in `agent_runtime.errors`, or is
an `AppError` of the subject behind it.
"""

from agent_runtime.ports.accounts import Erasure
from agent_runtime.ports.agents import EVERY_TOOL, AgentProfile, Agents, Births, Departures, ToolPolicy
from agent_runtime.ports.canvas import CanvasCommand, Canvases, CanvasUpdate, Drawing, Drawings, DrawnElement
from agent_runtime.ports.channels import ChannelSwitches, LiveSockets, Traffic, Traffics
from agent_runtime.ports.configuration import Configuration, Defaults, Provider
from agent_runtime.ports.delegation import Assignment, Classification, Delegations, Outcome
from agent_runtime.ports.frames import Frame, Frames, Said, Topic, message_payload, session_topic
from agent_runtime.ports.memory import Memories, Recollection
from agent_runtime.ports.models import (
    AssistantMessage,
    Call,
    Model,
    ModelName,
    Models,
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
from agent_runtime.ports.monitoring import (
    Charge,
    Estimate,
    ModelCall,
    PipelineLog,
    Spent,
    StageTiming,
    TimedTurn,
    Usage,
)
from agent_runtime.ports.sessions import (
    VOICE_SESSION,
    Message,
    MessageView,
    SessionPlace,
    Sessions,
    Step,
    ToolCall,
    ToolCallView,
)
from agent_runtime.ports.skills import ActiveSkill, Skills
from agent_runtime.ports.tools import MAX_RESULT_BYTES, Tool, Toolbox, ToolContext, ToolSpec
from agent_runtime.ports.turns import Queueing, RunStatus, SaidSoFar, TurnRequest, TurnResult, Turns

__all__ = [
    "EVERY_TOOL",
    "MAX_RESULT_BYTES",
    "VOICE_SESSION",
    "ActiveSkill",
    "AgentProfile",
    "Agents",
    "Assignment",
    "AssistantMessage",
    "Births",
    "Call",
    "CanvasCommand",
    "CanvasUpdate",
    "Canvases",
    "ChannelSwitches",
    "Charge",
    "Classification",
    "Configuration",
    "Defaults",
    "Delegations",
    "Departures",
    "Drawing",
    "Drawings",
    "DrawnElement",
    "Erasure",
    "Estimate",
    "Frame",
    "Frames",
    "LiveSockets",
    "Memories",
    "Message",
    "MessageView",
    "Model",
    "ModelCall",
    "ModelName",
    "Models",
    "Outcome",
    "PipelineLog",
    "Prompt",
    "PromptMessage",
    "Provider",
    "Queueing",
    "Recollection",
    "RunStatus",
    "Said",
    "SaidSoFar",
    "SessionPlace",
    "Sessions",
    "Skills",
    "Spent",
    "StageTiming",
    "Step",
    "StreamPart",
    "TextDelta",
    "TimedTurn",
    "Tool",
    "ToolCall",
    "ToolCallDelta",
    "ToolCallView",
    "ToolContext",
    "ToolPolicy",
    "ToolResultMessage",
    "ToolSpec",
    "Toolbox",
    "Topic",
    "Traffic",
    "Traffics",
    "TurnRequest",
    "TurnResult",
    "Turns",
    "Usage",
    "UsageReport",
    "UserMessage",
    "message_payload",
    "session_topic",
    "tokens_of",
]
