"""How subjects reach each other: small protocols that the factory fills, and the values that pass.

A subject imports this module and never another subject. What a protocol raises is in `agent_runtime.errors`, or is
an `AppError` of the subject behind it.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, Protocol

from msgspec import Struct

from shoal.config import Secret
from shoal.database import Transaction

# frames


class Frame(Struct, frozen=True):
    """Something for the browsers of an account, sent as `{"type", "topic", "data", …data}`.

    Args:
        account_id: Whose browsers.
        topic: What one subscribes to: `agent:status`, `chat:message`, `canvas:update`, `pipeline:stage`,
            `delegation:update`, or `session:<key>`, whose frames go to subscribers of that session alone.
        type: By what a page tells frames apart, such as `stream_chunk`.
        data: The payload, as JSON values.
    """

    account_id: str
    topic: str
    type: str
    data: dict[str, Any]


class Frames(Protocol):
    """The way to every browser, whichever process holds its socket."""

    async def publish(self, frame: Frame) -> None:
        """Send to whoever listens right now; nothing is kept, nothing is raised."""
        ...


def session_topic(session_key: str) -> str:
    """Name the topic of one session's frames."""
    return f"session:{session_key}"


# agents


class ToolPolicy(StrEnum):
    """What happens when an agent calls a tool."""

    AUTO = "auto"
    ASK = "ask"
    DENY = "deny"


class AgentProfile(Struct, frozen=True, kw_only=True):
    """An agent as a turn needs to know it.

    Args:
        id: Unique within the account.
        account_id: Whose it is.
        name: What people call it.
        is_running: Whether it answers at all.
        model: `provider/model`, such as `offline/rules`.
        instructions: What it is told before every turn.
        skills: The skills that it was given, by name.
        tools: Policies by tool name where they differ from the tool's own; `*` stands for all others.
        config: The rest of its configuration, as people wrote it.
    """

    id: str
    account_id: str
    name: str
    is_running: bool
    model: str
    instructions: str
    skills: tuple[str, ...]
    tools: Mapping[str, ToolPolicy]
    config: Mapping[str, Any]


class Agents(Protocol):
    """Who there is."""

    async def get(self, account_id: str, agent_id: str) -> AgentProfile:
        """Find an agent; the account's first one for an empty id.

        Raises:
            AgentNotFoundError: There is none.
        """
        ...


# sessions


class ToolCall(Struct, frozen=True, kw_only=True):
    """A tool call as it is told: `arguments` is JSON text, `result` is there once it ended."""

    id: str
    name: str
    arguments: str
    result: str | None = None
    is_error: bool = False


class Step(Struct, frozen=True):
    """What a model said before it called these tools, by id; the last step calls none."""

    text: str
    calls: tuple[str, ...] = ()


class Message(Struct, frozen=True, kw_only=True):
    """One message of a session.

    Args:
        id: Its own.
        role: user, assistant, system or tool.
        content: What was said, as text.
        timestamp: When it was committed.
        run_id: The run that it began or ended; empty where none did.
        tool_calls: Every tool call of the turn.
        steps: How text and tool calls of the turn followed each other.
        is_incomplete: Whether the turn ended before the agent did.
    """

    id: str
    role: str
    content: str
    timestamp: datetime
    run_id: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    steps: tuple[Step, ...] = ()
    is_incomplete: bool = False


class SessionPlace(Struct, frozen=True):
    """A session inside a transaction that holds its row."""

    id: str
    account_id: str
    key: str
    agent_id: str


class Sessions(Protocol):
    """What was said."""

    async def agent_of(self, account_id: str, session_key: str) -> str:
        """Tell whose session it is.

        Raises:
            SessionNotFoundError: There is no such session.
        """
        ...

    async def recent(self, account_id: str, session_key: str, limit: int) -> Sequence[Message]:
        """List the last messages, oldest first.

        Raises:
            SessionNotFoundError: There is no such session.
        """
        ...

    async def count(self, account_id: str, agent_id: str) -> int:
        """Count an agent's sessions."""
        ...

    # inside the transactions of turns

    async def enter(self, tx: Transaction, account_id: str, session_key: str) -> SessionPlace:
        """Find a session and hold its row until the commit.

        Raises:
            SessionNotFoundError: There is no such session.
        """
        ...

    async def make(self, tx: Transaction, account_id: str, session_key: str, agent_id: str) -> SessionPlace:
        """Make a session, or find it when another has just made it, and hold its row until the commit."""
        ...

    async def say(self, tx: Transaction, session_id: str, message: Message) -> None:
        """Append a message; one of the same run and role that stands already is not said twice."""
        ...

    async def said(self, tx: Transaction, session_id: str, limit: int) -> Sequence[Message]:
        """List the last messages, oldest first."""
        ...

    async def answer(self, tx: Transaction, run_id: str) -> Message | None:
        """Find what the agent said at the end of a run."""
        ...


# turns


class Queueing(StrEnum):
    """What a message does when its session is busy."""

    ENQUEUE = "enqueue"
    REJECT = "reject"
    INTERRUPT = "interrupt"


class RunStatus(StrEnum):
    """Where a run stands."""

    QUEUED = "queued"
    RUNNING = "running"
    PENDING_APPROVAL = "pending_approval"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    INTERRUPTED = "interrupted"

    @property
    def is_over(self) -> bool:
        """Whether nothing more will happen."""
        return self in {RunStatus.COMPLETED, RunStatus.FAILED, RunStatus.CANCELLED, RunStatus.INTERRUPTED}


class TurnRequest(Struct, frozen=True, kw_only=True):
    """A message to an agent.

    Args:
        account_id: Whose.
        content: What is said.
        session_key: Where; a session that does not exist is made when `agent_id` is given or `is_session_made`.
        agent_id: To whom, where the session does not say; empty: the account's first agent.
        is_session_made: Whether a missing session is made.
        queueing: What to do when the session is busy.
        idempotency_key: A request with the same key and session is the same request.
        origin: Where it comes from: `web`, `voice`, `canvas`, `cron`, `delegation`, or a channel's name.
        by: The principal's subject, or `service:…`.
        credential_id: The login or key by which it came in, for budgets.
        model: Another model than the agent's, as `provider/model`.
        instructions: What the agent is told beside its own instructions.
        tools: Which tools may be used at all; None: all of the agent's.
        parent_run_id: The run on whose account this one is; it is cancelled with it.
    """

    account_id: str
    content: str
    session_key: str
    agent_id: str = ""
    is_session_made: bool = False
    queueing: Queueing = Queueing.ENQUEUE
    idempotency_key: str = ""
    origin: str = "web"
    by: str = ""
    credential_id: str = ""
    model: str = ""
    instructions: str = ""
    tools: tuple[str, ...] | None = None
    parent_run_id: str = ""


class TurnResult(Struct, frozen=True, kw_only=True):
    """Where a turn stands when somebody stopped waiting for it: over, or `pending_approval`, or out of time.

    Args:
        run_id: The run that answers.
        session_key: In which session.
        status: Where it stands.
        message: What the agent said; None unless it completed.
        error: Why it failed, for people; empty unless it did.
        error_code: Why it failed, such as `model_unavailable` or `budget_exhausted`; empty unless it did.
    """

    run_id: str
    session_key: str
    status: RunStatus
    message: Message | None = None
    error: str = ""
    error_code: str = ""


class Turns(Protocol):
    """The way to an agent's answer."""

    async def start(self, request: TurnRequest) -> str:
        """Have a message answered; returns the run, which is committed and may be queued.

        Raises:
            AgentNotFoundError: There is no such agent.
            SessionNotFoundError: There is no such session, and none was to be made.
            ConflictError: The session is busy (and the request would not queue), or the agent is stopped, or the
                idempotency key came with another message.
        """
        ...

    async def ask(self, request: TurnRequest, *, timeout_s: float) -> TurnResult:
        """Have a message answered and wait for it; the run goes on when the time is over.

        Raises:
            As `start`.
        """
        ...

    async def wait(self, account_id: str, run_id: str, *, timeout_s: float) -> TurnResult:
        """Wait for a run that was started.

        Raises:
            RunNotFoundError: There is no such run.
        """
        ...

    async def cancel(self, account_id: str, run_id: str) -> None:
        """End a run, wherever it is: its model's stream, its tools, their processes; nothing if it is over.

        Raises:
            RunNotFoundError: There is no such run.
        """
        ...

    async def cancel_session(self, account_id: str, session_key: str) -> None:
        """End whatever runs or waits in a session.

        Raises:
            SessionNotFoundError: There is no such session.
        """
        ...


# memory


class Recollection(Struct, frozen=True, kw_only=True):
    """One entry of memory; `similarity` is 0 to 1, and there only after a search."""

    key: str
    value: str
    namespace: str
    tags: tuple[str, ...]
    updated_at: datetime
    similarity: float | None = None


class Memories(Protocol):
    """What agents of an account were told to remember."""

    async def search(
        self, account_id: str, query: str, *, namespace: str = "", threshold: float = 0.0, limit: int = 10
    ) -> Sequence[Recollection]:
        """Find entries, most similar first; in every namespace unless one is named."""
        ...

    async def put(
        self, account_id: str, key: str, value: str, *, namespace: str = "default", tags: Sequence[str] = ()
    ) -> Recollection:
        """Remember something under a key, in place of what was there.

        Raises:
            ValidationError: Too long, or no key.
        """
        ...


# skills


class ActiveSkill(Struct, frozen=True, kw_only=True):
    """A skill that an agent uses: what it is told, and which tools it may use for it (None: all of its own)."""

    name: str
    instructions: str
    allowed_tools: tuple[str, ...] | None = None


class Skills(Protocol):
    """Packages of instructions."""

    async def active(self, account_id: str, names: Sequence[str]) -> Sequence[ActiveSkill]:
        """Read those of these skills that are installed and enabled, in this order."""
        ...


# configuration


class Defaults(Struct, frozen=True):
    """What an agent uses that has nothing of its own."""

    model: str = "offline/rules"
    max_tokens: int = 4096
    temperature: float = 0.7


class Provider(Struct, frozen=True, kw_only=True):
    """Who offers models.

    Args:
        name: The part of a model's name before the slash.
        api_base: Where its API is, without a trailing slash.
        api_key: What proves us; None where none was stored.
        is_enabled: Whether it may be used.
    """

    name: str
    api_base: str
    api_key: Secret | None
    is_enabled: bool


class Configuration(Protocol):
    """What an account configured."""

    async def defaults(self, account_id: str) -> Defaults:
        """Give the account's defaults."""
        ...

    async def provider(self, account_id: str, name: str) -> Provider | None:
        """Find a provider that the account configured."""
        ...

    async def channels(self, account_id: str) -> Mapping[str, bool]:
        """Tell which channels the account configured, and whether each is enabled."""
        ...


# delegation


class Choice(Struct, frozen=True, kw_only=True):
    """Who does some work.

    Args:
        target: A model as `provider/model`, or `agent-booster` for plain code.
        tier: 1 plain code, 2 a small model, 3 a large one.
        complexity: 0 to 1.
        rule: The rule that decided; empty when none did.
    """

    target: str
    tier: int
    complexity: float
    rule: str = ""


class Assignment(Struct, frozen=True, kw_only=True):
    """Work to hand on: `task` in words, under the name that rules match."""

    account_id: str
    session_key: str
    run_id: str
    task: str
    tool_name: str


class Outcome(Struct, frozen=True, kw_only=True):
    """What became of work that was handed on; `status` is completed or failed."""

    task_id: str
    target: str
    tier: int
    status: str
    output: str


class Delegations(Protocol):
    """Work that an agent hands on."""

    async def complexity(self, text: str) -> float:
        """Tell how complex a task is, 0 to 1."""
        ...

    async def choose(self, account_id: str, text: str, tool_name: str) -> Choice:
        """Tell who would do it, by the account's rules."""
        ...

    async def delegate(self, assignment: Assignment) -> Outcome:
        """Choose, record, do and record again, with `delegation:update` frames; cancelled when the caller is."""
        ...


# canvas


class Canvases(Protocol):
    """What agents draw."""

    async def apply(self, account_id: str, canvas_id: str, command: Mapping[str, Any], *, agent_id: str) -> None:
        """Keep what a command (render, update, remove, reset, batch) makes of a canvas, and send `canvas:update`.

        Args:
            account_id: Whose.
            canvas_id: Which; by convention the session's key.
            command: As the contract's `CanvasCommandData`.
            agent_id: Who draws.

        Raises:
            ValidationError: It is no command.
        """
        ...


class DrawnElement(Struct, frozen=True, kw_only=True):
    """One element that stands on a canvas."""

    id: str
    element: dict[str, Any]
    position: dict[str, Any] | None
    updated_at: datetime


class Drawing(Struct, frozen=True, kw_only=True):
    """What stands on a canvas, in the order in which it was drawn."""

    canvas_id: str
    version: int
    elements: tuple[DrawnElement, ...]


class Drawings(Protocol):
    """What agents drew."""

    async def state(self, account_id: str, canvas_id: str) -> Drawing:
        """Read a canvas; one that nobody drew on is empty."""
        ...

    async def newest(self, account_id: str) -> Drawing | None:
        """Read the canvas that was drawn on last."""
        ...

    async def canvas_of(self, account_id: str, element_id: str) -> str | None:
        """Tell on which canvas an element stands; the one drawn last if there are several."""
        ...


# channels


class LiveSockets(Protocol):
    """Browsers that are there."""

    async def count(self, account_id: str) -> int:
        """Count an account's open sockets, over all processes."""
        ...


class Traffic(Struct, frozen=True):
    """How many messages went either way, and when the last one did."""

    messages: int = 0
    last_at: datetime | None = None


class Traffics(Protocol):
    """What went through channels."""

    async def traffic(self, account_id: str, origins: Sequence[str]) -> Traffic:
        """Count what came from these origins, and the answers to it."""
        ...


class ChannelSwitches(Protocol):
    """Which channels an account configured."""

    async def channels(self, account_id: str) -> Mapping[str, bool]:
        """Tell which there are to be, and whether each is enabled."""
        ...


# monitoring


class Estimate(Struct, frozen=True, kw_only=True):
    """What a call of a model may take at most, before it is made."""

    account_id: str
    agent_id: str
    session_key: str
    credential_id: str
    run_id: str
    model: str
    input_tokens: int
    output_tokens: int


class Spent(Struct, frozen=True, kw_only=True):
    """What a call of a model took."""

    account_id: str
    agent_id: str
    session_key: str
    credential_id: str
    run_id: str
    model: str
    input_tokens: int
    output_tokens: int
    cache_read_tokens: int
    cache_write_tokens: int
    tier: int
    at: datetime


class Usage(Protocol):
    """Tokens, what they cost, and how many there may be."""

    async def reserve(self, estimate: Estimate) -> str:
        """Set something aside for a call; returns the reservation, which lapses by itself within the hour.

        Raises:
            BudgetExhaustedError: The money is used up.
            TokenBudgetExhaustedError: The tokens are used up for now.
        """
        ...

    async def settle(self, tx: Transaction, reservation: str, spent: Spent | None) -> Decimal:
        """Record what a call took in place of what was set aside, None for nothing; returns its cost in USD."""
        ...


class StageTiming(Struct, frozen=True):
    """How long one stage of a turn took; `status` is completed, error or skipped."""

    stage: str
    status: str
    duration_ms: float


class TimedTurn(Struct, frozen=True, kw_only=True):
    """A turn that went through the pipeline."""

    run_id: str
    account_id: str
    agent_id: str
    session_key: str
    model: str
    complexity: float
    tier: int
    latency_ms: float
    is_success: bool
    stages: tuple[StageTiming, ...]
    trace_id: str
    at: datetime


class PipelineLog(Protocol):
    """Turns, timed."""

    async def record(self, tx: Transaction, turn: TimedTurn) -> None:
        """Keep a turn; one that is recorded again changes nothing."""
        ...


class AccountEnd(Protocol):
    """What a subject does when an account is no more: it erases what it holds of it."""

    async def __call__(self, tx: Transaction, account_id: str) -> None:
        """Erase."""
        ...
