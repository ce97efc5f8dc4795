"""How an answer is asked for."""

from enum import StrEnum
from typing import Protocol

from msgspec import Struct

from agent_runtime.ports.sessions import Message
from shoal.database import Transaction


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
        error: Why it came to no answer, for people; empty unless it ended so.
        error_code: The same, such as `model_unavailable`, `budget_exhausted` or `run_interrupted`.
    """

    run_id: str
    session_key: str
    status: RunStatus
    message: Message | None = None
    error: str = ""
    error_code: str = ""


class SaidSoFar(Struct, frozen=True):
    """What an agent said so far of an answer that it is at, as it was stored; the last tenth of a second may lack."""

    run_id: str
    content: str


class Turns(Protocol):
    """Has messages answered: starts, waits for and ends runs."""

    async def start(self, request: TurnRequest) -> str:
        """Have a message answered; returns the run, which is committed and may be queued.

        Raises:
            AgentNotFoundError: There is no such agent.
            SessionNotFoundError: There is no such session, and none was to be made.
            ConflictError: The session is busy (and the request would not queue), or the agent is stopped, or the
                idempotency key came with another message.
        """
        ...

    async def wait(self, account_id: str, run_id: str, *, timeout_s: float) -> TurnResult:
        """Wait for a run that was started.

        Raises:
            RunNotFoundError: There is no such run.
        """
        ...

    async def so_far(self, account_id: str, session_key: str) -> SaidSoFar | None:
        """Read what was said so far of the answer under way in a session; None when none is."""
        ...

    async def cancel(self, account_id: str, run_id: str) -> None:
        """End a run, wherever it is: its model's stream, its tools, their processes; nothing if it is over.

        Raises:
            RunNotFoundError: There is no such run.
        """
        ...

    async def is_busy(self, tx: Transaction, session_id: str) -> bool:
        """Tell whether anything runs or waits in a session, whose row the transaction holds."""
        ...

    async def cancel_session(self, account_id: str, session_key: str) -> None:
        """End whatever runs or waits in a session.

        Raises:
            SessionNotFoundError: There is no such session.
        """
        ...
